//! One build, in order: read the Dockerfile, ask for the images it needs, lower it to a graph,
//! solve the graph, export the result. Read this first.

mod check;
mod frontend;
mod missing;
mod secrets;

use std::num::NonZeroUsize;
use std::sync::Arc;

use dockerfile::{HistoryLayer, TargetImage};
use graph::{Edge, Op};
use oci::Reference;
use solver::{BuildOptions, How, ProgressSender, SolveError};
use tokio_util::sync::CancellationToken;

use crate::engine::{Engine, Inner};
use crate::error::{EngineError, StepFailure};
use crate::explain::Explain;
use crate::export::{ExportedImage, ImageParts};
use crate::output::{Output, Stack};
use crate::progress::Task;
use crate::request::{BuildRequest, Export, FilesExport, ImageExport, MoreTarget};
use crate::session::Session;
use crate::worker::BuildWorker;

pub use check::{check, fix, outline, targets};
pub use missing::explain_missing;

use frontend::Plan;

/// What a build came to.
#[derive(Debug, Clone, Default)]
pub struct BuildOutcome {
    /// The image, when the request asked for one.
    pub image: Option<ExportedImage>,
    /// Images of further targets that have names.
    pub more_images: Vec<ExportedImage>,
    /// What could be done better in the Dockerfile.
    pub warnings: Vec<dockerfile::Diagnostic>,
}

impl Engine {
    /// Builds, and exports what the request asks for. Dropping the future, or `cancel`, ends it and
    /// all its steps.
    ///
    /// # Errors
    /// The Dockerfile is wrong, a step failed, or something could not be had or written.
    pub async fn build(
        &self,
        request: BuildRequest,
        progress: ProgressSender,
        cancel: CancellationToken,
    ) -> Result<BuildOutcome, EngineError> {
        let build = async {
            let request = self.bring_in(request, &progress).await?;
            self.0.build(request, progress).await
        };
        let outcome = tokio::select! {
            biased;
            () = cancel.cancelled() => Err(EngineError::Cancelled),
            outcome = build => outcome,
        };
        self.0.discarded.gone().await;
        outcome
    }
}

impl Inner {
    async fn build(
        self: &Arc<Self>,
        request: BuildRequest,
        progress: ProgressSender,
    ) -> Result<BuildOutcome, EngineError> {
        let (request, digests) = self.read_keyed_secrets(request).await?;
        let plan = self.plan(&request, digests, &progress).await?;
        let (stacks, has_run) = self.solve(&request, &plan, &progress).await?;
        let warnings = plan.lowered.warnings.clone();
        let epoch = plan.lowered.source_date_epoch;
        let mut targets = plan.lowered.into_targets().zip(stacks);
        let mut outcome = BuildOutcome {
            warnings,
            ..BuildOutcome::default()
        };
        if let Some((target, stack)) = targets.next() {
            let parts = image_parts(target, stack, epoch);
            for export in &request.exports {
                let exported = self
                    .export(&request.tags, &parts, export, &progress)
                    .await?;
                outcome.image = outcome.image.or(exported);
            }
        }
        for ((target, stack), more) in targets.zip(&request.more_targets) {
            let parts = image_parts(target, stack, epoch);
            let exports = &request.exports;
            let exported = self.export_more(more, &parts, exports, &progress).await?;
            outcome.more_images.extend(exported);
        }
        let (engine, lease) = (Arc::clone(self), self.lease.clone());
        crate::blocking(move || engine.tidy_up(&lease, has_run)).await??;
        Ok(outcome)
    }

