//! Which part of a line a message is about.
//!
//! Lines are joined and variables expanded before anything is found wrong, so that columns are not
//! known by then. But messages quote what is wrong; where that stands in the lines as they were
//! written, it is underlined. What stands nowhere is not.

use super::Source;
use crate::Span;

/// A part of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The line, counted from 1.
    pub line: u32,
    /// Its first byte in the line, counted from 0.
    pub start: usize,
    /// The byte after it.
    pub end: usize,
}

impl Place {
    /// What underlines it when written below `line`.
    pub(super) fn marks(&self, line: &str) -> String {
        let blank = |character: char| if character == '\t' { '\t' } else { ' ' };
        let before = line
            .get(..self.start)
            .unwrap_or_default()
            .chars()
            .map(blank);
        let marked = line.get(self.start..self.end).unwrap_or_default();
        before.chain(marked.chars().map(|_| '^')).collect()
    }
}

/// The first thing that `message` quotes and that stands in one of the lines.
pub(super) fn find(message: &str, spans: &[Span], source: &Source) -> Option<Place> {
    let (first, last) = (spans.first()?.first_line, spans.last()?.last_line);
    let from = first.checked_sub(1)? as usize;
    let lines: Vec<(u32, &str)> = (first..=last)
        .zip(source.text.split('\n').skip(from))
        .filter(|(line, _)| spans.iter().any(|span| span.contains(*line)))
        .collect();
    // The name of a stage is the last word of its line.
    let wants_last = message.contains("tage name");
    quoted(message).find_map(|word| {
        let mut found = lines.iter().filter_map(|(line, text)| {
            let start = find_word(text, word, wants_last)?;
            let end = start + word.len();
            Some(Place {
                line: *line,
                start,
                end,
            })
        });
        found.next()
    })
}

/// What stands in quotes, or after a colon that says what it is.
fn quoted(message: &str) -> impl Iterator<Item = &str> {
    const SAID: &[&str] = &["unknown instruction: ", "unknown flag: ", "signal: "];
    let said = SAID.iter().filter_map(|said| {
        let (_, rest) = message.split_once(said)?;
        rest.split(' ').next()
    });
    let quoted = ['\'', '"'].into_iter().flat_map(|quote| {
        let parts = message.split(quote).collect::<Vec<_>>();
        let inner = parts.into_iter().skip(1).step_by(2);
        inner.filter(|word| !word.trim().is_empty())
    });
    said.chain(quoted)
}

/// Where `word` stands in `text`, not as a part of a longer word.
fn find_word(text: &str, word: &str, wants_last: bool) -> Option<usize> {
    // Names of stages are told in lower case; only where bytes stay in place is there telling.
    let lower = text.to_ascii_lowercase();
    let wanted = word.to_ascii_lowercase();
    let is_part = |character: char| character.is_alphanumeric() || character == '_';
    let is_whole = |at: &usize| {
        let before = text[..*at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        let joins = |inside: Option<char>, outside: Option<char>| {
            inside.is_some_and(is_part) && outside.is_some_and(is_part)
        };
        !joins(word.chars().next(), before) && !joins(word.chars().next_back(), after)
    };
    let mut found = lower
        .match_indices(&wanted)
        .map(|(at, _)| at)
        .filter(is_whole);
    if wants_last {
        found.last()
    } else {
        found.next()
    }
}
