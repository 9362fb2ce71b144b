//! The diff ID of a layer tar while it passes by.

use std::io::{self, Write};

use oci::{DiffId, Hasher};

/// Computes the digest and size of all that is written through it.
#[derive(Debug)]
pub struct HashingWriter<W> {
    output: W,
    hasher: Hasher,
    size: u64,
}

/// What went through a [`HashingWriter`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hashed {
    /// The digest, which is the diff ID if it was a layer tar.
    pub diff_id: DiffId,
    /// How many bytes.
    pub size: u64,
}

impl<W: Write> HashingWriter<W> {
    /// Passes everything on to `output`.
    pub fn new(output: W) -> Self {
        Self {
            output,
            hasher: Hasher::new(),
            size: 0,
        }
    }

    /// What went through, and the stream.
    pub fn finish(self) -> (Hashed, W) {
        let hashed = Hashed {
            diff_id: DiffId(self.hasher.finish()),
            size: self.size,
        };
        (hashed, self.output)
    }
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let length = self.output.write(data)?;
        self.hasher.update(&data[..length]);
        self.size += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}
