//! The way from those who tell to the one who reads.
//!
//! What a build itself tells is never lost and never waits; its number is bounded by the graph.
//! What steps write is bounded in bytes: a writer waits until the reader has caught up. Statuses
//! that are soon outdated are left out while the reader is behind.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::progress::Progress;

/// What a status takes of the room for logs.
const STATUS_BYTES: u32 = 128;

/// Makes a channel in which at most `log_bytes` of what steps wrote wait to be read.
#[must_use]
pub fn channel(log_bytes: u32) -> (ProgressSender, ProgressReceiver) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let capacity = log_bytes.max(1);
    let room = Arc::new(Semaphore::new(capacity as usize));
    let sender = ProgressSender {
        open: Some(Open {
            sender,
            room: Arc::clone(&room),
            capacity,
        }),
    };
    (sender, ProgressReceiver { receiver, room })
}

/// Tells what happens. Clones tell the same reader.
#[derive(Debug, Clone)]
pub struct ProgressSender {
    /// None when nobody reads.
    open: Option<Open>,
}

/// Reads what happens, in order. When it is dropped, what is told is thrown away.
#[derive(Debug)]
pub struct ProgressReceiver {
    receiver: mpsc::UnboundedReceiver<Told>,
    room: Arc<Semaphore>,
}

#[derive(Debug, Clone)]
struct Open {
    sender: mpsc::UnboundedSender<Told>,
    room: Arc<Semaphore>,
    capacity: u32,
}

#[derive(Debug)]
struct Told {
    progress: Progress,
    _room: Option<OwnedSemaphorePermit>,
}

impl ProgressSender {
    /// A sender that nobody reads from.
    #[must_use]
    pub const fn discard() -> Self {
        Self { open: None }
    }

    /// Tells something without waiting. What has a size belongs to [`send_bounded`].
    ///
    /// [`send_bounded`]: Self::send_bounded
    pub fn send(&self, progress: Progress) {
        if let Some(open) = &self.open {
            open.send(progress, None);
        }
    }

    /// Tells something when there is room for it; what is larger than all room waits for all.
    pub async fn send_bounded(&self, progress: Progress) {
        let Some(open) = &self.open else { return };
        let wanted = match &progress {
            Progress::Log { bytes, .. } => u32::try_from(bytes.len()).unwrap_or(u32::MAX),
            _ => STATUS_BYTES,
        };
        let room = Arc::clone(&open.room);
        // Closed means that the reader has gone.
        if let Ok(room) = room.acquire_many_owned(wanted.min(open.capacity)).await {
            open.send(progress, Some(room));
        }
    }

    /// Tells something if there is room for it now.
    pub fn send_if_room(&self, progress: Progress) {
        let Some(open) = &self.open else { return };
        let room = Arc::clone(&open.room);
        if let Ok(room) = room.try_acquire_many_owned(STATUS_BYTES.min(open.capacity)) {
            open.send(progress, Some(room));
        }
    }
}

impl Open {
    fn send(&self, progress: Progress, room: Option<OwnedSemaphorePermit>) {
        // A reader that has gone does not want to know.
        let _ = self.sender.send(Told {
            progress,
            _room: room,
        });
    }
}

impl ProgressReceiver {
    /// The next thing that happens; none when all senders are gone and everything was read.
    pub async fn recv(&mut self) -> Option<Progress> {
        self.receiver.recv().await.map(|told| told.progress)
    }

    /// The same, for a thread that is not the runtime's.
    pub fn blocking_recv(&mut self) -> Option<Progress> {
        self.receiver.blocking_recv().map(|told| told.progress)
    }

    /// What was told and not read yet, without waiting.
    pub fn try_recv(&mut self) -> Option<Progress> {
        self.receiver.try_recv().ok().map(|told| told.progress)
    }
}

impl Drop for ProgressReceiver {
    fn drop(&mut self) {
        self.room.close();
    }
}
