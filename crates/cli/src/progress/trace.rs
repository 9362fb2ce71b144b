//! The state of a build as far as a screen shows it.

use std::collections::{HashMap, VecDeque};
use std::time::SystemTime;

use engine::VertexDigest;
use engine::events::{Progress, Status};

use crate::ui::one_line;

/// How many of a running step's last lines a screen shows at most.
const WINDOW: usize = 6;

/// More than any screen is wide.
const MAX_LINE: usize = 512;

/// All steps that began, in that order.
#[derive(Debug, Default)]
pub struct Trace {
    /// In the order in which they began.
    pub steps: Vec<Step>,
    /// When the first of them began.
    pub began: Option<SystemTime>,
    names: HashMap<VertexDigest, String>,
    places: HashMap<VertexDigest, usize>,
}

/// A step that began.
#[derive(Debug)]
pub struct Step {
    /// Its name, without anything that could move a cursor.
    pub name: String,
    /// Since when it runs.
    pub started: SystemTime,
    /// How it ended, and when.
    pub ended: Option<(Ending, SystemTime)>,
    /// Why it runs, if that was told, as a line.
    pub reason: Option<String>,
    /// Its parts.
    pub statuses: Vec<ShownStatus>,
    /// Its last lines.
    pub window: Window,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Well.
    Done,
    /// It had not to run.
    Cached,
    /// With an error.
    Failed,
    /// Before its end.
    Cancelled,
}

/// A part of a step.
#[derive(Debug)]
pub struct ShownStatus {
    /// What it is, and how far.
    pub status: Status,
    /// Since when.
    pub started: SystemTime,
    /// When it was told of last.
    pub updated: SystemTime,
}

/// The last lines of a step as a terminal would show them.
#[derive(Debug, Default)]
pub struct Window {
    lines: VecDeque<String>,
    line: String,
    /// A carriage return was read: what comes next overwrites the line.
    returned: bool,
    escape: Escape,
}

/// Where in an escape sequence the reader is; sequences are not shown.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Escape {
    #[default]
    None,
    Begun,
    /// `ESC [`: ends with a letter.
    Control,
    /// `ESC ]`: ends with BEL or `ESC \`.
    Command,
}

impl Trace {
    /// Takes note of what happened.
    pub fn update(&mut self, progress: &Progress) {
        match progress {
            Progress::Planned(vertices) => {
                for planned in vertices {
                    self.names.insert(planned.vertex, one_line(&planned.name));
                }
            }
            Progress::Started { vertex, at } => {
                let step = self.step(*vertex, *at);
                step.started = *at;
                step.ended = None;
            }
            Progress::Cached { vertex, at, .. } => self.end(*vertex, *at, Ending::Cached),
            Progress::Completed { vertex, at } => self.end(*vertex, *at, Ending::Done),
            Progress::Failed { vertex, at, .. } => self.end(*vertex, *at, Ending::Failed),
            Progress::Cancelled { vertex, at } => self.end(*vertex, *at, Ending::Cancelled),
            Progress::Log {
                vertex, at, bytes, ..
            } => self
                .step(*vertex, *at)
                .window
                .write(&String::from_utf8_lossy(bytes)),
            Progress::Status { vertex, at, status } => self.step(*vertex, *at).status(*at, status),
            Progress::Explained { vertex, reason } => {
                // Nothing is told of a step before it has begun.
                if let Some(place) = self.places.get(vertex) {
                    self.steps[*place].reason = Some(one_line(reason));
                }
            }
            Progress::Recalled { .. } | Progress::Shared { .. } | Progress::Warning(_) => {}
        }
    }

    /// Steps that ended, and all that are known.
    #[must_use]
    pub fn count(&self) -> (usize, usize) {
        let ended = self
            .steps
            .iter()
            .filter(|step| step.ended.is_some())
            .count();
        (ended, self.names.len().max(self.steps.len()))
    }

    fn end(&mut self, vertex: VertexDigest, at: SystemTime, ending: Ending) {
        self.step(vertex, at).ended = Some((ending, at));
    }

    fn step(&mut self, vertex: VertexDigest, at: SystemTime) -> &mut Step {
        self.began.get_or_insert(at);
        let place = *self.places.entry(vertex).or_insert_with(|| {
            self.steps.push(Step {
                name: self.names.get(&vertex).cloned().unwrap_or_default(),
                started: at,
                ended: None,
                reason: None,
                statuses: Vec::new(),
                window: Window::default(),
            });
            self.steps.len() - 1
        });
        &mut self.steps[place]
    }
}

impl Step {
    fn status(&mut self, at: SystemTime, status: &Status) {
        match self
            .statuses
            .iter_mut()
            .find(|known| known.status.id == status.id)
        {
            Some(known) => {
                known.status.clone_from(status);
                known.updated = at;
            }
            None => self.statuses.push(ShownStatus {
                status: status.clone(),
                started: at,
                updated: at,
            }),
        }
    }
}

impl Window {
    /// The lines, oldest first, the one that is being written last.
    #[must_use]
    pub fn lines(&self) -> Vec<&str> {
        let whole = self.lines.iter().map(String::as_str);
        let last = Some(self.line.as_str()).filter(|line| !line.is_empty());
        let all: Vec<&str> = whole.chain(last).collect();
        all[all.len().saturating_sub(WINDOW)..].to_vec()
    }

    fn write(&mut self, text: &str) {
        for character in text.chars() {
            if self.skips(character) {
                continue;
            }
            match character {
                '\n' => {
                    if self.lines.len() == WINDOW {
                        self.lines.pop_front();
                    }
                    self.lines.push_back(std::mem::take(&mut self.line));
                    self.returned = false;
                }
                '\r' => self.returned = true,
                _ => {
                    if std::mem::take(&mut self.returned) {
                        self.line.clear();
                    }
                    let character = if character == '\t' { ' ' } else { character };
                    if !character.is_control() && self.line.len() < MAX_LINE {
                        self.line.push(character);
                    }
                }
            }
        }
    }

    fn skips(&mut self, character: char) -> bool {
        let next = match (self.escape, character) {
            (Escape::None | Escape::Command, '\x1b') => Escape::Begun,
            (Escape::None, _) => return false,
            (Escape::Begun, '[') => Escape::Control,
            (Escape::Begun, ']') => Escape::Command,
            (Escape::Begun, _) | (Escape::Control, '@'..='~') | (Escape::Command, '\x07') => {
                Escape::None
            }
            (unended, _) => unended,
        };
        self.escape = next;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows() {
        for (text, expected) in [
            ("a\nb\n", "a|b"),
            ("a\nb", "a|b"),
            ("10%\r50%\r100%\nx", "100%|x"),
            ("50%\r", "50%"),
            ("\x1b[31mred\x1b[0m \x1b]0;title\x07x\x1b(B", "red xB"),
            ("a\tb\x08", "a b"),
            ("1\n2\n3\n4\n5\n6\n7\n8", "3|4|5|6|7|8"),
        ] {
            let mut window = Window::default();
            window.write(text);
            assert_eq!(window.lines().join("|"), expected, "{text:?}");
        }
    }
}
