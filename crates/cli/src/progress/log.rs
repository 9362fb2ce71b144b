//! What a step writes, cut into lines that carry the time since the step began.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

/// How many of a step's last lines are shown when it fails.
pub const LAST_LINES: usize = 10;

/// More than this without an end is taken for a line.
const MAX_LINE: usize = 64 * 1024;

/// Cuts bytes into lines. A line carries the time at which its first byte came.
#[derive(Debug, Default)]
pub struct LineCutter {
    partial: Vec<u8>,
    since: Duration,
}

impl LineCutter {
    /// The lines that `bytes` completes, which came `elapsed` after the step began.
    pub fn push(&mut self, elapsed: Duration, bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            self.extend(elapsed, &rest[..end]);
            lines.push(self.line());
            rest = &rest[end + 1..];
        }
        if !rest.is_empty() {
            self.extend(elapsed, rest);
        }
        if self.partial.len() > MAX_LINE {
            lines.push(self.line());
        }
        lines
    }

    /// The line that was begun and not ended.
    pub fn finish(&mut self) -> Option<String> {
        (!self.partial.is_empty()).then(|| self.line())
    }

    fn extend(&mut self, elapsed: Duration, bytes: &[u8]) {
        if self.partial.is_empty() {
            self.since = elapsed;
        }
        self.partial.extend_from_slice(bytes);
    }

    fn line(&mut self) -> String {
        let bytes = std::mem::take(&mut self.partial);
        let text = String::from_utf8_lossy(bytes.strip_suffix(b"\r").unwrap_or(&bytes));
        format!("{} {text}", stamp(self.since))
    }
}

/// The last lines of a step.
#[derive(Debug, Default)]
pub struct Tail(VecDeque<String>);

impl Tail {
    /// Adds a line.
    pub fn push(&mut self, line: String) {
        if self.0.len() == LAST_LINES {
            self.0.pop_front();
        }
        self.0.push_back(line);
    }

    /// The lines, oldest first.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// Time from `start` to `end`; none when the clock went back.
#[must_use]
pub fn between(start: Option<SystemTime>, end: SystemTime) -> Duration {
    start
        .and_then(|start| end.duration_since(start).ok())
        .unwrap_or_default()
}

/// Seconds with three digits after the point, fewer from ten seconds on.
fn stamp(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64();
    let digits = match seconds {
        seconds if seconds < 10.0 => 3,
        seconds if seconds < 100.0 => 2,
        _ => 1,
    };
    format!("{seconds:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let mut cutter = LineCutter::default();
        let at = Duration::from_millis;
        assert_eq!(cutter.push(at(10), b"a\nb"), ["0.010 a"]);
        assert_eq!(cutter.push(at(12_340), b"c\r\n\nd"), ["0.010 bc", "12.34 "]);
        assert_eq!(cutter.finish().as_deref(), Some("12.34 d"));
        assert_eq!(cutter.finish(), None);
        assert_eq!(cutter.push(at(123_456), b"e\n"), ["123.5 e"]);
    }
}
