//! Who keeps past builds: the store of this process, or a builder that is another one.

use std::cmp::Reverse;

use client::Client;
use client::messages::BuildHistoryRecord;
use engine::events::Progress;
use engine::{
    BuildStatus, Engine, HistoryBuild, HistoryImage, HistoryStep, HistorySteps, PastBuild,
    StepState,
};
use tokio::sync::mpsc;

use super::Session;
use crate::commands::elsewhere::ask_builder;
use crate::error::Error;
use crate::remote::{self, Builder, Host, Narrator};

/// What the builder tells that waits to be shown, in messages.
const WAITING: usize = 16;
/// Where a builder finds what it need not run.
const CACHE: &str = "the builder's cache";

/// Who keeps past builds.
pub(super) enum Kept {
    Here(Engine),
    There(Builder),
}

impl Kept {
    pub(super) fn of(session: &Session<'_, '_>) -> Result<Self, Error> {
        Ok(match &session.builder {
            Some(builder) => Self::There(builder.clone()),
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
                Ok(builds.map(|build| build.past).collect())
            }
            Self::There(builder) => Ok(past(&all_records(builder)?)),
        }
    }

    /// The build that `reference` means, with all that is known of it.
    pub(super) fn build(&self, reference: &str) -> Result<PastBuild, Error> {
        let Self::There(builder) = self else {
            return Ok(engine::meant_build(self.builds()?, reference)?);
        };
        let records = all_records(builder)?;
        let mut build = engine::meant_build(past(&records), reference)?;
        let mut records = records.iter();
        if let Some((host, record)) = records.find(|(_, record)| record.r#ref == build.id) {
            build.images = images(host, record)?;
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
            Self::There(builder) => keeps(builder, &build.id)?,
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
            Self::There(builder) => {
                for build in builds {
                    let forget = async |client: Client| client.forget(&build.id).await;
                    ask_builder(keeps(builder, &build.id)?, forget)?;
                }
                Ok(())
            }
        }
    }
}

/// The build with its log. It may have been removed since it was looked up.
fn found(engine: &Engine, build: &PastBuild) -> Result<HistoryBuild, Error> {
    let found = engine.history_of(&build.id)?;
    found.ok_or_else(|| missing(&build.id))
}

fn missing(id: &str) -> Error {
    engine::EngineError::NoBuild(id.to_owned()).into()
}

/// The node that a build was made by.
fn keeps<'a>(builder: &'a Builder, id: &str) -> Result<&'a Host, Error> {
    let (last, others) = builder.nodes.split_last().ok_or_else(|| missing(id))?;
    for node in others {
        if records(&node.host)?.iter().any(|record| record.r#ref == id) {
            return Ok(&node.host);
        }
    }
    Ok(&last.host)
}

/// What all nodes keep, and which does.
fn all_records(builder: &Builder) -> Result<Vec<(&Host, BuildHistoryRecord)>, Error> {
    let mut all = Vec::new();
    for node in &builder.nodes {
        let records = records(&node.host)?.into_iter();
        all.extend(records.map(|record| (&node.host, record)));
    }
    Ok(all)
}

/// As builds, latest first.
fn past(records: &[(&Host, BuildHistoryRecord)]) -> Vec<PastBuild> {
    let builds = records.iter().map(|(_, record)| remote::past(record));
    let mut builds: Vec<PastBuild> = builds.collect();
    builds.sort_by_key(|build| Reverse(build.started));
    builds
}

fn records(host: &Host) -> Result<Vec<BuildHistoryRecord>, Error> {
    ask_builder(host, async |client: Client| client.history().await)
}

fn images(host: &Host, record: &BuildHistoryRecord) -> Result<Vec<HistoryImage>, Error> {
    ask_builder(host, async |client: Client| {
        Ok(remote::images(&client, record).await)
    })
}
