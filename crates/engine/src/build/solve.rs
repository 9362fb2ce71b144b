//! Makes the file systems of a plan's targets.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;

use graph::{Edge, Graph, Op};
use solver::{BuildOptions, How, ProgressSender, SolveError, SolvedVertex};
use store::LayerId;
use tokio_util::sync::CancellationToken;

use super::frontend::Plan;
use crate::cache_mount::Carried;
use crate::engine::Inner;
use crate::error::{EngineError, StepFailure};
use crate::explain::Explain;
use crate::output::{Output, Stack};
use crate::provenance::Pins;
use crate::remote_cache::{Exported, Imports, Steps};
use crate::request::{BuildRequest, NoCache};
use crate::session::Session;
use crate::worker::BuildWorker;

/// What solving a graph came to.
#[derive(Clone)]
pub(super) struct Solved {
    /// The targets' file systems, those of the first platform first.
    pub(super) stacks: Vec<Stack>,
    /// What scanners wrote about each of them, if they were scanned.
    pub(super) scans: Vec<Stack>,
    /// A step had to run for them.
    pub(super) has_run: bool,
    /// What caches need to know, if there are any.
    pub(super) cached: Option<Arc<Exported>>,
    /// What sources led to.
    pub(super) pins: Pins,
}

impl Inner {
    /// Makes the targets' file systems.
    pub(super) async fn solve(
        self: &Arc<Self>,
        request: &BuildRequest,
        plan: &Plan,
        lost: &BTreeSet<LayerId>,
        progress: &ProgressSender,
    ) -> Result<Solved, EngineError> {
        let began = self.now_in_nanoseconds();
        let targets: Vec<Option<Edge>> = plan.file_systems().collect();
        let edges: Vec<Edge> = plan.wanted().collect();
        if edges.is_empty() {
            return Ok(Solved {
                stacks: vec![Stack::default(); targets.len()],
                scans: Vec::new(),
                has_run: false,
                cached: None,
                pins: Pins::new(),
            });
        }
        self.renew_cache_mounts(&plan.graph, &edges).await?;
        let session = Arc::new(Session {
            devices: Arc::clone(&plan.devices),
            carried: Some(Carried::new(&request.cache_mounts_from, progress)),
            ..Session::of(request)
        });
        let steps = self.steps(request, plan, &session, began);
        let imports = steps.as_ref().filter(|_| !request.cache_from.is_empty());
        let imports = imports.map(|steps| Imports::new(steps, request, lost.clone(), progress));
        let worker = Arc::new(self.worker(request, plan, session, imports));
        let options = BuildOptions {
            jobs: self.jobs(request),
            cancel: CancellationToken::new(),
            progress: progress.clone(),
        };
        let graph = &plan.graph;
        let solving = self
            .solver
            .build(Arc::clone(&worker), Arc::clone(graph), &edges, options);
        let solution = solving.await.map_err(step_error)?;
        let mut made = solution.targets.into_iter();
        let stacks = self.stacks(targets, &mut made).await?;
        let scans = plan.scans.iter().copied().map(Some).collect();
        let scans = self.stacks(scans, &mut made).await?;
        let has_run = has_run(graph, &solution.vertices);
        let cached = steps.map(|steps| {
            Arc::new(Exported {
                steps,
                imports: worker.imports.clone(),
                vertices: solution.vertices,
                targets: stacks.clone(),
            })
        });
        Ok(Solved {
            stacks,
            scans,
            has_run,
            cached,
            pins: worker.pins(graph),
        })
    }

    /// Who does the steps of the plan.
    fn worker(
        self: &Arc<Self>,
        request: &BuildRequest,
        plan: &Plan,
        session: Arc<Session>,
        imports: Option<Imports>,
    ) -> BuildWorker {
        let explain = (request.explain || self.keeps_history()).then(|| {
            Arc::new(Explain {
                graph: Arc::clone(&plan.graph),
                build_args: plan.build_args(request),
                no_cache: match request.no_cache {
                    NoCache::Stages(_) => "--no-cache-filter",
                    NoCache::All | NoCache::Off => "--no-cache",
                },
                session: Arc::clone(&session),
            })
        });
        BuildWorker {
            engine: Arc::clone(self),
            session,
            images: plan.images.clone(),
            looks: crate::op::Looks::default(),
            commits: crate::source::Commits::default(),
            files: crate::source::Files::default(),
            imports: imports.map(Arc::new),
            explain,
        }
    }

    /// What BuildKit knows the steps by, when there are caches that ask for it.
    fn steps(
        &self,
        request: &BuildRequest,
        plan: &Plan,
        session: &Session,
        began: i64,
    ) -> Option<Arc<Steps>> {
        if request.cache_from.is_empty() && request.cache_to.is_empty() {
            return None;
        }
        let each = plan.lowered.iter();
        let targets: Vec<_> = each.map(|on| (on.first_vertex, &on.platform)).collect();
        Some(Arc::new(Steps::new(
            &plan.graph,
            &plan.images,
            session.directories.clone(),
            &targets,
            began,
        )))
    }

    /// One for each of `targets`; `made` begins with those that are not empty, in the same order.
    async fn stacks(
        self: &Arc<Self>,
        targets: Vec<Option<Edge>>,
        made: &mut impl Iterator<Item = solver::Solved<Output>>,
    ) -> Result<Vec<Stack>, EngineError> {
        let mut stacks = Vec::with_capacity(targets.len());
        for target in targets {
            let output = target.and_then(|_| made.next()).map(|target| target.output);
            stacks.push(self.stack(output).await?);
        }
        Ok(stacks)
    }

    async fn stack(self: &Arc<Self>, output: Option<Output>) -> Result<Stack, EngineError> {
        Ok(match output {
            Some(Output::Stack(stack)) => stack,
            Some(Output::Local(local)) => {
                let engine = Arc::clone(self);
                let input = crate::op::InputTree::Local(local);
                crate::blocking(move || engine.base(&input)).await??.0
            }
            None => Stack::default(),
        })
    }

    fn now_in_nanoseconds(&self) -> i64 {
        let since = self.clock.now().duration_since(std::time::UNIX_EPOCH);
        since.map_or(0, |since| {
            i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
        })
    }

    fn jobs(&self, request: &BuildRequest) -> NonZeroUsize {
        let chosen = request
            .jobs
            .or(self.config.build.jobs)
            .and_then(NonZeroUsize::new);
        chosen.unwrap_or_else(crate::limits::default_jobs)
    }
}

/// A step ran, and not only sources were brought in.
fn has_run(graph: &Graph, vertices: &[SolvedVertex<Output>]) -> bool {
    let is_step = |id| {
        let vertex = graph.get(id);
        vertex.is_some_and(|vertex| !matches!(vertex.op, Op::Source(_)))
    };
    let has_run = |vertex: &SolvedVertex<Output>| matches!(vertex.how, How::Executed(_));
    vertices
        .iter()
        .any(|vertex| has_run(vertex) && is_step(vertex.id))
}

fn step_error(error: SolveError<EngineError, store::StoreError>) -> EngineError {
    match error {
        SolveError::Step { step, source, .. } => EngineError::Step {
            step: Box::new(StepFailure {
                vertex: step.digest,
                name: step.name,
                locations: step.locations,
                error: source,
            }),
        },
        SolveError::Storage { step, source } => EngineError::Solve(format!(
            "cannot use the build cache for {:?}: {source}",
            step.name
        )),
        SolveError::Cancelled => EngineError::Cancelled,
        other => EngineError::Solve(other.to_string()),
    }
}
