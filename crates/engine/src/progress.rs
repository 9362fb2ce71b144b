//! What builds do beside their steps, told in the same way: tasks, and how far transfers have come.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use graph::VertexDigest;
use oci::Digest;
use solver::progress::{PlannedVertex, Status};
use solver::{Progress, ProgressSender, StepProgress};

use crate::clock::Clock;
use crate::error::EngineError;

/// Tells of a transfer each time that another part of this size has come.
const GRAIN: u64 = 1 << 20;

/// Something that a build does and that is no vertex of its graph.
#[derive(Debug)]
pub struct Task {
    sender: ProgressSender,
    clock: Arc<dyn Clock>,
    vertex: VertexDigest,
    ended: bool,
}

impl Task {
    /// Tells that `name` has begun.
    pub(crate) fn begin(sender: &ProgressSender, clock: &Arc<dyn Clock>, name: &str) -> Self {
        let vertex = VertexDigest(Digest::of(name.as_bytes()));
        let planned = PlannedVertex {
            vertex,
            name: name.to_owned(),
            inputs: Vec::new(),
        };
        sender.send(Progress::Planned(vec![planned]));
        sender.send(Progress::Started {
            vertex,
            at: clock.now(),
        });
        Self {
            sender: sender.clone(),
            clock: Arc::clone(clock),
            vertex,
            ended: false,
        }
    }

    /// Where it tells how it gets on.
    #[must_use]
    pub fn progress(&self) -> StepProgress {
        let clock = Arc::clone(&self.clock);
        StepProgress::of(
            self.sender.clone(),
            self.vertex,
            Arc::new(move || clock.now()),
        )
    }

    /// Tells how it ended, and passes the result on.
    pub(crate) fn end<T>(self, result: Result<T, EngineError>) -> Result<T, EngineError> {
        match &result {
            Ok(_) => self.complete(),
            Err(error) => self.fail(error.chain()),
        }
        result
    }

    /// Tells that it ended well.
    pub fn complete(mut self) {
        let (vertex, at) = (self.vertex, self.clock.now());
        self.ended = true;
        self.sender.send(Progress::Completed { vertex, at });
    }

    /// Tells that it failed, and why.
    pub fn fail(mut self, error: String) {
        let (vertex, at) = (self.vertex, self.clock.now());
        self.ended = true;
        self.sender.send(Progress::Failed { vertex, at, error });
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if !self.ended {
            let (vertex, at) = (self.vertex, self.clock.now());
            self.sender.send(Progress::Cancelled { vertex, at });
        }
    }
}

/// A transfer. Ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Transfer {
    progress: StepProgress,
    id: String,
    total: Option<u64>,
    current: AtomicU64,
}

impl Transfer {
    pub(crate) fn begin(progress: &StepProgress, id: String, total: Option<u64>) -> Self {
        let transfer = Self {
            progress: progress.clone(),
            id,
            total,
            current: AtomicU64::new(0),
        };
        transfer.tell(0, false);
        transfer
    }

    pub(crate) fn add(&self, bytes: u64) {
        let before = self.current.fetch_add(bytes, Ordering::Relaxed);
        if before / GRAIN != (before + bytes) / GRAIN {
            self.tell(before + bytes, false);
        }
    }

    fn tell(&self, current: u64, done: bool) {
        self.progress.status(Status {
            id: self.id.clone(),
            current,
            total: self.total,
            done,
        });
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        self.tell(self.current.load(Ordering::Relaxed), true);
    }
}
