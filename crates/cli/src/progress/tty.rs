//! Progress in place on a terminal: what runs, for how long, and its last lines; laid out as
//! buildx lays it out. Drawn at most every [`INTERVAL`]; the end leaves every step on the screen.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use engine::events::Progress;
use unicode_width::UnicodeWidthChar as _;

use super::log::between;
use super::plain::amount;
use super::trace::{Ending, ShownStatus, Step, Trace};

/// How long a drawing stays at least.
pub const INTERVAL: Duration = Duration::from_millis(50);

const HIDE_CURSOR: &str = "\x1b[?25l";
const SHOW_CURSOR: &str = "\x1b[?25h";

/// Draws a build.
#[derive(Debug)]
pub struct Tty {
    trace: Trace,
    colours: bool,
    drawn_lines: usize,
    drawn_at: Option<SystemTime>,
    began: SystemTime,
}

/// Columns and rows of a terminal.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Normal,
    Done,
    Error,
    Cancelled,
    Faint,
}

#[derive(Debug)]
struct Line {
    text: String,
    look: Look,
}

impl Tty {
    /// A screen for a build that begins `now`.
    #[must_use]
    pub fn new(colours: bool, now: SystemTime) -> Self {
        Self {
            trace: Trace::default(),
            colours,
            drawn_lines: 0,
            drawn_at: None,
            began: now,
        }
    }

    /// Takes note of what happened.
    pub fn update(&mut self, progress: &Progress) {
        self.trace.update(progress);
    }

    /// What to write so that the screen shows the state at `now`; nothing when it was drawn
    /// just before.
    #[must_use]
    pub fn draw(&mut self, now: SystemTime, size: Size) -> String {
        // Drawn in a time to come: the clock was set back, and nobody waits until it is there again.
        let is_just_drawn = self
            .drawn_at
            .is_some_and(|drawn| drawn <= now && between(Some(drawn), now) < INTERVAL);
        if is_just_drawn {
            return String::new();
        }
        self.drawn_at = Some(now);
        let frame = self.frame(now, size, false);
        self.paint(&frame, HIDE_CURSOR)
    }

    /// What to write so that the screen shows all of the build, with nothing more to come.
    #[must_use]
    pub fn finish(&mut self, now: SystemTime, size: Size) -> String {
        let frame = self.frame(now, size, true);
        self.paint(&frame, SHOW_CURSOR)
    }

    /// What to write so that the terminal is as it was found, whatever happens next.
    #[must_use]
    pub const fn restore() -> &'static str {
        SHOW_CURSOR
    }

    fn paint(&mut self, frame: &[Line], cursor: &str) -> String {
        let mut text = String::new();
        if self.drawn_lines > 0 {
            let _ = write!(text, "\x1b[{}A", self.drawn_lines);
        }
        text.push('\r');
        text.push_str(cursor);
        for line in frame {
            match (self.colours, line.look.code()) {
                (true, Some(code)) => {
                    let _ = write!(text, "\x1b[{code}m{}\x1b[0m", line.text);
                }
                _ => text.push_str(&line.text),
            }
            text.push_str("\x1b[K\n");
        }
        text.push_str("\x1b[J");
        self.drawn_lines = frame.len();
        text
    }

    fn frame(&self, now: SystemTime, size: Size, last: bool) -> Vec<Line> {
        let (ended, known) = self.trace.count();
        let elapsed = between(Some(self.began), now).as_secs_f64();
        let finished = if last && ended > 0 && ended == known {
            " FINISHED"
        } else {
            ""
        };
        let head = format!("[+] Building {elapsed:.1}s ({ended}/{known}){finished}");
        let mut lines = vec![Line {
            text: cut(&head, size.width),
            look: Look::Normal,
        }];
        let room = if last {
            usize::MAX
        } else {
            size.height.saturating_sub(2)
        };
        for (step, window) in choose(&self.trace.steps, room) {
            lines.extend(step_lines(step, now, size.width));
            let shown = step.window.lines();
            for line in shown.iter().skip(shown.len().saturating_sub(window)) {
                lines.push(Line {
                    text: cut(&format!(" => => # {line}"), size.width),
                    look: Look::Faint,
                });
            }
        }
        lines
    }
}

