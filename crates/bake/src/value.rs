//! Values of expressions, and how one kind becomes another.

use std::collections::BTreeMap;

use crate::number::Number;

/// A value. Lists, tuples and sets are one kind, maps and objects another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Value {
    /// Nothing was said.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A string.
    String(String),
    /// Several, in order.
    List(Vec<Value>),
    /// Several, by name.
    Object(BTreeMap<String, Value>),
}

impl Value {
    /// A string.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::String(text.into())
    }

    /// A whole number.
    pub(crate) fn int(whole: impl TryInto<i128>) -> Self {
        Self::Number(Number::Int(whole.try_into().unwrap_or(i128::MAX)))
    }

    /// What messages call its kind.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a bool",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::List(_) => "a list",
            Self::Object(_) => "a map",
        }
    }

    /// As a string, where there is one way only.
    pub(crate) fn to_text(&self) -> Option<String> {
        match self {
            Self::Bool(bool) => Some(bool.to_string()),
            Self::Number(number) => Some(number.to_string()),
            Self::String(text) => Some(text.clone()),
            Self::Null | Self::List(_) | Self::Object(_) => None,
        }
    }

    /// As a number.
    pub(crate) fn to_number(&self) -> Option<Number> {
        match self {
            Self::Number(number) => Some(*number),
            Self::String(text) => Number::parse(text),
            _ => None,
        }
    }

    /// As a bool.
    pub(crate) fn to_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(bool) => Some(*bool),
            Self::String(text) => match text.as_str() {
                "true" | "1" => Some(true),
                "false" | "0" => Some(false),
                _ => None,
            },
            _ => None,
        }
    }

    /// How much room it takes, about.
    pub(crate) fn weight(&self) -> u64 {
        let own = match self {
            Self::Null | Self::Bool(_) | Self::Number(_) => 0,
            Self::String(text) => text.len() as u64,
            Self::List(items) => items.iter().map(Self::weight).sum(),
            Self::Object(map) => map
                .iter()
                .map(|(key, value)| key.len() as u64 + value.weight())
                .sum(),
        };
        own + 16
    }

    /// As JSON.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match self {
            Self::Null => Json::Null,
            Self::Bool(bool) => Json::Bool(*bool),
            Self::Number(number) => match number.whole().map(i64::try_from) {
                Some(Ok(whole)) => Json::from(whole),
                _ => Json::from(number.float()),
            },
            Self::String(text) => Json::String(text.clone()),
            Self::List(items) => items.iter().map(Self::to_json).collect(),
            Self::Object(map) => {
                let entries = map.iter();
                Json::Object(entries.map(|(k, v)| (k.clone(), v.to_json())).collect())
            }
        }
    }

    /// What JSON says.
    pub(crate) fn of_json(json: serde_json::Value) -> Self {
        use serde_json::Value as Json;
        match json {
            Json::Null => Self::Null,
            Json::Bool(bool) => Self::Bool(bool),
            Json::Number(number) => {
                let number = Number::parse(&number.to_string());
                number.map_or(Self::Null, Self::Number)
            }
            Json::String(text) => Self::String(text),
            Json::Array(items) => Self::List(items.into_iter().map(Self::of_json).collect()),
            Json::Object(map) => {
                let entries = map.into_iter();
                Self::Object(entries.map(|(k, v)| (k, Self::of_json(v))).collect())
            }
        }
    }
}

/// `text` as JSON writes it, with what Go writes otherwise.
pub(crate) fn go_json(text: &str) -> String {
    text.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}
