//! How many steps of a build run at a time.
//!
//! A permit goes to the waiter with the highest rank; among equals, to the one that came first.
//! It is given back by dropping it, wherever it is then.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Hands out the permits of one build.
pub(crate) struct Limiter {
    state: Mutex<State>,
}

/// The right to run one step.
pub(crate) struct Permit {
    /// None once it was given back.
    limiter: Option<Arc<Limiter>>,
}

struct State {
    free: usize,
    arrivals: u64,
    waiting: BinaryHeap<Waiter>,
}

struct Waiter {
    rank: u32,
    arrival: Reverse<u64>,
    granted: oneshot::Sender<Permit>,
}

impl Limiter {
    pub(crate) fn new(permits: NonZeroUsize) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                free: permits.get(),
                arrivals: 0,
                waiting: BinaryHeap::new(),
            }),
        })
    }

    pub(crate) async fn acquire(self: Arc<Self>, rank: u32) -> Permit {
        let receiver = {
            let mut state = self.state();
            if state.free > 0 {
                state.free -= 1;
                None
            } else {
                let (granted, receiver) = oneshot::channel();
                state.arrivals += 1;
                let arrival = Reverse(state.arrivals);
                state.waiting.push(Waiter {
                    rank,
                    arrival,
                    granted,
                });
                Some(receiver)
            }
        };
        match receiver {
            None => Permit {
                limiter: Some(self),
            },
            // The sender is dropped only with the limiter, which this future holds.
            Some(receiver) => match receiver.await {
                Ok(permit) => permit,
                Err(_) => std::future::pending().await,
            },
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes the permit on to the first waiter that is still there.
    fn give_back(self: Arc<Self>) {
        let mut permit = Permit {
            limiter: Some(Arc::clone(&self)),
        };
        loop {
            let next = {
                let mut state = self.state();
                let next = state.waiting.pop();
                if next.is_none() {
                    state.free += 1;
                }
                next
            };
            let Some(waiter) = next else {
                permit.limiter = None;
                return;
            };
            match waiter.granted.send(permit) {
                Ok(()) => return,
                Err(refused) => permit = refused,
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(limiter) = self.limiter.take() {
            limiter.give_back();
        }
    }
}

impl Ord for Waiter {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.rank, self.arrival).cmp(&(other.rank, other.arrival))
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
