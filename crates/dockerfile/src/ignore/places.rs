//! How far into a pattern the beginning of a path leads: all its places at once, so that the time is
//! bounded by the product of the lengths. It goes on from a directory to what is in it.

use super::pattern::Token;

/// The tokens at which a match may stand.
#[derive(Debug, Clone)]
pub(super) struct Places {
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

impl Places {
    pub(super) fn new(tokens: &[Token]) -> Self {
        let empty = vec![Place::default(); tokens.len() + 1];
        let mut places = Self {
            now: empty.clone(),
            next: empty,
        };
        places.now[0].here = true;
        places.pass_empty(tokens);
        places
    }

    /// Takes a character; whether a match is still possible.
    pub(super) fn step(&mut self, tokens: &[Token], character: char) -> bool {
        self.next.fill(Place::default());
        let not_slash = character != '/';
        for (index, token) in tokens.iter().enumerate() {
            let Place { here, inside } = self.now[index];
            if !here && !inside {
                continue;
            }
            match token {
                Token::AnyInPart => self.next[index].here |= not_slash,
                Token::Anything => self.next[index].here = true,
                Token::AnyParts => {
                    self.next[index].inside = true;
                    self.next[index + 1].here |= !not_slash;
                }
                one => self.next[index + 1].here |= one.takes(character),
            }
        }
        std::mem::swap(&mut self.now, &mut self.next);
        self.pass_empty(tokens);
        self.now.iter().any(|place| place.here || place.inside)
    }

    pub(super) fn is_end(&self) -> bool {
        self.now.last().is_some_and(|place| place.here)
    }

    /// Whether a match is possible whose next character is this one.
    pub(super) fn can_take(&self, tokens: &[Token], character: char) -> bool {
        let mut open = tokens.iter().zip(&self.now);
        open.any(|(token, place)| {
            place.inside || place.here && (token.can_be_empty() || token.takes(character))
        })
    }

    /// There are tokens left that can take a character.
    pub(super) fn can_go_on(&self) -> bool {
        let open = self.now.split_last().map_or(&[][..], |(_, open)| open);
        open.iter().any(|place| place.here || place.inside)
    }

    /// Goes past tokens that can stand for nothing.
    fn pass_empty(&mut self, tokens: &[Token]) {
        for (index, token) in tokens.iter().enumerate() {
            if token.can_be_empty() && self.now[index].here {
                self.now[index + 1].here = true;
            }
        }
    }
}
