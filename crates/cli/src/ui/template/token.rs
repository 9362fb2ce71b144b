//! The text of a template in pieces, and an action in tokens.

use serde_json::Value;

use super::TemplateError;

/// A piece of a template.
#[derive(Debug)]
pub(super) enum Piece {
    Text(String),
    Action(Vec<Token>),
}

/// A word of an action.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// `.A.B` is the names A and B; `.` alone has none.
    Path(Vec<String>),
    /// `$` and the path after it.
    Top(Vec<String>),
    Literal(Value),
    Name(String),
    Pipe,
    Open,
    /// `)` and the path after it.
    Close(Vec<String>),
}

/// The pieces of `text`, with the white space that `{{-` and `-}}` take away gone.
pub(super) fn pieces(text: &str) -> Result<Vec<Piece>, TemplateError> {
    let (mut pieces, mut rest, mut trim) = (Vec::new(), text, false);
    while let Some((before, action)) = rest.split_once("{{") {
        let (action, after) = close(action)?;
        let (action, trim_before) = match action.strip_prefix("- ") {
            Some(action) => (action, true),
            None => (action, false),
        };
        push_text(&mut pieces, before, trim, trim_before);
        let action = match action.strip_suffix(" -") {
            Some(action) => {
                trim = true;
                action
            }
            None => {
                trim = false;
                action
            }
        };
        if !action.trim().starts_with("/*") {
            pieces.push(Piece::Action(tokens(action)?));
        }
        rest = after;
    }
    push_text(&mut pieces, rest, trim, false);
    Ok(pieces)
}

fn push_text(pieces: &mut Vec<Piece>, text: &str, trim_start: bool, trim_end: bool) {
    let text = if trim_start { text.trim_start() } else { text };
    let text = if trim_end { text.trim_end() } else { text };
    if !text.is_empty() {
        pieces.push(Piece::Text(text.to_owned()));
    }
}

/// The action before its `}}`, which is not one inside quotes, and what follows it.
fn close(text: &str) -> Result<(&str, &str), TemplateError> {
    let (mut quote, mut escaped) = (None, false);
    for (at, character) in text.char_indices() {
        match quote {
            Some('"') if escaped => escaped = false,
            Some('"') if character == '\\' => escaped = true,
            Some(open) if character == open => quote = None,
            Some(_) => {}
            None if character == '"' || character == '`' => quote = Some(character),
            None if text[at..].starts_with("}}") => return Ok((&text[..at], &text[at + 2..])),
            None => {}
        }
    }
    Err(TemplateError::Unclosed)
}

fn tokens(action: &str) -> Result<Vec<Token>, TemplateError> {
    let (mut tokens, mut rest) = (Vec::new(), action.trim_start());
    while let Some(first) = rest.chars().next() {
        let (token, after) = match first {
            '"' => quoted(rest)?,
            '`' => {
                let (text, after) = rest[1..].split_once('`').ok_or(TemplateError::Unclosed)?;
                (Token::Literal(Value::from(text)), after)
            }
            '|' => (Token::Pipe, &rest[1..]),
            '(' => (Token::Open, &rest[1..]),
            ')' => {
                let (names, after) = path(&rest[1..])?;
                (Token::Close(names), after)
            }
            '$' => {
                let (names, after) = path(&rest[1..])?;
                (Token::Top(names), after)
            }
            '.' => match rest[1..].chars().next() {
                Some(next) if is_word(next) => {
                    let (names, after) = path(rest)?;
                    (Token::Path(names), after)
                }
                _ => (Token::Path(Vec::new()), &rest[1..]),
            },
            _ => word(rest)?,
        };
        tokens.push(token);
        rest = after.trim_start();
    }
    Ok(tokens)
}

fn quoted(text: &str) -> Result<(Token, &str), TemplateError> {
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    match stream.next() {
        Some(Ok(value)) => Ok((Token::Literal(value), &text[stream.byte_offset()..])),
        _ => Err(TemplateError::Unexpected(text.to_owned())),
    }
}

/// `.A.B…` at the start of `text`, which may be nothing.
fn path(mut text: &str) -> Result<(Vec<String>, &str), TemplateError> {
    let mut names = Vec::new();
    while let Some(rest) = text.strip_prefix('.') {
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        if end == 0 {
            return Err(TemplateError::Unexpected(text.to_owned()));
        }
        names.push(rest[..end].to_owned());
        text = &rest[end..];
    }
    Ok((names, text))
}

fn word(text: &str) -> Result<(Token, &str), TemplateError> {
    let end = text.find(|c| !is_word(c) && c != '-').unwrap_or(text.len());
    let (word, after) = text.split_at(end);
    if let Ok(number) = word.parse::<i64>() {
        return Ok((Token::Literal(Value::from(number)), after));
    }
    match word {
        "" => Err(TemplateError::Unexpected(text.to_owned())),
        "true" => Ok((Token::Literal(Value::Bool(true)), after)),
        "false" => Ok((Token::Literal(Value::Bool(false)), after)),
        "nil" => Ok((Token::Literal(Value::Null), after)),
        _ if word.contains('-') => Err(TemplateError::Unexpected(word.to_owned())),
        _ => Ok((Token::Name(word.to_owned()), after)),
    }
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}
