//! Entries of lists that are more than a string: outputs, caches, secrets, agents, statements.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use crate::csv;
use crate::value::Value;

/// An output or a cache: a type, and what is said of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Its type.
    pub kind: String,
    /// Everything else.
    pub attributes: BTreeMap<String, String>,
}

/// A secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Secret {
    /// What steps call it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// The file that has it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub src: String,
    /// The variable that has it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub env: String,
}

/// An SSH agent.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Ssh {
    /// What steps call it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// Its socket or keys.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
}

/// What is stated about an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attest {
    /// Its type.
    pub kind: String,
    /// It is not stated after all.
    pub disabled: bool,
    /// Everything else.
    pub attributes: BTreeMap<String, String>,
}

type Read<T> = Result<T, String>;

impl Entry {
    /// An output as it is written: pairs, a directory, or `-`.
    pub(crate) fn output(text: &str) -> Read<Self> {
        let fields = csv::fields(text)?;
        let mut entry = Self::default();
        if let [alone] = fields.as_slice()
            && alone == text
            && !text.starts_with("type=")
        {
            entry.kind = if text == "-" { "tar" } else { "local" }.to_owned();
            entry.attributes.insert("dest".to_owned(), text.to_owned());
            return Ok(entry);
        }
        for field in &fields {
            let (key, value) = pair(field)?;
            entry.put(key.trim().to_lowercase(), value);
        }
        entry.checked("an output")
    }

    /// Caches as they are written: pairs, or references with commas between them.
    pub(crate) fn caches(text: &str) -> Read<Vec<Self>> {
        let fields = csv::fields(text)?;
        if !text.contains('=') {
            let reference = |field: String| Self {
                kind: "registry".to_owned(),
                attributes: BTreeMap::from([("ref".to_owned(), field)]),
            };
            return Ok(fields.into_iter().map(reference).collect());
        }
        let mut entry = Self::default();
        for field in &fields {
            let (key, value) = pair(field)?;
            entry.put(key.to_lowercase(), value);
        }
        Ok(vec![entry.checked("a cache")?])
    }

    /// The same as a map.
    pub(crate) fn of_map(map: &BTreeMap<String, Value>, what: &str) -> Read<Self> {
        let mut entry = Self::default();
        for (key, value) in map {
            entry.put(key.clone(), &text_of(key, value)?);
        }
        entry.checked(what)
    }

    fn put(&mut self, key: String, value: &str) {
        if key == "type" {
            value.clone_into(&mut self.kind);
        } else if key != "dest" || !value.is_empty() {
            self.attributes.insert(key, value.to_owned());
        }
    }

    fn checked(self, what: &str) -> Read<Self> {
        match self.kind.is_empty() {
            true => Err(format!("{what} needs a type")),
            false => Ok(self),
        }
    }

    /// As `build` takes it.
    #[must_use]
    pub fn to_flag(&self) -> String {
        record(&self.kind, &self.attributes)
    }
}

impl Secret {
    pub(crate) fn read(text: &str) -> Read<Self> {
        let mut secret = Self::default();
        let mut kind = String::new();
        for field in csv::fields(text)? {
            let (key, value) = pair(&field)?;
            let value = value.to_owned();
            match key.to_lowercase().as_str() {
                "type" if value == "file" || value == "env" => kind = value,
                "type" => return Err(format!("there is no type {value:?} of secrets")),
                "id" => secret.id = value,
                "source" | "src" => secret.src = value,
                "env" => secret.env = value,
                other => return Err(format!("a secret has no {other:?}")),
            }
        }
        if kind == "env" && secret.env.is_empty() {
            secret.env = std::mem::take(&mut secret.src);
        }
        Ok(secret)
    }

    /// The same as a map.
    pub(crate) fn of_map(map: &BTreeMap<String, Value>) -> Read<Self> {
        let mut pairs = Vec::new();
        for (key, value) in map.iter().filter(|(_, value)| **value != Value::Null) {
            pairs.push((key.as_str(), text_of(key, value)?));
        }
        Self::read(&csv::record(
            pairs.iter().map(|(key, value)| (*key, value.as_str())),
        ))
    }

    /// As `build` takes it.
    #[must_use]
    pub fn to_flag(&self) -> String {
        let pairs = [("id", &self.id), ("src", &self.src), ("env", &self.env)];
        let pairs = pairs.iter().filter(|(_, value)| !value.is_empty());
        csv::record(pairs.map(|(key, value)| (*key, value.as_str())))
    }
}

