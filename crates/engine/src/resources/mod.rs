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
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Bytes of memory and swap together.
    pub memory_swap: Option<u64>,
    /// The weight among those who want a CPU.
    pub cpu_shares: Option<u64>,
    /// In how many microseconds the quota is spent.
    pub cpu_period: Option<u64>,
    /// Microseconds of all CPUs in a period.
    pub cpu_quota: Option<u64>,
    /// Which CPUs.
    pub cpuset_cpus: Option<String>,
    /// Which nodes of memory.
    pub cpuset_mems: Option<String>,
    /// Processes and threads.
    pub pids: Option<u64>,
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
        let key = match self {
            Self::Memory(bytes) => {
                write!(f, "needs more than {bytes} bytes of memory")?;
                "memory"
            }
            Self::Pids(count) => {
                write!(f, "needs more than {count} processes at once")?;
                "pids"
            }
            Self::Time(duration) => {
                write!(f, "takes longer than {duration:?}")?;
                "time"
            }
            Self::Output(bytes) => {
                write!(f, "writes more than {bytes} bytes of output")?;
                "output"
            }
            Self::Disk(bytes) => {
                write!(f, "takes more than {bytes} bytes of disk")?;
                "disk"
            }
        };
        write!(
            f,
            "; --resource {key}=…, or {key} of [limits.step] in kiln.toml, allows it more"
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
        let (memory, memory_swap) = pair(
            (self.memory, self.memory_swap),
            (others.memory, others.memory_swap),
        );
        let (cpu_period, cpu_quota) = pair(
            (self.cpu_period, self.cpu_quota),
            (others.cpu_period, others.cpu_quota),
        );
        let text = |ours: &Option<String>, theirs: &Option<String>| ours.clone().or(theirs.clone());
        Self {
            memory,
            memory_swap,
            cpu_shares: self.cpu_shares.or(others.cpu_shares),
            cpu_period,
            cpu_quota,
            cpuset_cpus: text(&self.cpuset_cpus, &others.cpuset_cpus),
            cpuset_mems: text(&self.cpuset_mems, &others.cpuset_mems),
            pids: self.pids.or(others.pids),
            time: self.time.or(others.time),
            output: self.output.or(others.output),
            disk: self.disk.or(others.disk),
        }
    }

    /// What the kernel limits by control groups.
    pub(crate) fn group(&self) -> GroupLimits {
        let bounded = |value: Option<u64>| value.filter(|value| *value != u64::MAX);
        let memory = bounded(self.memory);
        GroupLimits {
            memory,
            memory_swap: self.memory_swap.filter(|_| memory.is_some()),
            cpu_shares: self.cpu_shares,
            cpu_period: self.cpu_period,
            cpu_quota: bounded(self.cpu_quota),
            cpuset_cpus: self.cpuset_cpus.clone(),
            cpuset_mems: self.cpuset_mems.clone(),
            pids: bounded(self.pids),
        }
    }
}

#[cfg(test)]
mod tests;
