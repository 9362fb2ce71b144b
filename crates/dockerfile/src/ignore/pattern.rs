//! One pattern: `*` and `?` stay within a part of a path, `**` crosses parts, `[…]` is a set, `\`
//! keeps the next character.
//!
//! `**/` in front or between stands for any number of directories, none included; `**` at the end
//! for anything at all. `a**` is any path that begins with `a`.

use super::IgnoreError;

/// A compiled pattern.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    text: String,
    exception: bool,
    tokens: Vec<Token>,
    /// All tokens are characters, and this is their text.
    literal: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
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
struct Set {
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
        let literal = tokens
            .iter()
            .map(|token| match token {
                Token::Character(character) => Some(*character),
                _ => None,
            })
            .collect();
        Ok(Some(Self {
            text,
            exception,
            tokens,
            literal,
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
        match &self.literal {
            Some(literal) => literal == path,
            None => {
                let mut places = Places::new(&self.tokens);
                path.chars().all(|character| places.step(character)) && places.is_end()
            }
        }
    }

    /// There can be a path beneath `directory` that matches.
    pub(super) fn can_match_beneath(&self, directory: &str) -> bool {
        let mut places = Places::new(&self.tokens);
        let prefix = directory.chars().chain(std::iter::once('/'));
        prefix.into_iter().all(|character| places.step(character)) && places.can_go_on()
    }
}

/// The tokens at which a match may stand.
struct Places<'a> {
    tokens: &'a [Token],
    /// One more than there are tokens: the last is the end.
    now: Vec<Place>,
    next: Vec<Place>,
}

/// Whether a match stands at a token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Place {
    /// The token has yet to begin, or may go on.
    here: bool,
    /// The token is `AnyParts` and has taken something that did not end in a slash.
    inside: bool,
}

impl<'a> Places<'a> {
    fn new(tokens: &'a [Token]) -> Self {
        let empty = vec![Place::default(); tokens.len() + 1];
        let mut places = Self {
            tokens,
            now: empty.clone(),
            next: empty,
        };
        places.now[0].here = true;
        places.pass_empty();
        places
    }

    /// Takes a character; whether a match is still possible.
    fn step(&mut self, character: char) -> bool {
        self.next.fill(Place::default());
        let not_slash = character != '/';
        for (index, token) in self.tokens.iter().enumerate() {
            let Place { here, inside } = self.now[index];
            if !here && !inside {
                continue;
            }
            match token {
                Token::Character(wanted) => self.next[index + 1].here |= *wanted == character,
                Token::NotSlash => self.next[index + 1].here |= not_slash,
                Token::Set(set) => self.next[index + 1].here |= set.contains(character),
                Token::AnyInPart => self.next[index].here |= not_slash,
                Token::Anything => self.next[index].here = true,
                Token::AnyParts => {
                    self.next[index].inside = true;
                    self.next[index + 1].here |= !not_slash;
                }
            }
        }
        std::mem::swap(&mut self.now, &mut self.next);
        self.pass_empty();
        self.now.iter().any(|place| place.here || place.inside)
    }

    fn is_end(&self) -> bool {
        self.now[self.tokens.len()].here
    }

    /// There are tokens left that can take a character.
    fn can_go_on(&self) -> bool {
        let open = &self.now[..self.tokens.len()];
        open.iter().any(|place| place.here || place.inside)
    }

    /// Goes past tokens that can stand for nothing.
    fn pass_empty(&mut self) {
        for (index, token) in self.tokens.iter().enumerate() {
            let empty = matches!(token, Token::AnyInPart | Token::Anything | Token::AnyParts);
            if empty && self.now[index].here {
                self.now[index + 1].here = true;
            }
        }
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
