//! A build in its stages, for clients that look at a result before they say what becomes of it.
//! [`Engine::build`] goes through all of them.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use dockerfile::{Diagnostic, HistoryLayer, TargetImage};
use oci::{ImageConfig, Reference};
use snapshot::Tree;
use solver::ProgressSender;
use solver::progress::Recorder;
use store::LayerId;

use super::BuildOutcome;
use super::frontend::Plan;
use super::solve::Solved;
use crate::engine::{Engine, Inner};
use crate::error::{EngineError, ProcessExit};
use crate::export::{ImageParts, ImageSet};
use crate::files::Files;
use crate::history::{About, Attachment, Listener, Outcome, Recording};
use crate::op::{FrontEnd, NewContainer, StepContainer};
use crate::output::Stack;
use crate::progress::Task;
use crate::remote_cache::CacheTo;
use crate::request::{BuildRequest, Export, MoreTarget};

/// A build under way. What it is asked for is told in one place, and it is in the history as one
/// build.
pub struct Build {
    engine: Arc<Inner>,
    progress: ProgressSender,
    recording: Option<Arc<Listener>>,
    /// Layers of records that could no longer be had; what caches have of them is no hit.
    lost: Mutex<BTreeSet<LayerId>>,
}

/// What is to be made: a Dockerfile that was read, with the images that it names.
#[derive(Clone)]
pub struct Planned(Arc<(BuildRequest, Plan)>);

/// What was made of it: file systems. Clones are the same.
#[derive(Clone)]
pub struct Evaluated {
    planned: Planned,
    solved: Arc<Solved>,
}

/// What becomes of a result.
#[derive(Debug, Clone, Default)]
pub struct Delivery {
    /// Names for the result.
    pub tags: Vec<Reference>,
    /// What is made of it.
    pub exports: Vec<Export>,
    /// Names for the results of further targets, in their order.
    pub more_targets: Vec<MoreTarget>,
    /// Stands for the config that the Dockerfile makes.
    pub config: Option<ImageConfig>,
}

impl Delivery {
    /// What `request` asks for.
    #[must_use]
    pub fn of(request: &BuildRequest) -> Self {
        Self {
            tags: request.tags.clone(),
            exports: request.exports.clone(),
            more_targets: request.more_targets.clone(),
            config: None,
        }
    }
}

impl Engine {
    /// Begins a build. It is in the history when it is told what it is about.
    ///
    /// # Errors
    /// The store fails.
    pub fn begin(
        &self,
        about: Option<About>,
        progress: ProgressSender,
    ) -> Result<Build, EngineError> {
        let engine = Arc::clone(&self.0);
        let recording = match about {
            Some(about) => engine.record_build(about)?,
            None => None,
        };
        let progress = match &recording {
            Some(recording) => progress.recorded(Arc::clone(&recording.0) as Arc<dyn Recorder>),
            None => progress,
        };
        Ok(Build {
            engine,
            progress,
            recording,
            lost: Mutex::default(),
        })
    }
}

impl Build {
    /// Where it is told what happens.
    #[must_use]
    pub const fn progress(&self) -> &ProgressSender {
        &self.progress
    }

    /// Its ID in the history; none when it is in none.
    pub(super) fn id(&self) -> Option<&str> {
        self.recording.as_deref().map(|listener| listener.0.id())
    }

    pub(super) const fn engine(&self) -> &Arc<Inner> {
        &self.engine
    }

    /// The files of a result, to be looked at.
    ///
    /// # Errors
    /// A layer could not be had.
    pub async fn files(&self, evaluated: &Evaluated) -> Result<Files, EngineError> {
        let engine = Arc::clone(&self.engine);
        let layers = engine.snapshots(&evaluated.stack(), None).await?;
        crate::blocking(move || Ok(Files::new(Tree::layers(&layers, engine.marks)?))).await?
    }

    /// Runs a front end in an image to its end. Dropping the future kills it.
    ///
    /// # Errors
    /// It could not be started.
    pub async fn front_end(
        &self,
        image: Stack,
        front_end: FrontEnd,
    ) -> Result<ProcessExit, EngineError> {
        self.engine.front_end(image, front_end).await
    }

