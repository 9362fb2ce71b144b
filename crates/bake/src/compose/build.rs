//! What stands under `build` of a service, and under `x-bake` there.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::service::context;
use crate::error::Problem;
use crate::target::{Entry, Secret, Ssh, Target};

/// What `build` may say.
const BUILD: [&str; 22] = [
    "additional_contexts",
    "args",
    "cache_from",
    "cache_to",
    "context",
    "dockerfile",
    "dockerfile_inline",
    "entitlements",
    "extra_hosts",
    "labels",
    "network",
    "no_cache",
    "platforms",
    "provenance",
    "pull",
    "sbom",
    "secrets",
    "shm_size",
    "ssh",
    "tags",
    "target",
    "ulimits",
];
/// What `x-bake` may say.
const X_BAKE: [&str; 11] = [
    "cache-from",
    "cache-to",
    "contexts",
    "no-cache",
    "no-cache-filter",
    "output",
    "platforms",
    "pull",
    "secret",
    "ssh",
    "tags",
];

/// What a service says about its build; what nobody takes is an error.
pub(super) struct Fields {
    service: String,
    map: Map<String, Json>,
}

impl Fields {
    pub(super) fn new(service: &str, build: &Json) -> Result<Self, Problem> {
        let Json::Object(map) = build else {
            return Err(kind(&format!("build of service {service}"), "a map", build));
        };
        Ok(Self {
            service: service.to_owned(),
            map: map.clone(),
        })
    }

    /// Nothing where it is null.
    pub(super) fn take(&mut self, key: &str) -> Option<Json> {
        self.map.remove(key).filter(|value| !value.is_null())
    }

    pub(super) fn text(&mut self, key: &str) -> Result<Option<String>, Problem> {
        self.take(key).map(|value| text(key, &value)).transpose()
    }

    pub(super) fn bool(&mut self, key: &str) -> Result<Option<bool>, Problem> {
        self.take(key).map(|value| bool(key, &value)).transpose()
    }

    pub(super) fn list(&mut self, key: &str) -> Result<Vec<String>, Problem> {
        let value = self.take(key);
        Ok(value
            .map(|value| list(key, &value))
            .transpose()?
            .unwrap_or_default())
    }

    pub(super) fn end(self) -> Result<(), Problem> {
        let own = |key: &&String| !key.starts_with("x-");
        match self.map.keys().find(own) {
            None => Ok(()),
            Some(key) if matches!(key.as_str(), "isolation" | "privileged") => {
                Err(Problem::Unsupported {
                    what: format!("{key} of service {}", self.service),
                    instead: "leave it out",
                })
            }
            Some(key) => Err(Problem::unknown("attribute of a build", key, BUILD)),
        }
    }
}

/// What compose has no word for.
pub(super) fn x_bake(target: &mut Target, service: &str, said: &Json) -> Result<(), Problem> {
    let Json::Object(map) = said else {
        return Err(kind(&format!("x-bake of service {service}"), "a map", said));
    };
    for (key, value) in map {
        let words = || words(key, value);
        let refuse = |why| Problem::value(key, why);
        match key.as_str() {
            "tags" => add(target.tags.get_or_insert_default(), words()?),
            "platforms" => add(target.platforms.get_or_insert_default(), words()?),
            "no-cache-filter" => add(&mut target.no_cache_filter, words()?),
            "pull" => target.pull = Some(bool(key, value)?),
            "no-cache" => target.no_cache = Some(bool(key, value)?),
            "contexts" => {
                for (name, value) in self::map(key, value)? {
                    let value = context(value.unwrap_or_default());
                    target.contexts.entry(name).or_insert(value);
                }
            }
            "cache-from" => {
                for word in words()? {
                    target.add_caches_from(&Entry::caches(&word).map_err(refuse)?);
                }
            }
            "cache-to" => {
                for word in words()? {
                    let caches = Entry::caches(&word).map_err(refuse)?;
                    target.cache_to.get_or_insert_default().extend(caches);
                }
            }
            "output" => {
                for word in words()? {
                    let output = Entry::output(&word).map_err(refuse)?;
                    target.output.get_or_insert_default().push(output);
                }
            }
            "secret" => {
                for word in words()? {
                    target.add_secrets(&[Secret::read(&word).map_err(refuse)?]);
                }
            }
            "ssh" => {
                let agents: Vec<Ssh> = words()?.iter().map(|word| Ssh::read(word)).collect();
                target.add_ssh(&agents);
                target.ssh.sort();
            }
            other => return Err(Problem::unknown("attribute of x-bake", other, X_BAKE)),
        }
    }
    Ok(())
}

fn add(list: &mut Vec<String>, more: Vec<String>) {
    list.extend(more);
    crate::target::once(list);
}

/// A list, or a string with white space between its entries.
fn words(key: &str, value: &Json) -> Result<Vec<String>, Problem> {
    match value {
        Json::String(text) => Ok(text.split_whitespace().map(str::to_owned).collect()),
        other => list(key, other),
    }
}

