//! What the flags of the prune commands ask for.

use std::time::{Duration, SystemTime};

use engine::{PruneFilter, PruneRule, Told};

use crate::args::prune::Bounds;
use crate::error::{CliError, Error};
use crate::values::{ValueError, filter, size};

/// What `--filter` says.
#[derive(Debug, Default)]
pub(super) struct Filters {
    /// Only what was not used since then.
    pub(super) until: Option<SystemTime>,
    until_text: String,
    /// Labels that images and containers must have, or must not.
    pub(super) labels: Vec<Label>,
    /// What records and cache mounts must be, in the words of the cache.
    conditions: Vec<String>,
}

/// A label that images and containers must have, or must not.
#[derive(Debug)]
pub(super) struct Label {
    pub(super) is_wanted: bool,
    /// A name, or `name=value`.
    pub(super) text: String,
}

/// What a prune is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    Everything,
    /// Labels are asked for, which only images and containers have.
    Images,
    /// A type or a bound is asked for, which only the cache has.
    Cache,
}

impl Filters {
    /// Reads the texts of `--filter`.
    pub(super) fn parse(texts: &[String], now: SystemTime) -> Result<Self, Error> {
        let mut filters = Self::default();
        for text in texts {
            let (name, value) = match text.split_once('=') {
                Some((name, value)) => (name.trim(), Some(value.trim())),
                None => (text.trim(), None),
            };
            match (name, value) {
                ("until" | "unused-for", Some(value)) => {
                    if filters.until.is_some() {
                        return Err(ValueError::Filter(text.clone()).into());
                    }
                    filters.until = Some(filter::until(value, now)?);
                    value.clone_into(&mut filters.until_text);
                }
                ("label" | "label!", Some(value)) => filters.labels.push(Label {
                    is_wanted: name == "label",
                    text: value.to_owned(),
                }),
                ("id", Some(value)) => filters.conditions.push(format!("id~={value}")),
                (name, Some(value)) if name.ends_with(['!', '~']) => {
                    filters.conditions.push(format!("{name}={value}"));
                }
                (name, Some(value)) => filters.conditions.push(format!("{name}=={value}")),
                (name, None) => filters.conditions.push(name.to_owned()),
            }
            if let Some(condition) = filters.conditions.last() {
                cache_filter(text, condition)?;
            }
        }
        Ok(filters)
    }

    /// What they are about.
    pub(super) fn scope(&self, bounds: &Bounds) -> Result<Scope, Error> {
        let is_bounded = bounds.reserved_space.is_some()
            || bounds.keep_storage.is_some()
            || bounds.max_used_space.is_some()
            || bounds.min_free_space.is_some();
        match (
            self.labels.is_empty(),
            self.conditions.is_empty() && !is_bounded,
        ) {
            (true, true) => Ok(Scope::Everything),
            (false, true) => Ok(Scope::Images),
            (true, false) => Ok(Scope::Cache),
            (false, false) => Err(Error::new(
                "labels are of images and containers, types and bounds of the build cache: nothing has \
                 both",
            )),
        }
    }

    /// They do not name what only the cache has.
    pub(super) fn refuse_conditions(&self, command: &str) -> Result<(), Error> {
        match self.conditions.first() {
            None => Ok(()),
            Some(condition) => Err(Error::new(format!(
                "{command} has no filter {condition:?}: it is one of the build cache"
            ))
            .hint("use `kiln builder prune`")),
        }
    }

    /// They do not name what only images have.
    pub(super) fn refuse_labels(&self, command: &str) -> Result<(), Error> {
        match self.labels.first() {
            None => Ok(()),
            Some(label) => Err(Error::new(format!(
                "{command} has no filter 'label={}': the build cache has no labels",
                label.text
            ))
            .hint("use `kiln image prune`")),
        }
    }

    /// What goes of the cache, in its words; none for everything. Cache mounts go with all, or when
    /// they are asked for.
    pub(super) fn of_cache(&self, all: bool) -> Option<String> {
        let mut conditions = self.conditions.clone();
        let asks_for_type =
            |condition: &String| condition.starts_with("type") || condition == "mutable";
        if !all && !conditions.iter().any(asks_for_type) {
            conditions.push("type!=exec.cachemount".to_owned());
        }
        (!conditions.is_empty()).then(|| conditions.join(","))
    }

    /// The rule of the command called `name`.
    pub(super) fn rule(
        &self,
        name: &str,
        all: bool,
        bounds: &Bounds,
        now: SystemTime,
    ) -> Result<PruneRule, Error> {
        let filters = self.of_cache(all);
        let filters = filters.map(|filter| cache_filter(&filter, &filter));
        let filters = filters.into_iter().collect::<Result<_, _>>()?;
        let age = |until| now.duration_since(until).unwrap_or(Duration::ZERO);
        let reserved = bounds
            .reserved_space
            .as_ref()
            .or(bounds.keep_storage.as_ref());
        Ok(PruneRule {
            name: if all {
                format!("{name} --all")
            } else {
                name.to_owned()
            },
            all,
            filters,
            unused_for: self.until.map(|until| Told {
                value: age(until),
                text: self.until_text.clone(),
            }),
            reserved: bound("--reserved-space", reserved)?,
            max_used: bound("--max-used-space", bounds.max_used_space.as_ref())?,
            min_free: bound("--min-free-space", bounds.min_free_space.as_ref())?,
        })
    }
}

fn cache_filter(text: &str, condition: &str) -> Result<PruneFilter, Error> {
    let filter = condition.parse();
    Ok(filter.map_err(|source| ValueError::CacheFilter {
        filter: text.to_owned(),
        source,
    })?)
}

fn bound(flag: &'static str, text: Option<&String>) -> Result<Option<Told<u64>>, Error> {
    let Some(text) = text else { return Ok(None) };
    let value = size::bytes(text).map_err(|source| CliError::Flag {
        flag,
        value: text.clone(),
        source,
    })?;
    let text = text.clone();
    Ok(Some(Told { value, text }))
}
