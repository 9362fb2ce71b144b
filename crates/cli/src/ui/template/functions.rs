//! The functions that templates may call: Go's own and docker's.

use serde_json::Value;

use super::TemplateError;
use super::evaluate::{is_true, show};

pub(super) fn call(
    name: &str,
    arguments: &[Value],
    json: fn(&Value) -> String,
) -> Result<Value, TemplateError> {
    let text = |value: String| Ok(Value::String(value));
    match (name, arguments) {
        ("json", [value]) => text(json(value)),
        ("join", [list, separator]) => text(items("join", list)?.join(&show(separator))),
        ("split", [value, separator]) => {
            let (value, separator) = (show(value), show(separator));
            let parts = value.split(separator.as_str()).map(Value::from);
            Ok(Value::Array(parts.collect()))
        }
        ("lower", [value]) => text(show(value).to_lowercase()),
        ("upper", [value]) => text(show(value).to_uppercase()),
        ("title", [value]) => text(title(&show(value))),
        ("println", values) => text(format!("{}\n", shown(values, " "))),
        ("print", values) => text(shown(values, " ")),
        ("printf", [format, values @ ..]) => text(printf(&show(format), values)?),
        ("pad", [value, Value::Number(before), Value::Number(after)]) => {
            let spaces = |n: &serde_json::Number| " ".repeat(size(n));
            text(format!(
                "{}{}{}",
                spaces(before),
                show(value),
                spaces(after)
            ))
        }
        ("truncate", [value, Value::Number(most)]) => {
            text(show(value).chars().take(size(most)).collect())
        }
        ("len", [value]) => length(value),
        ("index", [value, keys @ ..]) => index(value, keys),
        ("eq", [first, rest @ ..]) => Ok(Value::Bool(rest.contains(first))),
        ("ne", [first, second]) => Ok(Value::Bool(first != second)),
        ("not", [value]) => Ok(Value::Bool(!is_true(value))),
        ("and", [first, rest @ ..]) => Ok(rest
            .iter()
            .fold(first, |a, b| if is_true(a) { b } else { a })
            .clone()),
        ("or", [first, rest @ ..]) => Ok(rest
            .iter()
            .fold(first, |a, b| if is_true(a) { a } else { b })
            .clone()),
        _ => Err(TemplateError::Function(name.to_owned())),
    }
}

fn shown(values: &[Value], separator: &str) -> String {
    values.iter().map(show).collect::<Vec<_>>().join(separator)
}

fn items(function: &'static str, list: &Value) -> Result<Vec<String>, TemplateError> {
    match list {
        Value::Array(items) => Ok(items.iter().map(show).collect()),
        Value::Null => Ok(Vec::new()),
        _ => Err(call_error(function, "expected a list")),
    }
}

fn title(text: &str) -> String {
    let mut start = true;
    let capital = |character: char| {
        let shown = if start {
            character.to_ascii_uppercase()
        } else {
            character
        };
        start = !character.is_alphanumeric();
        shown
    };
    text.chars().map(capital).collect()
}

fn size(number: &serde_json::Number) -> usize {
    number
        .as_u64()
        .and_then(|n| usize::try_from(n).ok())
        .unwrap_or(0)
}

fn length(value: &Value) -> Result<Value, TemplateError> {
    let length = match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.len(),
        Value::Object(fields) => fields.len(),
        Value::Null => 0,
        Value::Bool(_) | Value::Number(_) => {
            return Err(call_error("len", "expected a text, a list or a map"));
        }
    };
    Ok(Value::from(length))
}

fn index(value: &Value, keys: &[Value]) -> Result<Value, TemplateError> {
    let mut value = value;
    for key in keys {
        value = match (value, key) {
            (Value::Array(items), Value::Number(at)) => items
                .get(size(at))
                .ok_or_else(|| call_error("index", "index out of range"))?,
            (Value::Object(fields), Value::String(name)) => match fields.get(name) {
                Some(inner) => inner,
                None => return Ok(Value::from("")),
            },
            (Value::Null, _) => return Ok(Value::from("")),
            _ => return Err(call_error("index", "cannot index with that")),
        };
    }
    Ok(value.clone())
}

fn printf(format: &str, values: &[Value]) -> Result<String, TemplateError> {
    let (mut text, mut values) = (String::new(), values.iter());
    let mut characters = format.chars();
    while let Some(character) = characters.next() {
        if character != '%' {
            text.push(character);
            continue;
        }
        let mut next = || {
            values
                .next()
                .ok_or_else(|| call_error("printf", "too few arguments"))
        };
        match characters.next() {
            Some('%') => text.push('%'),
            Some('s' | 'v' | 'd') => text.push_str(&show(next()?)),
            Some('q') => text.push_str(&Value::String(show(next()?)).to_string()),
            _ => {
                return Err(call_error(
                    "printf",
                    "only %s, %v, %d, %q and %% are supported",
                ));
            }
        }
    }
    Ok(text)
}

const fn call_error(function: &'static str, reason: &'static str) -> TemplateError {
    TemplateError::Call { function, reason }
}
