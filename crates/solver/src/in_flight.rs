//! Running steps, and how builds share them.
//!
//! A [`Slot`] is one execution. Builds that miss the same key join the same slot; whoever is
//! polled drives it, and when the last of them lets go it is dropped with everything it holds.
//! A slot begins when its inputs are there: it waits for the key's lock, looks the key up once
//! more, waits for a permit of any of its builds and to be admitted, executes, and saves.
//!
//! A slot leaves the map at its end, before anyone learns of the end, so that a failure is never
//! joined.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Either, Shared, select};
use tokio::sync::{mpsc, watch};

use crate::cache_storage::CacheStorage;
use crate::error::{Doing, Failure};
use crate::keys::CacheKey;
use crate::limits::{Limiter, Permit, Turn};
use crate::progress::step::Listener;
use crate::progress::{Origin, StepProgress};
use crate::worker::{Identity, Step, Worker};

/// What makes two executions the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SlotKey {
    pub(crate) key: CacheKey,
    /// One that must execute does not share with one that may find a record after all.
    pub(crate) fresh: bool,
}

/// The slots of all builds.
pub(crate) struct InFlight<W: Worker, S: CacheStorage<Output = W::Output>> {
    slots: Mutex<Slots<W, S>>,
}

/// One execution.
pub(crate) struct Slot<W: Worker, S: CacheStorage<Output = W::Output>> {
    work: Shared<BoxFuture<'static, SlotResult<W, S>>>,
    pub(crate) progress: StepProgress,
    wants_permit: watch::Receiver<bool>,
    permits: mpsc::UnboundedSender<Permit>,
}

/// What is to be executed.
pub(crate) struct Job<W: Worker, S> {
    pub(crate) worker: Arc<W>,
    pub(crate) storage: Arc<S>,
    pub(crate) step: Step,
    pub(crate) inputs: Vec<W::Output>,
    pub(crate) fresh: bool,
    /// Dead when the build that started it has left.
    pub(crate) starter: Weak<()>,
}

/// What came out.
pub(crate) struct Made<O> {
    pub(crate) outputs: Arc<[O]>,
    pub(crate) was_cached: bool,
}

type SlotResult<W, S> =
    Result<Made<<W as Worker>::Output>, Broken<<W as Worker>::Error, <S as CacheStorage>::Error>>;

/// Why nothing came out.
struct Broken<W, S> {
    failure: Failure<W, S>,
    /// The build that started the work had left before it failed.
    orphaned: bool,
}

struct Slots<W: Worker, S: CacheStorage<Output = W::Output>> {
    slots: HashMap<SlotKey, (u64, Weak<Slot<W, S>>)>,
    arrivals: u64,
}

/// Takes a slot out of the map when its work ends or is dropped.
struct Entry<W: Worker, S: CacheStorage<Output = W::Output>> {
    in_flight: Arc<InFlight<W, S>>,
    key: SlotKey,
    number: u64,
}

impl<W: Worker, S: CacheStorage<Output = W::Output>> InFlight<W, S> {
    /// The slot of a key: the one that runs, or a new one; and whether it runs already.
    pub(crate) fn join(self: &Arc<Self>, key: SlotKey, job: Job<W, S>) -> (Arc<Slot<W, S>>, bool) {
        let mut slots = self.slots();
        let running = slots.slots.get(&key).and_then(|(_, slot)| slot.upgrade());
        if let Some(slot) = running {
            // Not under the lock: what the job holds may end other slots.
            drop(slots);
            drop(job);
            return (slot, true);
        }
        slots.arrivals += 1;
        let number = slots.arrivals;
        let entry = Entry {
            in_flight: Arc::clone(self),
            key,
            number,
        };
        let slot = Slot::new(job, Some(entry));
        slots.slots.insert(key, (number, Arc::downgrade(&slot)));
        (slot, false)
    }

    /// The number of keys that are being worked on.
    pub(crate) fn len(&self) -> usize {
        self.slots().slots.len()
    }

    fn slots(&self) -> MutexGuard<'_, Slots<W, S>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W: Worker, S: CacheStorage<Output = W::Output>> Slot<W, S> {
    /// A slot that no other build can join.
    pub(crate) fn alone(job: Job<W, S>) -> Arc<Self> {
        Self::new(job, None)
    }

    fn new(job: Job<W, S>, entry: Option<Entry<W, S>>) -> Arc<Self> {
        let (permits, granted) = mpsc::unbounded_channel();
        let (asks, wants_permit) = watch::channel(false);
        let progress = job.step.progress().clone();
        let work = work(job, entry, asks, granted).boxed().shared();
        Arc::new(Self {
            work,
            progress,
            wants_permit,
            permits,
        })
    }

