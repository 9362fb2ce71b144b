//! The way from those who tell to the one who reads.
//!
//! What a build itself tells is never lost and never waits; its number is bounded by the graph.
//! What steps write is bounded in bytes: a writer waits until the reader has caught up. Statuses
//! that are soon outdated are left out while the reader is behind.

use std::fmt;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, mpsc};

use crate::progress::Progress;

/// What a status takes of the room for logs.
const STATUS_BYTES: usize = 128;

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
        recorder: None,
    };
    (sender, ProgressReceiver { receiver, room })
}

/// Takes note of everything that is told, whether or not a reader can follow. Called by whoever
/// tells it, which goes on only afterwards.
pub trait Recorder: Send + Sync {
    /// Takes note.
    fn record(&self, progress: &Progress);
}

/// Tells what happens. Clones tell the same reader.
#[derive(Clone)]
pub struct ProgressSender {
    /// None when nobody reads.
    open: Option<Open>,
    recorder: Option<Arc<dyn Recorder>>,
}

/// Reads what happens, in order. When it is dropped, what is told is thrown away.
#[derive(Debug)]
pub struct ProgressReceiver {
    receiver: mpsc::UnboundedReceiver<Told>,
    room: Arc<Semaphore>,
}

/// Room in a channel; free again when what it was used for was read.
#[derive(Debug)]
pub(super) struct Room(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

/// What a channel offers at once.
#[derive(Debug)]
pub(super) enum Offer {
    Room(Room),
    Full,
    NobodyReads,
}

#[derive(Clone)]
struct Open {
    sender: mpsc::UnboundedSender<Told>,
    room: Arc<Semaphore>,
    capacity: u32,
}

#[derive(Debug)]
struct Told {
    progress: Progress,
    _room: Option<Room>,
}

impl ProgressSender {
    /// A sender that nobody reads from.
    #[must_use]
    pub const fn discard() -> Self {
        Self {
            open: None,
            recorder: None,
        }
    }

    /// Tells the same reader, and `recorder` in place of the one before.
    #[must_use]
    pub fn recorded(&self, recorder: Arc<dyn Recorder>) -> Self {
        Self {
            open: self.open.clone(),
            recorder: Some(recorder),
        }
    }

    /// Has only the recorder take note.
    pub(super) fn record(&self, progress: &Progress) {
        if let Some(recorder) = &self.recorder {
            recorder.record(progress);
        }
    }

    /// Whether there is a recorder.
    pub(super) const fn is_recorded(&self) -> bool {
        self.recorder.is_some()
    }

    /// Tells something without waiting. What has a size belongs to [`send_bounded`].
    ///
    /// [`send_bounded`]: Self::send_bounded
    pub fn send(&self, progress: Progress) {
        self.record(&progress);
        if let Some(open) = &self.open {
            open.send(progress, None);
        }
    }

    /// Tells something when there is room for it; what is larger than all room waits for all.
    pub async fn send_bounded(&self, progress: Progress) {
        self.record(&progress);
        let size = size(&progress);
        if let Some(room) = self.room(size).await {
            self.send_in(room, progress);
        }
    }

    /// Tells something if there is room for it now.
    pub fn send_if_room(&self, progress: Progress) {
        self.record(&progress);
        if let Offer::Room(room) = self.try_room(size(&progress)) {
            self.send_in(room, progress);
        }
    }

    /// Waits for room; none when nobody reads.
    pub(super) async fn room(&self, size: usize) -> Option<Room> {
        let open = self.open.as_ref()?;
        let room = Arc::clone(&open.room);
        let room = room.acquire_many_owned(open.wanted(size)).await;
        room.ok().map(Room)
    }

    /// Room, if there is some now.
    pub(super) fn try_room(&self, size: usize) -> Offer {
        let Some(open) = &self.open else {
            return Offer::NobodyReads;
        };
        let room = Arc::clone(&open.room);
        match room.try_acquire_many_owned(open.wanted(size)) {
            Ok(room) => Offer::Room(Room(room)),
            Err(TryAcquireError::NoPermits) => Offer::Full,
            Err(TryAcquireError::Closed) => Offer::NobodyReads,
        }
    }

    /// Tells the reader something that room was found for.
    pub(super) fn send_in(&self, room: Room, progress: Progress) {
        if let Some(open) = &self.open {
            open.send(progress, Some(room));
        }
    }
}

impl fmt::Debug for ProgressSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProgressSender")
            .field("is_read", &self.open.is_some())
            .field("is_recorded", &self.is_recorded())
            .finish()
    }
}

fn size(progress: &Progress) -> usize {
    match progress {
        Progress::Log { bytes, .. } => bytes.len(),
        _ => STATUS_BYTES,
    }
}

impl Open {
    fn wanted(&self, size: usize) -> u32 {
        u32::try_from(size).map_or(self.capacity, |size| size.min(self.capacity))
    }

    fn send(&self, progress: Progress, room: Option<Room>) {
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