impl Ssh {
    pub(crate) fn read(text: &str) -> Self {
        let (id, paths) = match text.split_once('=') {
            Some((id, paths)) => (id, paths.split(',').map(str::to_owned).collect()),
            None => (text, Vec::new()),
        };
        Self {
            id: id.to_owned(),
            paths,
        }
    }

    pub(crate) fn of_map(map: &BTreeMap<String, Value>) -> Read<Self> {
        if let Some(key) = map
            .keys()
            .find(|key| !matches!(key.as_str(), "id" | "paths"))
        {
            return Err(format!("an SSH agent has no {key:?}"));
        }
        let id = map.get("id").map(|id| text_of("id", id)).transpose()?;
        let paths = match map.get("paths") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::List(paths)) => {
                let paths = paths.iter().map(|path| text_of("paths", path));
                paths.collect::<Result<Vec<_>, _>>()?
            }
            Some(other) => return Err(format!("paths: expected a list, found {}", other.kind())),
        };
        if let Some(path) = paths.iter().find(|path| path.contains(',')) {
            return Err(format!("{path:?}: a path of an agent has no comma in it"));
        }
        Ok(Self {
            id: id.unwrap_or_default(),
            paths,
        })
    }

    /// As `build` takes it.
    #[must_use]
    pub fn to_flag(&self) -> String {
        match self.paths.is_empty() {
            true => self.id.clone(),
            false => format!("{}={}", self.id, self.paths.join(",")),
        }
    }
}

impl Attest {
    pub(crate) fn read(text: &str) -> Read<Self> {
        let mut attest = Self::default();
        for field in csv::fields(text)? {
            let (key, value) = pair(&field)?;
            attest.put(key, value)?;
        }
        match attest.kind.is_empty() {
            true => Err("what is stated needs a type".to_owned()),
            false => Ok(attest),
        }
    }

    /// What a shorthand such as `--provenance` says.
    pub(crate) fn shorthand(kind: &str, text: &str) -> Read<Self> {
        match bool_of(text) {
            Some(is_wanted) => Self::read(&format!("type={kind},disabled={}", !is_wanted)),
            None => Self::read(&format!("type={kind},{text}")),
        }
    }

    pub(crate) fn of_map(map: &BTreeMap<String, Value>) -> Read<Self> {
        let mut attest = Self::default();
        for (key, value) in map {
            attest.put(key, &text_of(key, value)?)?;
        }
        Ok(attest)
    }

    fn put(&mut self, key: &str, value: &str) -> Read<()> {
        match key.trim().to_lowercase().as_str() {
            "type" => value.clone_into(&mut self.kind),
            "disabled" => {
                let disabled = bool_of(value);
                self.disabled =
                    disabled.ok_or_else(|| format!("disabled={value}: expected a bool"))?;
            }
            _ => drop(self.attributes.insert(key.to_owned(), value.to_owned())),
        }
        Ok(())
    }

    /// As `build` takes it.
    #[must_use]
    pub fn to_flag(&self) -> String {
        let disabled = if self.disabled { ",disabled=true" } else { "" };
        record(&self.kind, &self.attributes) + disabled
    }
}

fn record(kind: &str, attributes: &BTreeMap<String, String>) -> String {
    let attributes = attributes.iter();
    let attributes = attributes.map(|(key, value)| (key.as_str(), value.as_str()));
    csv::record(std::iter::once(("type", kind)).chain(attributes))
}

fn pair(field: &str) -> Read<(&str, &str)> {
    let pair = field.split_once('=');
    pair.ok_or_else(|| format!("{field:?} is no KEY=VALUE"))
}

fn text_of(key: &str, value: &Value) -> Read<String> {
    let text = value.to_text();
    text.ok_or_else(|| format!("{key}: expected a string, found {}", value.kind()))
}

/// A bool as Go reads it.
pub(crate) fn bool_of(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut all = self.attributes.clone();
        all.insert("type".to_owned(), self.kind.clone());
        all.serialize(to)
    }
}

impl Serialize for Attest {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        use serde_json::Value as Json;
        let attributes = self.attributes.iter();
        let mut all: BTreeMap<&str, Json> = attributes
            .map(|(key, value)| (key.as_str(), Json::from(value.as_str())))
            .collect();
        all.insert("type", Json::from(self.kind.as_str()));
        if self.disabled {
            all.insert("disabled", Json::Bool(true));
        }
        all.serialize(to)
    }
}
