//! Attributes from values.

use std::collections::BTreeMap;

use super::{Attest, Entry, Secret, Ssh, Target};
use crate::error::Problem;
use crate::value::Value;

type Set<T> = Result<T, Problem>;

impl Target {
    /// Sets the attribute `name`. Nothing is set by null.
    pub(crate) fn set(&mut self, name: &str, value: Value) -> Set<()> {
        if value == Value::Null {
            return Ok(());
        }
        match name {
            "description" => self.description = text(name, &value)?,
            "inherits" => self.inherits = texts(name, value)?,
            "annotations" => self.annotations = texts(name, value)?,
            "context" => self.context = Some(text(name, &value)?),
            "contexts" => self.contexts = map(name, value)?,
            "dockerfile" => self.dockerfile = Some(text(name, &value)?),
            "dockerfile-inline" => self.dockerfile_inline = Some(text(name, &value)?),
            "args" => self.args = map(name, value)?,
            "labels" => self.labels = map(name, value)?,
            "tags" => self.tags = Some(texts(name, value)?),
            "target" => self.target = Some(text(name, &value)?),
            "platforms" => self.platforms = Some(texts(name, value)?),
            "pull" => self.pull = Some(bool(name, &value)?),
            "no-cache" => self.no_cache = Some(bool(name, &value)?),
            "network" => self.network = Some(text(name, &value)?),
            "no-cache-filter" => self.no_cache_filter = texts(name, value)?,
            "shm-size" => self.shm_size = Some(text(name, &value)?),
            "ulimits" => self.ulimits = texts(name, value)?,
            "call" => self.call = Some(text(name, &value)?),
            "entitlements" => self.entitlements = texts(name, value)?,
            "extra-hosts" => self.extra_hosts = map(name, value)?,
            _ => return self.set_entries(name, &value),
        }
        Ok(())
    }

    fn set_entries(&mut self, name: &str, value: &Value) -> Set<()> {
        let one = |entry: Entry| vec![entry];
        match name {
            "attest" => {
                self.attest = entries(
                    name,
                    value,
                    |text| Attest::read(text).map(|one| vec![one]),
                    Attest::of_map,
                )?
            }
            "cache-from" => self.cache_from = entries(name, value, Entry::caches, cache)?,
            "cache-to" => self.cache_to = Some(entries(name, value, Entry::caches, cache)?),
            "output" => {
                let read = |text: &str| Entry::output(text).map(one);
                let of_map = |map: &BTreeMap<String, Value>| Entry::of_map(map, "an output");
                self.output = Some(entries(name, value, read, of_map)?);
            }
            "secret" => {
                let read = |text: &str| Secret::read(text).map(|secret| vec![secret]);
                self.secret = entries(name, value, read, Secret::of_map)?;
            }
            "ssh" => {
                let read = |text: &str| Ok(vec![Ssh::read(text)]);
                self.ssh = entries(name, value, read, Ssh::of_map)?;
            }
            _ => {
                let known = super::attributes();
                return Err(Problem::unknown("attribute of a target", name, known));
            }
        }
        Ok(())
    }
}

fn cache(map: &BTreeMap<String, Value>) -> Result<Entry, String> {
    Entry::of_map(map, "a cache")
}

/// A list whose entries are strings or maps; empty strings are left out.
fn entries<T>(
    name: &str,
    value: &Value,
    read: impl Fn(&str) -> Result<Vec<T>, String>,
    of_map: impl Fn(&BTreeMap<String, Value>) -> Result<T, String>,
) -> Set<Vec<T>> {
    let Value::List(items) = value else {
        return Err(kind(name, "a list", value));
    };
    let mut entries = Vec::new();
    for item in items {
        let refuse = |why| Problem::value(name, why);
        match item {
            Value::String(text) if text.is_empty() => {}
            Value::String(text) => entries.extend(read(text).map_err(refuse)?),
            Value::Object(map) => entries.push(of_map(map).map_err(refuse)?),
            other => return Err(kind(name, "strings or maps", other)),
        }
    }
    Ok(entries)
}

fn text(name: &str, value: &Value) -> Set<String> {
    value.to_text().ok_or_else(|| kind(name, "a string", value))
}

fn bool(name: &str, value: &Value) -> Set<bool> {
    value.to_bool().ok_or_else(|| kind(name, "a bool", value))
}

/// A list of strings.
pub(crate) fn texts(name: &str, value: Value) -> Set<Vec<String>> {
    match value {
        Value::List(items) => items.iter().map(|item| text(name, item)).collect(),
        other => Err(kind(name, "a list of strings", &other)),
    }
}

/// A map of strings; what is null in it is left out.
fn map(name: &str, value: Value) -> Set<BTreeMap<String, String>> {
    let Value::Object(map) = value else {
        return Err(kind(name, "a map of strings", &value));
    };
    let map = map.into_iter().filter(|(_, value)| *value != Value::Null);
    let map = map.map(|(key, value)| {
        let value = text(&format!("{name}.{key}"), &value)?;
        Ok((key, value))
    });
    map.collect()
}

fn kind(what: &str, expected: &'static str, found: &Value) -> Problem {
    Problem::Kind {
        what: what.to_owned(),
        expected,
        found: found.kind().to_owned(),
    }
}
