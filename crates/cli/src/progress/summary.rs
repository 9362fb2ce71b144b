//! What is said after the last step, however progress is shown: the last lines of steps that
//! failed, and warnings.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::SystemTime;

use engine::VertexDigest;
use engine::events::{Progress, Warning};

use super::log::{LineCutter, Tail, between};

/// Keeps what may have to be said at the end.
#[derive(Debug, Default)]
pub struct Summary {
    steps: HashMap<VertexDigest, Step>,
    failed: Vec<VertexDigest>,
    warnings: Vec<Warning>,
}

#[derive(Debug, Default)]
struct Step {
    name: String,
    started: Option<SystemTime>,
    cutter: LineCutter,
    tail: Tail,
}

impl Summary {
    /// Takes note of what happened.
    pub fn update(&mut self, progress: &Progress) {
        match progress {
            Progress::Planned(vertices) => {
                for planned in vertices {
                    self.step(planned.vertex).name.clone_from(&planned.name);
                }
            }
            Progress::Started { vertex, at } => {
                self.failed.retain(|failed| failed != vertex);
                self.step(*vertex).started = Some(*at);
            }
            Progress::Log {
                vertex, at, bytes, ..
            } => {
                let step = self.step(*vertex);
                let elapsed = between(step.started, *at);
                for line in step.cutter.push(elapsed, bytes) {
                    step.tail.push(line);
                }
            }
            Progress::Failed { vertex, .. } => self.failed.push(*vertex),
            Progress::Warning(warning) => self.warnings.push(warning.clone()),
            Progress::Completed { vertex, .. } | Progress::Cancelled { vertex, .. } => {
                self.steps.remove(vertex);
            }
            Progress::Cached { .. }
            | Progress::Recalled { .. }
            | Progress::Explained { .. }
            | Progress::Shared { .. }
            | Progress::Status { .. } => {}
        }
    }

    /// The last lines of the steps that failed.
    pub fn failures(&mut self) -> String {
        let mut text = String::new();
        for vertex in &self.failed {
            let Some(step) = self.steps.get_mut(vertex) else {
                continue;
            };
            if let Some(line) = step.cutter.finish() {
                step.tail.push(line);
            }
            let _ = writeln!(text, "------\n > {}:", step.name);
            for line in step.tail.lines() {
                let _ = writeln!(text, "{line}");
            }
            text.push_str("------\n");
        }
        text
    }

    /// The warnings, each with its lines, and more about them when `detailed`.
    #[must_use]
    pub fn warnings(&self, detailed: bool) -> String {
        let mut text = String::new();
        match (self.warnings.len(), detailed) {
            (0, _) => return text,
            (1, false) => text.push_str("\n 1 warning found (use --debug to expand):\n"),
            (1, true) => text.push_str("\n 1 warning found:\n"),
            (count, false) => {
                let _ = writeln!(text, "\n {count} warnings found (use --debug to expand):");
            }
            (count, true) => {
                let _ = writeln!(text, "\n {count} warnings found:");
            }
        }
        for warning in &self.warnings {
            let _ = write!(text, " - {}", warning.message);
            if let Some(location) = warning.locations.first() {
                let _ = write!(text, " (line {})", location.first_line);
            }
            text.push('\n');
            if detailed {
                for detail in &warning.detail {
                    let _ = writeln!(text, "{detail}");
                }
                if let Some(url) = &warning.url {
                    let _ = writeln!(text, "More info: {url}");
                }
                text.push('\n');
            }
        }
        text
    }

    fn step(&mut self, vertex: VertexDigest) -> &mut Step {
        self.steps.entry(vertex).or_default()
    }
}
