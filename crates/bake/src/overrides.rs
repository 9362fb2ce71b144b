//! What `--set` says: attributes of targets whose names match a pattern.

use std::collections::BTreeMap;

use graph::matches_pattern;

use crate::definitions::Definitions;
use crate::error::{BakeError, Problem};
use crate::target::{Attest, Entry, Secret, Ssh, Target, bool_of};

/// What is set of targets, by their names.
pub(crate) type Overrides = BTreeMap<String, BTreeMap<String, Override>>;

/// What one attribute is set to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Override {
    value: String,
    values: Vec<String>,
    appends: bool,
}

/// Attributes that are lists, each value of which is typed on its own.
const LISTS: [&str; 12] = [
    "annotations",
    "attest",
    "cache-from",
    "cache-to",
    "entitlements",
    "no-cache-filter",
    "output",
    "platform",
    "secrets",
    "ssh",
    "tags",
    "ulimits",
];
/// Attributes that are maps.
const MAPS: [&str; 4] = ["args", "contexts", "extra-hosts", "labels"];
/// All others.
const SINGLE: [&str; 10] = [
    "call",
    "context",
    "dockerfile",
    "load",
    "no-cache",
    "network",
    "pull",
    "push",
    "shm-size",
    "target",
];

impl Definitions {
    /// What `texts` set, each `PATTERN.ATTRIBUTE[.NAME][+]=VALUE`.
    pub(crate) fn overrides(&self, texts: &[String]) -> Result<Overrides, BakeError> {
        let mut overrides = Overrides::new();
        for text in texts {
            self.add_override(text, &mut overrides)
                .map_err(Problem::nowhere)?;
        }
        Ok(overrides)
    }

    fn add_override(&self, text: &str, overrides: &mut Overrides) -> Result<(), Problem> {
        let what = || format!("--set {text}");
        let (key, value) = match text.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (text, None),
        };
        let (key, appends) = match key.strip_suffix('+') {
            Some(key) => (key, true),
            None => (key, false),
        };
        let expected = "expected TARGET.ATTRIBUTE=VALUE";
        let (pattern, key) = key
            .split_once('.')
            .ok_or_else(|| Problem::value(what(), expected))?;
        let (attribute, name) = match key.split_once('.') {
            Some((attribute, name)) => (attribute, Some(name)),
            None => (key, None),
        };
        check_attribute(attribute, name, text)?;
        if appends && !LISTS.contains(&attribute) {
            let why = format!("{attribute} is no list: write = in place of +=");
            return Err(Problem::value(what(), why));
        }
        let value = match value {
            Some(value) => value.to_owned(),
            None if attribute == "args" => {
                let name = name.unwrap_or_default();
                match self.environment.get(name) {
                    Some(value) => value.clone(),
                    None => return Ok(()),
                }
            }
            None => return Err(Problem::value(what(), expected)),
        };
        for target in self.targets_like(pattern)? {
            let of_target = overrides.entry(target).or_default();
            let set = of_target.entry(key.to_owned()).or_default();
            set.appends = appends;
            set.values.push(value.clone());
            set.value.clone_from(&value);
        }
        Ok(())
    }

    /// Names of the targets that `pattern` matches.
    fn targets_like(&self, pattern: &str) -> Result<Vec<String>, Problem> {
        let names = || self.targets.iter().map(|target| target.name.as_str());
        if names().any(|name| name == pattern) {
            return Ok(vec![pattern.to_owned()]);
        }
        let like = names().filter(|name| matches_pattern(pattern, name));
        let like: Vec<String> = like.map(str::to_owned).collect();
        match like.is_empty() {
            true => Err(Problem::unknown("target", pattern, names())),
            false => Ok(like),
        }
    }
}

fn check_attribute(attribute: &str, name: Option<&str>, text: &str) -> Result<(), Problem> {
    let known = || LISTS.iter().chain(&MAPS).chain(&SINGLE).copied();
    if !known().any(|known| known == attribute) {
        return Err(Problem::unknown(
            "attribute that can be set",
            attribute,
            known(),
        ));
    }
    match (MAPS.contains(&attribute), name) {
        (true, None) => {
            let why = format!("{attribute} needs a name: TARGET.{attribute}.NAME=VALUE");
            Err(Problem::value(format!("--set {text}"), why))
        }
        (false, Some(_)) => {
            let why = format!("{attribute} has no names in it");
            Err(Problem::value(format!("--set {text}"), why))
        }
        _ => Ok(()),
    }
}

impl Target {
    /// Sets what `overrides` say.
    pub(crate) fn override_with(
        &mut self,
        overrides: &BTreeMap<String, Override>,
    ) -> Result<(), Problem> {
        // Whether the result is pushed or kept is said of the outputs, which come first.
        let last = ["push", "load"];
        for (key, set) in overrides {
            if !last.contains(&key.as_str()) {
                self.override_one(key, set)?;
            }
        }
        for key in last {
            if let Some(set) = overrides.get(key) {
                self.override_one(key, set)?;
            }
        }
        Ok(())
    }

