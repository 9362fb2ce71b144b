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

use super::pattern::{Length, Pattern};
use super::{MAX_DEPTH, Reader, WordErrorCause, Words};

impl Reader<'_> {
    /// From a `$` on.
    pub(super) fn dollar(&mut self) -> Result<String, WordErrorCause> {
        self.rest.next();
        if self.rest.peek() != Some(&'{') {
            let name = self.name();
            if name.is_empty() {
                return Ok("$".to_owned());
            }
            return Ok(match self.get(&name) {
                None if self.lex.keep_unset => format!("${name}"),
                value => value.unwrap_or_default(),
            });
        }
        self.rest.next();
        match self.rest.peek() {
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
    fn form(&mut self) -> Result<String, WordErrorCause> {
        let name = self.name();
        match self.rest.next() {
            None => Err(WordErrorCause::NoBrace),
            Some('}') => Ok(match self.get(&name) {
                None if self.lex.keep_unset => format!("${{{name}}}"),
                value => value.unwrap_or_default(),
            }),
            Some('/') => self.replace(&name),
            Some(':') => {
                let modifier = self.rest.next().ok_or(WordErrorCause::NoBrace)?;
                if matches!(modifier, '#' | '%') {
                    return Err(WordErrorCause::Modifier(format!(":{modifier}")));
                }
                self.modified(&name, modifier, true)
            }
            Some(modifier @ ('+' | '-' | '?' | '#' | '%')) => self.modified(&name, modifier, false),
            Some(other) => Err(WordErrorCause::Modifier(other.to_string())),
        }
    }

    fn modified(
        &mut self,
        name: &str,
        modifier: char,
        empty_is_unset: bool,
    ) -> Result<String, WordErrorCause> {
        let raw_escapes = matches!(modifier, '#' | '%');
        let word = self.part('}', raw_escapes, WordErrorCause::NoBrace)?;
        let value = self.get(name);
        if value.is_none() && self.lex.keep_unset {
            let colon = if empty_is_unset { ":" } else { "" };
            return Ok(format!("${{{name}{colon}{modifier}{word}}}"));
        }
        let usable = value
            .clone()
            .filter(|value| !empty_is_unset || !value.is_empty());
        match modifier {
            '-' => Ok(usable.unwrap_or(word)),
            '+' => Ok(usable.map(|_| word).unwrap_or_default()),
            '?' => usable.ok_or_else(|| required(name, word, value.is_some())),
            '#' | '%' => trim(&value.unwrap_or_default(), &word, modifier),
            other => Err(WordErrorCause::Modifier(format!(":{other}"))),
        }
    }

    fn replace(&mut self, name: &str) -> Result<String, WordErrorCause> {
        let all = self.rest.next_if_eq(&'/').is_some();
        let pattern = self.part('/', true, WordErrorCause::NoSlash)?;
        let replacement = self.part('}', true, WordErrorCause::NoBrace)?;
        let value = self.get(name);
        if value.is_none() && self.lex.keep_unset {
            return Ok(format!("${{{name}/{pattern}/{replacement}}}"));
        }
        let compiled = compile(&pattern)?;
        compiled
            .replace(&value.unwrap_or_default(), &replacement, all)
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
            Err(_) if self.rest.peek().is_none() => Err(missing),
            Err(error) => Err(error),
        }
    }

    /// Letters, digits and `_`; or digits only; or one special character.
    fn name(&mut self) -> String {
        let mut name = String::new();
        match self.rest.peek() {
            Some(first) if is_digit(*first) => {
                while let Some(digit) = self.rest.next_if(|c| is_digit(*c)) {
                    name.push(digit);
                }
                return name;
            }
            Some('@' | '*' | '#' | '?' | '-' | '$' | '!') => {
                name.extend(self.rest.next());
                return name;
            }
            _ => {}
        }
        while let Some(part) = self
            .rest
            .next_if(|c| c.is_alphabetic() || is_digit(*c) || *c == '_')
        {
            name.push(part);
        }
        name
    }

    fn get(&mut self, name: &str) -> Option<String> {
        let value = self.variables.get(name);
        let seen = if value.is_some() {
            &mut self.matched
        } else {
            &mut self.unmatched
        };
        seen.insert(name.to_owned());
        value.map(str::to_owned)
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
