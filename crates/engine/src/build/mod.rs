//! One build, in order: read the Dockerfile, ask for the images it needs, lower it to a graph,
//! solve the graph, export the result. Read this first.

mod check;
mod frontend;
mod missing;
mod secrets;

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;

use dockerfile::{HistoryLayer, TargetImage};
use graph::{Edge, Op};
use oci::{ImageConfig, Platform, Reference};
use solver::progress::Recorder;
use solver::{BuildOptions, How, ProgressSender, SolveError};
use store::LayerId;
use tokio_util::sync::CancellationToken;

use crate::cache_mount::Carried;
use crate::engine::{Engine, Inner};
use crate::error::{EngineError, StepFailure};
use crate::explain::Explain;
use crate::export::{ExportedImage, ImageParts};
use crate::history::{About, Listener, Outcome, Recording};
use crate::output::{Output, Stack};
use crate::progress::Task;
use crate::remote_cache::{CacheTo, Exported, Imports, Steps};
use crate::request::{BuildRequest, Export, FilesExport, ImageExport, MoreTarget, NoCache};
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
    /// Builds, and exports what the request asks for; what was brought in for it takes its place in
    /// the request. Dropping the future, or `cancel`, ends the build and all its steps. However it
    /// ends, it is in the history.
    ///
    /// # Errors
    /// The Dockerfile is wrong, a step failed, or something could not be had or written.
    pub async fn build(
        &self,
        request: &mut BuildRequest,
        progress: ProgressSender,
        cancel: CancellationToken,
    ) -> Result<BuildOutcome, EngineError> {
        let recording = self.0.record_build(request)?;
        let progress = match &recording {
            Some(recording) => progress.recorded(Arc::clone(&recording.0) as Arc<dyn Recorder>),
            None => progress,
        };
        let told = progress.clone();
        let build = async {
            *request = self.bring_in(request.clone(), &progress).await?;
            self.0.build(request.clone(), progress).await
        };
        let outcome = tokio::select! {
            biased;
            () = cancel.cancelled() => Err(EngineError::Cancelled),
            outcome = build => outcome,
        };
        self.0.discarded.gone().await;
        if let Some(recording) = recording {
            let ended = match &outcome {
                Ok(made) => Outcome::completed(made.image.iter().chain(&made.more_images)),
                Err(error) => Outcome::failed(error),
            };
            let warning = crate::blocking(move || recording.end(ended)).await?;
            warning.into_iter().for_each(|warning| told.send(warning));
        }
        outcome
    }
}

impl Inner {
    /// Begins the build's record, if builds are kept.
    fn record_build(
        self: &Arc<Self>,
        request: &BuildRequest,
    ) -> Result<Option<Listener>, EngineError> {
        if !self.keeps_history() {
            return Ok(None);
        }
        let recording = Recording::begin(self, About::of(request))?;
        Ok(Some(Listener(recording)))
    }

    fn keeps_history(&self) -> bool {
        self.config.history.builds > 0 && !self.store.is_read_only()
    }

    /// Builds, and again for each layer of a record that can no longer be had: then it is made.
    async fn build(
        self: &Arc<Self>,
        request: BuildRequest,
        progress: ProgressSender,
    ) -> Result<BuildOutcome, EngineError> {
        let mut lost = BTreeSet::new();
        loop {
            let attempt = self.attempt(request.clone(), &lost, progress.clone());
            let error = match attempt.await {
                Ok(outcome) => return Ok(outcome),
                Err(error) => error,
            };
            match gone(&error).filter(|layer| lost.insert(*layer)) {
                Some(layer) if self.store.records().forget_layer(layer)? > 0 => {}
                _ => return Err(error),
            }
        }
    }

    /// Builds once; what caches have of `lost` layers is no hit.
    async fn attempt(
        self: &Arc<Self>,
        request: BuildRequest,
        lost: &BTreeSet<LayerId>,
        progress: ProgressSender,
    ) -> Result<BuildOutcome, EngineError> {
        let (request, digests) = self.read_keyed_secrets(request).await?;
        let plan = self.plan(&request, digests, &progress).await?;
        let solved = self.solve(&request, &plan, lost, &progress).await?;
        let warnings = plan.lowered.warnings.clone();
        let epoch = plan.lowered.source_date_epoch;
        let cache = match &solved.cached {
            Some(cached) if request.cache_to.contains(&CacheTo::Inline) => {
                Some(self.inline_records(cached).await?)
            }
            _ => None,
        };
        let parts = |target, stack| ImageParts {
            cache: cache.clone(),
            ..image_parts(target, stack, epoch)
        };
        let graph = Arc::clone(&plan.graph);
        let targets = plan.lowered.into_targets().zip(solved.stacks.clone());
        let targets: Vec<ImageParts> = targets.map(|(t, stack)| parts(t, stack)).collect();
        let (images, ()) = tokio::try_join!(
            self.export_targets(&request, &targets, &progress),
            self.export_caches(&request, solved.cached.as_ref(), &progress),
        )?;
        for export in &request.cache_mounts_to {
            self.export_cache_mounts(&graph, export, &progress).await?;
        }
        let (engine, lease) = (Arc::clone(self), self.lease.clone());
        crate::blocking(move || engine.tidy_up(&lease, solved.has_run)).await??;
        Ok(BuildOutcome { warnings, ..images })
    }