    fn override_one(&mut self, key: &str, set: &Override) -> Result<(), Problem> {
        let (attribute, name) = key.split_once('.').unwrap_or((key, ""));
        let (name, value) = (name.to_owned(), set.value.clone());
        match attribute {
            "args" => drop(self.args.insert(name, value)),
            "contexts" => drop(self.contexts.insert(name, value)),
            "labels" => drop(self.labels.insert(name, value)),
            "extra-hosts" => drop(self.extra_hosts.insert(name, value)),
            "context" => self.context = Some(value),
            "dockerfile" => self.dockerfile = Some(value),
            "target" => self.target = Some(value),
            "call" => self.call = Some(value),
            "network" => self.network = Some(value),
            "shm-size" => self.shm_size = Some(value),
            "no-cache" => self.no_cache = Some(bool(key, &value)?),
            "pull" => self.pull = Some(bool(key, &value)?),
            "push" => set_push(self.output.get_or_insert_default(), bool(key, &value)?),
            "load" => set_load(self.output.get_or_insert_default(), bool(key, &value)?),
            "tags" => put(self.tags.get_or_insert_default(), set),
            "platform" => put(self.platforms.get_or_insert_default(), set),
            "no-cache-filter" => put(&mut self.no_cache_filter, set),
            "ulimits" => put(&mut self.ulimits, set),
            "entitlements" => self.entitlements.extend(set.values.clone()),
            "annotations" => self.annotations.extend(set.values.clone()),
            _ => self
                .override_entries(attribute, set)
                .map_err(|why| Problem::value(format!("--set {key}"), why))?,
        }
        Ok(())
    }

    fn override_entries(&mut self, attribute: &str, set: &Override) -> Result<(), String> {
        let texts = || set.values.iter().filter(|text| !text.is_empty());
        match attribute {
            "cache-from" => {
                let caches = caches(set)?;
                clear_unless(&mut self.cache_from, set.appends);
                self.add_caches_from(&caches);
            }
            "cache-to" => {
                let list = self.cache_to.get_or_insert_default();
                clear_unless(list, set.appends);
                list.extend(caches(set)?);
                crate::target::without_doubles(list);
            }
            "output" => {
                let list = self.output.get_or_insert_default();
                clear_unless(list, set.appends);
                for text in texts() {
                    list.push(Entry::output(text)?);
                }
                if set.appends {
                    crate::target::without_doubles(list);
                }
            }
            "secrets" => {
                let secrets: Vec<_> = texts()
                    .map(|text| Secret::read(text))
                    .collect::<Result<_, _>>()?;
                clear_unless(&mut self.secret, set.appends);
                self.add_secrets(&secrets);
            }
            "ssh" => {
                let ssh: Vec<_> = texts().map(|text| Ssh::read(text)).collect();
                clear_unless(&mut self.ssh, set.appends);
                self.add_ssh(&ssh);
            }
            "attest" => {
                let attests: Vec<_> = texts()
                    .map(|text| Attest::read(text))
                    .collect::<Result<_, _>>()?;
                self.add_attests(&attests);
            }
            other => return Err(format!("{other} cannot be set")),
        }
        Ok(())
    }
}

fn caches(set: &Override) -> Result<Vec<Entry>, String> {
    let mut caches = Vec::new();
    for text in set.values.iter().filter(|text| !text.is_empty()) {
        caches.extend(Entry::caches(text)?);
    }
    Ok(caches)
}

fn put(list: &mut Vec<String>, set: &Override) {
    clear_unless(list, set.appends);
    list.extend(set.values.clone());
}

fn clear_unless<T>(list: &mut Vec<T>, appends: bool) {
    if !appends {
        list.clear();
    }
}

fn bool(key: &str, text: &str) -> Result<bool, Problem> {
    let why = || Problem::value(format!("--set {key}"), format!("{text:?} is no bool"));
    bool_of(text).ok_or_else(why)
}

/// Has images pushed, or none.
fn set_push(outputs: &mut Vec<Entry>, is_on: bool) {
    let is_image = |output: &&mut Entry| output.kind == "image";
    for output in outputs.iter_mut().filter(is_image) {
        output
            .attributes
            .insert("push".to_owned(), is_on.to_string());
    }
    if !is_on {
        let mut place = 0;
        while place < outputs.len() {
            match outputs[place].kind == "registry" {
                true => drop(outputs.swap_remove(place)),
                false => place += 1,
            }
        }
    } else if outputs.iter().all(|output| output.kind == "docker") {
        outputs.push(Entry {
            kind: "image".to_owned(),
            attributes: BTreeMap::from([("push".to_owned(), "true".to_owned())]),
        });
    }
}

/// Has the image kept, unless what becomes of it is no image.
fn set_load(outputs: &mut Vec<Entry>, is_on: bool) {
    let keeps = |output: &Entry| match output.kind.as_str() {
        "docker" => !output.attributes.contains_key("dest"),
        "image" | "registry" | "oci" => false,
        _ => true,
    };
    if is_on && !outputs.iter().any(keeps) {
        outputs.push(Entry {
            kind: "docker".to_owned(),
            attributes: BTreeMap::new(),
        });
    }
}
