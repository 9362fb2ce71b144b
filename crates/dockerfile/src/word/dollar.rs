//! Variables in words.
//!
//! | Form | Value |
//! |---|---|
//! | `$v`, `${v}` | of `v`; empty when it is not set |
//! | `${v-w}`, `${v:-w}` | of `v`, or `w` when it is not set (or empty) |
//! | `${v+w}`, `${v:+w}` | `w` when `v` is set (and not empty), else empty |
//! | `${v?w}`, `${v:?w}` | of `v`; an error with the text `w` when it is not set (or empty) |
//! | `${v#p}`, `${v##p}` | without the shortest or longest beginning that matches `p` |
//! | `${v%p}`, `${v%%p}` | without the shortest or longest end that matches `p` |
//! | `${v/p/r}`, `${v//p/r}` | with `r` for the first, or every, match of `p` |

use std::borrow::Cow;

use super::pattern::{Length, Pattern};
use super::{MAX_DEPTH, Reader, WordErrorCause, Words};

impl<'a, 'v> Reader<'a, 'v> {
    /// From a `$` on.
    pub(super) fn dollar(&mut self) -> Result<Cow<'v, str>, WordErrorCause> {
        self.next();
        if !self.next_if_eq('{') {
            let name = self.name();
            if name.is_empty() {
                return Ok(Cow::Borrowed("$"));
            }
            return Ok(match self.get(name) {
                None if self.lex.keep_unset => Cow::Owned(format!("${name}")),
                value => Cow::Borrowed(value.unwrap_or_default()),
            });
        }
        match self.peek() {
            None => return Err(WordErrorCause::NoBrace),
            Some('{' | '}' | ':') => return Err(WordErrorCause::BadSubstitution),
            Some(_) => {}
        }
        if self.depth == MAX_DEPTH {
            return Err(WordErrorCause::TooDeep);
        }
        self.depth += 1;
        let value = self.form();
        self.depth -= 1;
        value
    }

    /// From the name in `${name…}` on.
    fn form(&mut self) -> Result<Cow<'v, str>, WordErrorCause> {
        let name = self.name();
        match self.next() {
            None => Err(WordErrorCause::NoBrace),
            Some('}') => Ok(match self.get(name) {
                None if self.lex.keep_unset => Cow::Owned(format!("${{{name}}}")),
                value => Cow::Borrowed(value.unwrap_or_default()),
            }),
            Some('/') => self.replace(name).map(Cow::Owned),
            Some(':') => {
                let modifier = self.next().ok_or(WordErrorCause::NoBrace)?;
                if matches!(modifier, '#' | '%') {
                    return Err(WordErrorCause::Modifier(format!(":{modifier}")));
                }
                self.modified(name, modifier, true)
            }
            Some(modifier @ ('+' | '-' | '?' | '#' | '%')) => self.modified(name, modifier, false),
            Some(other) => Err(WordErrorCause::Modifier(other.to_string())),
        }
    }

    fn modified(
        &mut self,
        name: &'a str,
        modifier: char,
        empty_is_unset: bool,
    ) -> Result<Cow<'v, str>, WordErrorCause> {
        let raw_escapes = matches!(modifier, '#' | '%');
        let word = self.part('}', raw_escapes, WordErrorCause::NoBrace)?;
        let value = self.get(name);
        if value.is_none() && self.lex.keep_unset {
            let colon = if empty_is_unset { ":" } else { "" };
            return Ok(Cow::Owned(format!("${{{name}{colon}{modifier}{word}}}")));
        }
        let usable = value.filter(|value| !empty_is_unset || !value.is_empty());
        match modifier {
            '-' => Ok(usable.map_or(Cow::Owned(word), Cow::Borrowed)),
            '+' => Ok(usable.map_or(Cow::Borrowed(""), |_| Cow::Owned(word))),
            '?' => usable
                .map(Cow::Borrowed)
                .ok_or_else(|| required(name, word, value.is_some())),
            '#' | '%' => trim(value.unwrap_or_default(), &word, modifier).map(Cow::Owned),
            other => Err(WordErrorCause::Modifier(format!(":{other}"))),
        }
    }

    fn replace(&mut self, name: &'a str) -> Result<String, WordErrorCause> {
        let all = self.next_if_eq('/');
        let pattern = self.part('/', true, WordErrorCause::NoSlash)?;
        let replacement = self.part('}', true, WordErrorCause::NoBrace)?;
        let value = self.get(name);
        if value.is_none() && self.lex.keep_unset {
            return Ok(format!("${{{name}/{pattern}/{replacement}}}"));
        }
        let compiled = compile(&pattern)?;
        compiled
            .replace(value.unwrap_or_default(), &replacement, all)
            .map_err(|error| WordErrorCause::Pattern { pattern, error })
    }

    /// The text up to `stop`; `missing` is the error when the end comes first.
    fn part(
        &mut self,
        stop: char,
        raw_escapes: bool,
        missing: WordErrorCause,
    ) -> Result<String, WordErrorCause> {
        match self.read(Some(stop), raw_escapes, &mut Words::unwanted()) {
            Ok(text) => Ok(text),
            Err(error @ (WordErrorCause::TooLong | WordErrorCause::TooDeep)) => Err(error),
            Err(_) if self.rest.is_empty() => Err(missing),
            Err(error) => Err(error),
        }
    }

    /// Letters, digits and `_`; or digits only; or one special character.
    fn name(&mut self) -> &'a str {
        let ends = |is_part: fn(char) -> bool| {
            let end = self.rest.find(|next| !is_part(next));
            end.unwrap_or(self.rest.len())
        };
        let length = match self.peek() {
            Some(first) if is_digit(first) => ends(is_digit),
            Some('@' | '*' | '#' | '?' | '-' | '$' | '!') => 1,
            _ => ends(|c| c.is_alphabetic() || is_digit(c) || c == '_'),
        };
        self.take(length)
    }

    fn get(&mut self, name: &'a str) -> Option<&'v str> {
        let value = self.variables.get(name);
        let seen = if value.is_some() {
            &mut self.matched
        } else {
            &mut self.unmatched
        };
        seen.insert(name);
        value
    }
}

const fn is_digit(character: char) -> bool {
    character.is_ascii_digit()
}

fn required(name: &str, message: String, set: bool) -> WordErrorCause {
    let message = match (message.is_empty(), set) {
        (false, _) => message,
        (true, true) => "is not allowed to be empty".to_owned(),
        (true, false) => "is not allowed to be unset".to_owned(),
    };
    WordErrorCause::Required {
        name: name.to_owned(),
        message,
    }
}

fn trim(value: &str, word: &str, side: char) -> Result<String, WordErrorCause> {
    let (word, length) = match word.strip_prefix(side) {
        Some(word) => (word, Length::Longest),
        None => (word, Length::Shortest),
    };
    let pattern = compile(word)?;
    let trimmed = if side == '#' {
        pattern.trim_start(value, length)
    } else {
        pattern.trim_end(value, length)
    };
    trimmed.map_err(|error| WordErrorCause::Pattern {
        pattern: word.to_owned(),
        error,
    })
}

fn compile(pattern: &str) -> Result<Pattern, WordErrorCause> {
    Pattern::new(pattern).map_err(|error| WordErrorCause::Pattern {
        pattern: pattern.to_owned(),
        error,
    })
}
