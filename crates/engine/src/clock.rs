//! The clock, as an argument: nothing else in this crate or below asks for the time.

use std::fmt;
use std::time::SystemTime;

/// Tells the time.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Now.
    fn now(&self) -> SystemTime;
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the machine's clock"
    )]
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// `time` as RFC 3339 with as many digits of the second as it needs, in UTC; as images carry it.
#[must_use]
pub fn rfc3339(time: SystemTime) -> String {
    let nanoseconds = match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => i128::try_from(after.as_nanos()).unwrap_or(i128::MAX),
        Err(before) => -i128::try_from(before.duration().as_nanos()).unwrap_or(i128::MAX),
    };
    jiff::Timestamp::from_nanosecond(nanoseconds).map_or_else(
        |_| "0001-01-01T00:00:00Z".to_owned(),
        |time| time.to_string(),
    )
}

/// `time` as people read it, in UTC: `2026-11-28 15:40 UTC`.
#[must_use]
pub(crate) fn to_the_minute(time: SystemTime) -> String {
    let timestamp = jiff::Timestamp::try_from(time).unwrap_or_default();
    timestamp.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// The time that a text in RFC 3339 says.
pub(crate) fn parse_rfc3339(text: &str) -> Option<SystemTime> {
    let time: jiff::Timestamp = text.parse().ok()?;
    SystemTime::try_from(time).ok()
}

/// Seconds since 1970 as a time; the earliest one that can be told when it is out of range.
#[must_use]
pub(crate) fn from_epoch(seconds: i64) -> SystemTime {
    use std::time::Duration;
    let distance = Duration::from_secs(seconds.unsigned_abs());
    let time = if seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(distance)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(distance)
    };
    time.unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        assert_eq!(rfc3339(from_epoch(0)), "1970-01-01T00:00:00Z");
        let later = from_epoch(1_600_000_000) + std::time::Duration::from_millis(120);
        assert_eq!(rfc3339(later), "2020-09-13T12:26:40.12Z");
        assert_eq!(to_the_minute(later), "2020-09-13 12:26 UTC");
        assert_eq!(rfc3339(from_epoch(-1)), "1969-12-31T23:59:59Z");
    }
}
