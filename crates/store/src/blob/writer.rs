//! Writing a blob whose digest may not be known yet. Only `commit` makes it visible; dropping the
//! writer removes what was written.

use std::fs::File;
use std::io::{self as std_io, BufWriter, Write};
use std::path::{Path, PathBuf};

use sys::write_back::WriteBack;

use super::{Blob, Tally, publish};
use crate::error::{Result, io};
use crate::layout::Layout;
use crate::lease::Lease;
use crate::{fail, file};

/// Enough to spare tar writers the system call per header.
const BUFFER: usize = 64 << 10;

/// A blob that is being written.
#[derive(Debug)]
pub struct BlobWriter {
    layout: Layout,
    lease: Lease,
    file: BufWriter<File>,
    path: PathBuf,
    tally: Tally,
    back: WriteBack,
    published: bool,
}

impl BlobWriter {
    pub(super) fn start(layout: &Layout, lease: &Lease, expected: Option<Blob>) -> Result<Self> {
        let path = lease.temporary(&layout.ingest());
        Ok(Self {
            layout: layout.clone(),
            lease: lease.clone(),
            file: BufWriter::with_capacity(BUFFER, file::create(&path)?),
            path,
            tally: Tally::new(expected),
            back: WriteBack::default(),
            published: false,
        })
    }

    /// Makes the blob visible.
    ///
    /// # Errors
    /// It is not the expected one, or cannot be brought to disk.
    pub fn commit(mut self) -> Result<Blob> {
        self.file
            .flush()
            .and_then(|()| fail::point("sync a blob"))
            .and_then(|()| self.file.get_ref().sync_all())
            .map_err(io("write", &self.path))?;
        let tally = std::mem::replace(&mut self.tally, Tally::new(None));
        let blob = tally.verify()?;
        publish(&self.layout, &self.lease, &self.path, &blob.digest)?;
        self.published = true;
        Ok(blob)
    }

    /// How many bytes were written.
    #[must_use]
    pub const fn written(&self) -> u64 {
        self.tally.written
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> std_io::Result<usize> {
        let room = self.tally.room(bytes.len())?;
        fail::point("write a blob")?;
        let written = self.file.write(&bytes[..room])?;
        self.tally.add(&bytes[..written]);
        self.back.advance(self.file.get_ref(), self.tally.written);
        Ok(written)
    }

    fn flush(&mut self) -> std_io::Result<()> {
        self.file.flush()
    }
}

impl Drop for BlobWriter {
    fn drop(&mut self) {
        if !self.published {
            // What cannot be removed now is collected after the lease's end.
            let _ = file::remove_file(&self.path);
        }
    }
}
