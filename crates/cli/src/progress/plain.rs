//! Progress as lines, as buildx writes them, with the lines of a step kept together.
//!
//! One step at a time is shown live. What others write waits until it ends, or until it has been
//! silent for [`PATIENCE`] or the others hold more than [`ROOM`]; then the next one is shown. So
//! a step that writes is never interrupted, nothing is lost, and no log stays silent for long.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use engine::VertexDigest;
use engine::events::{Progress, Status};

use super::log::{LineCutter, between};
use crate::ui::human;

/// How long the step that is shown may be silent while others have something to say.
const PATIENCE: Duration = Duration::from_secs(5);
/// How much others may have to say until they are shown.
const ROOM: usize = 1 << 20;
/// A status is shown again when it has come this much further, in parts of the whole, …
const STATUS_STEP: u64 = 20;
/// … or after this time.
const STATUS_PAUSE: Duration = Duration::from_secs(5);

/// Renders lines.
#[derive(Debug, Default)]
pub struct Plain {
    steps: HashMap<VertexDigest, Step>,
    /// Steps that have something to show, in the order in which they began.
    open: Vec<VertexDigest>,
    current: Option<VertexDigest>,
    last_number: u32,
    /// When the current step wrote last.
    last_line: Option<SystemTime>,
    waiting_bytes: usize,
    out: String,
}

#[derive(Debug, Default)]
struct Step {
    name: String,
    /// Given when it is shown first.
    number: Option<u32>,
    started: Option<SystemTime>,
    cutter: LineCutter,
    /// Lines that are not shown yet, without the number.
    waiting: Vec<String>,
    statuses: Vec<ShownStatus>,
    /// The last line; after it the step is over.
    ending: Option<String>,
}

#[derive(Debug)]
struct ShownStatus {
    id: String,
    began: SystemTime,
    shown: SystemTime,
    current: u64,
}

