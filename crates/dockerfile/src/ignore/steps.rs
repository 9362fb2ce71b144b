//! A pattern part by part, for a walk that knows one name after the other. Patterns whose `**` or sets
//! reach from one part of a path into the next have no such form.

use std::sync::Arc;

use super::pattern::Token;

/// What one or more parts of a path are to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// One part.
    Name(Name),
    /// `**` before something: any number of parts, none included. What follows is no `Parts`.
    Parts,
    /// `**` at the end: one part or more.
    Rest,
}

/// What one part of a path is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Name {
    Exact(Arc<str>),
    Glob(Glob),
}

/// A beginning and an ending, and what may be between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Glob {
    pub(super) beginning: Box<str>,
    between: Box<[Token]>,
    ending: Box<str>,
    /// What comes after the last dot in every name that matches.
    pub(super) extension: Option<Arc<str>>,
}

/// None when some of it does not keep to the parts of a path. No steps when no path can match.
pub(super) fn steps(tokens: &[Token]) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut rest = tokens;
    loop {
        match rest {
            [Token::Anything] => {
                steps.push(Step::Rest);
                return Some(steps);
            }
            [Token::AnyParts, more @ ..] => {
                if steps.last() != Some(&Step::Parts) {
                    steps.push(Step::Parts);
                }
                rest = more;
                continue;
            }
            _ => {}
        }
        let is_slash = |token: &Token| *token == Token::Character('/');
        let end = rest.iter().position(is_slash).unwrap_or(rest.len());
        let (part, more) = rest.split_at(end);
        // No path has an empty part, nor does one begin or end with a slash.
        let Some(first) = part.first() else {
            return Some(Vec::new());
        };
        if *first == Token::Anything {
            // `**x` at the start: the part may be anything that ends so, in any directory.
            steps.push(Step::Parts);
            let part = [&[Token::AnyInPart], &part[1..]].concat();
            steps.push(Step::Name(Name::new(&part)));
        } else if keeps_to_part(part) {
            steps.push(Step::Name(Name::new(part)));
        } else {
            return None;
        }
        match more {
            [] => return Some(steps),
            [_, more @ ..] => rest = more,
        }
    }
}

/// Nothing in it can be a slash. At an edge of the part a set never is: a slash next to the slash
/// there would make an empty part.
fn keeps_to_part(part: &[Token]) -> bool {
    part.iter().enumerate().all(|(index, token)| match token {
        Token::AnyParts | Token::Anything => false,
        Token::Set(_) if index == 0 || index + 1 == part.len() => true,
        token => !token.takes('/'),
    })
}

impl Name {
    fn new(part: &[Token]) -> Self {
        let literal = |tokens: &[Token]| -> String {
            let characters = tokens.iter().map_while(Token::character);
            characters.collect()
        };
        let is_open = |token: &Token| token.character().is_none();
        let (Some(first), Some(last)) = (
            part.iter().position(is_open),
            part.iter().rposition(is_open),
        ) else {
            return Self::Exact(literal(part).into());
        };
        let ending = literal(&part[last + 1..]);
        Self::Glob(Glob {
            beginning: literal(&part[..first]).into(),
            between: part[first..=last].into(),
            extension: ending
                .rsplit_once('.')
                .map(|(_, extension)| extension.into()),
            ending: ending.into(),
        })
    }

    pub(super) fn matches(&self, name: &str) -> bool {
        match self {
            Self::Exact(wanted) => **wanted == *name,
            Self::Glob(glob) => glob.matches(name),
        }
    }
}

impl Glob {
    fn matches(&self, name: &str) -> bool {
        let between = name
            .strip_prefix(&*self.beginning)
            .and_then(|name| name.strip_suffix(&*self.ending));
        between.is_some_and(|text| match &*self.between {
            [Token::AnyInPart] => true,
            tokens => matches(tokens, text),
        })
    }
}

/// Whether tokens that stay within a part are all of `text`. When it does not go on, only the last
/// `*` need take more: whatever an earlier one took, the later could have taken too.
fn matches(tokens: &[Token], text: &str) -> bool {
    let (mut at, mut rest) = (0, text.chars());
    let mut star = None;
    loop {
        if tokens.get(at) == Some(&Token::AnyInPart) {
            at += 1;
            star = Some((at, rest.clone()));
            continue;
        }
        let mut ahead = rest.clone();
        match (tokens.get(at), ahead.next()) {
            (None, None) => return true,
            (Some(token), Some(character)) if token.takes(character) => {
                at += 1;
                rest = ahead;
                continue;
            }
            _ => {}
        }
        let Some((after, from)) = &mut star else {
            return false;
        };
        if from.next().is_none() {
            return false;
        }
        (at, rest) = (*after, from.clone());
    }
}
