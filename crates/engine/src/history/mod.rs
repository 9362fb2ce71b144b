//! What was built before: each build leaves a record of what it was and how it ended, and a log of
//! everything that was told of it.
//!
//! Both are one file. In its first line is what was asked for, in its last how it ended, so that a
//! list of builds needs no more. Between them is the build's progress: it can be shown again as it
//! was, and what became of each step is read from it.

mod about;
mod ends;
mod event;
mod past;
mod recording;
mod steps;

use std::fs::File;
use std::io::{BufRead as _, BufReader};

use serde::{Deserialize, Serialize};
use solver::Progress;

use crate::engine::Engine;
use crate::error::EngineError;
use crate::export::ExportedImage;

pub use about::About;
use event::{Event, Numbers};
pub use past::{PastBuild, meant};
pub(crate) use recording::{Listener, Recording};
pub use steps::{HistoryStep, StepState, Steps};

/// A build, past or going on, of which the record is in this store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryBuild {
    /// What is known of it.
    pub past: PastBuild,
    log: store::Build,
}

/// A document about a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// Its media type.
    pub media_type: String,
    /// What it states, when it is an attestation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predicate: Option<String>,
    /// Its bytes.
    #[serde(with = "event::encoded")]
    pub data: Vec<u8>,
}

/// How a build stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuildStatus {
    /// It goes on.
    Running,
    /// It came to its end.
    Completed,
    /// It failed.
    Failed,
    /// Somebody ended it.
    Cancelled,
    /// Its process died.
    Lost,
}

/// Numbers of steps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepCounts {
    /// All that were planned.
    pub total: usize,
    /// Those that ended well, or were known.
    pub completed: usize,
    /// Those that were known.
    pub cached: usize,
}

/// An image that a build made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryImage {
    /// The digest of its configuration.
    pub id: String,
    /// The digest of its manifest.
    pub digest: String,
    /// Its names.
    pub names: Vec<String>,
    /// What made it, as BuildKit calls it: `image`, `oci` or `docker`.
    #[serde(default = "usual_exporter")]
    pub exporter: String,
}

/// What was not said of images that are older.
fn usual_exporter() -> String {
    "image".to_owned()
}

/// How a build ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    ending: Ending,
    /// Microseconds since 1970.
    finished: i64,
    error: Option<String>,
    steps: StepCounts,
    images: Vec<HistoryImage>,
    log_error: Option<String>,
    #[serde(default, skip_serializing_if = "is_zero")]
    warnings: usize,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    attachments: Vec<Attachment>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Ending {
    Completed,
    Failed,
    Cancelled,
}

impl Engine {
    /// The builds that are known, latest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn history(&self) -> Result<Vec<HistoryBuild>, EngineError> {
        let history = self.0.store.history();
        let builds = history.list()?.into_iter();
        Ok(builds
            .map(|build| HistoryBuild::of(build, |build| history.is_running(build)))
            .collect())
    }

    /// The build that has the whole ID `id`; the latest one if there are several.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn history_of(&self, id: &str) -> Result<Option<HistoryBuild>, EngineError> {
        let history = self.0.store.history();
        let build = history.list()?.into_iter().find(|build| build.id == id);
        Ok(build.map(|build| HistoryBuild::of(build, |build| history.is_running(build))))
    }

    /// Has a build stay until it is removed by name, or no longer.
    ///
    /// # Errors
    /// It is gone, or the store cannot be written.
    pub fn pin_history(&self, build: &HistoryBuild, pinned: bool) -> Result<(), EngineError> {
        if build.past.pinned == pinned || self.0.store.history().pin(&build.log, pinned)? {
            return Ok(());
        }
        Err(EngineError::NoBuild(build.past.id.clone()))
    }

    /// Tells again what was told of a build, in order.
    ///
    /// # Errors
    /// Its log cannot be read.
    pub fn replay(
        &self,
        build: &HistoryBuild,
        mut tell: impl FnMut(Progress),
    ) -> Result<(), EngineError> {
        let path = &build.log.log;
        let failed = |source| EngineError::Read {
            path: path.clone(),
            source,
        };
        let mut lines = BufReader::new(File::open(path).map_err(failed)?);
        let (mut numbers, mut line) = (Numbers::default(), Vec::new());
        loop {
            line.clear();
            if lines.read_until(b'\n', &mut line).map_err(failed)? == 0 {
                return Ok(());
            }
            // The last line of a build that goes on, or whose process died, may be half a line.
            let event = serde_json::from_slice::<Event>(&line).ok();
            if let Some(progress) = event.and_then(|event| numbers.progress(event)) {
                tell(progress);
            }
        }
    }

    /// Forgets a build with its log.
    ///
    /// # Errors
    /// It goes on, or the store cannot be written.
    pub fn remove_history(&self, build: &HistoryBuild) -> Result<(), EngineError> {
        if build.past.status == BuildStatus::Running {
            return Err(EngineError::BuildRuns(build.past.id.clone()));
        }
        self.0.store.history().remove(&build.log)?;
        Ok(())
    }
}

impl HistoryBuild {
    /// What is known of a build; a log that is not readable is that of a build that died early.
    fn of(log: store::Build, is_running: impl Fn(&store::Build) -> bool) -> Self {
        let (first, last) = ends::of(&log.log).unwrap_or_default();
        let about = match serde_json::from_slice(&first) {
            Ok(Event::Begun(about)) => about,
            _ => About::default(),
        };
        let ended = match serde_json::from_slice(&last) {
            Ok(Event::Ended(outcome)) => Some(*outcome),
            _ => None,
        };
        let status = match ended.as_ref().map(|outcome| outcome.ending) {
            Some(Ending::Completed) => BuildStatus::Completed,
            Some(Ending::Failed) => BuildStatus::Failed,
            Some(Ending::Cancelled) => BuildStatus::Cancelled,
            None if is_running(&log) => BuildStatus::Running,
            None => BuildStatus::Lost,
        };
        let outcome = ended.unwrap_or_else(Outcome::cancelled);
        let past = PastBuild {
            id: log.id.clone(),
            about,
            status,
            started: log.started,
            finished: (outcome.finished > 0).then(|| event::time(outcome.finished)),
            error: outcome.error,
            steps: outcome.steps,
            images: outcome.images,
            log_error: outcome.log_error,
            warnings: outcome.warnings,
            attachments: outcome.attachments,
            pinned: log.pinned,
        };
        Self { past, log }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
const fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl Outcome {
    fn new(ending: Ending) -> Self {
        Self {
            ending,
            finished: 0,
            error: None,
            steps: StepCounts::default(),
            images: Vec::new(),
            log_error: None,
            warnings: 0,
            attachments: Vec::new(),
        }
    }

    /// With the images that were made, and by which exporters.
    pub(crate) fn completed<'a>(
        images: impl Iterator<Item = (&'a ExportedImage, &'static str)>,
    ) -> Self {
        let images = images.map(|(image, exporter)| HistoryImage {
            id: image.id.to_string(),
            digest: image.manifest.digest.to_string(),
            names: image.names.iter().map(ToString::to_string).collect(),
            exporter: exporter.to_owned(),
        });
        Self {
            images: images.collect(),
            ..Self::new(Ending::Completed)
        }
    }

    pub(crate) fn cancelled() -> Self {
        Self::new(Ending::Cancelled)
    }

    pub(crate) fn failed(error: &EngineError) -> Self {
        match error {
            EngineError::Cancelled => Self::cancelled(),
            error => Self {
                error: Some(error.chain()),
                ..Self::new(Ending::Failed)
            },
        }
    }
}
