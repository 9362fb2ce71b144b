//! Lines: continuations are joined, comments are dropped and remembered, directives are read.
//!
//! What comes out is one logical line for each instruction. The parser may then take raw lines,
//! which are the bodies of heredocs.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::Span;
use crate::directive::{DirectiveError, DirectiveReader, Directives};
use crate::limits::MAX_LINE;

/// One instruction's text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LogicalLine<'a> {
    /// Continuations are joined; nothing is trimmed at the end.
    pub(crate) text: Cow<'a, str>,
    /// The lines that it comes from.
    pub(crate) span: Span,
    /// Comments above it, without `#`; an empty comment begins them anew.
    pub(crate) comments: Vec<String>,
    /// There was a blank line between continuations.
    pub(crate) empty_continuation: bool,
}

/// Something that is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LineError {
    #[error(transparent)]
    Directive(#[from] DirectiveError),
    #[error("line {0} is not valid UTF-8")]
    NotUtf8(u32),
    #[error("dockerfile line greater than max allowed size of {MAX_LINE}")]
    TooLong,
}

/// Takes logical and raw lines from a text.
#[derive(Debug)]
pub(crate) struct Lexer<'a> {
    rest: &'a str,
    line: u32,
    directives: DirectiveReader,
    not_utf8: BTreeSet<u32>,
    errors: Vec<(Span, LineError)>,
}

impl<'a> Lexer<'a> {
    /// `not_utf8` names the lines whose bytes could not be read as text.
    pub(crate) fn new(text: &'a str, not_utf8: BTreeSet<u32>) -> Self {
        Self {
            rest: text.strip_prefix('\u{feff}').unwrap_or(text),
            line: 0,
            directives: DirectiveReader::default(),
            not_utf8,
            errors: Vec::new(),
        }
    }

    /// The next instruction.
    pub(crate) fn next_logical(&mut self) -> Option<LogicalLine<'a>> {
        let mut comments = Vec::new();
        loop {
            let raw = self.next_raw()?;
            let line = trim_line_end(raw).trim_start();
            let is_directive = self.read_directive(line);
            if let Some(comment) = line.strip_prefix('#') {
                let comment = comment.trim();
                if comment.is_empty() {
                    comments.clear();
                } else if !is_directive {
                    comments.push(comment.to_owned());
                }
                continue;
            }
            let (text, continues) = self.cut_continuation(line);
            if text.is_empty() && !continues {
                continue;
            }
            self.check_utf8();
            let mut logical = LogicalLine {
                text: Cow::Borrowed(text),
                span: Span::line(self.line),
                comments,
                empty_continuation: false,
            };
            if continues {
                self.continue_line(&mut logical);
            }
            logical.span = Span::lines(logical.span.first_line, self.line);
            return Some(logical);
        }
    }

    /// The next line as it is, with its end.
    pub(crate) fn next_raw(&mut self) -> Option<&'a str> {
        if self.rest.is_empty() {
            return None;
        }
        let end = self.rest.find('\n').map_or(self.rest.len(), |at| at + 1);
        let (line, rest) = self.rest.split_at(end);
        self.rest = rest;
        self.line += 1;
        if line.len() > MAX_LINE && line.trim_end_matches('\n').len() > MAX_LINE {
            self.errors
                .push((Span::line(self.line), LineError::TooLong));
        }
        Some(line)
    }

    /// The line that was taken last.
    pub(crate) const fn line(&self) -> u32 {
        self.line
    }

    pub(crate) const fn escape(&self) -> char {
        self.directives.escape()
    }

    /// Notes an error when the last line was not text.
    pub(crate) fn check_utf8(&mut self) {
        if self.not_utf8.remove(&self.line) {
            self.errors
                .push((Span::line(self.line), LineError::NotUtf8(self.line)));
        }
    }

    pub(crate) fn finish(self) -> (Directives, Vec<(Span, LineError)>) {
        (self.directives.into_directives(), self.errors)
    }

    fn continue_line(&mut self, logical: &mut LogicalLine<'a>) {
        while let Some(raw) = self.next_raw() {
            let line = trim_line_end(raw);
            let start = line.trim_start();
            if start.starts_with('#') {
                continue;
            }
            if start.is_empty() {
                logical.empty_continuation = true;
                continue;
            }
            self.check_utf8();
            let (text, continues) = self.cut_continuation(line);
            logical.text += text;
            if !continues {
                break;
            }
        }
    }

    fn read_directive(&mut self, line: &str) -> bool {
        match self.directives.read(line, self.line) {
            Ok(is_directive) => is_directive,
            Err(error) => {
                self.errors.push((Span::line(self.line), error.into()));
                true
            }
        }
    }

    /// A line goes on when its last character that is no blank is one escape character.
    fn cut_continuation<'b>(&self, line: &'b str) -> (&'b str, bool) {
        let escape = self.escape();
        let Some(cut) = line.trim_end_matches([' ', '\t']).strip_suffix(escape) else {
            return (line, false);
        };
        // Blanks may only follow an escape character that stands alone or after something else.
        if cut.ends_with(escape) {
            (line, false)
        } else {
            (cut, true)
        }
    }
}

fn trim_line_end(line: &str) -> &str {
    line.trim_end_matches(['\r', '\n'])
}
