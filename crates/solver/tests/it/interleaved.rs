//! A scheduler that a test decides on: which of several futures goes on next is chosen from those
//! that can, so that each order of events comes again with the same choices.

use std::iter::{Copied, Cycle};
use std::pin::Pin;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures_util::future::LocalBoxFuture;
use futures_util::task::AtomicWaker;

/// Futures of which one at a time goes on, of those that can, in an order that is given.
pub(crate) struct Interleaved<'a, T> {
    futures: Vec<Option<LocalBoxFuture<'a, T>>>,
    wakes: Vec<Arc<Wake>>,
    outcomes: Vec<Option<T>>,
    order: Cycle<Copied<slice::Iter<'a, u8>>>,
}

/// Whether a future can go on, and whom that concerns.
#[derive(Default)]
struct Wake {
    is_awake: AtomicBool,
    above: AtomicWaker,
}

impl std::task::Wake for Wake {
    fn wake(self: Arc<Self>) {
        self.is_awake.store(true, Ordering::SeqCst);
        self.above.wake();
    }
}

impl<'a, T> Interleaved<'a, T> {
    /// Of these, in the order that `order` chooses again and again.
    pub(crate) fn new(futures: Vec<LocalBoxFuture<'a, T>>, order: &'a [u8]) -> Self {
        let wakes = futures.iter().map(|_| {
            let wake = Wake::default();
            wake.is_awake.store(true, Ordering::SeqCst);
            Arc::new(wake)
        });
        Self {
            wakes: wakes.collect(),
            outcomes: futures.iter().map(|_| None).collect(),
            futures: futures.into_iter().map(Some).collect(),
            order: order.iter().copied().cycle(),
        }
    }

    /// The one whose turn it is; none when all wait.
    fn next(&mut self) -> Option<usize> {
        let can_go_on = |place: &usize| {
            let wake = &self.wakes[*place];
            self.futures[*place].is_some() && wake.is_awake.load(Ordering::SeqCst)
        };
        let awake: Vec<usize> = (0..self.futures.len()).filter(can_go_on).collect();
        let turn = usize::from(self.order.next()?);
        awake.get(turn % awake.len().max(1)).copied()
    }
}

impl<T: Unpin> Future for Interleaved<'_, T> {
    type Output = Vec<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Vec<T>> {
        for wake in &self.wakes {
            wake.above.register(context.waker());
        }
        while let Some(place) = self.next() {
            let wake = Arc::clone(&self.wakes[place]);
            wake.is_awake.store(false, Ordering::SeqCst);
            let waker = wake.into();
            let future = self.futures[place].as_mut().unwrap();
            if let Poll::Ready(outcome) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                self.futures[place] = None;
                self.outcomes[place] = Some(outcome);
            }
        }
        if self.futures.iter().any(Option::is_some) {
            return Poll::Pending;
        }
        let outcomes = self.outcomes.iter_mut().map(|outcome| outcome.take());
        Poll::Ready(outcomes.map(Option::unwrap).collect())
    }
}
