//! A logical line taken apart without knowing what it means: keyword, flags, arguments.
//!
//! Each instruction has its own way to write arguments: words, JSON, pairs, or all of the rest.

use std::borrow::Cow;

use crate::Span;
use crate::heredoc::Heredoc;
use crate::instruction::{KeyValue, Keyword};
use crate::quote::quote;

/// A logical line taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statement<'a> {
    /// What it is; none when it is not an instruction.
    pub(crate) keyword: Option<Keyword>,
    /// As it was written.
    pub(crate) written: &'a str,
    /// `--name=value`, without quotes and escapes.
    pub(crate) flags: Vec<Cow<'a, str>>,
    /// What follows.
    pub(crate) arguments: Arguments<'a>,
    /// What stands between the lines that follow.
    pub(crate) heredocs: Vec<Heredoc>,
    /// The whole line.
    pub(crate) text: &'a str,
    /// Its lines, with those of its heredocs.
    pub(crate) span: Span,
    /// Comments above it.
    pub(crate) comments: Vec<String>,
}

/// What follows keyword and flags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Arguments<'a> {
    /// Words, or the whole rest as one word.
    Words(Vec<String>),
    /// A JSON list of strings, after these words.
    Json(Vec<String>),
    /// Names and values.
    Pairs(Vec<KeyValue>),
    /// Another instruction (`ONBUILD`).
    Instruction(Box<Statement<'a>>),
}

/// Why a line cannot be taken apart.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StatementError {
    #[error("when using JSON array syntax, arrays must be comprised of strings only")]
    NotStrings,
    #[error("{0} must have two arguments")]
    TwoArguments(Keyword),
    #[error("Syntax error - can't find = in {}. Must be of the form: name=value", quote(.0))]
    NoEquals(String),
}

impl<'a> Statement<'a> {
    /// Takes a line apart; heredocs are added later.
    pub(crate) fn parse(text: &'a str, escape: char) -> Result<Self, StatementError> {
        Self::parse_nested(text, escape, true)
    }

    /// It can have heredocs.
    pub(crate) fn takes_heredocs(&self) -> bool {
        match (&self.arguments, self.keyword) {
            (Arguments::Instruction(inner), _) => inner.takes_heredocs(),
            (Arguments::Json(_), _) => false,
            (_, keyword) => {
                matches!(keyword, Some(Keyword::Add | Keyword::Copy | Keyword::Run))
            }
        }
    }

    fn parse_nested(text: &'a str, escape: char, outermost: bool) -> Result<Self, StatementError> {
        let line = text.trim();
        let (written, rest) = line.split_at(keyword_of(line).len());
        let (flags, rest) = take_flags(rest.trim_start_matches(is_blank), escape);
        let keyword = Keyword::parse(written);
        let rest = rest.trim();
        let arguments = match keyword {
            // What stands in an ONBUILD within an ONBUILD does not matter: it is an error.
            Some(Keyword::Onbuild) if outermost && !rest.is_empty() => {
                Arguments::Instruction(Box::new(Self::parse_nested(rest, escape, false)?))
            }
            Some(keyword) => Arguments::parse(keyword, rest, escape)?,
            None => Arguments::Words(Vec::new()),
        };
        Ok(Self {
            keyword,
            written,
            flags,
            arguments,
            heredocs: Vec::new(),
            text,
            span: Span::default(),
            comments: Vec::new(),
        })
    }
}

impl Arguments<'_> {
    fn parse(keyword: Keyword, rest: &str, escape: char) -> Result<Self, StatementError> {
        Ok(match keyword {
            Keyword::Add | Keyword::Copy | Keyword::Volume => match json_list(rest)? {
                Some(list) => Self::Json(list),
                None => Self::Words(split_blanks(rest)),
            },
            Keyword::Cmd | Keyword::Entrypoint | Keyword::Run | Keyword::Shell => {
                Self::json_or_all(rest)?
            }
            Keyword::Arg => {
                let words = quoted_words(rest, escape).into_iter();
                Self::Words(words.map(str::to_owned).collect())
            }
            Keyword::Env | Keyword::Label => Self::Pairs(pairs(keyword, rest, escape)?),
            Keyword::Expose | Keyword::From => Self::Words(split_blanks(rest)),
            Keyword::Healthcheck => Self::health(rest)?,
            Keyword::Maintainer | Keyword::StopSignal | Keyword::User | Keyword::Workdir => {
                Self::all(rest)
            }
            Keyword::Onbuild => Self::Words(Vec::new()),
        })
    }

    fn all(rest: &str) -> Self {
        Self::Words(if rest.is_empty() {
            Vec::new()
        } else {
            vec![rest.to_owned()]
        })
    }

    fn json_or_all(rest: &str) -> Result<Self, StatementError> {
        Ok(match json_list(rest)? {
            Some(list) => Self::Json(list),
            None => Self::all(rest),
        })
    }

    /// `NONE`, or `CMD` and a command.
    fn health(rest: &str) -> Result<Self, StatementError> {
        let (kind, command) = rest
            .split_once(char::is_whitespace)
            .map_or((rest, ""), |(kind, command)| (kind, command.trim_start()));
        if kind.is_empty() {
            return Ok(Self::Words(Vec::new()));
        }
        let first = vec![kind.to_owned()];
        Ok(match Self::json_or_all(command)? {
            Self::Json(list) => Self::Json([first, list].concat()),
            Self::Words(words) => Self::Words([first, words].concat()),
            other => other,
        })
    }
}

