//! What one step may take: by a flag of a build, or for all builds in `kiln.toml`.
//!
//! None of it is in any key: a step that ends well has the result that it has without limits.

mod parse;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use sandbox::GroupLimits;
use serde::Deserialize;

pub use parse::ResourceError;

/// What one step may take; what is not said is not limited. The largest value is no limit either, and
/// takes the place of one that the configuration has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "BTreeMap<String, Scalar>")]
pub struct Resources {
    /// What the kernel limits.
    pub kernel: GroupLimits,
    /// From the start of the process to its end.
    pub time: Option<Duration>,
    /// Bytes of its log.
    pub output: Option<u64>,
    /// Bytes that its file systems may grow by.
    pub disk: Option<u64>,
}

/// A value in `kiln.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "expected a text such as \"64m\", or a number")]
enum Scalar {
    Text(String),
    Whole(i64),
    Number(f64),
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => text.fmt(f),
            Self::Whole(number) => number.fmt(f),
            Self::Number(number) => number.fmt(f),
        }
    }
}

impl TryFrom<BTreeMap<String, Scalar>> for Resources {
    type Error = ResourceError;

    fn try_from(table: BTreeMap<String, Scalar>) -> Result<Self, ResourceError> {
        let mut resources = Self::default();
        for (key, value) in table {
            resources.set(&key, &value.to_string())?;
        }
        resources.check()?;
        Ok(resources)
    }
}

/// Which limit ended a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exceeded {
    /// More bytes of memory than this.
    Memory(u64),
    /// More processes.
    Pids(u64),
    /// Longer.
    Time(Duration),
    /// More bytes of output.
    Output(u64),
    /// More bytes on disk.
    Disk(u64),
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (key, excess) = match self {
            Self::Memory(bytes) => ("memory", format!("needs more than {bytes} bytes of memory")),
            Self::Pids(count) => ("pids", format!("needs more than {count} processes at once")),
            Self::Time(duration) => ("time", format!("takes longer than {duration:?}")),
            Self::Output(bytes) => (
                "output",
                format!("writes more than {bytes} bytes of output"),
            ),
            Self::Disk(bytes) => ("disk", format!("takes more than {bytes} bytes of disk")),
        };
        write!(
            f,
            "{excess}; --resource {key}=…, or {key} of [limits.step] in kiln.toml, allows it more"
        )
    }
}

impl Resources {
    /// These, and `others` where these say nothing. What goes together stays together: memory and
    /// swap, period and quota.
    pub(crate) fn or(&self, others: &Self) -> Self {
        let pair = |ours: (Option<u64>, Option<u64>), theirs| match ours {
            (None, None) => theirs,
            ours => ours,
        };
        let (ours, theirs) = (&self.kernel, &others.kernel);
        let (memory, memory_swap) = pair(
            (ours.memory, ours.memory_swap),
            (theirs.memory, theirs.memory_swap),
        );
        let (cpu_period, cpu_quota) = pair(
            (ours.cpu_period, ours.cpu_quota),
            (theirs.cpu_period, theirs.cpu_quota),
        );
        let text = |ours: &Option<String>, theirs: &Option<String>| ours.clone().or(theirs.clone());
        Self {
            kernel: GroupLimits {
                memory,
                memory_swap,
                cpu_shares: ours.cpu_shares.or(theirs.cpu_shares),
                cpu_period,
                cpu_quota,
                cpuset_cpus: text(&ours.cpuset_cpus, &theirs.cpuset_cpus),
                cpuset_mems: text(&ours.cpuset_mems, &theirs.cpuset_mems),
                pids: ours.pids.or(theirs.pids),
            },
            time: self.time.or(others.time),
            output: self.output.or(others.output),
            disk: self.disk.or(others.disk),
        }
    }

    /// What the kernel is told to limit.
    pub(crate) fn group(&self) -> GroupLimits {
        bounded(&self.kernel)
    }
}

/// Without what is no limit.
pub(crate) fn bounded(kernel: &GroupLimits) -> GroupLimits {
    let bounded = |value: Option<u64>| value.filter(|value| *value != u64::MAX);
    let memory = bounded(kernel.memory);
    GroupLimits {
        memory,
        memory_swap: kernel.memory_swap.filter(|_| memory.is_some()),
        cpu_quota: bounded(kernel.cpu_quota),
        pids: bounded(kernel.pids),
        ..kernel.clone()
    }
}

#[cfg(test)]
mod tests;
