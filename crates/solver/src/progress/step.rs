//! What a step tells, to every build that waits for it.
//!
//! A build that joins a running step is told first what the others were told already, up to
//! [`REPLAY_BYTES`] of the newest output. The slowest reader holds up the step, as a full pipe
//! would; a reader that has gone does not.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use graph::VertexDigest;

use crate::progress::{LogStream, Progress, ProgressSender, Status};
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

#[derive(Clone)]
struct Ear {
    /// Builds of one graph have the same digests, so that those do not tell them apart.
    number: u64,
    sender: ProgressSender,
    vertex: VertexDigest,
}

struct Listeners {
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    started: Option<SystemTime>,
    explained: Option<String>,
    output: VecDeque<(SystemTime, LogStream, Bytes)>,
    output_bytes: usize,
    /// The latest of each part.
    statuses: Vec<(SystemTime, Status)>,
    ears: Vec<Ear>,
    arrivals: u64,
}

impl StepProgress {
    pub(crate) fn new(clock: Clock) -> Self {
        let state = Mutex::default();
        Self {
            listeners: Arc::new(Listeners { clock, state }),
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

    /// Passes on what the step wrote; waits while a reader is behind.
    pub async fn log(&self, stream: LogStream, bytes: Bytes) {
        let at = (self.listeners.clock)();
        let ears = {
            let mut state = self.state();
            state.keep_output(at, stream, bytes.clone());
            state.ears.clone()
        };
        for Ear { sender, vertex, .. } in ears {
            let bytes = bytes.clone();
            let log = Progress::Log {
                vertex,
                at,
                stream,
                bytes,
            };
            sender.send_bounded(log).await;
        }
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
        let ear = Ear {
            number: self.arrivals,
            sender,
            vertex,
        };
        self.ears.push(ear.clone());
        ear
    }

    fn keep_output(&mut self, at: SystemTime, stream: LogStream, bytes: Bytes) {
        self.output_bytes += bytes.len();
        self.output.push_back((at, stream, bytes));
        while self.output_bytes > REPLAY_BYTES {
            let Some((_, _, oldest)) = self.output.pop_front() else {
                break;
            };
            self.output_bytes -= oldest.len();
        }
    }

    fn replay(&self, sender: &ProgressSender, vertex: VertexDigest) {
        if let Some(at) = self.started {
            sender.send(Progress::Started { vertex, at });
        }
        if let Some(reason) = self.explained.clone() {
            sender.send(Progress::Explained { vertex, reason });
        }
        for (at, stream, bytes) in &self.output {
            let (at, stream, bytes) = (*at, *stream, bytes.clone());
            sender.send(Progress::Log {
                vertex,
                at,
                stream,
                bytes,
            });
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

    pub(crate) fn cached(self) {
        self.end(|vertex, at| Progress::Cached { vertex, at });
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