pub(super) fn text(key: &str, value: &Json) -> Result<String, Problem> {
    match value {
        Json::String(text) => Ok(text.clone()),
        Json::Number(number) => Ok(number.to_string()),
        Json::Bool(bool) => Ok(bool.to_string()),
        other => Err(kind(key, "a string", other)),
    }
}

fn bool(key: &str, value: &Json) -> Result<bool, Problem> {
    let bool = match value {
        Json::Bool(bool) => Some(*bool),
        Json::String(text) => crate::target::bool_of(text),
        _ => None,
    };
    bool.ok_or_else(|| kind(key, "a bool", value))
}

pub(super) fn list(key: &str, value: &Json) -> Result<Vec<String>, Problem> {
    match value {
        Json::Array(items) => items.iter().map(|item| text(key, item)).collect(),
        other => Err(kind(key, "a list", other)),
    }
}

pub(super) fn map(key: &str, value: &Json) -> Result<BTreeMap<String, Option<String>>, Problem> {
    let Json::Object(map) = value else {
        return Err(kind(key, "a map", value));
    };
    let entry = |(name, value): (&String, &Json)| {
        let value = match value {
            Json::Null => None,
            value => Some(text(&format!("{key}.{name}"), value)?),
        };
        Ok((name.clone(), value))
    };
    map.iter().map(entry).collect()
}

/// Hosts with their addresses: a map, or a list of `HOST=ADDRESS` or `HOST:ADDRESS`.
pub(super) fn hosts(value: &Json) -> Result<BTreeMap<String, String>, Problem> {
    let mut hosts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    match value {
        Json::Object(map) => {
            for (host, address) in map {
                let addresses = match address {
                    Json::Array(_) => list("extra_hosts", address)?,
                    one => vec![text("extra_hosts", one)?],
                };
                hosts.entry(host.clone()).or_default().extend(addresses);
            }
        }
        other => {
            for line in list("extra_hosts", other)? {
                let pair = line.split_once('=').or_else(|| line.split_once(':'));
                let wrong =
                    || Problem::value("extra_hosts", format!("{line:?} is no HOST=ADDRESS"));
                let (host, address) = pair.ok_or_else(wrong)?;
                hosts
                    .entry(host.to_owned())
                    .or_default()
                    .push(address.to_owned());
            }
        }
    }
    Ok(hosts
        .into_iter()
        .map(|(host, all)| (host, all.join(",")))
        .collect())
}

/// Limits, each one number or a soft and a hard one.
pub(super) fn ulimits(value: &Json) -> Result<Vec<String>, Problem> {
    let Json::Object(map) = value else {
        return Err(kind("ulimits", "a map", value));
    };
    let limit = |(name, value): (&String, &Json)| {
        let number = |key: &str| match value.get(key) {
            Some(number) => text(name, number),
            None => Err(Problem::value(
                format!("ulimits.{name}"),
                format!("lacks {key}"),
            )),
        };
        let (soft, hard) = match value {
            Json::Object(_) => (number("soft")?, number("hard")?),
            one => {
                let one = text(name, one)?;
                (one.clone(), one)
            }
        };
        Ok(format!("{name}={soft}:{hard}"))
    };
    map.iter().map(limit).collect()
}

/// A size in bytes, as docker writes it.
pub(super) fn bytes(value: &Json) -> Result<String, Problem> {
    let text = text("shm_size", value)?;
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let factor = match unit.trim().to_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kb" | "kib" => 1024.0,
        "m" | "mb" | "mib" => 1024.0 * 1024.0,
        "g" | "gb" | "gib" => 1024.0 * 1024.0 * 1024.0,
        "t" | "tb" | "tib" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => 0.0,
    };
    let size = number.parse::<f64>().ok().map(|number| number * factor);
    match size.filter(|size| *size > 0.0 && size.is_finite()) {
        Some(size) => Ok(human(size)),
        None => Err(Problem::value("shm_size", format!("{text:?} is no size"))),
    }
}

/// With four digits and a unit.
fn human(mut size: f64) -> String {
    for unit in ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] {
        if size < 1024.0 {
            let whole = size.trunc().to_string().len();
            let shown = format!("{size:.*}", 4_usize.saturating_sub(whole));
            let shown = match shown.contains('.') {
                true => shown.trim_end_matches('0').trim_end_matches('.').to_owned(),
                false => shown,
            };
            return format!("{shown}{unit}");
        }
        size /= 1024.0;
    }
    format!("{size}EiB")
}

pub(super) fn kind(what: &str, expected: &'static str, found: &Json) -> Problem {
    Problem::Kind {
        what: what.to_owned(),
        expected,
        found: crate::value::Value::of_json(found.clone())
            .kind()
            .to_owned(),
    }
}