    /// The targets' file systems, and whether any step had to run for them.
    async fn solve(
        self: &Arc<Self>,
        request: &BuildRequest,
        plan: &Plan,
        progress: &ProgressSender,
    ) -> Result<(Vec<Stack>, bool), EngineError> {
        let targets: Vec<Option<Edge>> = plan.lowered.file_systems().collect();
        let required = plan.lowered.required.iter().copied();
        let edges: Vec<Edge> = targets.iter().flatten().copied().chain(required).collect();
        if edges.is_empty() {
            return Ok((vec![Stack::default(); targets.len()], false));
        }
        let worker = Arc::new(BuildWorker {
            engine: Arc::clone(self),
            session: Arc::new(Session {
                devices: Arc::clone(&plan.devices),
                ..Session::of(request)
            }),
            images: plan.images.clone(),
            looks: crate::op::Looks::default(),
            commits: crate::source::Commits::default(),
            explain: request.explain.then(|| {
                Arc::new(Explain {
                    graph: Arc::clone(&plan.graph),
                    build_args: request.build_args.keys().cloned().collect(),
                })
            }),
        });
        let options = BuildOptions {
            jobs: self.jobs(request),
            cancel: CancellationToken::new(),
            progress: progress.clone(),
        };
        let graph = Arc::clone(&plan.graph);
        let is_step = |id| {
            graph
                .get(id)
                .is_some_and(|v| !matches!(v.op, Op::Source(_)))
        };
        let solved = self
            .solver
            .build(worker, Arc::clone(&graph), &edges, options)
            .await;
        let solution = solved.map_err(step_error)?;
        let has_run = solution
            .vertices
            .iter()
            .any(|vertex| matches!(vertex.how, How::Executed(_)) && is_step(vertex.id));
        let mut made = solution.targets.into_iter();
        let mut stacks = Vec::with_capacity(targets.len());
        for target in targets {
            let output = target.and_then(|_| made.next()).map(|target| target.output);
            stacks.push(self.stack(output).await?);
        }
        Ok((stacks, has_run))
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

    /// Notes which records were used; after a build that ran steps, removes what processes left
    /// that died in the middle of theirs.
    fn tidy_up(&self, lease: &store::Lease, has_run: bool) -> Result<(), EngineError> {
        self.store.records().note_uses(lease)?;
        if has_run {
            self.store.clean(self.clock.now())?;
        }
        Ok(())
    }

    fn jobs(&self, request: &BuildRequest) -> NonZeroUsize {
        let chosen = request
            .jobs
            .or(self.config.build.jobs)
            .and_then(NonZeroUsize::new);
        // Steps wait more than they compute: more of them than CPUs run well at once.
        let default = || {
            let cpus = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
            NonZeroUsize::new(cpus * 16).unwrap_or(NonZeroUsize::MIN)
        };
        chosen.unwrap_or_else(default)
    }

    /// A further target becomes an image under its own names, wherever the target does.
    async fn export_more(
        self: &Arc<Self>,
        more: &MoreTarget,
        parts: &ImageParts,
        exports: &[Export],
        progress: &ProgressSender,
    ) -> Result<Option<ExportedImage>, EngineError> {
        let mut image = None;
        for export in exports {
            let Export::Image(export) = export else {
                continue;
            };
            if more.tags.is_empty() {
                continue;
            }
            let export = Export::Image(ImageExport {
                names: Vec::new(),
                ..export.clone()
            });
            let exported = self.export(&more.tags, parts, &export, progress).await?;
            image = image.or(exported);
        }
        Ok(image)
    }

    async fn export(
        self: &Arc<Self>,
        tags: &[Reference],
        parts: &ImageParts,
        export: &Export,
        progress: &ProgressSender,
    ) -> Result<Option<ExportedImage>, EngineError> {
        let names = |own: &[Reference]| {
            let mut names: Vec<Reference> = Vec::new();
            for name in tags.iter().chain(own) {
                let name = name.clone().with_default_tag();
                if !names.contains(&name) {
                    names.push(name);
                }
            }
            names
        };
        match export {
            Export::Image(image) => {
                let names = names(&image.names);
                let mut exported = None;
                if image.store {
                    let task = Task::begin(progress, &self.clock, "exporting to image");
                    let told = task.progress();
                    let result = self.export_to_store(parts, &names, &told).await;
                    exported = Some(task.end(result)?);
                }
                if image.push {
                    if names.is_empty() {
                        return Err(EngineError::NoTag);
                    }
                    let task = Task::begin(progress, &self.clock, "pushing image");
                    let told = task.progress();
                    let result = self.push_parts(parts, image, &names, &told).await;
                    exported = Some(task.end(result)?);
                }
                Ok(exported)
            }
            Export::Archive(archive) => {
                let task = Task::begin(progress, &self.clock, "exporting to archive");
                let told = task.progress();
                let names = names(&archive.names);
                let result = self.export_archive(parts, archive, &names, &told).await;
                task.end(result).map(Some)
            }
            Export::Files(files) => {
                let name = match files {
                    FilesExport::Directory(_) => "exporting to client directory",
                    FilesExport::Tar(_) => "exporting to client tarball",
                };
                let task = Task::begin(progress, &self.clock, name);
                let told = task.progress();
                let result = self
                    .export_files(&parts.stack, files, parts.epoch, &told)
                    .await;
                task.end(result).map(|()| None)
            }
        }
    }
}

fn image_parts(target: TargetImage, stack: Stack, epoch: Option<i64>) -> ImageParts {
    let from_base = |layer: &&HistoryLayer| matches!(layer, HistoryLayer::Base);
    ImageParts {
        stack,
        inherited: target.history_layers.iter().filter(from_base).count(),
        config: target.config,
        epoch,
    }
}

fn step_error(error: SolveError<EngineError, store::StoreError>) -> EngineError {
    match error {
        SolveError::Step { step, source, .. } => EngineError::Step {
            step: Box::new(StepFailure {
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
