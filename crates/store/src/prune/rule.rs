//! What a collection may remove, in the terms of BuildKit's policies.

use std::time::{Duration, SystemTime};

use super::filter::{Filter, Subject};
use crate::disk::Disk;

/// One step of a collection. Of the cache records and cache mounts that nothing in use holds, those
/// that it is about go: all of them if it has no bounds, else the least recently used first, until
/// the bounds hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rule {
    /// Its name where it is told what it removed.
    pub name: String,
    /// Also records whose removal frees nothing, since images need all that they have, and what
    /// the builder keeps for itself.
    pub all: bool,
    /// What it is about if one of them matches; everything if there is none.
    pub filters: Vec<Filter>,
    /// Only what was not used for so long.
    pub unused_for: Option<Told<Duration>>,
    /// So much of the cache stays in any case.
    pub reserved: Option<Told<u64>>,
    /// The cache shall take no more.
    pub max_used: Option<Told<u64>>,
    /// So much of the disk shall be free.
    pub min_free: Option<Told<u64>>,
}

/// A quantity, and how it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told<T> {
    /// How much.
    pub value: T,
    /// In the words of who asked.
    pub text: String,
}

/// What a rule lets the cache take, and which of its bounds says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Limit {
    pub(super) bytes: u64,
    pub(super) cause: String,
}

impl Rule {
    /// A rule without bounds about everything, also what frees nothing.
    #[must_use]
    pub fn everything(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            all: true,
            ..Self::default()
        }
    }

    /// Whether it is one of those.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.all && self.filters.is_empty() && self.unused_for.is_none() && !self.is_bounded()
    }

    /// Whether it is about something.
    pub(super) fn matches(&self, subject: &Subject<'_>, used: SystemTime, now: SystemTime) -> bool {
        let is_internal = subject.kind == "internal";
        // What is kept to explain later builds has no bytes that bounds could see; only age ends it.
        let is_spared = !self.all && (subject.shared || (is_internal && self.unused_for.is_none()));
        let is_old = self.unused_for.as_ref().is_none_or(|age| {
            now.duration_since(used)
                .is_ok_and(|unused| unused >= age.value)
        });
        let is_meant =
            self.filters.is_empty() || self.filters.iter().any(|filter| filter.matches(subject));
        !is_spared && is_old && is_meant
    }

    /// Whether it removes no more than its bounds need.
    pub(super) const fn is_bounded(&self) -> bool {
        self.reserved.is_some() || self.max_used.is_some() || self.min_free.is_some()
    }

    /// Whether it can be that a cache of at most `used` bytes is beyond the bounds.
    pub fn may_bind(&self, used: u64, disk: Disk) -> bool {
        !self.is_bounded() || self.limit(used, disk).bytes < used
    }

    /// What may stay of a cache of `used` bytes. The reserve counts more than the other bounds.
    pub(super) fn limit(&self, used: u64, disk: Disk) -> Limit {
        let name = |cause: &str, told: &Told<u64>| format!("{cause} {}", told.text);
        let mut limit = match (&self.max_used, &self.min_free) {
            (Some(max), _) => Limit {
                bytes: max.value,
                cause: name("max used space", max),
            },
            (None, Some(_)) => Limit {
                bytes: u64::MAX,
                cause: String::new(),
            },
            (None, None) => Limit {
                bytes: 0,
                cause: String::new(),
            },
        };
        if let Some(free) = &self.min_free {
            let lacking = free.value.saturating_sub(disk.free);
            if lacking > 0 && used.saturating_sub(lacking) < limit.bytes {
                limit.bytes = used.saturating_sub(lacking);
                limit.cause = name("min free space", free);
            }
        }
        if let Some(reserved) = &self.reserved
            && limit.bytes < reserved.value
        {
            limit.bytes = reserved.value;
            if limit.cause.is_empty() {
                limit.cause = name("reserved space", reserved);
            }
        }
        limit
    }

    /// Why something went by it.
    pub(super) fn cause(&self, bound: &str) -> String {
        let age = self.unused_for.as_ref();
        let age = age.map(|age| format!("not used for {}", age.text));
        let bound = (!bound.is_empty()).then(|| bound.to_owned());
        let terms: Vec<String> = age.into_iter().chain(bound).collect();
        if terms.is_empty() {
            return self.name.clone();
        }
        format!("{}: {}", self.name, terms.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(value: u64) -> Option<Told<u64>> {
        let text = format!("{value}B");
        Some(Told { value, text })
    }

    #[test]
    fn bounds() {
        let disk = Disk {
            total: 1000,
            free: 100,
        };
        // Reserved, max used, min free; what may stay of 500, and why.
        for (bounds, bytes, cause) in [
            ((None, None, None), 0, ""),
            ((None, told(200), None), 200, "max used space 200B"),
            ((told(300), told(200), None), 300, "max used space 200B"),
            ((told(300), None, None), 300, "reserved space 300B"),
            ((None, None, told(100)), u64::MAX, ""),
            ((None, None, told(150)), 450, "min free space 150B"),
            ((None, told(200), told(150)), 200, "max used space 200B"),
            ((None, told(480), told(150)), 450, "min free space 150B"),
            (
                (told(490), told(480), told(900)),
                490,
                "min free space 900B",
            ),
            ((None, None, told(900)), 0, "min free space 900B"),
        ] {
            let (reserved, max_used, min_free) = bounds.clone();
            let rule = Rule {
                reserved,
                max_used,
                min_free,
                ..Rule::default()
            };
            let limit = rule.limit(500, disk);
            assert_eq!(
                (limit.bytes, limit.cause.as_str()),
                (bytes, cause),
                "{bounds:?}"
            );
        }
    }

    #[test]
    fn causes() {
        let mut rule = Rule {
            name: "gc rule 1".to_owned(),
            ..Rule::default()
        };
        assert_eq!(rule.cause(""), "gc rule 1");
        assert_eq!(
            rule.cause("max used space 1GB"),
            "gc rule 1: max used space 1GB"
        );
        rule.unused_for = Some(Told {
            value: Duration::from_secs(3600),
            text: "1h".to_owned(),
        });
        assert_eq!(rule.cause(""), "gc rule 1: not used for 1h");
        let both = "gc rule 1: not used for 1h, max used space 1GB";
        assert_eq!(rule.cause("max used space 1GB"), both);
    }
}
