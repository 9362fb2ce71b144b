//! Capabilities: parts of root's power.

use std::fmt;
use std::ops::BitOr;
use std::str::FromStr;

use rustix::io::Errno;
use rustix::thread;

/// A set of capabilities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CapabilitySet(u64);

/// What a process can do, and what its programs could.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CapabilitySets {
    /// What holds now.
    pub effective: CapabilitySet,
    /// What it may take.
    pub permitted: CapabilitySet,
    /// What executing a file may keep.
    pub inheritable: CapabilitySet,
}

/// By number.
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

impl CapabilitySet {
    /// None.
    pub const EMPTY: CapabilitySet = CapabilitySet(0);

    /// What Docker gives a container that asks for nothing.
    pub const DOCKER_DEFAULT: CapabilitySet = CapabilitySet(0xa804_25fb | 1 << 27);

    /// The set with these numbers in it.
    #[must_use]
    pub const fn from_bits(bits: u64) -> CapabilitySet {
        CapabilitySet(bits)
    }

    /// The numbers, as a mask.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Whether the capability called `name` (without `CAP_`) is in the set.
    #[must_use]
    pub fn has(self, name: &str) -> bool {
        NAMES
            .iter()
            .position(|known| *known == name)
            .is_some_and(|number| self.0 >> number & 1 == 1)
    }

    /// The set without the capability called `name` (without `CAP_`).
    #[must_use]
    pub fn without(self, name: &str) -> CapabilitySet {
        match NAMES.iter().position(|known| *known == name) {
            Some(number) => CapabilitySet(self.0 & !(1 << number)),
            None => self,
        }
    }

    /// What this process may give to others: all that it has itself.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn held() -> std::io::Result<CapabilitySet> {
        Ok(CapabilitySet(thread::capabilities(None)?.permitted.bits()))
    }

    /// Those that are in both.
    #[must_use]
    pub const fn intersection(self, other: CapabilitySet) -> CapabilitySet {
        CapabilitySet(self.0 & other.0)
    }
}

impl BitOr for CapabilitySet {
    type Output = CapabilitySet;

    fn bitor(self, other: CapabilitySet) -> CapabilitySet {
        CapabilitySet(self.0 | other.0)
    }
}

/// A name that is no capability.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown capability {0:?}")]
pub struct UnknownCapability(pub String);

impl FromStr for CapabilitySet {
    type Err = UnknownCapability;

    /// One capability by name, with or without `CAP_`, in any case.
    fn from_str(name: &str) -> Result<CapabilitySet, UnknownCapability> {
        let upper = name.to_ascii_uppercase();
        let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
        match NAMES.iter().position(|known| *known == bare) {
            Some(number) => Ok(CapabilitySet(1 << number)),
            None => Err(UnknownCapability(name.to_owned())),
        }
    }
}

impl fmt::Display for CapabilitySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (number, name) in NAMES.iter().enumerate() {
            if self.0 >> number & 1 == 1 {
                write!(f, "{separator}CAP_{name}")?;
                separator = ",";
            }
        }
        Ok(())
    }
}

impl From<CapabilitySets> for thread::CapabilitySets {
    fn from(sets: CapabilitySets) -> thread::CapabilitySets {
        let set = |set: CapabilitySet| thread::CapabilitySet::from_bits_retain(set.0);
        thread::CapabilitySets {
            effective: set(sets.effective),
            permitted: set(sets.permitted),
            inheritable: set(sets.inheritable),
        }
    }
}

/// Drops all others from the bounding set. Allocates nothing.
pub(crate) fn limit_bounding_set(kept: CapabilitySet) -> Result<(), Errno> {
    for number in 0..u64::BITS {
        if kept.0 >> number & 1 == 1 {
            continue;
        }
        let capability = thread::CapabilitySet::from_bits_retain(1 << number);
        match thread::remove_capability_from_bounding_set(capability) {
            // Beyond the last one that this kernel has.
            Err(Errno::INVAL) => break,
            result => result?,
        }
    }
    Ok(())
}

/// Raises capabilities in the ambient set. Allocates nothing.
pub(crate) fn raise_ambient(raised: CapabilitySet) -> Result<(), Errno> {
    for number in (0..u64::BITS).filter(|number| raised.0 >> number & 1 == 1) {
        let capability = thread::CapabilitySet::from_bits_retain(1 << number);
        thread::configure_capability_in_ambient_set(capability, true)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        assert_eq!(
            CapabilitySet::DOCKER_DEFAULT.to_string(),
            "CAP_CHOWN,CAP_DAC_OVERRIDE,CAP_FOWNER,CAP_FSETID,CAP_KILL,CAP_SETGID,CAP_SETUID,\
             CAP_SETPCAP,CAP_NET_BIND_SERVICE,CAP_NET_RAW,CAP_SYS_CHROOT,CAP_MKNOD,\
             CAP_AUDIT_WRITE,CAP_SETFCAP"
        );
        assert_eq!("cap_sys_admin".parse(), Ok(CapabilitySet(1 << 21)));
        assert_eq!("BPF".parse(), Ok(CapabilitySet(1 << 39)));
        assert!("CAP_FLY".parse::<CapabilitySet>().is_err());
        assert!(CapabilitySet::DOCKER_DEFAULT.has("MKNOD"));
        assert!(!CapabilitySet::DOCKER_DEFAULT.has("SYS_ADMIN"));
    }
}
