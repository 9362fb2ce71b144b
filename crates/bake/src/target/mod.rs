//! Targets and groups as bake files define them.

mod entry;
mod merge;
mod set;
mod weight;

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

pub(crate) use entry::bool_of;
pub use entry::{Attest, Entry, Secret, Ssh};
pub(crate) use merge::{once, without_doubles};
pub(crate) use set::texts;

use crate::value::Value;

/// Several targets under one name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Group {
    /// Its name.
    #[serde(skip)]
    pub name: String,
    /// What its file says about it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Names of targets and groups.
    pub targets: Vec<String>,
}

/// One build. What no file says is none or empty. Fields are in the order in which they are shown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Target {
    /// Its name.
    #[serde(skip)]
    pub name: String,
    /// What its file says about it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Targets whose attributes it has.
    #[serde(skip)]
    pub inherits: Vec<String>,
    /// Annotations of images, as `build` takes them.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "escaped_list")]
    pub annotations: Vec<String>,
    /// What is stated about images.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attest: Vec<Attest>,
    /// Where the files are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// Further contexts by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub contexts: BTreeMap<String, String>,
    /// The Dockerfile, from the context.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dockerfile: Option<String>,
    /// The text of the Dockerfile.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "escaped_text"
    )]
    pub dockerfile_inline: Option<String>,
    /// Values for `ARG`.
    #[serde(
        skip_serializing_if = "BTreeMap::is_empty",
        serialize_with = "escaped_map"
    )]
    pub args: BTreeMap<String, String>,
    /// Labels of images.
    #[serde(
        skip_serializing_if = "BTreeMap::is_empty",
        serialize_with = "escaped_map"
    )]
    pub labels: BTreeMap<String, String>,
    /// Names for the image.
    #[serde(skip_serializing_if = "is_nothing")]
    pub tags: Option<Vec<String>>,
    /// Caches to look in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cache_from: Vec<Entry>,
    /// Caches to write.
    #[serde(skip_serializing_if = "is_nothing")]
    pub cache_to: Option<Vec<Entry>>,
    /// The stage that is wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// What steps may ask for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secret: Vec<Secret>,
    /// SSH agents that steps may use.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ssh: Vec<Ssh>,
    /// What images run on.
    #[serde(skip_serializing_if = "is_nothing")]
    pub platforms: Option<Vec<String>>,
    /// What becomes of the result.
    #[serde(skip_serializing_if = "is_nothing")]
    pub output: Option<Vec<Entry>>,
    /// Whether registries are asked for newer images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull: Option<bool>,
    /// Whether all steps run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_cache: Option<bool>,
    /// The network of steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// Stages all of whose steps run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub no_cache_filter: Vec<String>,
    /// The size of `/dev/shm`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shm_size: Option<String>,
    /// Limits of steps.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ulimits: Vec<String>,
    /// What is asked in place of a build.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call: Option<String>,
    /// What steps need beyond what all have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub entitlements: Vec<String>,
    /// Further lines of `/etc/hosts`.
    #[serde(
        skip_serializing_if = "BTreeMap::is_empty",
        serialize_with = "escaped_map"
    )]
    pub extra_hosts: BTreeMap<String, String>,
    /// It is there for another target alone.
    #[serde(skip)]
    pub linked: bool,
}

const ATTRIBUTES: [&str; 27] = [
    "annotations",
    "args",
    "attest",
    "cache-from",
    "cache-to",
    "call",
    "context",
    "contexts",
    "description",
    "dockerfile",
    "dockerfile-inline",
    "entitlements",
    "extra-hosts",
    "inherits",
    "labels",
    "network",
    "no-cache",
    "no-cache-filter",
    "output",
    "platforms",
    "pull",
    "secret",
    "shm-size",
    "ssh",
    "tags",
    "target",
    "ulimits",
];

/// Names of all attributes.
pub(crate) fn attributes() -> impl Iterator<Item = &'static str> {
    ATTRIBUTES.into_iter()
}

pub(crate) fn is_attribute(name: &str) -> bool {
    ATTRIBUTES.contains(&name)
}

/// The value of an attribute as other expressions see it.
pub(crate) fn as_seen(attribute: &str, value: Value) -> Value {
    let mut target = Target::default();
    if attribute == "inherits" || target.set(attribute, value.clone()).is_err() {
        return value;
    }
    let plain = |value: &str| value.replace("$${", "${").replace("%%{", "%{");
    match serde_json::to_value(&target) {
        Ok(serde_json::Value::Object(mut map)) => match map.remove(attribute) {
            Some(seen) => map_texts(Value::of_json(seen), &plain),
            None => match value {
                Value::List(_) => Value::List(Vec::new()),
                Value::Object(_) => Value::Object(BTreeMap::new()),
                other => other,
            },
        },
        _ => value,
    }
}

fn map_texts(value: Value, of: &impl Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => Value::String(of(&text)),
        Value::List(items) => {
            Value::List(items.into_iter().map(|item| map_texts(item, of)).collect())
        }
        Value::Object(map) => {
            let map = map.into_iter();
            Value::Object(
                map.map(|(key, value)| (key, map_texts(value, of)))
                    .collect(),
            )
        }
        other => other,
    }
}

fn is_nothing<T>(list: &Option<Vec<T>>) -> bool {
    list.as_ref().is_none_or(Vec::is_empty)
}

/// What is shown can be read again, so what would be an expression is escaped.
fn escaped(text: &str) -> String {
    text.replace("${", "$${").replace("%{", "%%{")
}

fn escaped_list<S: Serializer>(list: &[String], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(list.iter().map(|text| escaped(text)))
}

fn escaped_map<S: Serializer>(map: &BTreeMap<String, String>, to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(map.iter().map(|(key, text)| (key, escaped(text))))
}

fn escaped_text<S: Serializer>(text: &Option<String>, to: S) -> Result<S::Ok, S::Error> {
    text.as_deref().map(escaped).serialize(to)
}
