//! Patterns in `${v#p}` and its kin: `*` is any text, `?` any character; neither crosses a line
//! end. `\` keeps `*`, `?` and itself; before `}` and `/` it only says that the form goes on.

/// A compiled pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Token>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Character(char),
    AnyCharacter,
    AnyText,
}

/// Which match is wanted when there are several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    Shortest,
    Longest,
}

/// Why a pattern cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PatternError {
    #[error("invalid escape '\\{0}'")]
    Escape(char),
    #[error("the pattern and the value are too long")]
    TooLong,
}

/// Tokens times characters that one match may look at.
const MAX_WORK: usize = 1 << 26;

impl Pattern {
    pub(super) fn new(text: &str) -> Result<Self, PatternError> {
        let mut tokens = Vec::with_capacity(text.len());
        let mut rest = text.chars().peekable();
        while let Some(character) = rest.next() {
            tokens.push(match character {
                '*' => Token::AnyText,
                '?' => Token::AnyCharacter,
                '\\' if matches!(rest.peek(), Some('}' | '/')) => continue,
                '\\' => match rest.next() {
                    Some(kept @ ('*' | '?' | '\\')) => Token::Character(kept),
                    Some(other) => return Err(PatternError::Escape(other)),
                    None => return Err(PatternError::Escape(char::REPLACEMENT_CHARACTER)),
                },
                other => Token::Character(other),
            });
        }
        Ok(Self(tokens))
    }

    /// `value` without the beginning that matches.
    pub(super) fn trim_start(&self, value: &str, length: Length) -> Result<String, PatternError> {
        let value: Vec<char> = value.chars().collect();
        let end = Matcher::new(&self.0, &value)?
            .end_from(0, length)
            .unwrap_or(0);
        Ok(value[end..].iter().collect())
    }

    /// `value` without the end that matches.
    pub(super) fn trim_end(&self, value: &str, length: Length) -> Result<String, PatternError> {
        let tokens: Vec<Token> = self.0.iter().rev().copied().collect();
        let value: Vec<char> = value.chars().rev().collect();
        let end = Matcher::new(&tokens, &value)?
            .end_from(0, length)
            .unwrap_or(0);
        Ok(value[end..].iter().rev().collect())
    }

    /// `value` with `replacement` for the first match, or for all.
    pub(super) fn replace(
        &self,
        value: &str,
        replacement: &str,
        all: bool,
    ) -> Result<String, PatternError> {
        let value: Vec<char> = value.chars().collect();
        let matcher = Matcher::new(&self.0, &value)?;
        let mut result = String::new();
        let mut at = 0;
        // An empty match is none where the last match ended.
        let mut last_end = None;
        while at <= value.len() {
            match matcher.end_from(at, Length::Longest) {
                Some(end) if end > at || last_end != Some(at) => {
                    result.push_str(replacement);
                    if result.len() > super::MAX_WORD {
                        return Err(PatternError::TooLong);
                    }
                    last_end = Some(end);
                    if !all {
                        result.extend(&value[end..]);
                        return Ok(result);
                    }
                    if end == at {
                        result.extend(value.get(at));
                        at += 1;
                    } else {
                        at = end;
                    }
                }
                _ => {
                    result.extend(value.get(at));
                    at += 1;
                }
            }
        }
        Ok(result)
    }
}

/// A table of which rest of the tokens matches at which place of the value, with any text after.
struct Matcher<'a> {
    tokens: &'a [Token],
    value: &'a [char],
    /// `matches[token * (value.len() + 1) + place]`.
    matches: Vec<bool>,
}

impl<'a> Matcher<'a> {
    fn new(tokens: &'a [Token], value: &'a [char]) -> Result<Self, PatternError> {
        let width = value.len() + 1;
        let size = (tokens.len() + 1)
            .checked_mul(width)
            .filter(|size| *size <= MAX_WORK)
            .ok_or(PatternError::TooLong)?;
        let mut matches = vec![false; size];
        matches[tokens.len() * width..].fill(true);
        for (index, token) in tokens.iter().enumerate().rev() {
            for place in (0..width).rev() {
                let after = |place: usize| matches[(index + 1) * width + place];
                matches[index * width + place] = match token {
                    Token::Character(wanted) => {
                        value.get(place) == Some(wanted) && after(place + 1)
                    }
                    Token::AnyCharacter => is_inside(value, place) && after(place + 1),
                    Token::AnyText => {
                        after(place)
                            || (is_inside(value, place) && matches[index * width + place + 1])
                    }
                };
            }
        }
        Ok(Self {
            tokens,
            value,
            matches,
        })
    }

    fn at(&self, token: usize, place: usize) -> bool {
        self.matches[token * (self.value.len() + 1) + place]
    }

    /// Where the match that begins at `start` ends.
    fn end_from(&self, start: usize, length: Length) -> Option<usize> {
        if !self.at(0, start) {
            return None;
        }
        let mut place = start;
        for (index, token) in self.tokens.iter().enumerate() {
            match token {
                Token::Character(_) | Token::AnyCharacter => place += 1,
                Token::AnyText => {
                    let mut choices = self.line_places(place);
                    let fits = |place: &usize| self.at(index + 1, *place);
                    place = match length {
                        Length::Shortest => choices.find(fits)?,
                        Length::Longest => choices.rfind(fits)?,
                    };
                }
            }
        }
        Some(place)
    }

    /// The places that any text from `place` can reach.
    fn line_places(&self, place: usize) -> std::ops::RangeInclusive<usize> {
        let line = self.value[place..]
            .iter()
            .take_while(|c| **c != '\n')
            .count();
        place..=place + line
    }
}

fn is_inside(value: &[char], place: usize) -> bool {
    value.get(place).is_some_and(|c| *c != '\n')
}
