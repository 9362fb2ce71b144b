//! One pattern: `*` and `?` stay within a part of a path, `**` crosses parts, `[…]` is a set, `\`
//! keeps the next character.
//!
//! `**/` in front or between stands for any number of directories, none included; `**` at the end
//! for anything at all. `a**` is any path that begins with `a`.

use super::IgnoreError;
use super::places::Places;
use super::steps::{Step, steps};

/// A compiled pattern.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    text: String,
    exception: bool,
    tokens: Vec<Token>,
    /// The same part by part. None when some of it does not keep to the parts of a path.
    steps: Option<Vec<Step>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    Character(char),
    /// `?`
    NotSlash,
    /// `*`
    AnyInPart,
    /// `**` with more after it: nothing, or anything that ends in a slash.
    AnyParts,
    /// `**` at the start, followed by something other than a slash, or at the end.
    Anything,
    Set(Set),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Set {
    negated: bool,
    ranges: Vec<(char, char)>,
}

impl Pattern {
    /// Reads a pattern; none for a blank one.
    pub(super) fn parse(text: &str) -> Result<Option<Self>, IgnoreError> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        let clean = crate::path::clean(text);
        let (text, exception) = match clean.strip_prefix('!') {
            Some("") => return Err(IgnoreError::OnlyExclamation),
            Some(rest) => (rest.to_owned(), true),
            None => (clean, false),
        };
        let tokens = compile(&text).ok_or_else(|| IgnoreError::Syntax(text.clone()))?;
        let steps = steps(&tokens);
        Ok(Some(Self {
            text,
            exception,
            tokens,
            steps,
        }))
    }

    pub(super) const fn is_exception(&self) -> bool {
        self.exception
    }

    pub(super) fn is_everything(&self) -> bool {
        !self.exception && matches!(self.text.as_str(), "*" | "**" | "**/*")
    }

    pub(super) fn line(&self) -> String {
        let mark = if self.exception { "!" } else { "" };
        format!("{mark}{}", self.text)
    }

    pub(super) fn matches_path_or_parent(&self, path: &str) -> bool {
        let parents = path.match_indices('/').map(|(at, _)| &path[..at]);
        self.matches(path) || parents.into_iter().any(|parent| self.matches(parent))
    }

    pub(super) fn matches(&self, path: &str) -> bool {
        let mut places = Places::new(&self.tokens);
        path.chars()
            .all(|character| places.step(&self.tokens, character))
            && places.is_end()
    }

    pub(super) fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    pub(super) fn steps(&self) -> Option<&[Step]> {
        self.steps.as_deref()
    }
}

impl Token {
    /// It stands for one character, and this can be it.
    pub(super) fn takes(&self, character: char) -> bool {
        match self {
            Self::Character(wanted) => *wanted == character,
            Self::NotSlash => character != '/',
            Self::Set(set) => set.contains(character),
            Self::AnyInPart | Self::AnyParts | Self::Anything => false,
        }
    }

    pub(super) const fn character(&self) -> Option<char> {
        match self {
            Self::Character(character) => Some(*character),
            _ => None,
        }
    }

    pub(super) const fn can_be_empty(&self) -> bool {
        matches!(self, Self::AnyInPart | Self::AnyParts | Self::Anything)
    }
}

impl Set {
    fn contains(&self, character: char) -> bool {
        let within = |(low, high): &(char, char)| *low <= character && character <= *high;
        self.ranges.iter().any(within) != self.negated
    }
}

/// None when the text is no pattern.
fn compile(text: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '*' if rest.next_if_eq(&'*').is_some() => {
                let slash = rest.next_if_eq(&'/').is_some();
                // `**x` at the very start takes anything, as it has no directories before it.
                let at_start = tokens.is_empty() && !slash && is_plain(rest.clone());
                tokens.push(if rest.peek().is_none() || at_start {
                    Token::Anything
                } else {
                    Token::AnyParts
                });
            }
            '*' => tokens.push(Token::AnyInPart),
            '?' => tokens.push(Token::NotSlash),
            '[' => tokens.push(Token::Set(compile_set(&mut rest)?)),
            '\\' => tokens.push(Token::Character(rest.next()?)),
            other => tokens.push(Token::Character(other)),
        }
    }
    Some(tokens)
}

fn is_plain(mut rest: impl Iterator<Item = char>) -> bool {
    rest.all(|c| !matches!(c, '*' | '?' | '[' | ']' | '\\'))
}

/// After the `[`: `^`, then characters and ranges, at least one, up to `]`.
fn compile_set(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<Set> {
    let negated = rest.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    loop {
        if !ranges.is_empty() && rest.next_if_eq(&']').is_some() {
            return Some(Set { negated, ranges });
        }
        let low = compile_set_character(rest)?;
        let high = match rest.next_if_eq(&'-') {
            Some(_) => compile_set_character(rest)?,
            None => low,
        };
        if high < low {
            return None;
        }
        ranges.push((low, high));
    }
}

fn compile_set_character(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<char> {
    match rest.next()? {
        '-' | ']' => None,
        '\\' => rest.next(),
        other => Some(other),
    }
}
