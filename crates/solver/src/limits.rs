//! How many steps of a build run at a time.
//!
//! Free permits are granted when the build has nothing else to do: when a step ends, the step
//! that follows it asks before its permit goes to another. They go to those with the highest
//! rank and, among equals, to those that come first in the graph, so that the order does not
//! depend on who was quicker. A permit is given back by dropping it, wherever it is then.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use tokio::sync::oneshot;

use crate::plan::Place;

/// Hands out the permits of one build.
pub(crate) struct Limiter {
    state: Mutex<State>,
}

/// The right to run one step.
pub(crate) struct Permit {
    limiter: Arc<Limiter>,
}

/// Who goes first: the greatest.
pub(crate) type Turn = (u32, Reverse<Place>);

struct State {
    free: usize,
    waiting: BinaryHeap<Waiter>,
    /// Wakes the build when a permit has come back.
    build: Option<Waker>,
}

struct Waiter {
    turn: Turn,
    granted: oneshot::Sender<Permit>,
}

impl Limiter {
    pub(crate) fn new(permits: NonZeroUsize) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                free: permits.get(),
                waiting: BinaryHeap::new(),
                build: None,
            }),
        })
    }

    /// Waits for a permit.
    pub(crate) async fn acquire(&self, turn: Turn) -> Permit {
        let (granted, receiver) = oneshot::channel();
        self.state().waiting.push(Waiter { turn, granted });
        match receiver.await {
            Ok(permit) => permit,
            // The sender is dropped only with the limiter, which is borrowed here.
            Err(_) => std::future::pending().await,
        }
    }

    /// Grants what is free; says whether somebody got something. The waker is woken when
    /// something is free again.
    pub(crate) fn grant(self: &Arc<Self>, build: &Waker) -> bool {
        let mut granted = false;
        while let Some(waiter) = self.next(build) {
            let permit = Permit {
                limiter: Arc::clone(self),
            };
            // Who has gone refuses it, so that it is free again.
            granted |= waiter.granted.send(permit).is_ok();
        }
        granted
    }

    fn next(&self, build: &Waker) -> Option<Waiter> {
        let mut state = self.state();
        if !state
            .build
            .as_ref()
            .is_some_and(|known| known.will_wake(build))
        {
            state.build = Some(build.clone());
        }
        if state.free == 0 {
            return None;
        }
        let waiter = state.waiting.pop()?;
        state.free -= 1;
        Some(waiter)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let build = {
            let mut state = self.limiter.state();
            state.free += 1;
            state.build.clone()
        };
        if let Some(build) = build {
            build.wake();
        }
    }
}

impl Ord for Waiter {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.turn.cmp(&other.turn)
    }
}

impl PartialOrd for Waiter {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Waiter {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Waiter {}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Permit")
    }
}
