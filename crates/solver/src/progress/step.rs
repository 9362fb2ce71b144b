//! What a step tells, to every build that waits for it.
//!
//! A build that joins a running step is told first what the others were told already, up to
//! [`REPLAY_BYTES`] of the newest output. A step whose only reader is behind waits for it, as a
//! full pipe would; a step with several readers waits for the fastest of them, so that nobody
//! can hold up another's build, and the others are told how much they missed. A reader that has
//! gone holds up nobody.

use std::collections::VecDeque;
use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{Either, select, select_all};
use graph::VertexDigest;
use tokio::sync::Notify;

use crate::progress::ear::{Chunk, Ear};
use crate::progress::{LogStream, Origin, Progress, ProgressSender, Status};
use crate::solver::Clock;

/// How much of what a step wrote is kept for builds that join it later.
const REPLAY_BYTES: usize = 256 * 1024;

/// Where a step tells how it gets on.
#[derive(Clone)]
pub struct StepProgress {
    listeners: Arc<Listeners>,
}

/// A build's ear at a step. Dropping it before the end tells the build that the step was
/// cancelled, if it had started.
pub(crate) struct Listener {
    listeners: Arc<Listeners>,
    ear: Ear,
    ended: bool,
}

struct Listeners {
    clock: Clock,
    state: Mutex<State>,
    /// Somebody came or went.
    changed: Notify,
}

#[derive(Default)]
struct State {
    started: Option<SystemTime>,
    explained: Option<String>,
    output: VecDeque<Chunk>,
    output_bytes: usize,
    /// The latest of each part.
    statuses: Vec<(SystemTime, Status)>,
    ears: Vec<Ear>,
    arrivals: u64,
}

impl StepProgress {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            listeners: Arc::new(Listeners {
                clock,
                state: Mutex::default(),
                changed: Notify::new(),
            }),
        }
    }

    /// The progress of something that is no vertex of a graph, such as an export: `vertex` is
    /// any digest that nothing else has.
    #[must_use]
    pub fn of(sender: ProgressSender, vertex: VertexDigest, clock: Clock) -> Self {
        let progress = Self::new(clock);
        progress.state().add(sender, vertex);
        progress
    }

    /// Passes on what the step wrote; waits while nobody has room for it.
    pub async fn log(&self, stream: LogStream, bytes: Bytes) {
        let chunk = Chunk {
            at: (self.listeners.clock)(),
            stream,
            bytes,
        };
        let (ears, arrivals) = {
            let mut state = self.state();
            state.keep(chunk.clone());
            (state.ears.clone(), state.arrivals)
        };
        ears.iter().for_each(|ear| ear.record(&chunk));
        let (told, mut behind): (Vec<_>, Vec<_>) =
            ears.into_iter().partition(|ear| ear.hears(&chunk));
        if told.is_empty() {
            self.wait_for_one(&chunk, &mut behind, arrivals).await;
        }
        behind.iter().for_each(|ear| ear.misses(&chunk));
    }

    /// Tells how far a part of the step has come. One that is not the last may be left out.
    pub fn status(&self, status: Status) {
        let at = (self.listeners.clock)();
        let mut state = self.state();
        match state.statuses.iter_mut().find(|(_, s)| s.id == status.id) {
            Some(known) => *known = (at, status.clone()),
            None => state.statuses.push((at, status.clone())),
        }
        for Ear { sender, vertex, .. } in &state.ears {
            let (vertex, status) = (*vertex, status.clone());
            let done = status.done;
            let progress = Progress::Status { vertex, at, status };
            if done {
                sender.send(progress);
            } else {
                sender.send_if_room(progress);
            }
        }
    }

    /// Tells what differs from an earlier build, so that the step had to run.
    pub fn explain(&self, reason: String) {
        let mut state = self.state();
        for Ear { sender, vertex, .. } in &state.ears {
            let (vertex, reason) = (*vertex, reason.clone());
            sender.send(Progress::Explained { vertex, reason });
        }
        state.explained = Some(reason);
    }

    /// Tells where its result was found.
    pub fn recalled(&self, from: &str) {
        for Ear { sender, vertex, .. } in &self.state().ears {
            let (vertex, from) = (*vertex, from.to_owned());
            sender.send(Progress::Recalled { vertex, from });
        }
    }

    /// Waits until one of the ears has heard a chunk and takes it out, or until all have gone,
    /// or until another ear has come, which was told of the chunk as it came.
    async fn wait_for_one(&self, chunk: &Chunk, behind: &mut Vec<Ear>, arrivals: u64) {
        loop {
            let mut changed = pin!(self.listeners.changed.notified());
            changed.as_mut().enable();
            {
                let state = self.state();
                behind.retain(|ear| state.ears.iter().any(|e| e.number == ear.number));
                if behind.is_empty() || state.arrivals != arrivals {
                    return;
                }
            }
            let rooms = behind.iter().map(|ear| ear.room(chunk).boxed());
            let (place, room) = match select(select_all(rooms), changed).await {
                Either::Left(((room, place, _), _)) => (place, room),
                Either::Right(_) => continue,
            };
            let ear = behind.swap_remove(place);
            if let Some(room) = room {
                ear.tell(chunk, room);
                behind.retain(|ear| !ear.hears(chunk));
                return;
            }
        }
    }

    pub(crate) fn started(&self) {
        let at = (self.listeners.clock)();
        let mut state = self.state();
        state.started = Some(at);
        for Ear { sender, vertex, .. } in &state.ears {
            let vertex = *vertex;
            sender.send(Progress::Started { vertex, at });
        }
    }

    pub(crate) fn listen(&self, sender: ProgressSender, vertex: VertexDigest) -> Listener {
        let mut state = self.state();
        state.replay(&sender, vertex);
        let ear = state.add(sender, vertex);
        drop(state);
        self.listeners.changed.notify_waiters();
        Listener {
            listeners: Arc::clone(&self.listeners),
            ear,
            ended: false,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.listeners.state()
    }
}

