//! Who keeps past builds: the store of this process, or a builder that is another one.

use client::messages::BuildHistoryRecord;
use client::{Client, Failure};
use engine::events::Progress;
use engine::{BuildStatus, Engine, HistoryBuild, HistoryStep, HistorySteps, PastBuild, StepState};
use tokio::sync::mpsc;

use super::Session;
use crate::commands::elsewhere::ask_builder;
use crate::error::Error;
use crate::remote::{self, Host, Narrator};

/// What the builder tells that waits to be shown, in messages.
const WAITING: usize = 16;
/// Where a builder finds what it need not run.
const CACHE: &str = "the builder's cache";

/// Who keeps past builds.
pub(super) enum Kept {
    Here(Engine),
    There(Host),
}

impl Kept {
    pub(super) fn of(session: &Session<'_, '_>) -> Result<Self, Error> {
        Ok(match session.host()? {
            Some(host) => Self::There(host),
            None => Self::Here(session.engine()?),
        })
    }

    /// `what` is known of builds that were made in this store, and no builder tells of it.
    pub(super) fn refuse_there(&self, what: &str, instead: &str) -> Result<(), Error> {
        match self {
            Self::Here(_) => Ok(()),
            Self::There(_) => Err(remote::refuse(what, instead)),
        }
    }

    /// How much of a log may wait to be printed, in bytes: none of one that may go on.
    pub(super) const fn room(&self) -> usize {
        match self {
            Self::Here(_) => 64 << 10,
            Self::There(_) => 0,
        }
    }

    /// All builds, latest first.
    pub(super) fn builds(&self) -> Result<Vec<PastBuild>, Error> {
        match self {
            Self::Here(engine) => {
                let builds = engine.history()?.into_iter();
                Ok(builds.map(HistoryBuild::into_past).collect())
            }
            Self::There(host) => Ok(records(host)?.iter().map(remote::past).collect()),
        }
    }

    /// The build that `reference` means, with all that is known of it.
    pub(super) fn build(&self, reference: &str) -> Result<PastBuild, Error> {
        let mut build = engine::meant_build(self.builds()?, reference)?;
        if let Self::There(host) = self {
            build.images = images(host, &build.id)?;
        }
        Ok(build)
    }

    /// What became of its steps.
    pub(super) fn steps(&self, build: &PastBuild) -> Result<Vec<HistoryStep>, Error> {
        let mut steps = HistorySteps::default();
        self.replay(build, |progress| steps.update(&progress))?;
        let mut steps = steps.finish(build.status == BuildStatus::Running);
        if let Self::There(_) = self {
            let cached = |step: &&mut HistoryStep| matches!(step.state, StepState::Cached(_));
            for step in steps.iter_mut().filter(cached) {
                step.imported_from = Some(CACHE.to_owned());
            }
        }
        Ok(steps)
    }

    /// Tells again what was told of it.
    pub(super) fn replay(
        &self,
        build: &PastBuild,
        mut tell: impl FnMut(Progress),
    ) -> Result<(), Error> {
        let host = match self {
            Self::Here(engine) => return Ok(engine.replay(&found(engine, build)?, tell)?),
            Self::There(host) => host,
        };
        ask_builder(host, async |client: Client| {
            let (told, mut heard) = mpsc::channel(WAITING);
            let showing = async {
                let mut narrator = Narrator::default();
                while let Some(status) = heard.recv().await {
                    narrator.events(status).into_iter().for_each(&mut tell);
                }
            };
            tokio::join!(client.replay(&build.id, told), showing).0
        })
    }

    /// Forgets builds.
    pub(super) fn remove<'a>(
        &self,
        builds: impl Iterator<Item = &'a PastBuild>,
    ) -> Result<(), Error> {
        match self {
            Self::Here(engine) => {
                for build in builds {
                    engine.remove_history(&found(engine, build)?)?;
                }
                Ok(())
            }
            Self::There(host) => ask_builder(host, async |client: Client| {
                for build in builds {
                    client.forget(&build.id).await?;
                }
                Ok(())
            }),
        }
    }
}

/// The build with its log. It may have been removed since it was looked up.
fn found(engine: &Engine, build: &PastBuild) -> Result<HistoryBuild, Error> {
    let missing = || engine::EngineError::NoBuild(build.id.clone());
    let found = engine.history_of(&build.id)?;
    Ok(found.ok_or_else(missing)?)
}

fn records(host: &Host) -> Result<Vec<BuildHistoryRecord>, Error> {
    ask_builder(host, async |client: Client| client.history().await)
}

fn images(host: &Host, id: &str) -> Result<Vec<engine::HistoryImage>, Error> {
    ask_builder(host, async |client: Client| -> Result<_, Failure> {
        let records = client.history().await?;
        let record = records.iter().find(|record| record.r#ref == id);
        Ok(match record {
            Some(record) => remote::images(&client, record).await,
            None => Vec::new(),
        })
    })
}
