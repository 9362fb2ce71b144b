//! When a request is made again: a budget of attempts without progress, and waits that
//! double, scatter, and obey the registry's `Retry-After`.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use crate::{Error, Limits};

/// Bytes that must have moved for the budget to be filled again. Less, and a host that
/// drops each connection after a few bytes would be asked forever.
const PROGRESS: u64 = 1 << 20;

/// The attempts that one operation on one host has left.
#[derive(Debug, Clone)]
pub(crate) struct Retry {
    limits: Limits,
    attempts: u32,
    failures: u32,
    reached: u64,
}

impl Retry {
    /// A full budget.
    pub(crate) const fn new(limits: Limits) -> Self {
        Self {
            attempts: limits.attempts,
            limits,
            failures: 0,
            reached: 0,
        }
    }

    /// For a host that others stand behind: one more attempt is enough.
    pub(crate) const fn with_alternative(mut self) -> Self {
        if self.attempts > 2 {
            self.attempts = 2;
        }
        self
    }

    /// Notes how many bytes have moved; enough of them fill the budget.
    pub(crate) const fn reached(&mut self, position: u64) {
        if position >= self.reached + PROGRESS {
            self.reached = position;
            self.failures = 0;
        }
    }

    /// Waits before the next attempt, or gives `error` back when there is none.
    pub(crate) async fn after(&mut self, error: Error) -> Result<(), Error> {
        self.failures += 1;
        let asked = error.retry_after();
        let is_too_long = asked.is_some_and(|asked| asked > self.limits.retry_after_max);
        if !error.is_retryable() || self.failures >= self.attempts || is_too_long {
            return Err(error);
        }
        tokio::time::sleep(wait(&self.limits, self.failures, asked, random())).await;
        Ok(())
    }
}

/// `failures` is at least one; `random` between 0 and 1 scatters clients that failed together.
fn wait(limits: &Limits, failures: u32, asked: Option<Duration>, random: f64) -> Duration {
    let doubled = limits
        .backoff
        .saturating_mul(1 << (failures - 1).min(20))
        .min(limits.backoff_max);
    asked.unwrap_or_default() + doubled.mul_f64(0.5 + random / 2.0)
}

/// A number between 0 and 1 from the random keys of std's hash maps.
fn random() -> f64 {
    let bits = RandomState::new().build_hasher().finish() >> 32;
    f64::from(u32::try_from(bits).unwrap_or(0)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits() {
        let limits = Limits {
            backoff: Duration::from_millis(100),
            backoff_max: Duration::from_millis(350),
            ..Limits::default()
        };
        for (failures, asked, random, millis) in [
            (1, None, 1.0, 100),
            (1, None, 0.0, 50),
            (2, None, 1.0, 200),
            (3, None, 1.0, 350),
            (300, None, 1.0, 350),
            (1, Some(3), 0.0, 3050),
        ] {
            let found = wait(&limits, failures, asked.map(Duration::from_secs), random);
            assert_eq!(found, Duration::from_millis(millis));
        }
        assert!((0.0..=1.0).contains(&random()));
    }
}
