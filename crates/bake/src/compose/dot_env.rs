//! The file `.env`, whose variables compose files may use.

use std::collections::BTreeMap;

use crate::error::{BakeError, Problem};

/// The variables of the file `.env`.
///
/// # Errors
/// A line is no variable.
pub fn dot_env(text: &str) -> Result<BTreeMap<String, String>, BakeError> {
    let mut variables = BTreeMap::new();
    let mut rest = text;
    let mut number = 0;
    while !rest.is_empty() {
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        number += 1;
        let line = line.trim_end_matches('\r');
        let trimmed = line.trim_start();
        rest = after;
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        let wrong = || Problem::value(format!(".env:{number}"), "expected NAME=VALUE").nowhere();
        let said = trimmed.strip_prefix("export ").unwrap_or(trimmed);
        let (name, value) = said.split_once('=').ok_or_else(wrong)?;
        let value = value_of(value.trim_start()).ok_or_else(wrong)?;
        variables.insert(name.trim().to_owned(), value);
    }
    Ok(variables)
}

/// The value that a line says; none if a quote is not closed.
fn value_of(text: &str) -> Option<String> {
    if let Some(quoted) = text.strip_prefix('\'') {
        return quoted.split_once('\'').map(|(value, _)| value.to_owned());
    }
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(" #").unwrap_or(text.len());
        return Some(text[..end].trim_end().to_owned());
    };
    let mut value = String::new();
    let mut rest = quoted.chars();
    loop {
        match rest.next()? {
            '"' => return Some(value),
            '\\' => value.push(match rest.next()? {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                other => other,
            }),
            other => value.push(other),
        }
    }
}
