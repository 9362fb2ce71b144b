//! Blobs: immutable bytes named by their digest.
//!
//! A blob is seen under its name only when it is whole, verified and on disk. The directory is the
//! only record of which blobs there are.

mod download;
mod reader;
mod writer;

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use oci::{Digest, Hasher};

use crate::Store;
use crate::error::{Result, StoreError, io};
use crate::file;
use crate::layout::Layout;
use crate::lease::{Lease, Resource};
use crate::lock::Wait;

pub use download::{Download, Ingest};
pub use reader::VerifiedReader;
pub use writer::BlobWriter;

/// A blob that is in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Blob {
    /// The digest of its bytes.
    pub digest: Digest,
    /// Their number.
    pub size: u64,
}

/// The blobs of a store.
#[derive(Debug, Clone, Copy)]
pub struct Blobs<'a> {
    store: &'a Store,
}

impl<'a> Blobs<'a> {
    pub(crate) const fn new(store: &'a Store) -> Self {
        Self { store }
    }

    /// Starts a new blob; `expected` is what it must turn out to be.
    ///
    /// # Errors
    /// The temporary file cannot be made.
    pub fn writer(&self, lease: &Lease, expected: Option<Blob>) -> Result<BlobWriter> {
        BlobWriter::start(self.layout(), lease, expected)
    }

    /// Stores `bytes`, unless they are there.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn put(&self, lease: &Lease, bytes: &[u8]) -> Result<Blob> {
        let blob = Blob {
            digest: Digest::of(bytes),
            size: bytes.len() as u64,
        };
        if self.take(lease, &blob.digest)? == Some(blob.size) {
            return Ok(blob);
        }
        let mut writer = self.writer(lease, Some(blob))?;
        let path = writer.path().to_owned();
        writer.write_all(bytes).map_err(io("write", &path))?;
        writer.commit()
    }

    /// Waits until nobody downloads `blob`, then says how far it is. Holds off other processes.
    ///
    /// # Errors
    /// The file cannot be made or read.
    pub fn ingest(&self, lease: &Lease, blob: Blob) -> Result<Ingest> {
        loop {
            match download::ingest(self.layout(), lease, blob, Wait::Forever)? {
                Ingest::Busy => {}
                ingest => return Ok(ingest),
            }
        }
    }

    /// As [`ingest`](Self::ingest), but [`Ingest::Busy`] at once when somebody downloads it.
    ///
    /// # Errors
    /// The file cannot be made or read.
    pub fn try_ingest(&self, lease: &Lease, blob: Blob) -> Result<Ingest> {
        download::ingest(self.layout(), lease, blob, Wait::Not)
    }

    /// Holds the blob if it is here; its size.
    ///
    /// # Errors
    /// The store cannot be read or the lease not written.
    pub fn take(&self, lease: &Lease, digest: &Digest) -> Result<Option<u64>> {
        take(self.layout(), lease, digest)
    }

    /// Whether the blob is here. Unless a lease holds it, it may go at any time.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn has(&self, digest: &Digest) -> Result<bool> {
        Ok(self.size(digest)?.is_some())
    }

    /// The size of the blob; none if it is not here.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn size(&self, digest: &Digest) -> Result<Option<u64>> {
        file::size(&self.path(digest))
    }

    /// Where the blob is, if it is here.
    #[must_use]
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.layout().blob(digest)
    }

    /// Opens the blob; its bytes were verified when it was written.
    ///
    /// # Errors
    /// It is not here, or cannot be opened.
    pub fn open(&self, digest: &Digest) -> Result<File> {
        let path = self.path(digest);
        File::open(&path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => StoreError::MissingBlob(*digest),
            _ => io("open", &path)(error),
        })
    }

    /// Opens the blob for a reader that fails at the end if the bytes are not those named.
    ///
    /// # Errors
    /// It is not here, or cannot be opened.
    pub fn open_verified(&self, digest: &Digest) -> Result<VerifiedReader<File>> {
        Ok(VerifiedReader::new(self.open(digest)?, *digest))
    }

    /// The verified bytes of a blob of at most `limit` bytes.
    ///
    /// # Errors
    /// It is not here, larger than `limit`, unreadable, or its bytes are not those named.
    pub fn read(&self, digest: &Digest, limit: u64) -> Result<Vec<u8>> {
        let (file, path) = (self.open(digest)?, self.path(digest));
        let size = file.metadata().map_err(io("stat", &path))?.len();
        if size > limit {
            return Err(StoreError::TooLarge {
                digest: *digest,
                size,
                limit,
            });
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        file.take(limit)
            .read_to_end(&mut bytes)
            .map_err(io("read", &path))?;
        match Digest::of(&bytes) {
            found if found == *digest => Ok(bytes),
            found => Err(StoreError::DigestMismatch {
                expected: *digest,
                found,
            }),
        }
    }

    /// All blobs, by digest. Names that are no digests are left out.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn list(&self) -> Result<Vec<Blob>> {
        let mut blobs = Vec::new();
        for name in file::names(&self.layout().blobs())? {
            if let Ok(digest) = Digest::from_hex(&name)
                && let Some(size) = self.size(&digest)?
            {
                blobs.push(Blob { digest, size });
            }
        }
        Ok(blobs)
    }

    fn layout(&self) -> &'a Layout {
        self.store.layout()
    }
}

