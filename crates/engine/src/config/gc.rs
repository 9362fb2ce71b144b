//! `[gc]` of `kiln.toml`: what of the cache goes by itself, in the terms of BuildKit's policies.

use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use store::{Disk, Filter, Rule, Told};

use crate::units::{parse_duration, parse_size};

const GB: u64 = 1_000_000_000;

/// What goes by itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct GcConfig {
    /// Collect after builds.
    pub enabled: bool,
    /// A build returns when the collection after it is done, and not before. For machines that end
    /// with the build.
    pub wait: bool,
    /// How often the age of things is looked at. Bounds of space are looked at after every build.
    #[serde(deserialize_with = "interval")]
    pub interval: Duration,
    /// An image without a name goes when it was made so long ago and no container uses it; none
    /// goes if this is none.
    #[serde(deserialize_with = "age_or_forever")]
    pub keep_untagged: Option<Duration>,
    /// Bounds of the default policy: so much stays in any case.
    pub reserved_space: Option<Space>,
    /// The cache shall take no more.
    pub max_used_space: Option<Space>,
    /// So much of the disk shall be free.
    pub min_free_space: Option<Space>,
    /// The rules, in order, instead of the default ones.
    pub policy: Vec<PolicyRule>,
}

/// One rule.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct PolicyRule {
    /// Also what frees nothing, since images need it, and what the builder keeps for itself.
    pub all: bool,
    /// What it is about if one of them matches.
    #[serde(deserialize_with = "filters")]
    pub filters: Vec<Filter>,
    /// Only what was not used for so long.
    #[serde(deserialize_with = "age")]
    pub keep_duration: Option<Told<Duration>>,
    /// So much of the cache stays in any case.
    pub reserved_space: Option<Space>,
    /// The cache shall take no more.
    pub max_used_space: Option<Space>,
    /// So much of the disk shall be free.
    pub min_free_space: Option<Space>,
}

/// `10GB`, or `10%` of the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Space {
    amount: Amount,
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Amount {
    Bytes(u64),
    Percent(u64),
}

impl Default for GcConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            wait: false,
            interval: Duration::from_secs(3600),
            keep_untagged: Some(Duration::from_secs(14 * 24 * 3600)),
            reserved_space: None,
            max_used_space: None,
            min_free_space: None,
            policy: Vec::new(),
        }
    }
}

impl GcConfig {
    /// The rules on a disk, with their numbers as names.
    #[must_use]
    pub fn rules(&self, disk: Disk) -> Vec<Rule> {
        let rules = if self.policy.is_empty() {
            self.default_policy(disk)
        } else {
            self.policy.clone()
        };
        let numbered = (1..).zip(rules);
        numbered
            .map(|(number, rule)| rule.on(disk, format!("gc rule {number}")))
            .collect()
    }

    /// A bound that nothing has a use for.
    pub(super) fn unused_bound(&self) -> Option<&'static str> {
        let bounds = [
            ("reserved-space", &self.reserved_space),
            ("max-used-space", &self.max_used_space),
            ("min-free-space", &self.min_free_space),
        ];
        let set = bounds.iter().find(|(_, bound)| bound.is_some());
        set.filter(|_| !self.policy.is_empty()).map(|(key, _)| *key)
    }

    /// BuildKit's default policy, in which package caches outlive a week without builds, and what
    /// explains old builds goes some time.
    fn default_policy(&self, disk: Disk) -> Vec<PolicyRule> {
        let is_set = self.reserved_space.is_some()
            || self.max_used_space.is_some()
            || self.min_free_space.is_some();
        let bounds = if is_set {
            PolicyRule {
                reserved_space: self.reserved_space.clone(),
                max_used_space: self.max_used_space.clone(),
                min_free_space: self.min_free_space.clone(),
                ..PolicyRule::default()
            }
        } else {
            default_bounds(disk)
        };
        let filter = |text: &str| text.parse().ok();
        vec![
            PolicyRule {
                filters: ["type==exec.cachemount", "type==source.git.checkout"]
                    .into_iter()
                    .filter_map(filter)
                    .collect(),
                keep_duration: days(7),
                max_used_space: Some(Space::bytes(512_000_000)),
                ..PolicyRule::default()
            },
            PolicyRule {
                keep_duration: days(60),
                ..bounds.clone()
            },
            bounds.clone(),
            PolicyRule {
                all: true,
                ..bounds
            },
            PolicyRule {
                all: true,
                filters: filter("type==internal").into_iter().collect(),
                keep_duration: days(30),
                ..PolicyRule::default()
            },
        ]
    }
}

