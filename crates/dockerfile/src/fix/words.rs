//! Lines and words of a text, with their places in it.

use std::ops::Range;

use super::Edit;
use crate::Span;

/// A text and where its lines begin.
pub(super) struct Lines<'a> {
    pub(super) text: &'a str,
    starts: Vec<usize>,
}

/// What stands between blanks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Word<'a> {
    pub(super) text: &'a str,
    pub(super) start: usize,
}

impl Word<'_> {
    pub(super) const fn end(&self) -> usize {
        self.start + self.text.len()
    }

    pub(super) const fn replaced(&self, text: String) -> Edit {
        Edit {
            range: self.start..self.end(),
            text,
        }
    }
}

impl<'a> Lines<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let ends = text.match_indices('\n').map(|(at, _)| at + 1);
        let mut starts: Vec<usize> = std::iter::once(0).chain(ends).collect();
        starts.push(text.len());
        Self { text, starts }
    }

    /// The bytes of a line, with its end.
    pub(super) fn range(&self, line: u32) -> Option<Range<usize>> {
        let index = (line as usize).checked_sub(1)?;
        Some(*self.starts.get(index)?..*self.starts.get(index + 1)?)
    }

    /// The line that a byte is in.
    pub(super) fn line_of(&self, at: usize) -> u32 {
        let before = self.starts.partition_point(|start| *start <= at);
        u32::try_from(before).unwrap_or(u32::MAX)
    }

    /// The words of some lines; a comment between them has none.
    pub(super) fn words(&self, span: Span) -> Vec<Word<'a>> {
        let ranges = (span.first_line..=span.last_line).filter_map(|line| self.range(line));
        let mut words = Vec::new();
        for range in ranges {
            let line = &self.text[range.clone()];
            if line.trim_start().starts_with('#') {
                continue;
            }
            let mut at = range.start;
            for word in
                line.split(|character: char| character.is_whitespace() || character == '\u{feff}')
            {
                // A line that goes on ends in a word of one escape character.
                if !word.is_empty() && word != "\\" && word != "`" {
                    words.push(Word {
                        text: word,
                        start: at,
                    });
                }
                let separator = self.text[at + word.len()..].chars().next();
                at += word.len() + separator.map_or(0, char::len_utf8);
            }
        }
        words
    }

    /// A line that is an instruction by itself: its keyword and what follows, without blanks around.
    pub(super) fn instruction(&self, span: Span) -> Option<(Word<'a>, Word<'a>)> {
        if span.first_line != span.last_line {
            return None;
        }
        let keyword = self.words(span).into_iter().next()?;
        let range = self.range(span.first_line)?;
        let rest = &self.text[keyword.end()..range.end];
        let text = rest.trim();
        let start = keyword.end() + (rest.len() - rest.trim_start().len());
        Some((keyword, Word { text, start }))
    }
}