impl Plain {
    /// Takes note of what happened.
    pub fn update(&mut self, progress: &Progress) {
        match progress {
            Progress::Planned(vertices) => {
                for planned in vertices {
                    let step = self.steps.entry(planned.vertex).or_default();
                    step.name.clone_from(&planned.name);
                }
            }
            Progress::Started { vertex, at } => {
                let step = self.open(*vertex);
                step.started = Some(*at);
                step.ending = None;
                self.show(*at);
            }
            Progress::Cached { vertex, at, .. } => self.end(*vertex, *at, "CACHED".to_owned()),
            Progress::Completed { vertex, at } => {
                let elapsed = between(self.open(*vertex).started, *at).as_secs_f64();
                self.end(*vertex, *at, format!("DONE {elapsed:.1}s"));
            }
            Progress::Failed { vertex, at, error } => {
                self.end(*vertex, *at, format!("ERROR: {error}"));
            }
            Progress::Cancelled { vertex, at } => self.end(*vertex, *at, "CANCELED".to_owned()),
            Progress::Recalled { vertex, from } => {
                self.write(*vertex, vec![format!("found in {from}")]);
            }
            Progress::Explained { vertex, reason } => {
                self.write(*vertex, vec![reason.clone()]);
            }
            Progress::Log {
                vertex, at, bytes, ..
            } => {
                let step = self.open(*vertex);
                let elapsed = between(step.started, *at);
                let lines = step.cutter.push(elapsed, bytes);
                self.write(*vertex, lines);
                self.show(*at);
            }
            Progress::Status { vertex, at, status } => {
                if let Some(line) = self.open(*vertex).status(*at, status) {
                    self.write(*vertex, vec![line]);
                    self.show(*at);
                }
            }
            // Warnings are said at the end, all together.
            Progress::Warning(_) | Progress::Shared { .. } => {}
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, now: SystemTime) {
        if let Some(current) = self.current
            && self.is_overdue(now)
            && let Some(line) = self.open(current).cutter.finish()
        {
            self.write(current, vec![line]);
        }
        self.show(now);
    }

    /// There is nothing to come.
    pub fn finish(&mut self, now: SystemTime) {
        for vertex in self.open.clone() {
            self.turn_to(vertex, now);
        }
        self.leave();
    }

    /// What is to be written now.
    pub fn take(&mut self) -> String {
        std::mem::take(&mut self.out)
    }

    fn end(&mut self, vertex: VertexDigest, at: SystemTime, ending: String) {
        let step = self.open(vertex);
        let partial = step.cutter.finish();
        step.ending = Some(ending);
        self.write(vertex, partial.into_iter().collect());
        self.show(at);
    }

    fn open(&mut self, vertex: VertexDigest) -> &mut Step {
        if !self.open.contains(&vertex) {
            self.open.push(vertex);
        }
        self.steps.entry(vertex).or_default()
    }

    fn write(&mut self, vertex: VertexDigest, lines: Vec<String>) {
        if self.current != Some(vertex) {
            self.waiting_bytes += lines.iter().map(String::len).sum::<usize>();
        }
        self.open(vertex).waiting.extend(lines);
    }

    /// Shows what may be shown now.
    fn show(&mut self, now: SystemTime) {
        if let Some(current) = self.current {
            let overdue = self.is_overdue(now) || self.waiting_bytes > ROOM;
            self.flush(current, now);
            if self.current.is_some() && !(overdue && self.others_wait(current)) {
                return;
            }
        }
        let over: Vec<_> = self
            .open
            .iter()
            .copied()
            .filter(|vertex| self.is_over(*vertex))
            .collect();
        for vertex in over {
            self.turn_to(vertex, now);
        }
        let waiting = |vertex: &VertexDigest| {
            let step = self.steps.get(vertex);
            step.map_or(0, |step| step.waiting.len())
        };
        // The last of the greatest from behind is the first: the oldest when none has any.
        if let Some(next) = self.open.iter().rev().copied().max_by_key(waiting) {
            self.turn_to(next, now);
        }
    }

    fn is_over(&self, vertex: VertexDigest) -> bool {
        self.steps.get(&vertex).is_some_and(Step::is_over)
    }

    fn is_overdue(&self, now: SystemTime) -> bool {
        // A line in a time to come is of before the clock was set back.
        self.last_line
            .is_some_and(|last| last > now || between(Some(last), now) >= PATIENCE)
    }

    fn others_wait(&self, current: VertexDigest) -> bool {
        self.open
            .iter()
            .filter(|vertex| **vertex != current)
            .any(|vertex| {
                let step = self.steps.get(vertex);
                step.is_some_and(|step| step.is_over() || !step.waiting.is_empty())
            })
    }

    fn turn_to(&mut self, vertex: VertexDigest, now: SystemTime) {
        if self.current != Some(vertex) {
            self.leave();
            let next_number = self.last_number + 1;
            let step = self.steps.entry(vertex).or_default();
            let number = *step.number.get_or_insert(next_number);
            if !self.out.is_empty() || self.last_line.is_some() {
                self.out.push('\n');
            }
            let _ = writeln!(self.out, "#{number} {}", step.name);
            self.last_number = self.last_number.max(number);
            let bytes: usize = step.waiting.iter().map(String::len).sum();
            self.waiting_bytes = self.waiting_bytes.saturating_sub(bytes);
            self.current = Some(vertex);
            self.last_line = Some(now);
        }
        self.flush(vertex, now);
    }

    /// Says that the current step goes on, if it does.
    fn leave(&mut self) {
        let Some(step) = self
            .current
            .take()
            .and_then(|vertex| self.steps.get(&vertex))
        else {
            return;
        };
        if let Some(number) = step.number {
            let _ = writeln!(self.out, "#{number} ...");
        }
    }

    /// Writes what the current step has to say; it is not current any more when it is over.
    fn flush(&mut self, vertex: VertexDigest, now: SystemTime) {
        let Some(step) = self.steps.get_mut(&vertex) else {
            return;
        };
        let number = step.number.unwrap_or_default();
        if !step.waiting.is_empty() {
            self.last_line = Some(now);
        }
        for line in step.waiting.drain(..) {
            let _ = writeln!(self.out, "#{number} {line}");
        }
        if let Some(ending) = &step.ending {
            let _ = writeln!(self.out, "#{number} {ending}");
            self.current = None;
            self.open.retain(|open| *open != vertex);
        }
    }
}

impl Step {
    const fn is_over(&self) -> bool {
        self.ending.is_some()
    }

    /// The line for a status, when it has changed enough to be shown.
    fn status(&mut self, at: SystemTime, status: &Status) -> Option<String> {
        let known = self.statuses.iter().position(|known| known.id == status.id);
        let place = match known {
            Some(place) => {
                let known = &self.statuses[place];
                let further = status.current.saturating_sub(known.current);
                let is_far = status
                    .total
                    .is_some_and(|total| further * STATUS_STEP >= total.max(1));
                let is_long_ago = between(Some(known.shown), at) >= STATUS_PAUSE;
                if !status.done && !is_far && !is_long_ago {
                    return None;
                }
                place
            }
            None => {
                self.statuses.push(ShownStatus {
                    id: status.id.clone(),
                    began: at,
                    shown: at,
                    current: 0,
                });
                self.statuses.len() - 1
            }
        };
        let known = &mut self.statuses[place];
        known.shown = at;
        known.current = status.current;
        let elapsed = between(Some(known.began), at).as_secs_f64();
        let mut line = status.id.clone();
        line.push_str(&amount(status));
        if elapsed > 0.01 {
            let _ = write!(line, " {elapsed:.1}s");
        }
        if status.done {
            line.push_str(" done");
            self.statuses.remove(place);
        }
        Some(line)
    }
}

/// ` 1.05MB / 3.21MB`, as much of it as is known.
#[must_use]
pub fn amount(status: &Status) -> String {
    let current = human::progress_size(status.current);
    match status.total {
        Some(total) if total > 0 => format!(" {current} / {}", human::progress_size(total)),
        _ if status.current > 0 => format!(" {current}"),
        _ => String::new(),
    }
}
