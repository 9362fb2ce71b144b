//! Limits as texts: `memory=1g`, `time=10m`, `cpuset-cpus=0,2`.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::Resources;
use crate::units::{parse_duration, parse_size};

/// Docker's least: with less no process starts.
const LEAST_MEMORY: u64 = 6 << 20;
/// What the kernel takes.
const SHARES: RangeInclusive<u64> = 2..=262_144;
const PERIODS: RangeInclusive<u64> = 1000..=1_000_000;
const LEAST_QUOTA: u64 = 1000;
/// In which `cpus` are counted, in microseconds.
const PERIOD: u32 = 100_000;
/// CPUs and nodes that a list may name.
const MOST_IN_LIST: u32 = 8192;

/// Their names in docker's and BuildKit's APIs, and ours.
const CLIENT_NAMES: [(&str, &str); 7] = [
    ("memory", "memory"),
    ("memswap", "memory-swap"),
    ("cpushares", "cpu-shares"),
    ("cpuperiod", "cpu-period"),
    ("cpuquota", "cpu-quota"),
    ("cpusetcpus", "cpuset-cpus"),
    ("cpusetmems", "cpuset-mems"),
];

/// Why a limit is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResourceError {
    /// Not `key=value`.
    #[error("invalid resource {0:?}, expected key=value")]
    NoPair(String),
    /// A key that there is not.
    #[error(
        "unknown resource {0:?}: there are memory, memory-swap, cpus, cpu-shares, cpu-period, \
         cpu-quota, cpuset-cpus, cpuset-mems, pids, time, output and disk"
    )]
    Key(String),
    /// A value that its key does not have.
    #[error("invalid value {value:?} for resource {key}: {expected}")]
    Value {
        /// The key.
        key: &'static str,
        /// What was given.
        value: String,
        /// What it takes.
        expected: &'static str,
    },
    /// Swap without memory.
    #[error("resource memory-swap is memory and swap together, so it needs memory beside it")]
    SwapAlone,
    /// Less memory and swap than memory.
    #[error("resource memory-swap is memory and swap together, so it cannot be less than memory")]
    SwapBelowMemory,
}

/// What a value has to be.
type Expected = &'static str;

impl Resources {
    /// Reads `key=value[,key=value…]`. A part without a key belongs to the value before it, such as
    /// that of `cpuset-cpus=0,2`.
    ///
    /// # Errors
    /// A key is unknown, or a value is none.
    pub fn read(&mut self, text: &str) -> Result<(), ResourceError> {
        let mut pairs: Vec<String> = Vec::new();
        for part in text.split(',') {
            match pairs.last_mut() {
                Some(before) if !part.contains('=') => {
                    before.push(',');
                    before.push_str(part);
                }
                _ => pairs.push(part.to_owned()),
            }
        }
        for pair in pairs {
            let (key, value) = pair
                .split_once('=')
                .ok_or_else(|| ResourceError::NoPair(pair.clone()))?;
            self.set(key.trim(), value.trim())?;
        }
        Ok(())
    }

    /// What docker's and BuildKit's clients ask for: `of` is what was said under each of their names.
    ///
    /// # Errors
    /// A value is none, or two limits do not go together.
    pub fn of_clients(
        mut of: impl FnMut(&'static str) -> Option<String>,
    ) -> Result<Self, ResourceError> {
        let mut resources = Self::default();
        for (name, key) in CLIENT_NAMES {
            if let Some(value) = of(name) {
                resources.set(key, &value)?;
            }
        }
        resources.check()?;
        Ok(resources)
    }

    /// The same the other way round; none of what they have no word for.
    #[must_use]
    pub fn to_clients(&self) -> Option<Vec<(&'static str, String)>> {
        let Self {
            kernel,
            time: None,
            output: None,
            disk: None,
        } = self
        else {
            return None;
        };
        let lifts = [kernel.memory, kernel.cpu_quota].contains(&Some(u64::MAX));
        if lifts || kernel.pids.is_some() {
            return None;
        }
        let number = |value: Option<u64>| value.map(|value| value.to_string());
        let swap = kernel.memory_swap.map(|swap| match swap {
            u64::MAX => "-1".to_owned(),
            swap => swap.to_string(),
        });
        let values = [
            number(kernel.memory),
            swap,
            number(kernel.cpu_shares),
            number(kernel.cpu_period),
            number(kernel.cpu_quota),
            kernel.cpuset_cpus.clone(),
            kernel.cpuset_mems.clone(),
        ];
        let named = CLIENT_NAMES.iter().zip(values);
        Some(
            named
                .filter_map(|((name, _), value)| Some((*name, value?)))
                .collect(),
        )
    }

    /// Sets one limit; the last word on it holds. Of docker's own, 0 says nothing.
    ///
    /// # Errors
    /// The key is unknown, or the value is none.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), ResourceError> {
        let (key, done) = match key {
            "memory" => ("memory", put(&mut self.kernel.memory, memory(value))),
            "memory-swap" => (
                "memory-swap",
                put(&mut self.kernel.memory_swap, swap(value)),
            ),
            "cpus" => ("cpus", self.set_cpus(value)),
            "cpu-shares" => (
                "cpu-shares",
                put(&mut self.kernel.cpu_shares, shares(value)),
            ),
            "cpu-period" => (
                "cpu-period",
                put(&mut self.kernel.cpu_period, period(value)),
            ),
            "cpu-quota" => ("cpu-quota", put(&mut self.kernel.cpu_quota, quota(value))),
            "cpuset-cpus" => (
                "cpuset-cpus",
                put(&mut self.kernel.cpuset_cpus, list(value)),
            ),
            "cpuset-mems" => (
                "cpuset-mems",
                put(&mut self.kernel.cpuset_mems, list(value)),
            ),
            "pids" => ("pids", put(&mut self.kernel.pids, count(value))),
            "time" => ("time", put(&mut self.time, duration(value))),
            "output" => ("output", put(&mut self.output, size(value))),
            "disk" => ("disk", put(&mut self.disk, size(value))),
            other => return Err(ResourceError::Key(other.to_owned())),
        };
        done.map_err(|expected| ResourceError::Value {
            key,
            value: value.to_owned(),
            expected,
        })
    }