fn take(layout: &Layout, lease: &Lease, digest: &Digest) -> Result<Option<u64>> {
    let hold = lease.hold()?;
    let size = file::size(&layout.blob(digest))?;
    if size.is_some() {
        lease.add_under(&hold, &[Resource::Blob(*digest)])?;
    }
    Ok(size)
}

/// Makes the verified and synced file at `from` the blob `digest`, held by `lease`.
fn publish(layout: &Layout, lease: &Lease, from: &Path, digest: &Digest) -> Result<()> {
    let to = layout.blob(digest);
    let hold = lease.hold()?;
    lease.add_under(&hold, &[Resource::Blob(*digest)])?;
    file::rename(from, &to)?;
    file::sync_parent(&to)
}

/// Digest and number of bytes of what was written so far, and what they must become.
#[derive(Debug)]
struct Tally {
    expected: Option<Blob>,
    hasher: Hasher,
    written: u64,
}

impl Tally {
    fn new(expected: Option<Blob>) -> Self {
        Self {
            expected,
            hasher: Hasher::new(),
            written: 0,
        }
    }

    /// How many more bytes may come; an error if none may and `wanted` is not 0.
    fn room(&self, wanted: usize) -> Result<usize> {
        let Some(expected) = self.expected else {
            return Ok(wanted);
        };
        let room = expected.size.saturating_sub(self.written);
        if room == 0 && wanted > 0 {
            return Err(StoreError::SizeMismatch {
                digest: expected.digest,
                expected: expected.size,
                found: self.written.saturating_add(wanted as u64),
            });
        }
        Ok(wanted.min(usize::try_from(room).unwrap_or(usize::MAX)))
    }

    fn add(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.written += bytes.len() as u64;
    }

    /// The blob that was written, if it is the expected one.
    fn verify(self) -> Result<Blob> {
        let found = Blob {
            digest: self.hasher.finish(),
            size: self.written,
        };
        let Some(expected) = self.expected else {
            return Ok(found);
        };
        if found.size != expected.size {
            return Err(StoreError::SizeMismatch {
                digest: expected.digest,
                expected: expected.size,
                found: found.size,
            });
        }
        if found.digest != expected.digest {
            return Err(StoreError::DigestMismatch {
                expected: expected.digest,
                found: found.digest,
            });
        }
        Ok(found)
    }
}

impl From<StoreError> for std::io::Error {
    fn from(error: StoreError) -> Self {
        Self::new(ErrorKind::InvalidData, error)
    }
}