    /// Puts together a container of a front end. Of `request`, what it offers counts.
    ///
    /// # Errors
    /// Something that is mounted could not be had.
    pub async fn container(
        &self,
        request: &BuildRequest,
        new: NewContainer,
    ) -> Result<Arc<StepContainer>, EngineError> {
        self.engine.step_container(request, new).await
    }

    /// Tells that something has begun that is no step.
    #[must_use]
    pub fn task(&self, name: &str) -> Task {
        Task::begin(&self.progress, &self.engine.clock, name)
    }

    /// Reads the Dockerfile and asks for the images that it names. What is brought in for it takes
    /// its place in `request`.
    ///
    /// # Errors
    /// The Dockerfile is wrong, or something could not be had.
    pub async fn plan(&self, request: &mut BuildRequest) -> Result<Planned, EngineError> {
        let engine = Engine(Arc::clone(&self.engine));
        *request = engine.bring_in(request.clone(), &self.progress).await?;
        let (request, digests) = self.engine.read_keyed_secrets(request.clone()).await?;
        let plan = self.engine.plan(&request, digests, &self.progress).await?;
        Ok(Planned(Arc::new((request, plan))))
    }

    /// Makes the file systems; again for each layer of a record that can no longer be had: then it
    /// is made.
    ///
    /// # Errors
    /// A step failed, or something could not be had.
    pub async fn evaluate(&self, planned: &Planned) -> Result<Evaluated, EngineError> {
        let (request, plan) = &*planned.0;
        loop {
            let lost = self.lost();
            let solved = self.engine.solve(request, plan, &lost, &self.progress);
            match solved.await {
                Ok(solved) => {
                    return Ok(Evaluated {
                        planned: planned.clone(),
                        solved: Arc::new(solved),
                    });
                }
                Err(error) => self.forget(error)?,
            }
        }
    }

    /// Makes what is wanted of a result, and the caches that the request asks for.
    ///
    /// # Errors
    /// Something could not be had or written.
    pub async fn deliver(
        &self,
        evaluated: &Evaluated,
        delivery: &Delivery,
    ) -> Result<BuildOutcome, EngineError> {
        let mut evaluated = evaluated.clone();
        loop {
            match self.attempt(&evaluated, delivery).await {
                Ok(outcome) => return Ok(outcome),
                Err(error) => self.forget(error)?,
            }
            evaluated = self.evaluate(&evaluated.planned).await?;
        }
    }

    /// Keeps a document about the build in its record, when it ends.
    pub fn attach(&self, attachment: Attachment) {
        if let Some(listener) = &self.recording {
            listener.0.attach(attachment);
        }
    }

    /// Ends the build: removes what it leaves, and keeps how it ended.
    ///
    /// # Errors
    /// A thread was lost.
    pub async fn end(
        &self,
        outcome: &Result<BuildOutcome, EngineError>,
    ) -> Result<(), EngineError> {
        self.engine.discarded.gone().await;
        let Some(recording) = self.recording.clone() else {
            return Ok(());
        };
        let ended = match outcome {
            Ok(made) => Outcome::completed(made.image.iter().chain(&made.more_images)),
            Err(error) => Outcome::failed(error),
        };
        let warning = crate::blocking(move || recording.end(ended)).await?;
        warning
            .into_iter()
            .for_each(|warning| self.progress.send(warning));
        Ok(())
    }

    async fn attempt(
        &self,
        evaluated: &Evaluated,
        delivery: &Delivery,
    ) -> Result<BuildOutcome, EngineError> {
        let (engine, progress) = (&self.engine, &self.progress);
        let (request, plan) = &*evaluated.planned.0;
        let solved = &evaluated.solved;
        let targets = self.parts(evaluated, delivery).await?;
        let (images, ()) = tokio::try_join!(
            engine.export_targets(delivery, &targets, progress),
            engine.export_caches(request, solved.cached.as_ref(), progress),
        )?;
        for export in &request.cache_mounts_to {
            engine
                .export_cache_mounts(&plan.graph, export, progress)
                .await?;
        }
        let (engine, lease) = (Arc::clone(engine), engine.lease.clone());
        let has_run = solved.has_run;
        crate::blocking(move || engine.tidy_up(&lease, has_run)).await??;
        Ok(BuildOutcome {
            warnings: plan.lowered.warnings.clone(),
            ..images
        })
    }

