//! What a daemon can be told that kiln stands in for: by a key of its file, by a flag, or by both.
//!
//! Every one of them is a setting of kiln's, makes no difference to what kiln does, or is refused.
//! One that makes no difference is warned of when it is given.

use serde_json::Value;

use super::lowering::Lowering;

/// One thing that a daemon can be told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setting {
    /// Keys of the file down to it, with dots between; empty when there is none.
    pub(super) key: &'static str,
    /// The flag, without dashes; empty when there is none.
    pub(super) flag: &'static str,
    /// The flag in one letter.
    pub(super) short: Option<char>,
    pub(super) kind: Kind,
    pub(super) does: Does,
}

/// What values it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Switch,
    Text,
    Texts,
    Number,
    /// Whatever there is, in files only.
    Any,
}

/// What it does.
#[derive(Debug, Clone, Copy)]
pub(super) enum Does {
    /// It is this setting of `kiln.toml`, keys with dots between.
    Is(&'static str),
    /// It becomes settings of `kiln.toml`. What goes wrong is told without its name.
    Becomes(fn(&mut Lowering, &Value) -> Result<(), String>),
    /// Nothing, and why that is as well.
    Nothing(&'static str),
    /// It would change what comes out, and kiln has no such thing: what to do instead. Values that
    /// ask for nothing are fine: those that are empty, and these.
    Refused(&'static [&'static str], &'static str),
}

impl Setting {
    /// In the file and on the command line.
    pub(super) const fn both(
        key: &'static str,
        flag: &'static str,
        kind: Kind,
        does: Does,
    ) -> Self {
        let short = None;
        Self {
            key,
            flag,
            short,
            kind,
            does,
        }
    }

    /// In the file alone.
    pub(super) const fn key(key: &'static str, kind: Kind, does: Does) -> Self {
        Self::both(key, "", kind, does)
    }

    /// On the command line alone.
    pub(super) const fn flag(flag: &'static str, kind: Kind, does: Does) -> Self {
        Self::both("", flag, kind, does)
    }

    /// The same with a flag in one letter.
    pub(super) const fn short(self, letter: char) -> Self {
        let short = Some(letter);
        Self { short, ..self }
    }

    /// Does what it does for `value`.
    ///
    /// # Errors
    /// It is refused, or the value is none.
    pub(super) fn apply(&self, lowering: &mut Lowering, value: &Value) -> Result<(), String> {
        let value = &self.kind.checked(value)?;
        match self.does {
            Does::Is(path) => {
                lowering.set(&path.split('.').collect::<Vec<_>>(), value.clone());
            }
            Does::Becomes(lower) => lower(lowering, value)?,
            Does::Nothing(_) if asks_for_nothing(value, &[]) => {}
            Does::Nothing(why) => lowering.warn(format!("has no effect: {why}")),
            Does::Refused(usual, _) if asks_for_nothing(value, usual) => {}
            Does::Refused(_, instead) => {
                return Err(format!("{value} is not provided by kiln: {instead}"));
            }
        }
        Ok(())
    }
}

impl Kind {
    /// The value as it should be.
    fn checked(self, value: &Value) -> Result<Value, String> {
        let expected = match (self, value) {
            (Self::Any, _)
            | (Self::Switch, Value::Bool(_))
            | (Self::Text, Value::String(_))
            | (Self::Number, Value::Number(_)) => return Ok(value.clone()),
            (Self::Text, Value::Number(number)) => return Ok(number.to_string().into()),
            (Self::Texts, Value::Array(all)) if all.iter().all(Value::is_string) => {
                return Ok(value.clone());
            }
            (Self::Switch, _) => "true or false",
            (Self::Text, _) => "a text",
            (Self::Texts, _) => "a list of texts",
            (Self::Number, _) => "a number",
        };
        Err(format!("{value} is not {expected}"))
    }
}

/// Whether it leaves all as it is: it is empty, or one of these.
pub(super) fn asks_for_nothing(value: &Value, usual: &[&str]) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(switch) => !switch || usual.contains(&"true"),
        Value::Number(number) => {
            number.as_f64() == Some(0.0) || usual.contains(&number.to_string().as_str())
        }
        Value::String(text) => text.is_empty() || usual.contains(&text.as_str()),
        Value::Array(all) => all.iter().all(|value| asks_for_nothing(value, usual)),
        Value::Object(all) => all.is_empty(),
    }
}
