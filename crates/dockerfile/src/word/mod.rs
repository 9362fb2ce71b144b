//! Words: quotes, escapes and variables, as a shell has them.
//!
//! `'…'` keeps all, `"…"` keeps all but `$` and escapes, the escape character keeps the next
//! one. Variables are `$name` and `${name…}` with the forms in [`dollar`]. What is expanded may
//! be long, never endless: a word is at most [`MAX_WORD`] bytes, and forms nest at most
//! [`MAX_DEPTH`] deep.

mod dollar;
mod pattern;

use std::collections::BTreeSet;
use std::iter::Peekable;
use std::str::Chars;

use crate::quote::quote;

use crate::limits::{MAX_WORD, MAX_WORD_DEPTH as MAX_DEPTH};

/// How words are read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lex {
    /// What keeps the next character: `\` or a backquote.
    pub(crate) escape: char,
    /// Quotes stay in the result.
    pub(crate) raw_quotes: bool,
    /// Escape characters stay in the result.
    pub(crate) raw_escapes: bool,
    /// Quotes are characters like others.
    pub(crate) plain_quotes: bool,
    /// Variables that are not set stay as they were written.
    pub(crate) keep_unset: bool,
}

/// Where the values of variables come from.
pub(crate) trait Variables {
    /// The value, if the variable is set.
    fn get(&self, name: &str) -> Option<&str>;
}

/// No variable is set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NoVariables;

impl Variables for NoVariables {
    fn get(&self, _name: &str) -> Option<&str> {
        None
    }
}

/// An expanded word.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Expanded {
    /// The text.
    pub(crate) text: String,
    /// Variables that were named and set.
    pub(crate) matched: BTreeSet<String>,
    /// Variables that were named and not set.
    pub(crate) unmatched: BTreeSet<String>,
}

/// Why a word cannot be expanded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("failed to process {}: {cause}", quote(.word))]
pub(crate) struct WordError {
    word: String,
    cause: WordErrorCause,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum WordErrorCause {
    #[error("unexpected end of statement while looking for matching {0}")]
    Unclosed(&'static str),
    #[error("unexpected end of statement while looking for matching {0}")]
    UnclosedForm(char),
    #[error("syntax error: missing '}}'")]
    NoBrace,
    #[error("syntax error: missing '/' in ${{}}")]
    NoSlash,
    #[error("syntax error: bad substitution")]
    BadSubstitution,
    #[error("unsupported modifier ({0}) in substitution")]
    Modifier(String),
    #[error("{name}: {message}")]
    Required { name: String, message: String },
    #[error("invalid pattern ({pattern}) in substitution: {error}")]
    Pattern {
        pattern: String,
        error: pattern::PatternError,
    },
    #[error("the result has more than {MAX_WORD} bytes")]
    TooLong,
    #[error("substitutions are nested more than {MAX_DEPTH} deep")]
    TooDeep,
}

impl Lex {
    /// Reads words with this escape character.
    pub(crate) const fn new(escape: char) -> Self {
        Self {
            escape,
            raw_quotes: false,
            raw_escapes: false,
            plain_quotes: false,
            keep_unset: false,
        }
    }

    /// The whole text as one word.
    pub(crate) fn expand(
        self,
        word: &str,
        variables: &dyn Variables,
    ) -> Result<Expanded, WordError> {
        if self.is_plain(word) {
            return Ok(Expanded {
                text: word.to_owned(),
                ..Expanded::default()
            });
        }
        let mut reader = Reader::new(self, word, variables);
        match reader.read(None, self.raw_escapes, &mut Words::unwanted()) {
            Ok(text) => Ok(Expanded {
                text,
                matched: reader.matched,
                unmatched: reader.unmatched,
            }),
            Err(cause) => Err(WordError {
                word: word.to_owned(),
                cause,
            }),
        }
    }

    /// The text split at white space that is neither quoted nor escaped, variables included.
    pub(crate) fn words(
        self,
        text: &str,
        variables: &dyn Variables,
    ) -> Result<Vec<String>, WordError> {
        let mut reader = Reader::new(self, text, variables);
        let mut words = Words::default();
        match reader.read(None, self.raw_escapes, &mut words) {
            Ok(_text) => Ok(words.finish()),
            Err(cause) => Err(WordError {
                word: text.to_owned(),
                cause,
            }),
        }
    }

    fn is_plain(self, word: &str) -> bool {
        let special = |byte: u8| matches!(byte, b'$' | b'\'' | b'"' | b'\\' | b'`');
        !word.bytes().any(special)
    }
}

/// A walk over one text.
struct Reader<'a> {
    lex: Lex,
    rest: Peekable<Chars<'a>>,
    variables: &'a dyn Variables,
    matched: BTreeSet<String>,
    unmatched: BTreeSet<String>,
    raw_escapes: bool,
    depth: u32,
    /// How long the result may well be.
    capacity: usize,
}

impl<'a> Reader<'a> {
    fn new(lex: Lex, text: &'a str, variables: &'a dyn Variables) -> Self {
        Self {
            lex,
            rest: text.chars().peekable(),
            variables,
            matched: BTreeSet::new(),
            unmatched: BTreeSet::new(),
            raw_escapes: lex.raw_escapes,
            depth: 0,
            capacity: text.len(),
        }
    }