/// What a line begins with, up to the first blank.
pub(crate) fn keyword_of(line: &str) -> &str {
    line.split(is_blank).next().unwrap_or(line)
}

/// What separates keyword and words.
const fn is_blank(character: char) -> bool {
    matches!(character, '\t' | '\u{b}' | '\u{c}' | '\r' | ' ')
}

fn split_blanks(rest: &str) -> Vec<String> {
    if rest.is_empty() {
        return Vec::new();
    }
    let words = rest.split(is_blank).filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

/// The strings of a JSON list; none when `rest` is not a list, which is then for a shell.
fn json_list(rest: &str) -> Result<Option<Vec<String>>, StatementError> {
    if !rest.starts_with('[') {
        return Ok(None);
    }
    let Ok(values) = serde_json::from_str::<Vec<serde_json::Value>>(rest) else {
        return Ok(None);
    };
    let strings = values.into_iter().map(|value| match value {
        serde_json::Value::String(text) => Ok(text),
        _ => Err(StatementError::NotStrings),
    });
    strings.collect::<Result<_, _>>().map(Some)
}

fn pairs(keyword: Keyword, rest: &str, escape: char) -> Result<Vec<KeyValue>, StatementError> {
    let words = quoted_words(rest, escape);
    let Some(first) = words.first() else {
        return Ok(Vec::new());
    };
    // The old form: a name, and all of the rest as its value.
    if !first.contains('=') {
        let (key, value) = rest
            .split_once(is_blank)
            .ok_or(StatementError::TwoArguments(keyword))?;
        return Ok(vec![KeyValue {
            key: key.to_owned(),
            value: value.trim_start_matches(is_blank).to_owned(),
            old_form: true,
        }]);
    }
    words
        .into_iter()
        .map(|word| match word.split_once('=') {
            Some((key, value)) => Ok(KeyValue {
                key: key.to_owned(),
                value: value.to_owned(),
                old_form: false,
            }),
            None => Err(StatementError::NoEquals(word.to_owned())),
        })
        .collect()
}

/// Words that may be quoted; quotes and escapes stay, since they matter when the words are
/// expanded.
fn quoted_words(rest: &str, escape: char) -> Vec<&str> {
    let mut words = Vec::new();
    let mut start = None;
    let mut end = rest.len();
    let mut quote = None;
    let mut characters = rest.char_indices();
    while let Some((at, character)) = characters.next() {
        if quote.is_none() && character.is_whitespace() {
            words.extend(start.take().map(|start| &rest[start..at]));
            continue;
        }
        start.get_or_insert(at);
        match quote {
            // An escape character at the end means nothing.
            _ if character == escape && quote != Some('\'') => {
                end = characters.next().map_or(at, |_| end);
            }
            Some(open) if open == character => quote = None,
            None if matches!(character, '\'' | '"') => quote = Some(character),
            _ => {}
        }
    }
    let last = start.map(|start| &rest[start..end]);
    words.extend(last.filter(|word| !word.is_empty()));
    words
}

/// The `--…` words at the start, without their quotes and escapes, and what follows them.
fn take_flags(rest: &str, escape: char) -> (Vec<Cow<'_, str>>, &str) {
    let mut flags = Vec::new();
    let mut rest = rest.trim_start();
    while rest.starts_with("--") {
        let (flag, after) = take_flag(rest, escape);
        rest = after.trim_start();
        if flag == "--" {
            break;
        }
        flags.push(flag);
    }
    (flags, rest)
}

fn take_flag(rest: &str, escape: char) -> (Cow<'_, str>, &str) {
    let ends = |c: char| c.is_whitespace() || matches!(c, '\'' | '"') || c == escape;
    let (plain, after) = rest.split_at(rest.find(ends).unwrap_or(rest.len()));
    if !after.starts_with(|c: char| !c.is_whitespace()) {
        return (Cow::Borrowed(plain), after);
    }
    let mut flag = plain.to_owned();
    let mut quote = None;
    let mut characters = after.char_indices();
    while let Some((at, character)) = characters.next() {
        match quote {
            None if character.is_whitespace() => return (Cow::Owned(flag), &after[at..]),
            None if matches!(character, '\'' | '"') => quote = Some(character),
            Some(open) if open == character => quote = None,
            _ if character == escape => flag.extend(characters.next().map(|(_, c)| c)),
            _ => flag.push(character),
        }
    }
    (Cow::Owned(flag), "")
}