    /// What no value says alone.
    ///
    /// # Errors
    /// Two limits do not go together.
    pub fn check(&self) -> Result<(), ResourceError> {
        match (self.kernel.memory, self.kernel.memory_swap) {
            (None, Some(_)) => Err(ResourceError::SwapAlone),
            (Some(memory), Some(swap)) if swap < memory => Err(ResourceError::SwapBelowMemory),
            _ => Ok(()),
        }
    }

    fn set_cpus(&mut self, text: &str) -> Result<(), Expected> {
        if is_unlimited(text) {
            (self.kernel.cpu_period, self.kernel.cpu_quota) = (None, Some(u64::MAX));
            return Ok(());
        }
        let expected = "a number of CPUs from 0.01 up, such as 1.5, or unlimited";
        let cpus: f64 = text.parse().map_err(|_| expected)?;
        if cpus == 0.0 {
            return Ok(());
        }
        if !(0.01..=1e6).contains(&cpus) {
            return Err(expected);
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "within the bounds that were just looked at"
        )]
        let quota = (cpus * f64::from(PERIOD)).round() as u64;
        (self.kernel.cpu_period, self.kernel.cpu_quota) = (Some(PERIOD.into()), Some(quota));
        Ok(())
    }
}

/// Puts a value in its place, if there is one.
fn put<T>(place: &mut Option<T>, value: Result<Option<T>, Expected>) -> Result<(), Expected> {
    if let Some(value) = value? {
        *place = Some(value);
    }
    Ok(())
}

fn is_unlimited(text: &str) -> bool {
    text == "unlimited"
}

fn memory(text: &str) -> Result<Option<u64>, Expected> {
    match size_of(text) {
        Some(0) => Ok(None),
        Some(bytes) if bytes >= LEAST_MEMORY => Ok(Some(bytes)),
        _ => Err("a size of 6m or more, such as 2g, or unlimited"),
    }
}

fn swap(text: &str) -> Result<Option<u64>, Expected> {
    match size_of(text) {
        _ if text == "-1" => Ok(Some(u64::MAX)),
        Some(0) => Ok(None),
        Some(bytes) => Ok(Some(bytes)),
        None => Err("a size such as 2g, or -1 for all swap that there is"),
    }
}

fn size(text: &str) -> Result<Option<u64>, Expected> {
    match size_of(text) {
        Some(0) | None => Err("a size above 0, such as 100m, or unlimited"),
        bytes => Ok(bytes),
    }
}

fn size_of(text: &str) -> Option<u64> {
    if is_unlimited(text) {
        return Some(u64::MAX);
    }
    // Nothing is as large as what stands for no limit.
    parse_size(text).filter(|bytes| *bytes < u64::MAX)
}

fn count(text: &str) -> Result<Option<u64>, Expected> {
    let expected = "a number above 0, or unlimited";
    match text.parse() {
        _ if is_unlimited(text) => Ok(Some(u64::MAX)),
        Ok(0) | Err(_) => Err(expected),
        Ok(count) => Ok(Some(count)),
    }
}

fn shares(text: &str) -> Result<Option<u64>, Expected> {
    in_range(text, &SHARES, "a number from 2 to 262144")
}

fn period(text: &str) -> Result<Option<u64>, Expected> {
    in_range(text, &PERIODS, "microseconds from 1000 to 1000000")
}

fn quota(text: &str) -> Result<Option<u64>, Expected> {
    // Docker's word for none.
    if is_unlimited(text) || text == "-1" {
        return Ok(Some(u64::MAX));
    }
    in_range(
        text,
        &(LEAST_QUOTA..=u64::MAX / 1000 - 1),
        "microseconds from 1000 up, or unlimited",
    )
}

fn in_range(
    text: &str,
    range: &RangeInclusive<u64>,
    expected: Expected,
) -> Result<Option<u64>, Expected> {
    match text.parse() {
        Ok(0) => Ok(None),
        Ok(number) if range.contains(&number) => Ok(Some(number)),
        _ => Err(expected),
    }
}

fn duration(text: &str) -> Result<Option<Duration>, Expected> {
    match parse_duration(text) {
        _ if is_unlimited(text) => Ok(Some(Duration::MAX)),
        Some(duration) if !duration.is_zero() => Ok(Some(duration)),
        _ => Err("a duration such as 90s or 1h30m, or unlimited"),
    }
}

/// `0-2,5`, as the kernel reads it.
fn list(text: &str) -> Result<Option<String>, Expected> {
    let number = |text: &str| {
        let number: u32 = text.parse().ok()?;
        (number < MOST_IN_LIST && !text.starts_with('+')).then_some(number)
    };
    let is_range = |part: &str| match part.split_once('-') {
        None => number(part).is_some(),
        Some((first, last)) => number(first)
            .zip(number(last))
            .is_some_and(|(first, last)| first <= last),
    };
    match text.split(',').all(is_range) {
        true => Ok(Some(text.to_owned())),
        false => Err("numbers and ranges such as 0-2,5"),
    }
}
