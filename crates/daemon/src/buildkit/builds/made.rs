//! Results that clients hold: what front ends came to.

use std::sync::{Arc, OnceLock};

use engine::{About, Definition, Dockerfile, EngineError, Evaluated, Planned};
use oci::ImageConfig;
use tokio::sync::OnceCell;
use tonic::Status;

use super::Job;
use crate::buildkit::errors;
use crate::buildkit::frontend::Contexts;

/// A result that a client may look at and return: what a front end came to. It is made when
/// somebody needs it.
#[derive(Debug)]
pub(in crate::buildkit) struct Ref {
    planned: Planned,
    /// Which of its platforms.
    place: usize,
    /// Contexts of the client's directories that it is made from, by the names of their contexts.
    pub(in crate::buildkit) copies: Contexts,
    /// That of all its platforms.
    evaluated: Arc<OnceCell<Evaluated>>,
    /// What was asked of the front end that made it, if one did.
    asked: OnceLock<engine::Asked>,
}

impl Ref {
    /// The first result of `planned`.
    pub(in crate::buildkit) fn new(planned: Planned, copies: Contexts) -> Arc<Self> {
        Arc::new(Self {
            planned,
            place: 0,
            copies,
            evaluated: Arc::default(),
            asked: OnceLock::new(),
        })
    }

    /// The result of `planned` for each platform.
    pub(in crate::buildkit) fn each(planned: &Planned, copies: &Contexts) -> Vec<Arc<Self>> {
        let evaluated: Arc<OnceCell<Evaluated>> = Arc::default();
        let each = |place| {
            Arc::new(Self {
                planned: planned.clone(),
                place,
                copies: copies.clone(),
                evaluated: Arc::clone(&evaluated),
                asked: OnceLock::new(),
            })
        };
        (0..planned.configs().count()).map(each).collect()
    }

    /// Its steps, as [`Planned::definition`] has them.
    ///
    /// # Errors
    /// As there.
    pub(in crate::buildkit) fn definition(
        &self,
        rename: impl Fn(&str) -> String,
    ) -> Result<Definition, EngineError> {
        self.planned.definition(self.place, rename)
    }

    /// The config that the Dockerfile makes.
    pub(in crate::buildkit) fn config(&self) -> &ImageConfig {
        self.planned.config(self.place)
    }

    /// Says what was asked of the front end that made it. The one that ran last says so first.
    pub(in crate::buildkit) fn made_by(&self, asked: engine::Asked) {
        drop(self.asked.set(asked));
    }

    /// What was asked for it; of no front end when the client defined it.
    pub(in crate::buildkit) fn asked(&self) -> engine::Asked {
        self.asked.get().cloned().unwrap_or_default()
    }

    /// What it is, made now if it was not.
    ///
    /// # Errors
    /// A step failed.
    pub(in crate::buildkit) async fn evaluate(
        self: &Arc<Self>,
        job: &Arc<Job>,
    ) -> Result<Evaluated, Status> {
        let made = self.evaluated.get_or_try_init(|| async {
            let (result, told) = (Arc::clone(self), Arc::clone(job));
            job.offload(move || async move { result.make(&told).await })
                .await?
        });
        Ok(made.await?.on_platform(self.place))
    }

    async fn make(&self, job: &Arc<Job>) -> Result<Evaluated, Status> {
        let failed = |error: &EngineError| errors::status(error, Some(self.dockerfile()));
        let build = job.build(About::default).map_err(|error| failed(&error))?;
        for (_, copy) in &self.copies {
            copy.bring_in(&build).await?;
        }
        let evaluated = build.evaluate(&self.planned).await;
        evaluated.map_err(|error| failed(&error))
    }

    /// What it was made of.
    pub(in crate::buildkit) fn dockerfile(&self) -> &Dockerfile {
        &self.planned.request().dockerfile
    }
}
