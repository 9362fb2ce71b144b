//! Words: quotes, escapes and variables, as a shell has them.
//!
//! `'…'` keeps all, `"…"` keeps all but `$` and escapes, the escape character keeps the next
//! one. Variables are `$name` and `${name…}` with the forms in [`dollar`]. What is expanded may
//! be long, never endless: a word is at most [`MAX_WORD`] bytes, and forms nest at most
//! [`MAX_DEPTH`] deep.

mod dollar;
mod pattern;

use std::borrow::Cow;
use std::collections::BTreeSet;

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
pub(crate) struct Expanded<'a> {
    /// The text; the word itself when there is nothing to expand.
    pub(crate) text: Cow<'a, str>,
    /// Variables that were named and set.
    pub(crate) matched: BTreeSet<&'a str>,
    /// Variables that were named and not set.
    pub(crate) unmatched: BTreeSet<&'a str>,
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
    pub(crate) fn expand<'a>(
        self,
        word: &'a str,
        variables: &dyn Variables,
    ) -> Result<Expanded<'a>, WordError> {
        if self.is_plain(word) {
            return Ok(Expanded {
                text: Cow::Borrowed(word),
                ..Expanded::default()
            });
        }
        let mut reader = Reader::new(self, word, variables);
        match reader.read(None, self.raw_escapes, &mut Words::unwanted()) {
            Ok(text) => Ok(Expanded {
                text: Cow::Owned(text),
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
struct Reader<'a, 'v> {
    lex: Lex,
    rest: &'a str,
    variables: &'v dyn Variables,
    matched: BTreeSet<&'a str>,
    unmatched: BTreeSet<&'a str>,
    raw_escapes: bool,
    depth: u32,
    /// How long the result may well be.
    capacity: usize,
}

impl<'a, 'v> Reader<'a, 'v> {
    fn new(lex: Lex, text: &'a str, variables: &'v dyn Variables) -> Self {
        Self {
            lex,
            rest: text,
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
        while let Some(next) = self.peek() {
            if stop == Some(next) {
                self.next();
                return Ok(text);
            }
            match next {
                '$' => {
                    let part = self.dollar()?;
                    text.push_str(&part);
                    words.split(&part);
                }
                '<' => {
                    let part = self.less_than();
                    text.push_str(part);
                    words.push_str(part);
                }
                '\'' if !self.lex.plain_quotes => {
                    let part = self.single_quoted()?;
                    text.push_str(part);
                    words.push_str(part);
                }
                '"' if !self.lex.plain_quotes => {
                    let start = text.len();
                    self.double_quoted(&mut text)?;
                    words.push_str(&text[start..]);
                }
                _ if next == self.lex.escape => self.escaped(&mut text, words),
                _ => {
                    let escape = self.lex.escape;
                    let part = self.run(|next| {
                        matches!(next, '$' | '<' | '\'' | '"')
                            || next == escape
                            || stop == Some(next)
                    });
                    text.push_str(part);
                    words.split(part);
                }
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

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let mut characters = self.rest.chars();
        let next = characters.next();
        self.rest = characters.as_str();
        next
    }

    fn next_if_eq(&mut self, wanted: char) -> bool {
        let after = self.rest.strip_prefix(wanted);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    /// The next `length` bytes.
    fn take(&mut self, length: usize) -> &'a str {
        let (part, rest) = self.rest.split_at(length);
        self.rest = rest;
        part
    }

    /// The next character, and all that follow up to one that is special.
    fn run(&mut self, is_special: impl Fn(char) -> bool) -> &'a str {
        let mut rest = self.rest.char_indices().skip(1);
        let end = rest.find(|(_, next)| is_special(*next));
        self.take(end.map_or(self.rest.len(), |(at, _)| at))
    }

    /// An escape character and what it keeps.
    fn escaped(&mut self, text: &mut String, words: &mut Words) {
        let escape = self.next().filter(|_| self.raw_escapes);
        for character in escape.into_iter().chain(self.next()) {
            text.push(character);
            words.push(character);
        }
    }

    fn single_quoted(&mut self) -> Result<&'a str, WordErrorCause> {
        let after = &self.rest[1..];
        let length = after.find('\'').ok_or_else(|| {
            self.rest = "";
            WordErrorCause::Unclosed("single-quote")
        })?;
        let quoted = self.take(length + 2);
        Ok(match self.lex.raw_quotes {
            true => quoted,
            false => &quoted[1..=length],
        })
    }

    /// Adds the text to `text`.
    fn double_quoted(&mut self, text: &mut String) -> Result<(), WordErrorCause> {
        let start = text.len();
        let quote = self.next();
        let kept = quote.filter(|_| self.lex.raw_quotes);
        text.extend(kept);
        loop {
            match self.peek() {
                None => return Err(WordErrorCause::Unclosed("double-quote")),
                Some('"') => {
                    self.next();
                    text.extend(kept);
                    return Ok(());
                }
                Some('$') => text.push_str(&self.dollar()?),
                Some(next) if next == self.lex.escape => self.escaped_in_double_quotes(text),
                Some(_) => {
                    let escape = self.lex.escape;
                    let part = self.run(|next| matches!(next, '"' | '$') || next == escape);
                    text.push_str(part);
                }
            }
            if text.len() - start > MAX_WORD {
                return Err(WordErrorCause::TooLong);
            }
        }
    }

    /// Only `"`, `$` and the escape character itself can be escaped here.
    fn escaped_in_double_quotes(&mut self, text: &mut String) {
        let Some(escape) = self.next() else {
            return;
        };
        if self.raw_escapes {
            text.push(escape);
        }
        match self.peek() {
            // An escape character at the end means nothing.
            None => {}
            Some(next) if next == '"' || next == '$' || next == escape => {
                self.next();
                text.push(next);
            }
            Some(_) => text.push(escape),
        }
    }

    /// `<<` keeps the white space after it, so that `<< EOF` is one word.
    fn less_than(&mut self) -> &'a str {
        let Some(after) = self.rest.strip_prefix("<<") else {
            return self.take(1);
        };
        let kept = after.trim_start_matches(['\t', '\r', ' ']);
        self.take(self.rest.len() - kept.len())
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

    /// Splits at white space.
    fn split(&mut self, text: &str) {
        if !self.unwanted {
            text.chars().for_each(|c| self.split_or_push(c));
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
