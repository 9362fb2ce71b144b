//! Keeps a build while it goes on.
//!
//! A build that only finds what is known is written once, at its end. The log of one that works is
//! written as it comes, event by event, so that it can be read meanwhile and is there when the
//! process dies. What cannot be written fails no build; the record says so.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use solver::Progress;
use solver::progress::{Recorder, Warning};
use store::{BuildLog, StoreError};

use super::event::{Event, Numbers};
use super::{About, Attachment, Outcome, StepCounts};
use crate::engine::Inner;

/// More than this is written though no step runs.
const UNWRITTEN: usize = 256 << 10;

/// One build on its way into the history.
pub(crate) struct Recording {
    engine: Arc<Inner>,
    id: String,
    started: SystemTime,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    numbers: Numbers,
    /// Lines that are in no file yet.
    unwritten: Vec<u8>,
    log: Option<BuildLog>,
    /// Why the log is not whole.
    failed: Option<String>,
    /// Vertices that ended well, and those of them that were known.
    completed: HashSet<u32>,
    cached: HashSet<u32>,
    /// Parts of steps that were told of.
    parts: HashSet<(u32, String)>,
    warnings: usize,
    attachments: Vec<Attachment>,
    ended: bool,
}

impl Recording {
    /// Begins; nothing is written yet.
    pub(crate) fn begin(engine: &Arc<Inner>, about: About) -> Result<Arc<Self>, StoreError> {
        let mut state = State::default();
        let id = match about.own_id() {
            Some(id) => id.to_owned(),
            None => store::new_id()?,
        };
        state.add(&Event::Begun(about));
        Ok(Arc::new(Self {
            engine: Arc::clone(engine),
            id,
            started: engine.clock.now(),
            state: Mutex::new(state),
        }))
    }

    /// The build's ID.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Keeps a document with how the build ends.
    pub(crate) fn attach(&self, attachment: Attachment) {
        self.state().attachments.push(attachment);
    }

    /// Writes how the build ended, and forgets old builds; why if that cannot be done.
    fn end(&self, mut outcome: Outcome) -> Option<String> {
        let mut state = self.state();
        if std::mem::replace(&mut state.ended, true) {
            return None;
        }
        outcome.finished = super::event::micros(self.engine.clock.now());
        outcome.steps = StepCounts {
            total: state.numbers.len(),
            completed: state.completed.len(),
            cached: state.cached.len(),
        };
        outcome.warnings = state.warnings;
        outcome.attachments = std::mem::take(&mut state.attachments);
        // After what is missing this may find room again. What failed may have left half a line.
        outcome.log_error = state.failed.take();
        if outcome.log_error.is_some() {
            state.unwritten.push(b'\n');
        }
        state.add(&Event::Ended(Box::new(outcome)));
        if let Err(error) = self.begin_log(&mut state) {
            return Some(error.to_string());
        }
        state.write();
        state.log = None;
        let kept = &self.engine.config.history;
        let builds = usize::try_from(kept.builds).unwrap_or(usize::MAX);
        let history = self.engine.store.history();
        let now = self.engine.clock.now();
        let trimmed = history.trim(builds, kept.max_used_space.0, now);
        state
            .failed
            .take()
            .or(trimmed.err().map(|error| error.to_string()))
    }

    fn note(&self, progress: &Progress) {
        let mut state = self.state();
        if state.ended || !state.takes(progress) {
            return;
        }
        let event = state.numbers.event(progress);
        // What cannot be written is not kept in memory either.
        if state.failed.is_some() {
            return;
        }
        state.add(&event);
        let is_work = matches!(
            progress,
            Progress::Explained { .. } | Progress::Log { .. } | Progress::Status { .. }
        );
        // The build is no mere look-up: it can be seen from now on.
        if (is_work || state.unwritten.len() > UNWRITTEN)
            && let Err(error) = self.begin_log(&mut state)
        {
            state.failed = Some(error.to_string());
        }
        state.write();
    }

    fn begin_log(&self, state: &mut State) -> Result<(), StoreError> {
        if state.log.is_none() {
            let history = self.engine.store.history();
            state.log = Some(history.begin(&self.id, self.started)?);
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Counts what ended; says whether it is kept. Of the parts of a step the beginning and the
    /// end are.
    fn takes(&mut self, progress: &Progress) -> bool {
        match progress {
            Progress::Cached { vertex, .. } => {
                let number = self.numbers.of(*vertex);
                self.cached.insert(number);
                self.completed.insert(number);
            }
            Progress::Completed { vertex, .. } => {
                let number = self.numbers.of(*vertex);
                self.completed.insert(number);
            }
            // One that was told as cached may run after all.
            Progress::Started { vertex, .. } => {
                let number = self.numbers.of(*vertex);
                self.cached.remove(&number);
                self.completed.remove(&number);
            }
            Progress::Status { vertex, status, .. } => {
                let part = (self.numbers.of(*vertex), status.id.clone());
                return self.parts.insert(part) || status.done;
            }
            Progress::Warning(_) => self.warnings += 1,
            _ => {}
        }
        true
    }

    fn add(&mut self, event: &Event) {
        let start = self.unwritten.len();
        match serde_json::to_writer(&mut self.unwritten, event) {
            Ok(()) => self.unwritten.push(b'\n'),
            Err(error) => {
                self.unwritten.truncate(start);
                self.failed = Some(error.to_string());
            }
        }
    }

    fn write(&mut self) {
        let Some(log) = &self.log else {
            return;
        };
        if self.failed.is_none()
            && let Err(error) = log.append(&self.unwritten)
        {
            self.failed = Some(error.to_string());
        }
        self.unwritten.clear();
    }
}

/// What listens to a build; the build has ended when it is dropped.
pub(crate) struct Listener(pub(crate) Arc<Recording>);

impl Recorder for Recording {
    fn record(&self, progress: &Progress) {
        self.note(progress);
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Its client has gone, and nobody is there to be told of an error.
        let _ = self.0.end(Outcome::cancelled());
    }
}

impl Listener {
    /// Writes how the build ended; what people should know if that cannot be done.
    pub(crate) fn end(&self, outcome: Outcome) -> Option<Progress> {
        let error = self.0.end(outcome)?;
        Some(Progress::Warning(Warning {
            vertex: None,
            message: format!("the history of builds is not as it should be: {error}"),
            detail: Vec::new(),
            url: None,
            locations: Vec::new(),
        }))
    }
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Recording").field(&self.id).finish()
    }
}

#[cfg(test)]
mod tests;