    /// What each target came to.
    async fn parts(
        &self,
        evaluated: &Evaluated,
        delivery: &Delivery,
    ) -> Result<Vec<ImageSet>, EngineError> {
        let (request, plan) = &*evaluated.planned.0;
        let solved = &evaluated.solved;
        let cache = match &solved.cached {
            Some(cached) if request.cache_to.contains(&CacheTo::Inline) => {
                Some(self.engine.inline_records(cached).await?)
            }
            _ => None,
        };
        let epoch = plan.lowered.source_date_epoch;
        let targets = plan.lowered.targets().zip(&solved.stacks);
        let mut targets: Vec<ImageParts> = targets
            .map(|(target, stack)| ImageParts {
                cache: cache.clone(),
                ..image_parts(target, stack.clone(), epoch)
            })
            .collect();
        if let (Some(first), Some(config)) = (targets.first_mut(), &delivery.config) {
            first.config = config.clone();
            if plan.lowered.target.history_layers.is_empty() {
                // Nothing is known of the steps: the history is the client's own.
                first.inherited = config.history.len();
            }
        }
        Ok(targets.into_iter().map(ImageSet::from).collect())
    }

    fn lost(&self) -> BTreeSet<LayerId> {
        let lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        lost.clone()
    }

    /// Forgets the records of the layer that `error` says is gone; the error when there are none.
    fn forget(&self, error: EngineError) -> Result<(), EngineError> {
        let is_new = |layer: &LayerId| {
            let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
            lost.insert(*layer)
        };
        match gone(&error).filter(is_new) {
            Some(layer) if self.engine.store.records().forget_layer(layer)? > 0 => Ok(()),
            _ => Err(error),
        }
    }
}

impl Planned {
    pub(super) fn new(request: BuildRequest, plan: Plan) -> Self {
        Self(Arc::new((request, plan)))
    }

    /// What was asked for, with what was brought in for it.
    #[must_use]
    pub fn request(&self) -> &BuildRequest {
        &self.0.0
    }

    /// The config that the Dockerfile makes, as far as it is known before the layers are.
    #[must_use]
    pub fn config(&self) -> &ImageConfig {
        &self.0.1.lowered.target.config
    }

    /// The directories that the client must offer, by the names of their contexts; the main one's
    /// name is empty.
    pub fn local_contexts(&self) -> impl Iterator<Item = &str> {
        let names = self.0.1.lowered.local_contexts.iter();
        names.map(|name| crate::session::context_name(name))
    }

    pub(super) fn plan(&self) -> &Plan {
        &self.0.1
    }

    /// What could be done better in the Dockerfile.
    #[must_use]
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.0.1.lowered.warnings
    }
}

impl Evaluated {
    /// The file system of the target.
    #[must_use]
    pub fn stack(&self) -> Stack {
        self.solved.stacks.first().cloned().unwrap_or_default()
    }
}

impl Inner {
    /// Begins the build's record, if builds are kept.
    fn record_build(self: &Arc<Self>, about: About) -> Result<Option<Arc<Listener>>, EngineError> {
        if !self.keeps_history() {
            return Ok(None);
        }
        let recording = Recording::begin(self, about)?;
        Ok(Some(Arc::new(Listener(recording))))
    }

    pub(super) fn keeps_history(&self) -> bool {
        self.config.history.builds > 0 && !self.store.is_read_only()
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

fn image_parts(target: &TargetImage, stack: Stack, epoch: Option<i64>) -> ImageParts {
    let from_base = |layer: &&HistoryLayer| matches!(layer, HistoryLayer::Base);
    ImageParts {
        stack,
        inherited: target.history_layers.iter().filter(from_base).count(),
        config: ImageConfig {
            // Those of the base image say nothing about this one.
            cache: None,
            ..target.config.clone()
        },
        epoch,
        cache: None,
        attestations: Vec::new(),
    }
}

impl fmt::Debug for Build {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Build")
    }
}

impl fmt::Debug for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Planned")
    }
}

impl fmt::Debug for Evaluated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Evaluated")
    }
}
