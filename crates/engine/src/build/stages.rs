//! A build in its stages, for clients that look at a result before they say what becomes of it.
//! [`Engine::build`] goes through all of them.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use oci::Reference;
use snapshot::Tree;
use solver::ProgressSender;
use solver::progress::Recorder;
use store::LayerId;

use super::BuildOutcome;
use super::results::{Evaluated, Made, Planned};
use crate::container::new_id;
use crate::engine::{Engine, Inner};
use crate::error::{EngineError, ImageError, ProcessExit};
use crate::export::ImageSet;
use crate::files::Files;
use crate::history::{About, Attachment, Listener, Outcome, Recording};
use crate::op::{FrontEnd, NewContainer, StepContainer};
use crate::output::Stack;
use crate::progress::Task;
use crate::provenance::Provenance;
use crate::remote_cache::{CacheTo, InlineRecords};
use crate::request::{BuildRequest, Export, MoreTarget};

/// A build under way. What it is asked for is told in one place, and it is in the history as one
/// build.
pub struct Build {
    engine: Arc<Inner>,
    progress: ProgressSender,
    recording: Option<Arc<Listener>>,
    /// Layers of records that could no longer be had; what caches have of them is no hit.
    lost: Mutex<BTreeSet<LayerId>>,
    /// What what it makes says that it was made by.
    pub(super) invocation: String,
    pub(super) started: SystemTime,
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
    /// What is stated about what is made.
    pub provenance: Option<Provenance>,
}

impl Delivery {
    /// What `request` asks for.
    #[must_use]
    pub fn of(request: &BuildRequest) -> Self {
        Self {
            tags: request.tags.clone(),
            exports: request.exports.clone(),
            more_targets: request.more_targets.clone(),
            provenance: request.provenance.clone(),
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
        let id = recording.as_deref().map(|one| one.0.id().to_owned());
        Ok(Build {
            invocation: id.map_or_else(new_id, Ok)?,
            started: engine.clock.now(),
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
        self.join(request).await?;
        let (request, digests) = self.engine.read_keyed_secrets(request.clone()).await?;
        let plan = self.engine.plan(&request, digests, &self.progress).await?;
        Ok(Planned::new(request, plan))
    }

    /// Makes the file systems; again for each layer of a record that can no longer be had: then it
    /// is made.
    ///
    /// # Errors
    /// A step failed, or something could not be had.
    pub async fn evaluate(&self, planned: &Planned) -> Result<Evaluated, EngineError> {
        let (request, plan) = (planned.request(), planned.plan());
        loop {
            let lost = self.lost();
            let solved = self.engine.solve(request, plan, &lost, &self.progress);
            match solved.await {
                Ok(solved) => return Ok(Evaluated::new(planned, solved)),
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
            evaluated = self.evaluate_again(evaluated).await?;
        }
    }

    /// Makes the same once more.
    async fn evaluate_again(&self, mut evaluated: Evaluated) -> Result<Evaluated, EngineError> {
        let distinct = evaluated.distinct().into_iter();
        let distinct: Vec<Planned> = distinct.map(|made| made.planned.clone()).collect();
        for planned in &distinct {
            let again = self.evaluate(planned).await?;
            evaluated.replace(&again);
        }
        Ok(evaluated)
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
            Ok(made) => {
                let first = made.image.iter().map(|image| (image, made.exporter));
                let more = made.more_images.iter().map(|image| (image, Export::IMAGE));
                Outcome::completed(first.chain(more))
            }
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
        let solved = evaluated.distinct();
        evaluated.check_caches()?;
        let targets = self.targets(evaluated, delivery).await?;
        let caches = async {
            for Made {
                planned, solved, ..
            } in &solved
            {
                let cached = solved.cached.as_ref();
                engine
                    .export_caches(planned.request(), cached, progress)
                    .await?;
            }
            Ok(())
        };
        let (images, ()) =
            tokio::try_join!(engine.export_targets(delivery, &targets, progress), caches,)?;
        for Made { planned, .. } in &solved {
            for export in &planned.request().cache_mounts_to {
                engine
                    .export_cache_mounts(&planned.plan().graph, export, progress)
                    .await?;
            }
        }
        self.attach_statements(&targets);
        let (engine, lease) = (Arc::clone(engine), engine.lease.clone());
        let has_run = solved.iter().any(|made| made.solved.has_run);
        crate::blocking(move || engine.tidy_up(&lease, has_run)).await??;
        let warnings = solved.iter().flat_map(|made| made.planned.warnings());
        Ok(BuildOutcome {
            warnings: warnings.cloned().collect(),
            ..images
        })
    }

    /// What each target came to.
    async fn targets(
        &self,
        evaluated: &Evaluated,
        delivery: &Delivery,
    ) -> Result<Vec<ImageSet>, EngineError> {
        let mut targets: Vec<ImageSet> = Vec::new();
        for made in evaluated.images() {
            let cache = self.inline_cache(made).await?;
            let mut parts = made.parts(cache);
            self.state(made, delivery, &mut parts).await?;
            for (number, parts) in parts.into_iter().enumerate() {
                match targets.get_mut(number) {
                    Some(set) => set.images.push(parts),
                    None => targets.push(ImageSet {
                        images: vec![parts],
                        indexed: evaluated.is_indexed(),
                    }),
                }
            }
        }
        Ok(targets)
    }

    /// The records that the image is to carry.
    async fn inline_cache(&self, made: &Made) -> Result<Option<Arc<InlineRecords>>, EngineError> {
        let is_wanted = made.planned.request().cache_to.contains(&CacheTo::Inline);
        match made.solved.cached.as_ref().filter(|_| is_wanted) {
            Some(cached) => self.engine.inline_records(cached).await.map(Some),
            None => Ok(None),
        }
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
        // A power cut has taken a snapshot of which no blob was made.
        EngineError::Image(ImageError::LayerGone { layer, .. } | ImageError::EmptyLayer(layer)) => {
            Some(*layer)
        }
        EngineError::Step { step } => gone(&step.error),
        EngineError::CacheExport { source, .. } => gone(source),
        _ => None,
    }
}

impl fmt::Debug for Build {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Build")
    }
}