    /// Drives the slot to its end, and gives it one of the build's permits when it wants one.
    async fn drive(&self, limiter: &Limiter, turn: Turn) -> SlotResult<W, S> {
        let give_permit = async {
            let mut wants_permit = self.wants_permit.clone();
            if wants_permit.wait_for(|wants| *wants).await.is_ok() {
                let permit = limiter.acquire(turn).await;
                // When another build was quicker, the permit comes back at once.
                let _ = self.permits.send(permit);
            }
            std::future::pending::<SlotResult<W, S>>().await
        };
        match select(self.work.clone(), std::pin::pin!(give_permit)).await {
            Either::Left((result, _)) | Either::Right((result, _)) => result,
        }
    }
}

async fn work<W: Worker, S: CacheStorage<Output = W::Output>>(
    job: Job<W, S>,
    entry: Option<Entry<W, S>>,
    asks: watch::Sender<bool>,
    granted: mpsc::UnboundedReceiver<Permit>,
) -> SlotResult<W, S> {
    let starter = Weak::clone(&job.starter);
    let _cancels = job.step.cancelled().clone().drop_guard();
    let _entry = entry;
    make(job, asks, granted).await.map_err(|failure| Broken {
        failure,
        orphaned: starter.strong_count() == 0,
    })
}

async fn make<W: Worker, S: CacheStorage<Output = W::Output>>(
    job: Job<W, S>,
    asks: watch::Sender<bool>,
    granted: mpsc::UnboundedReceiver<Permit>,
) -> Result<Made<W::Output>, Failure<W::Error, S::Error>> {
    let _lock = match job.step.key() {
        Some(key) => Some(job.storage.lock(key).await.map_err(Failure::storage)?),
        None => None,
    };
    if let Some(key) = job.step.key().filter(|_| !job.fresh) {
        let record = job.storage.load(key).await.map_err(Failure::storage)?;
        if let Some(outputs) = record {
            return Ok(Made::new(outputs, true));
        }
    }
    let permit = permit(&asks, granted).await;
    let admission = job.worker.admit(&job.step).await;
    let admission = admission.map_err(Failure::worker(Doing::Run))?;
    job.step.progress().started();
    let made = job.worker.execute(&job.step, job.inputs).await;
    let outputs = made.map_err(Failure::worker(Doing::Run))?;
    drop((permit, admission));
    if let Some(Identity { key, parts }) = &job.step.identity {
        let saved = job.storage.save(*key, &outputs, parts).await;
        saved.map_err(Failure::storage)?;
    }
    Ok(Made::new(outputs, false))
}

/// Waits for the first permit; those that came too late go back.
async fn permit(
    asks: &watch::Sender<bool>,
    mut granted: mpsc::UnboundedReceiver<Permit>,
) -> Option<Permit> {
    asks.send_replace(true);
    let permit = granted.recv().await;
    asks.send_replace(false);
    granted.close();
    while granted.try_recv().is_ok() {}
    permit
}

impl<O> Made<O> {
    pub(crate) fn new(outputs: Vec<O>, was_cached: bool) -> Self {
        Self {
            outputs: outputs.into(),
            was_cached,
        }
    }
}

impl<W, S> Clone for Broken<W, S> {
    fn clone(&self) -> Self {
        Self {
            failure: self.failure.clone(),
            orphaned: self.orphaned,
        }
    }
}

impl<O> Clone for Made<O> {
    fn clone(&self) -> Self {
        Self {
            outputs: Arc::clone(&self.outputs),
            was_cached: self.was_cached,
        }
    }
}

impl<W: Worker, S: CacheStorage<Output = W::Output>> Drop for Entry<W, S> {
    fn drop(&mut self) {
        let mut slots = self.in_flight.slots();
        // After a drop a new slot of the same key may have taken the place already.
        if slots.slots.get(&self.key).map(|(number, _)| *number) == Some(self.number) {
            slots.slots.remove(&self.key);
        }
    }
}

impl<W: Worker, S: CacheStorage<Output = W::Output>> Default for InFlight<W, S> {
    fn default() -> Self {
        Self {
            slots: Mutex::new(Slots {
                slots: HashMap::new(),
                arrivals: 0,
            }),
        }
    }
}

/// A build's part in a slot, told of as one vertex of that build. None when the step failed for
/// a build that has left since: a reason to run it again.
pub(crate) async fn take_part<W: Worker, S: CacheStorage<Output = W::Output>>(
    slot: Arc<Slot<W, S>>,
    listener: Listener,
    limiter: Arc<Limiter>,
    turn: Turn,
) -> Result<Option<Made<W::Output>>, Failure<W::Error, S::Error>> {
    match slot.drive(&limiter, turn).await {
        Err(Broken { orphaned: true, .. }) => Ok(None),
        Err(Broken { failure, .. }) => {
            listener.failed(failure.text());
            Err(failure)
        }
        Ok(made) => {
            if made.was_cached {
                listener.cached(Origin::MadeMeanwhile);
            } else {
                listener.completed();
            }
            Ok(Some(made))
        }
    }
}
