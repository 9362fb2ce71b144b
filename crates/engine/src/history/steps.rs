//! What became of the steps of a build, read from what was told of it.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use graph::VertexDigest;
use solver::Progress;
use solver::progress::Origin;

/// A step that began, or whose result was known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryStep {
    /// Its place in the order in which they began, from 1 on.
    pub number: usize,
    /// Its name.
    pub name: String,
    /// What became of it.
    pub state: StepState,
    /// When it began.
    pub started: SystemTime,
    /// How long it took; nothing while it goes on.
    pub duration: Option<Duration>,
    /// Why it had to run.
    pub reason: Option<String>,
    /// The cache that its result was in, if it was imported.
    pub imported_from: Option<String>,
    /// Another build ran it for both.
    pub shared: bool,
    /// Why it failed.
    pub error: Option<String>,
}

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepState {
    /// It goes on.
    Running,
    /// It ran.
    Completed,
    /// It had not to run.
    Cached(Origin),
    /// It ended with an error.
    Failed,
    /// It was ended.
    Cancelled,
    /// Nobody knows: its process died.
    Lost,
}

/// Collects them from what is told of a build.
#[derive(Debug, Default)]
pub struct Steps {
    names: HashMap<VertexDigest, String>,
    places: HashMap<VertexDigest, usize>,
    steps: Vec<HistoryStep>,
    imported: HashMap<VertexDigest, String>,
}

impl Steps {
    /// Takes note of what happened.
    pub fn update(&mut self, progress: &Progress) {
        match progress {
            Progress::Planned(vertices) => {
                for planned in vertices {
                    self.names.insert(planned.vertex, planned.name.clone());
                }
            }
            Progress::Started { vertex, at } => {
                let step = self.step(*vertex, *at);
                step.state = StepState::Running;
                (step.started, step.duration) = (*at, None);
                step.error = None;
            }
            Progress::Cached { vertex, at, origin } => {
                self.end(*vertex, *at, StepState::Cached(*origin));
                let from = self.imported.remove(vertex);
                self.step(*vertex, *at).imported_from = from;
            }
            Progress::Completed { vertex, at } => self.end(*vertex, *at, StepState::Completed),
            Progress::Cancelled { vertex, at } => self.end(*vertex, *at, StepState::Cancelled),
            Progress::Failed { vertex, at, error } => {
                self.end(*vertex, *at, StepState::Failed);
                self.step(*vertex, *at).error = Some(error.clone());
            }
            Progress::Explained { vertex, reason } => {
                if let Some(step) = self.known(*vertex) {
                    step.reason = Some(reason.clone());
                }
            }
            // Told before anything else is told of it.
            Progress::Recalled { vertex, from } => {
                self.imported.insert(*vertex, from.clone());
            }
            Progress::Shared { vertex } => {
                if let Some(step) = self.known(*vertex) {
                    step.shared = true;
                }
            }
            Progress::Log { .. } | Progress::Status { .. } | Progress::Warning(_) => {}
        }
    }

    /// All of them; `is_running` says whether what has no end goes on.
    #[must_use]
    pub fn finish(mut self, is_running: bool) -> Vec<HistoryStep> {
        for step in &mut self.steps {
            if step.state == StepState::Running && !is_running {
                step.state = StepState::Lost;
            }
        }
        self.steps
    }

    fn end(&mut self, vertex: VertexDigest, at: SystemTime, state: StepState) {
        let step = self.step(vertex, at);
        step.state = state;
        step.duration = at.duration_since(step.started).ok();
    }

    fn known(&mut self, vertex: VertexDigest) -> Option<&mut HistoryStep> {
        let place = self.places.get(&vertex)?;
        self.steps.get_mut(*place)
    }

    fn step(&mut self, vertex: VertexDigest, at: SystemTime) -> &mut HistoryStep {
        let place = *self.places.entry(vertex).or_insert_with(|| {
            self.steps.push(HistoryStep {
                number: self.steps.len() + 1,
                name: self.names.get(&vertex).cloned().unwrap_or_default(),
                state: StepState::Running,
                started: at,
                duration: None,
                reason: None,
                imported_from: None,
                shared: false,
                error: None,
            });
            self.steps.len() - 1
        });
        &mut self.steps[place]
    }
}