    /// Up to `stop`, which is consumed, or to the end.
    fn read(
        &mut self,
        stop: Option<char>,
        raw_escapes: bool,
        words: &mut Words,
    ) -> Result<String, WordErrorCause> {
        let outer = std::mem::replace(&mut self.raw_escapes, raw_escapes);
        let result = self.read_until(stop, words);
        self.raw_escapes = outer;
        result
    }

    fn read_until(
        &mut self,
        stop: Option<char>,
        words: &mut Words,
    ) -> Result<String, WordErrorCause> {
        let mut text = String::with_capacity(self.capacity);
        self.capacity = 0;
        while let Some(&next) = self.rest.peek() {
            if stop == Some(next) {
                self.rest.next();
                return Ok(text);
            }
            let special = match next {
                '$' => Some(self.dollar()?),
                '<' => Some(self.less_than()),
                '\'' if !self.lex.plain_quotes => Some(self.single_quoted()?),
                '"' if !self.lex.plain_quotes => Some(self.double_quoted()?),
                _ => None,
            };
            match special {
                Some(part) => {
                    text.push_str(&part);
                    if next == '$' {
                        part.chars().for_each(|c| words.split_or_push(c));
                    } else {
                        words.push_str(&part);
                    }
                }
                None => self.plain(&mut text, words),
            }
            if text.len() > MAX_WORD {
                return Err(WordErrorCause::TooLong);
            }
        }
        match stop {
            Some(stop) => Err(WordErrorCause::UnclosedForm(stop)),
            None => Ok(text),
        }
    }

    /// One character that means itself, or an escaped one.
    fn plain(&mut self, text: &mut String, words: &mut Words) {
        let Some(character) = self.rest.next() else {
            return;
        };
        if character != self.lex.escape {
            text.push(character);
            words.split_or_push(character);
            return;
        }
        if self.raw_escapes {
            text.push(character);
            words.push(character);
        }
        if let Some(escaped) = self.rest.next() {
            text.push(escaped);
            words.push(escaped);
        }
    }

    fn single_quoted(&mut self) -> Result<String, WordErrorCause> {
        let mut text = String::new();
        let quote = self.rest.next();
        let kept = quote.filter(|_| self.lex.raw_quotes);
        text.extend(kept);
        loop {
            match self.rest.next() {
                None => return Err(WordErrorCause::Unclosed("single-quote")),
                Some('\'') => {
                    text.extend(kept);
                    return Ok(text);
                }
                Some(character) => text.push(character),
            }
        }
    }

    fn double_quoted(&mut self) -> Result<String, WordErrorCause> {
        let mut text = String::new();
        let quote = self.rest.next();
        let kept = quote.filter(|_| self.lex.raw_quotes);
        text.extend(kept);
        loop {
            match self.rest.peek() {
                None => return Err(WordErrorCause::Unclosed("double-quote")),
                Some('"') => {
                    self.rest.next();
                    text.extend(kept);
                    return Ok(text);
                }
                Some('$') => text.push_str(&self.dollar()?),
                Some(_) => self.plain_in_double_quotes(&mut text),
            }
            if text.len() > MAX_WORD {
                return Err(WordErrorCause::TooLong);
            }
        }
    }

    /// Only `"`, `$` and the escape character itself can be escaped here.
    fn plain_in_double_quotes(&mut self, text: &mut String) {
        let Some(character) = self.rest.next() else {
            return;
        };
        if character != self.lex.escape {
            text.push(character);
            return;
        }
        if self.raw_escapes {
            text.push(character);
        }
        match self.rest.peek() {
            // An escape character at the end means nothing.
            None => {}
            Some(&next) if next == '"' || next == '$' || next == self.lex.escape => {
                self.rest.next();
                text.push(next);
            }
            Some(_) => text.push(character),
        }
    }

    /// `<<` keeps the white space after it, so that `<< EOF` is one word.
    fn less_than(&mut self) -> String {
        self.rest.next();
        let mut text = "<".to_owned();
        if self.rest.next_if_eq(&'<').is_some() {
            text.push('<');
            while let Some(space) = self.rest.next_if(|c| matches!(c, '\t' | '\r' | ' ')) {
                text.push(space);
            }
        }
        text
    }
}

/// Words as they are found.
#[derive(Default)]
struct Words {
    done: Vec<String>,
    word: String,
    unwanted: bool,
}

impl Words {
    /// Nobody asks for them.
    fn unwanted() -> Self {
        Self {
            unwanted: true,
            ..Self::default()
        }
    }

    fn split_or_push(&mut self, character: char) {
        if !character.is_whitespace() {
            self.push(character);
        } else if !self.word.is_empty() {
            self.done.push(std::mem::take(&mut self.word));
        }
    }

    fn push(&mut self, character: char) {
        if !self.unwanted {
            self.word.push(character);
        }
    }

    fn push_str(&mut self, text: &str) {
        if !self.unwanted {
            self.word.push_str(text);
        }
    }

    fn finish(mut self) -> Vec<String> {
        if !self.word.is_empty() {
            self.done.push(self.word);
        }
        self.done
    }
}

#[cfg(test)]
mod tests;
