//! Downloads: blobs whose digest and size are known, written by one process at a time and resumed
//! where the last one stopped, even after its death.
//!
//! The file `ingest/<hex>` is its own lock. When it is whole it is renamed to the blob, and whoever
//! waited for the lock sees that its path leads elsewhere.

use std::fs::File;
use std::io::{self as std_io, Read, Write};

use sys::write_back::WriteBack;

use super::{Blob, Tally, publish, take};
use crate::error::{Result, StoreError, io};
use crate::fail;
use crate::layout::Layout;
use crate::lease::Lease;
use crate::lock::{FileLock, Mode, Wait};

/// What a download begins with.
#[derive(Debug)]
pub enum Ingest {
    /// The blob is here, and held.
    Present(Blob),
    /// It is ours to go on with.
    Open(Box<Download>),
    /// Somebody else downloads it.
    Busy,
}

/// A download that is ours to go on with. Dropping it keeps what came so far for the next one.
#[derive(Debug)]
pub struct Download {
    layout: Layout,
    lease: Lease,
    lock: FileLock,
    tally: Tally,
    back: WriteBack,
}

pub(super) fn ingest(layout: &Layout, lease: &Lease, blob: Blob, wait: Wait) -> Result<Ingest> {
    let path = layout.ingest().join(blob.digest.hex());
    let Some(lock) = FileLock::acquire(&path, Mode::Exclusive, wait)? else {
        return Ok(Ingest::Busy);
    };
    // Only now: whoever held the lock before us may have finished it.
    if take(layout, lease, &blob.digest)? == Some(blob.size) {
        drop(lock.remove_on_release());
        return Ok(Ingest::Present(blob));
    }
    let mut download = Download {
        layout: layout.clone(),
        lease: lease.clone(),
        lock,
        tally: Tally::new(Some(blob)),
        back: WriteBack::default(),
    };
    download.resume()?;
    Ok(Ingest::Open(Box::new(download)))
}

impl Download {
    /// How many bytes are here already: where the download goes on.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.tally.written
    }

    /// Throws away what came so far, for a server that cannot go on in the middle.
    ///
    /// # Errors
    /// The file cannot be emptied.
    pub fn restart(&mut self) -> Result<()> {
        self.lock
            .file()
            .set_len(0)
            .map_err(io("truncate", self.lock.path()))?;
        self.tally = Tally::new(self.tally.expected);
        self.back = WriteBack::default();
        Ok(())
    }

    /// Verifies the whole, and makes it visible. Bytes that are not those of the digest are thrown
    /// away; too few of them are kept.
    ///
    /// # Errors
    /// It is not the expected blob, or cannot be brought to disk.
    pub fn finish(mut self) -> Result<Blob> {
        let tally = std::mem::replace(&mut self.tally, Tally::new(None));
        let blob = match tally.verify() {
            Err(error @ StoreError::DigestMismatch { .. }) => {
                drop(self.lock.remove_on_release());
                return Err(error);
            }
            verified => verified?,
        };
        fail::point("sync a download")
            .and_then(|()| self.lock.file().sync_all())
            .map_err(io("sync", self.lock.path()))?;
        publish(&self.layout, &self.lease, self.lock.path(), &blob.digest)?;
        Ok(blob)
    }

    /// Takes into account what is in the file; more than expected cannot be the right bytes.
    fn resume(&mut self) -> Result<()> {
        let path = self.lock.path().to_owned();
        let size = self
            .lock
            .file()
            .metadata()
            .map_err(io("stat", &path))?
            .len();
        if size == 0 {
            return Ok(());
        }
        if self.tally.expected.is_some_and(|blob| size > blob.size) {
            return self.restart();
        }
        let mut file = File::open(&path).map_err(io("open", &path))?;
        let mut buffer = vec![0; 256 << 10];
        loop {
            match file.read(&mut buffer).map_err(io("read", &path))? {
                0 => return Ok(()),
                read => self.tally.add(&buffer[..read]),
            }
        }
    }
}

impl Write for Download {
    fn write(&mut self, bytes: &[u8]) -> std_io::Result<usize> {
        let room = self.tally.room(bytes.len())?;
        fail::point("write a download")?;
        let written = self.lock.file().write(&bytes[..room])?;
        self.tally.add(&bytes[..written]);
        self.back.advance(self.lock.file(), self.tally.written);
        Ok(written)
    }

    fn flush(&mut self) -> std_io::Result<()> {
        Ok(())
    }
}