/// The steps that fit in `room` rows, in order, and how many lines of its log each shows: running
/// ones before ended ones, late ones before early ones, logs last.
fn choose(steps: &[Step], room: usize) -> Vec<(&Step, usize)> {
    let mut left = room;
    let mut chosen = vec![false; steps.len()];
    for running in [true, false] {
        for (place, step) in steps.iter().enumerate().rev() {
            let rows = 1 + usize::from(step.reason.is_some()) + step.statuses.len();
            if step.ended.is_none() == running && rows <= left {
                chosen[place] = true;
                left -= rows;
            }
        }
    }
    let mut windows = vec![0; steps.len()];
    if room != usize::MAX {
        for (place, step) in steps.iter().enumerate() {
            if chosen[place] && step.ended.is_none() {
                windows[place] = step.window.lines().len().min(left);
                left -= windows[place];
            }
        }
    }
    let chosen_steps = steps.iter().zip(chosen).zip(windows);
    chosen_steps
        .filter_map(|((step, chosen), window)| chosen.then_some((step, window)))
        .collect()
}

fn step_lines(step: &Step, now: SystemTime, width: usize) -> Vec<Line> {
    let (mark, look) = match step.ended {
        None => ("", Look::Normal),
        Some((Ending::Done, _)) => ("", Look::Done),
        Some((Ending::Cached, _)) => ("CACHED ", Look::Done),
        Some((Ending::Failed, _)) => ("ERROR ", Look::Error),
        Some((Ending::Cancelled, _)) => ("CANCELED ", Look::Cancelled),
    };
    let until = step.ended.map_or(now, |(_, at)| at);
    let mut lines = vec![Line {
        text: row(
            &format!("{mark}{}", step.name),
            "",
            between(Some(step.started), until),
            width,
        ),
        look,
    }];
    if let Some(reason) = &step.reason {
        lines.push(Line {
            text: cut(&format!(" => => {reason}"), width),
            look: Look::Faint,
        });
    }
    for part in &step.statuses {
        lines.push(status_line(part, until, width));
    }
    lines
}

fn status_line(part: &ShownStatus, until: SystemTime, width: usize) -> Line {
    let until = if part.status.done {
        part.updated
    } else {
        until
    };
    let name = format!("=> {}", part.status.id);
    let elapsed = between(Some(part.started), until);
    Line {
        text: row(&name, &amount(&part.status), elapsed, width),
        look: if part.status.done {
            Look::Done
        } else {
            Look::Normal
        },
    }
}

/// ` => name status      1.2s`, exactly `width` columns wide.
fn row(name: &str, status: &str, elapsed: Duration, width: usize) -> String {
    let seconds = match elapsed.as_secs_f64() {
        seconds if seconds < 0.05 => 0.0,
        seconds => seconds,
    };
    let timer = format!(" {seconds:.1}s");
    let room = width.saturating_sub(" => ".len() + timer.len() + 1);
    let status = if room > status.len() + 12 { status } else { "" };
    let name = cut(name, room.saturating_sub(status.len()));
    let left = format!(" => {name}{status}");
    let gap = width.saturating_sub(columns(&left) + timer.len());
    cut(&format!("{left}{}{timer}", " ".repeat(gap)), width)
}

/// As much of `text` as fits into `width` columns.
fn cut(text: &str, width: usize) -> String {
    let mut left = width;
    text.chars()
        .take_while(|character| {
            let columns = character.width().unwrap_or(0);
            let fits = columns <= left;
            left = left.saturating_sub(columns);
            fits
        })
        .collect()
}

fn columns(text: &str) -> usize {
    text.chars()
        .map(|character| character.width().unwrap_or(0))
        .sum()
}

impl Look {
    /// Parameters of the escape sequence that makes a line look so.
    const fn code(self) -> Option<&'static str> {
        match self {
            Self::Normal => None,
            Self::Done => Some("34"),
            Self::Error => Some("31"),
            Self::Cancelled => Some("33"),
            Self::Faint => Some("2"),
        }
    }
}