/// The line of a key of `[gc]`, from 1.
pub(super) fn line_of(text: &str, key: &str) -> usize {
    let place = || {
        let table = toml::de::DeTable::parse(text).ok()?;
        let gc = table.get_ref().get("gc")?.get_ref().as_table()?;
        let (found, _) = gc.iter().find(|(name, _)| name.get_ref() == key)?;
        text.get(..found.span().start)
    };
    place().unwrap_or_default().matches('\n').count() + 1
}

/// A tenth of the disk stays, 10 GB at most; four fifths are the limit, 100 GB at most; a fifth
/// shall be free.
fn default_bounds(disk: Disk) -> PolicyRule {
    let at_most = |percent: u64, most: u64| {
        let share = Space::percent(percent);
        if share.on(disk) > most {
            Space::bytes(most)
        } else {
            share
        }
    };
    PolicyRule {
        reserved_space: Some(at_most(10, 10 * GB)),
        max_used_space: Some(at_most(80, 100 * GB)),
        min_free_space: Some(Space::percent(20)),
        ..PolicyRule::default()
    }
}

fn days(days: u64) -> Option<Told<Duration>> {
    Some(Told {
        value: Duration::from_secs(days * 24 * 3600),
        text: format!("{days}d"),
    })
}

impl PolicyRule {
    fn on(self, disk: Disk, name: String) -> Rule {
        let told = |space: Option<Space>| {
            space.map(|space| Told {
                value: space.on(disk),
                text: space.text,
            })
        };
        Rule {
            name,
            all: self.all,
            filters: self.filters,
            unused_for: self.keep_duration,
            reserved: told(self.reserved_space),
            max_used: told(self.max_used_space),
            min_free: told(self.min_free_space),
        }
    }
}

impl Space {
    fn bytes(bytes: u64) -> Self {
        let text = match bytes {
            bytes if bytes.is_multiple_of(GB) => format!("{}GB", bytes / GB),
            bytes => format!("{}MB", bytes / 1_000_000),
        };
        let amount = Amount::Bytes(bytes);
        Self { amount, text }
    }

    fn percent(percent: u64) -> Self {
        Self {
            amount: Amount::Percent(percent),
            text: format!("{percent}%"),
        }
    }

    /// How much that is there.
    fn on(&self, disk: Disk) -> u64 {
        match self.amount {
            Amount::Bytes(bytes) => bytes,
            Amount::Percent(percent) => {
                let share = u128::from(disk.total) * u128::from(percent) / 100;
                u64::try_from(share).unwrap_or(u64::MAX)
            }
        }
    }
}

impl<'de> Deserialize<'de> for Space {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = words(deserializer)?;
        let amount = match text.strip_suffix('%') {
            Some(percent) => {
                let percent = percent
                    .trim()
                    .parse()
                    .ok()
                    .filter(|percent| *percent <= 100);
                percent.map(Amount::Percent)
            }
            None => parse_size(&text).map(Amount::Bytes),
        };
        let invalid = || {
            D::Error::custom(format!(
                "invalid size {text:?}: expected bytes such as \"10GB\", or a part of the disk such as \"10%\""
            ))
        };
        let amount = amount.ok_or_else(invalid)?;
        Ok(Self { amount, text })
    }
}

fn age<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Told<Duration>>, D::Error> {
    let text = words(deserializer)?;
    let value = duration(&text)?;
    Ok(Some(Told { value, text }))
}

fn age_or_forever<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error> {
    match words(deserializer)?.as_str() {
        "forever" => Ok(None),
        text => duration(text).map(Some),
    }
}

pub(super) fn interval<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    duration(&words(deserializer)?)
}

/// A duration; a number without a unit is in seconds.
fn duration<E: serde::de::Error>(text: &str) -> Result<Duration, E> {
    let seconds = text.parse().map(Duration::from_secs).ok();
    let invalid = || {
        E::custom(format!(
            "invalid duration {text:?}: expected one such as \"48h\" or \"60d\""
        ))
    };
    seconds.or_else(|| parse_duration(text)).ok_or_else(invalid)
}

fn filters<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Filter>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    let parse = |text: &String| text.parse().map_err(D::Error::custom);
    texts.iter().map(parse).collect()
}

/// A text, or a number as one.
fn words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a text or a number")]
    enum Words {
        Text(String),
        Number(u64),
    }
    Ok(match Words::deserialize(deserializer)? {
        Words::Text(text) => text,
        Words::Number(number) => number.to_string(),
    })
}

#[cfg(test)]
mod tests;
