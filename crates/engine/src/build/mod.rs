//! One build, in order: read the Dockerfile, ask for the images it needs, lower it to a graph,
//! solve the graph, export the result. Read this first.

mod check;
mod frontend;

use std::num::NonZeroUsize;
use std::sync::Arc;

use dockerfile::HistoryLayer;
use graph::Op;
use oci::Reference;
use solver::{BuildOptions, How, ProgressSender, SolveError};
use tokio_util::sync::CancellationToken;

use crate::engine::{Engine, Inner};
use crate::error::{EngineError, StepFailure};
use crate::export::{ExportedImage, ImageParts};
use crate::output::{Output, Stack};
use crate::progress::Task;
use crate::request::{BuildRequest, Export, FilesExport};
use crate::session::Session;
use crate::worker::BuildWorker;

pub use check::{check, outline, targets};

use frontend::Plan;

/// What a build came to.
#[derive(Debug, Clone, Default)]
pub struct BuildOutcome {
    /// The image, when the request asked for one.
    pub image: Option<ExportedImage>,
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
        let build = self.0.build(request, progress);
        tokio::select! {
            biased;
            () = cancel.cancelled() => Err(EngineError::Cancelled),
            outcome = build => outcome,
        }
    }
}

impl Inner {
    async fn build(
        self: &Arc<Self>,
        request: BuildRequest,
        progress: ProgressSender,
    ) -> Result<BuildOutcome, EngineError> {
        let plan = self.plan(&request, &progress).await?;
        let (stack, has_run) = self.solve(&request, &plan, &progress).await?;
        let warnings = plan.lowered.warnings.clone();
        let from_base = |layer: &&HistoryLayer| matches!(layer, HistoryLayer::Base);
        let parts = ImageParts {
            stack,
            inherited: plan.lowered.history_layers.iter().filter(from_base).count(),
            config: plan.lowered.config,
            epoch: plan.lowered.source_date_epoch,
        };
        let mut image = None;
        for export in &request.exports {
            let exported = self.export(&request, &parts, export, &progress).await?;
            image = image.or(exported);
        }
        let (engine, lease) = (Arc::clone(self), self.lease.clone());
        crate::blocking(move || engine.tidy_up(&lease, has_run)).await??;
        Ok(BuildOutcome { image, warnings })
    }

    /// The target's file system, and whether any step had to run for it.
    async fn solve(
        self: &Arc<Self>,
        request: &BuildRequest,
        plan: &Plan,
        progress: &ProgressSender,
    ) -> Result<(Stack, bool), EngineError> {
        let Some(target) = plan.lowered.target else {
            return Ok((Stack::default(), false));
        };
        let worker = Arc::new(BuildWorker {
            engine: Arc::clone(self),
            session: Arc::new(Session::of(request)),
            images: plan.images.clone(),
            looks: crate::op::Looks::default(),
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
            .build(worker, Arc::clone(&graph), &[target], options)
            .await;
        let solution = solved.map_err(step_error)?;
        let has_run = solution
            .vertices
            .iter()
            .any(|vertex| matches!(vertex.how, How::Executed(_)) && is_step(vertex.id));
        let target = solution.targets.into_iter().next();
        let stack = match target.map(|target| target.output) {
            Some(Output::Stack(stack)) => stack,
            Some(Output::Local(local)) => {
                let engine = Arc::clone(self);
                let input = crate::op::InputTree::Local(local);
                crate::blocking(move || engine.base(&input)).await??.0
            }
            None => Stack::default(),
        };
        Ok((stack, has_run))
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

    async fn export(
        self: &Arc<Self>,
        request: &BuildRequest,
        parts: &ImageParts,
        export: &Export,
        progress: &ProgressSender,
    ) -> Result<Option<ExportedImage>, EngineError> {
        let names = |own: &[Reference]| {
            let mut names: Vec<Reference> = Vec::new();
            for name in request.tags.iter().chain(own) {
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
