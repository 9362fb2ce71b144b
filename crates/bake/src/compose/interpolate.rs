//! Variables in compose files, and in files of variables.

use std::cell::Cell;

use serde_json::Value as Json;

use super::MAX_DEPTH;
use crate::error::Problem;

type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Variables, and how much was made of their values.
pub(super) struct Variables<'a> {
    lookup: Lookup<'a>,
    spent: Cell<u64>,
}

impl<'a> Variables<'a> {
    pub(super) const fn new(lookup: Lookup<'a>) -> Self {
        Self {
            lookup,
            spent: Cell::new(0),
        }
    }

    /// `json` with the values of variables in all of its strings.
    pub(super) fn all(&self, json: Json, depth: usize) -> Result<Json, Problem> {
        if depth > MAX_DEPTH {
            return Err(Problem::Syntax("too deep".to_owned()));
        }
        Ok(match json {
            Json::String(text) => Json::String(self.text(&text, 0)?),
            Json::Array(items) => {
                let items = items.into_iter().map(|item| self.all(item, depth + 1));
                Json::Array(items.collect::<Result<_, _>>()?)
            }
            Json::Object(map) => {
                let map = map.into_iter();
                let map = map.map(|(key, value)| Ok((key, self.all(value, depth + 1)?)));
                Json::Object(map.collect::<Result<_, Problem>>()?)
            }
            other => other,
        })
    }

    /// The same of one string, which is so deep within others.
    pub(super) fn text(&self, text: &str, depth: usize) -> Result<String, Problem> {
        let mut out = String::new();
        let mut rest = text;
        while let Some(start) = rest.find('$') {
            out.push_str(&rest[..start]);
            rest = &rest[start + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                out.push('$');
                rest = after;
            } else if let Some(after) = rest.strip_prefix('{') {
                let end = closing(after).ok_or_else(|| wrong(text))?;
                out.push_str(&self.braced(&after[..end], depth)?);
                rest = &after[end + 1..];
            } else {
                let end = name_end(rest);
                if end == 0 {
                    return Err(wrong(text));
                }
                let value = self.value(&rest[..end])?;
                out.push_str(&value.unwrap_or_default());
                rest = &rest[end..];
            }
        }
        out.push_str(rest);
        Ok(out)
    }

    /// The value of a variable, which is counted.
    fn value(&self, name: &str) -> Result<Option<String>, Problem> {
        let value = (self.lookup)(name);
        let bytes = value.as_ref().map_or(0, String::len) as u64;
        let mut spent = self.spent.get();
        let counted = crate::resolve::spend(&mut spent, bytes);
        self.spent.set(spent);
        counted.map(|()| value)
    }

    /// What is within `${` and `}`.
    fn braced(&self, text: &str, depth: usize) -> Result<String, Problem> {
        if depth > MAX_DEPTH {
            return Err(wrong(text));
        }
        let (name, rest) = text.split_at(name_end(text));
        let (counts_empty, operator) = match rest.strip_prefix(':') {
            Some(operator) => (true, operator),
            None => (false, rest),
        };
        let value = self.value(name)?;
        let given = value.filter(|value| !counts_empty || !value.is_empty());
        let word = operator.get(1..).unwrap_or_default();
        let word = || self.text(word, depth + 1);
        match operator.chars().next() {
            _ if name.is_empty() => Err(wrong(text)),
            None if !counts_empty => Ok(given.unwrap_or_default()),
            Some('-') => given.map_or_else(word, Ok),
            Some('+') => given.map_or_else(|| Ok(String::new()), |_| word()),
            Some('?') => match given {
                Some(value) => Ok(value),
                None => Err(Problem::value(
                    format!("variable {name}"),
                    match word()? {
                        empty if empty.is_empty() => "is needed and not set".to_owned(),
                        message => message,
                    },
                )),
            },
            _ => Err(wrong(text)),
        }
    }
}

/// Where the brace is that closes.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (place, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(place),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn name_end(text: &str) -> usize {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_';
    if !text.chars().next().is_some_and(first) {
        return 0;
    }
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.find(|c| !is_name(c)).unwrap_or(text.len())
}

fn wrong(text: &str) -> Problem {
    Problem::value(
        format!("{text:?}"),
        "is no variable: write $$ for a dollar sign",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let lookup = |name: &str| match name {
            "A" => Some("a".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        match Variables::new(&lookup).text(text, 0) {
            Ok(text) => text,
            Err(problem) => format!("error: {problem}"),
        }
    }

    #[test]
    fn variables_have_values_and_defaults() {
        for (text, expected) in [
            ("x$A-${A}y$$A", "xa-ay$A"),
            ("${B}|${B:-d}|${B-d}|${EMPTY:-d}|${EMPTY-d}", "|d|d|d|"),
            ("${A:+r}|${B:+r}|${EMPTY+r}|${EMPTY:+r}", "r||r|"),
            ("${B:-x${A}y}", "xay"),
            ("${A?}", "a"),
            ("${B:?set it}", "error: variable B: set it"),
            ("${EMPTY:?}", "error: variable EMPTY: is needed and not set"),
            (
                "${A",
                "error: \"${A\": is no variable: write $$ for a dollar sign",
            ),
            (
                "$1",
                "error: \"$1\": is no variable: write $$ for a dollar sign",
            ),
            (
                "${A:}",
                "error: \"A:\": is no variable: write $$ for a dollar sign",
            ),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }
}
