//! A build's ear at a step: what it is told, and what it missed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use bytes::Bytes;
use graph::VertexDigest;

use crate::progress::channel::{Offer, Room};
use crate::progress::{LogStream, Progress, ProgressSender, Warning};

/// One build that listens to a step.
#[derive(Debug, Clone)]
pub(super) struct Ear {
    /// Builds of one graph have the same digests, so that those do not tell them apart.
    pub(super) number: u64,
    pub(super) sender: ProgressSender,
    pub(super) vertex: VertexDigest,
    /// Bytes of output that it had no room for since it was last told something.
    missed: Arc<AtomicU64>,
}

/// Something that a step wrote.
#[derive(Debug, Clone)]
pub(super) struct Chunk {
    pub(super) at: SystemTime,
    pub(super) stream: LogStream,
    pub(super) bytes: Bytes,
}

impl Ear {
    pub(super) fn new(number: u64, sender: ProgressSender, vertex: VertexDigest) -> Self {
        Self {
            number,
            sender,
            vertex,
            missed: Arc::default(),
        }
    }

    /// Has the build's recorder take note of a chunk.
    pub(super) fn record(&self, chunk: &Chunk) {
        if self.sender.is_recorded() {
            self.sender.record(&chunk.progress(self.vertex));
        }
    }

    /// Tells of a chunk if there is room. True when nothing is left to do for this ear.
    pub(super) fn hears(&self, chunk: &Chunk) -> bool {
        match self.sender.try_room(chunk.bytes.len()) {
            Offer::Room(room) => {
                self.tell(chunk, room);
                true
            }
            Offer::NobodyReads => true,
            Offer::Full => false,
        }
    }

    /// Waits for room for a chunk; none when nobody reads.
    pub(super) async fn room(&self, chunk: &Chunk) -> Option<Room> {
        self.sender.room(chunk.bytes.len()).await
    }

    /// Tells of a chunk, and before it of what was missed.
    pub(super) fn tell(&self, chunk: &Chunk, room: Room) {
        let missed = self.missed.swap(0, Ordering::Relaxed);
        if missed > 0 {
            self.sender.send(Progress::Warning(Warning {
                vertex: Some(self.vertex),
                message: format!(
                    "{missed} bytes of output are missing here: another build shares this step \
                     and reads faster"
                ),
                detail: Vec::new(),
                url: None,
                locations: Vec::new(),
            }));
        }
        self.sender.send_in(room, chunk.progress(self.vertex));
    }

    /// Notes that a chunk is not told of.
    pub(super) fn misses(&self, chunk: &Chunk) {
        let bytes = chunk.bytes.len() as u64;
        self.missed.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Chunk {
    pub(super) fn progress(&self, vertex: VertexDigest) -> Progress {
        Progress::Log {
            vertex,
            at: self.at,
            stream: self.stream,
            bytes: self.bytes.clone(),
        }
    }
}
