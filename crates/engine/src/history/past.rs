//! What is known of one build, whoever keeps its record: this store, or a builder that is another
//! process.

use std::time::{Duration, SystemTime};

use super::{About, Attachment, BuildStatus, HistoryImage, StepCounts};
use crate::error::EngineError;

/// What is known of a build, past or going on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastBuild {
    /// Its ID.
    pub id: String,
    /// What was asked for.
    pub about: About,
    /// How it stands.
    pub status: BuildStatus,
    /// When it began.
    pub started: SystemTime,
    /// When it ended.
    pub finished: Option<SystemTime>,
    /// Why it failed.
    pub error: Option<String>,
    /// How many steps it had.
    pub steps: StepCounts,
    /// What it made.
    pub images: Vec<HistoryImage>,
    /// Why its log is not whole.
    pub log_error: Option<String>,
    /// How many warnings were told.
    pub warnings: usize,
    /// What clients of BuildKit's are given of it besides.
    pub attachments: Vec<Attachment>,
    /// It stays until it is removed by name.
    pub pinned: bool,
}

impl PastBuild {
    /// How long it took, or has gone on until `now`; nothing when that is not known.
    #[must_use]
    pub fn duration(&self, now: SystemTime) -> Option<Duration> {
        let until = match self.status {
            BuildStatus::Running => now,
            _ => self.finished?,
        };
        Some(until.duration_since(self.started).unwrap_or_default())
    }
}

/// The one of `builds`, latest first, that `reference` means: an ID, the beginning of one that no
/// other build has, `^N` for the one before the last N, or the latest one when it is empty.
///
/// # Errors
/// It means none, or several.
pub fn meant(mut builds: Vec<PastBuild>, reference: &str) -> Result<PastBuild, EngineError> {
    let none = || EngineError::NoBuild(reference.to_owned());
    if let Some(offset) = reference.strip_prefix('^') {
        let offset: usize = offset.parse().map_err(|_| none())?;
        return builds.into_iter().nth(offset).ok_or_else(none);
    }
    if reference.is_empty() {
        return builds.into_iter().next().ok_or_else(none);
    }
    builds.retain(|build| build.id.starts_with(reference));
    match (builds.pop(), builds.len()) {
        (None, _) => Err(none()),
        (Some(only), 0) => Ok(only),
        (Some(last), _) => builds
            .into_iter()
            .chain([last])
            .find(|build| build.id == reference)
            .ok_or_else(|| EngineError::SeveralBuilds(reference.to_owned())),
    }
}
