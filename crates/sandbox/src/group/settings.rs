//! What is written to the files of a group, in both versions of control groups.

use std::path::Path;

use crate::spec::GroupLimits;

/// What the kernel limits by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Controller {
    Memory,
    Cpu,
    Cpuset,
    Pids,
}

/// The version of a hierarchy of control groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// A hierarchy of its own for each controller, or nearly.
    One,
    /// One for all.
    Two,
}

/// One file and its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) file: &'static str,
    pub(super) value: String,
    /// What was asked for.
    pub(super) limit: &'static str,
    /// A default: without the file there is nothing to limit.
    pub(super) is_default: bool,
}

impl Controller {
    pub(super) const ALL: [Controller; 4] = [
        Controller::Memory,
        Controller::Cpu,
        Controller::Cpuset,
        Controller::Pids,
    ];

    /// The kernel's name.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Controller::Memory => "memory",
            Controller::Cpu => "cpu",
            Controller::Cpuset => "cpuset",
            Controller::Pids => "pids",
        }
    }
}

impl GroupLimits {
    /// The first limit that is of this controller's.
    pub(super) fn first_of(&self, controller: Controller) -> Option<&'static str> {
        let all: &[(bool, &'static str)] = match controller {
            Controller::Memory => &[
                (self.memory.is_some(), "memory"),
                (self.memory_swap.is_some(), "memory-swap"),
            ],
            Controller::Cpu => &[
                (self.cpu_quota.is_some(), "cpus"),
                (self.cpu_period.is_some(), "cpu-period"),
                (self.cpu_shares.is_some(), "cpu-shares"),
            ],
            Controller::Cpuset => &[
                (self.cpuset_cpus.is_some(), "cpuset-cpus"),
                (self.cpuset_mems.is_some(), "cpuset-mems"),
            ],
            Controller::Pids => &[(self.pids.is_some(), "pids")],
        };
        all.iter()
            .find_map(|(is_set, name)| is_set.then_some(*name))
    }

    /// What to write, in order, for a group in `parent`.
    pub(super) fn settings(
        &self,
        controller: Controller,
        version: Version,
        parent: &Path,
    ) -> Vec<Setting> {
        match (controller, version) {
            (Controller::Memory, _) => self.memory(version),
            (Controller::Cpu, Version::One) => self.cpu_one(),
            (Controller::Cpu, Version::Two) => self.cpu_two(),
            (Controller::Cpuset, _) => self.cpuset(version, parent),
            (Controller::Pids, _) => set("pids.max", "pids", self.pids).into_iter().collect(),
        }
    }

    /// Without a word on swap it is as much as memory, as for Docker.
    fn memory(&self, version: Version) -> Vec<Setting> {
        let Some(memory) = self.memory else {
            return Vec::new();
        };
        let both = self.memory_swap.unwrap_or(memory.saturating_mul(2));
        let (first, second, swap) = match version {
            Version::One => ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", both),
            Version::Two => ("memory.max", "memory.swap.max", both.saturating_sub(memory)),
        };
        let mut settings: Vec<Setting> = set(first, "memory", Some(memory)).into_iter().collect();
        if both != u64::MAX {
            let swap = set(second, "memory-swap", Some(swap));
            settings.extend(swap.map(|setting| Setting {
                is_default: self.memory_swap.is_none(),
                ..setting
            }));
        }
        settings
    }

    fn cpu_one(&self) -> Vec<Setting> {
        let settings = [
            set("cpu.shares", "cpu-shares", self.cpu_shares),
            // First: with the usual one a quota may be refused.
            set("cpu.cfs_period_us", "cpu-period", self.cpu_period),
            set("cpu.cfs_quota_us", "cpus", self.cpu_quota),
        ];
        settings.into_iter().flatten().collect()
    }