    /// Makes what was asked for of each target.
    async fn export_targets(
        self: &Arc<Self>,
        request: &BuildRequest,
        targets: &[ImageParts],
        progress: &ProgressSender,
    ) -> Result<BuildOutcome, EngineError> {
        let mut outcome = BuildOutcome::default();
        let Some((first, others)) = targets.split_first() else {
            return Ok(outcome);
        };
        for export in &request.exports {
            let exported = self.export(&request.tags, first, export, progress).await?;
            outcome.image = outcome.image.or(exported);
        }
        for (parts, more) in others.iter().zip(&request.more_targets) {
            let exported = self
                .export_more(more, parts, &request.exports, progress)
                .await?;
            outcome.more_images.extend(exported);
        }
        Ok(outcome)
    }

    /// Writes all caches that stand on their own, at once.
    async fn export_caches(
        self: &Arc<Self>,
        request: &BuildRequest,
        cached: Option<&Arc<Exported>>,
        progress: &ProgressSender,
    ) -> Result<(), EngineError> {
        let Some(cached) = cached else {
            return Ok(());
        };
        let exports = request.cache_to.iter().filter_map(|cache| match cache {
            CacheTo::Export(export) => Some(self.export_cache(cached, export, progress)),
            CacheTo::Inline => None,
        });
        futures_util::future::try_join_all(exports).await?;
        Ok(())
    }

    /// Makes the targets' file systems.
    async fn solve(
        self: &Arc<Self>,
        request: &BuildRequest,
        plan: &Plan,
        lost: &BTreeSet<LayerId>,
        progress: &ProgressSender,
    ) -> Result<Solved, EngineError> {
        let began = self.now_in_nanoseconds();
        let targets: Vec<Option<Edge>> = plan.lowered.file_systems().collect();
        let required = plan.lowered.required.iter().copied();
        let edges: Vec<Edge> = targets.iter().flatten().copied().chain(required).collect();
        if edges.is_empty() {
            return Ok(Solved {
                stacks: vec![Stack::default(); targets.len()],
                has_run: false,
                cached: None,
            });
        }
        let session = Arc::new(Session {
            devices: Arc::clone(&plan.devices),
            carried: Some(Carried::new(&request.cache_mounts_from, progress)),
            ..Session::of(request)
        });
        let steps = self.steps(request, plan, &session, began);
        let imports = steps.as_ref().filter(|_| !request.cache_from.is_empty());
        let worker = Arc::new(BuildWorker {
            engine: Arc::clone(self),
            session: Arc::clone(&session),
            images: plan.images.clone(),
            looks: crate::op::Looks::default(),
            commits: crate::source::Commits::default(),
            files: crate::source::Files::default(),
            imports: imports
                .map(|steps| Arc::new(Imports::new(steps, request, lost.clone(), progress))),
            explain: (request.explain || self.keeps_history()).then(|| {
                Arc::new(Explain {
                    graph: Arc::clone(&plan.graph),
                    build_args: plan.build_args(request),
                    no_cache: match request.no_cache {
                        NoCache::Stages(_) => "--no-cache-filter",
                        NoCache::All | NoCache::Off => "--no-cache",
                    },
                    session,
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
        let vertices = solution.vertices;
        let mut made = solution.targets.into_iter();
        let mut stacks = Vec::with_capacity(targets.len());
        for target in targets {
            let output = target.and_then(|_| made.next()).map(|target| target.output);
            stacks.push(self.stack(output).await?);
        }
        let cached = steps.map(|steps| {
            Arc::new(Exported {
                steps,
                vertices,
                targets: stacks.clone(),
            })
        });
        Ok(Solved {
            stacks,
            has_run,
            cached,
        })
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
        let platform = request.platform.clone().unwrap_or_else(Platform::host);
        Some(Arc::new(Steps::new(
            &plan.graph,
            &plan.images,
            session.directories.clone(),
            &platform,
            began,
        )))
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

/// What solving a graph came to.
struct Solved {
    /// The targets' file systems.
    stacks: Vec<Stack>,
    /// A step had to run for them.
    has_run: bool,
    /// What caches need to know, if there are any.
    cached: Option<Arc<Exported>>,
}

/// The layer that an error says is gone.
fn gone(error: &EngineError) -> Option<LayerId> {
    match error {
        EngineError::LayerGone { layer, .. } => Some(*layer),
        EngineError::Step { step } => gone(&step.error),
        EngineError::CacheExport { source, .. } => gone(source),
        _ => None,
    }
}

fn image_parts(target: TargetImage, stack: Stack, epoch: Option<i64>) -> ImageParts {
    let from_base = |layer: &&HistoryLayer| matches!(layer, HistoryLayer::Base);
    ImageParts {
        stack,
        inherited: target.history_layers.iter().filter(from_base).count(),
        config: ImageConfig {
            // Those of the base image say nothing about this one.
            cache: None,
            ..target.config
        },
        epoch,
        cache: None,
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
