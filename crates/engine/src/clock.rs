//! The clock, as an argument: nothing else in this crate or below asks for the time.

use std::fmt;
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

/// Tells the time.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Now, by a clock that somebody may set forward or back by years at any moment.
    fn now(&self) -> SystemTime;

    /// What has passed since some moment, by a clock that nobody can set.
    fn passed(&self) -> Duration;
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

    fn passed(&self) -> Duration {
        static ORIGIN: OnceLock<Instant> = OnceLock::new();
        ORIGIN.get_or_init(Instant::now).elapsed()
    }
}

/// A moment that is remembered while the clock may be set.
#[derive(Debug)]
pub(crate) struct Moment<'a> {
    clock: &'a dyn Clock,
    time: SystemTime,
    passed: Duration,
}

impl<'a> Moment<'a> {
    /// This one.
    pub(crate) fn now(clock: &'a dyn Clock) -> Self {
        Self {
            clock,
            time: clock.now(),
            passed: clock.passed(),
        }
    }

    /// When that was: as the clock said then, or as it goes now if it was set back. What happened
    /// after the moment is of no earlier time by either.
    pub(crate) fn earliest(&self) -> SystemTime {
        let since = self.clock.passed().saturating_sub(self.passed);
        let by_now = self.clock.now().checked_sub(since);
        self.time.min(by_now.unwrap_or(SystemTime::UNIX_EPOCH))
    }
}

/// How far two times are apart, whichever is the later. What is that old, or is of a time that has yet
/// to come, was written by another clock than the one that tells the time now.
pub(crate) fn apart(one: SystemTime, other: SystemTime) -> Duration {
    one.duration_since(other)
        .unwrap_or_else(|later| later.duration())
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
    let distance = Duration::from_secs(seconds.unsigned_abs());
    let time = if seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(distance)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(distance)
    };
    time.unwrap_or(SystemTime::UNIX_EPOCH)
}

/// A clock that shows what it is set to, for tests.
#[cfg(test)]
#[derive(Debug)]
pub(crate) struct Set(std::sync::Mutex<(SystemTime, Duration)>);

#[cfg(test)]
impl Set {
    pub(crate) fn to(now: SystemTime) -> Self {
        Self(std::sync::Mutex::new((now, Duration::ZERO)))
    }

    fn set(&self, now: SystemTime, passed: Duration) {
        *self.0.lock().unwrap() = (now, passed);
    }
}

#[cfg(test)]
impl Clock for Set {
    fn now(&self) -> SystemTime {
        self.0.lock().unwrap().0
    }

    fn passed(&self) -> Duration {
        self.0.lock().unwrap().1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_withstand_a_clock_that_jumps() {
        let (second, years) = (Duration::from_secs(1), Duration::from_secs(1 << 29));
        let begin = from_epoch(1_600_000_000);
        let clock = Set::to(begin);
        let moment = Moment::now(&clock);
        assert_eq!(moment.earliest(), begin);
        clock.set(begin + second, second);
        assert_eq!(moment.earliest(), begin);
        clock.set(begin + years, second * 2);
        assert_eq!(moment.earliest(), begin);
        // What was written in the second second after that was so by the clock as it goes now.
        clock.set(begin - years, second * 3);
        assert_eq!(moment.earliest(), begin - years - second * 3);
        clock.set(SystemTime::UNIX_EPOCH, years * 64);
        assert!(moment.earliest() <= SystemTime::UNIX_EPOCH);
        assert_eq!(apart(begin, begin + years), years);
        assert_eq!(apart(begin + years, begin), years);
    }

    #[test]
    fn texts() {
        assert_eq!(rfc3339(from_epoch(0)), "1970-01-01T00:00:00Z");
        let later = from_epoch(1_600_000_000) + Duration::from_millis(120);
        assert_eq!(rfc3339(later), "2020-09-13T12:26:40.12Z");
        assert_eq!(to_the_minute(later), "2020-09-13 12:26 UTC");
        assert_eq!(rfc3339(from_epoch(-1)), "1969-12-31T23:59:59Z");
    }
}
