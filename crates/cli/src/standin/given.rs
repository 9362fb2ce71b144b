//! What a daemon was given: the keys of its file and its flags, each with its setting.

use std::ffi::OsString;

use serde_json::{Map, Value};

use super::setting::{Kind, Setting};

/// A setting that was given, and where.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) setting: &'static Setting,
    pub(super) value: Value,
    /// The flag or the key as it was written.
    pub(super) at: String,
}

/// The settings in a file, and keys that are none of them.
pub(super) fn of_file(settings: &'static [Setting], file: &Value) -> (Vec<Given>, Vec<String>) {
    let (mut given, mut unknown) = (Vec::new(), Vec::new());
    if let Value::Object(table) = file {
        walk(settings, "", table, &mut given, &mut unknown);
    }
    (given, unknown)
}

fn walk(
    settings: &'static [Setting],
    above: &str,
    table: &Map<String, Value>,
    given: &mut Vec<Given>,
    unknown: &mut Vec<String>,
) {
    for (name, value) in table {
        let key = match above {
            "" => name.clone(),
            above => format!("{above}.{name}"),
        };
        let is_it = |setting: &&Setting| setting.key.eq_ignore_ascii_case(&key);
        let is_above = |setting: &Setting| {
            let start = setting.key.get(..=key.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(&format!("{key}.")))
        };
        match (settings.iter().find(is_it), value) {
            (Some(setting), value) => given.push(Given {
                setting,
                value: value.clone(),
                at: key,
            }),
            (None, Value::Object(table)) if settings.iter().any(is_above) => {
                walk(settings, &key, table, given, unknown);
            }
            (None, _) => unknown.push(key),
        }
    }
}

/// The settings of a command line, without the program itself.
///
/// # Errors
/// A flag is none of them, or lacks its value.
pub(super) fn of_flags(
    settings: &'static [Setting],
    line: &[OsString],
) -> Result<Vec<Given>, String> {
    let mut given: Vec<Given> = Vec::new();
    let mut words = line.iter();
    while let Some(word) = words.next() {
        let word = word.to_str().ok_or("an argument is not UTF-8")?;
        let (setting, at, value) = read(settings, word)?;
        let value = match (value, setting.kind) {
            (Some(value), _) => value,
            (None, Kind::Switch) => "true".to_owned(),
            (None, _) => {
                let next = words.next().and_then(|next| next.to_str());
                let none = || format!("flag needs an argument: {at}");
                next.ok_or_else(none)?.to_owned()
            }
        };
        add(&mut given, setting, at, &value)?;
    }
    Ok(given)
}

/// The flag that `word` begins with, as it was written, and the value behind it.
fn read(
    settings: &'static [Setting],
    word: &str,
) -> Result<(&'static Setting, String, Option<String>), String> {
    let unknown = || format!("unknown flag or argument: {word}");
    let bare = word.strip_prefix('-').ok_or_else(unknown)?;
    let bare = bare.strip_prefix('-').unwrap_or(bare);
    let (name, value) = match bare.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (bare, None),
    };
    let named = |setting: &&Setting| !name.is_empty() && setting.flag == name;
    if let Some(setting) = settings.iter().find(named) {
        return Ok((setting, format!("--{name}"), value));
    }
    let mut letters = bare.chars();
    let letter = letters.next().filter(|_| !word.starts_with("--"));
    let lettered = |setting: &&Setting| letter.is_some() && setting.short == letter;
    let setting = settings.iter().find(lettered).ok_or_else(unknown)?;
    let rest = letters.as_str();
    let rest = rest.strip_prefix('=').unwrap_or(rest);
    let value = (!rest.is_empty()).then(|| rest.to_owned());
    Ok((setting, format!("--{}", setting.flag), value))
}

/// Lists grow with each flag; of others the last one counts.
fn add(
    given: &mut Vec<Given>,
    setting: &'static Setting,
    at: String,
    text: &str,
) -> Result<(), String> {
    let is_it = |known: &&mut Given| std::ptr::eq(known.setting, setting);
    let known = given.iter_mut().find(is_it);
    let invalid = |expected: &str| format!("invalid argument {text:?} for {at:?} flag: {expected}");
    let value = match setting.kind {
        Kind::Texts => match known {
            Some(Given {
                value: Value::Array(all),
                ..
            }) => {
                all.push(text.into());
                return Ok(());
            }
            _ => Value::Array(vec![text.into()]),
        },
        Kind::Switch => {
            let switch = crate::values::go_bool(text);
            switch
                .ok_or_else(|| invalid("expected true or false"))?
                .into()
        }
        Kind::Number => {
            let number = text.parse::<i64>();
            number.map_err(|_| invalid("expected a number"))?.into()
        }
        Kind::Text | Kind::Any => text.into(),
    };
    given.retain(|known| !std::ptr::eq(known.setting, setting));
    given.push(Given { setting, value, at });
    Ok(())
}