impl Listeners {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add(&mut self, sender: ProgressSender, vertex: VertexDigest) -> Ear {
        self.arrivals += 1;
        let ear = Ear::new(self.arrivals, sender, vertex);
        self.ears.push(ear.clone());
        ear
    }

    fn keep(&mut self, chunk: Chunk) {
        self.output_bytes += chunk.bytes.len();
        self.output.push_back(chunk);
        while self.output_bytes > REPLAY_BYTES {
            let Some(oldest) = self.output.pop_front() else {
                break;
            };
            self.output_bytes -= oldest.bytes.len();
        }
    }

    fn replay(&self, sender: &ProgressSender, vertex: VertexDigest) {
        if let Some(at) = self.started {
            sender.send(Progress::Started { vertex, at });
        }
        if let Some(reason) = self.explained.clone() {
            sender.send(Progress::Explained { vertex, reason });
        }
        for chunk in &self.output {
            sender.send(chunk.progress(vertex));
        }
        for (at, status) in &self.statuses {
            let (at, status) = (*at, status.clone());
            sender.send(Progress::Status { vertex, at, status });
        }
    }
}

impl Listener {
    pub(crate) fn completed(self) {
        self.end(|vertex, at| Progress::Completed { vertex, at });
    }

    pub(crate) fn cached(self, origin: Origin) {
        self.end(|vertex, at| Progress::Cached { vertex, at, origin });
    }

    pub(crate) fn failed(self, error: String) {
        self.end(|vertex, at| Progress::Failed { vertex, at, error });
    }

    fn end(mut self, progress: impl FnOnce(VertexDigest, SystemTime) -> Progress) {
        self.ended = true;
        let at = (self.listeners.clock)();
        self.ear.sender.send(progress(self.ear.vertex, at));
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut state = self.listeners.state();
        let started = state.started.is_some();
        state.ears.retain(|ear| ear.number != self.ear.number);
        drop(state);
        self.listeners.changed.notify_waiters();
        if started && !self.ended {
            let (vertex, at) = (self.ear.vertex, (self.listeners.clock)());
            self.ear.sender.send(Progress::Cancelled { vertex, at });
        }
    }
}

impl fmt::Debug for StepProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StepProgress")
    }
}