    fn cpu_two(&self) -> Vec<Setting> {
        let weight = self.cpu_shares.map(weight);
        let quota = self
            .cpu_quota
            .map_or_else(|| "max".to_owned(), |quota| quota.to_string());
        let period = self.cpu_period.unwrap_or(GroupLimits::PERIOD);
        let is_bounded = self.cpu_quota.is_some() || self.cpu_period.is_some();
        let bound = is_bounded.then(|| format!("{quota} {period}"));
        let settings = [
            set("cpu.weight", "cpu-shares", weight),
            set("cpu.max", "cpus", bound),
        ];
        settings.into_iter().flatten().collect()
    }

    /// In version 1 a group without CPUs and nodes takes no process, so it has its parent's.
    fn cpuset(&self, version: Version, parent: &Path) -> Vec<Setting> {
        let of_parent = |file: &str| match version {
            Version::One => Some(
                std::fs::read_to_string(parent.join(file))
                    .ok()?
                    .trim()
                    .to_owned(),
            ),
            Version::Two => None,
        };
        let cpus = self
            .cpuset_cpus
            .clone()
            .or_else(|| of_parent("cpuset.cpus"));
        let mems = self
            .cpuset_mems
            .clone()
            .or_else(|| of_parent("cpuset.mems"));
        let settings = [
            set("cpuset.cpus", "cpuset-cpus", cpus),
            set("cpuset.mems", "cpuset-mems", mems),
        ];
        settings.into_iter().flatten().collect()
    }
}

fn set(file: &'static str, limit: &'static str, value: Option<impl ToString>) -> Option<Setting> {
    Some(Setting {
        file,
        value: value?.to_string(),
        limit,
        is_default: false,
    })
}

/// Version 2 counts from 1 to 10000 what version 1 counts from 2 to 262144.
fn weight(shares: u64) -> u64 {
    1 + (shares.clamp(2, 262_144) - 2) * 9999 / 262_142
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(limits: &GroupLimits, version: Version) -> String {
        let parent = tempfile::tempdir().unwrap();
        std::fs::write(parent.path().join("cpuset.cpus"), "0-3\n").unwrap();
        std::fs::write(parent.path().join("cpuset.mems"), "0\n").unwrap();
        let all = Controller::ALL.iter();
        let settings = all
            .filter(|controller| limits.first_of(**controller).is_some())
            .flat_map(|controller| limits.settings(*controller, version, parent.path()));
        let texts = settings.map(|Setting { file, value, .. }| format!("{file}={value}"));
        texts.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn files_of_both_versions() {
        let none = GroupLimits::default();
        for (limits, one, two) in [
            (none.clone(), "", ""),
            (
                GroupLimits {
                    memory: Some(100),
                    ..none.clone()
                },
                "memory.limit_in_bytes=100 memory.memsw.limit_in_bytes=200",
                "memory.max=100 memory.swap.max=100",
            ),
            (
                GroupLimits {
                    memory: Some(100),
                    memory_swap: Some(100),
                    ..none.clone()
                },
                "memory.limit_in_bytes=100 memory.memsw.limit_in_bytes=100",
                "memory.max=100 memory.swap.max=0",
            ),
            (
                GroupLimits {
                    memory: Some(100),
                    memory_swap: Some(u64::MAX),
                    ..none.clone()
                },
                "memory.limit_in_bytes=100",
                "memory.max=100",
            ),
            (
                GroupLimits {
                    cpu_quota: Some(50_000),
                    cpu_shares: Some(1024),
                    pids: Some(7),
                    ..none.clone()
                },
                "cpu.shares=1024 cpu.cfs_quota_us=50000 pids.max=7",
                "cpu.weight=39 cpu.max=50000 100000 pids.max=7",
            ),
            (
                GroupLimits {
                    cpu_period: Some(50_000),
                    cpuset_cpus: Some("0,2".to_owned()),
                    ..none
                },
                "cpu.cfs_period_us=50000 cpuset.cpus=0,2 cpuset.mems=0",
                "cpu.max=max 50000 cpuset.cpus=0,2",
            ),
        ] {
            assert_eq!(written(&limits, Version::One), one);
            assert_eq!(written(&limits, Version::Two), two);
        }
    }

    #[test]
    fn weights() {
        for (shares, expected) in [(2, 1), (1024, 39), (262_144, 10_000)] {
            assert_eq!(weight(shares), expected);
        }
    }
}
