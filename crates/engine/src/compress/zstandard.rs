//! zstd with its own worker threads.
//!
//! The library makes the same bytes for any number of workers from one upwards, but others
//! without workers; so there is always at least one, and the size of a job is fixed.

use std::io::{self, Write};

use zstd::stream::raw::CParameter;
use zstd::stream::write::Encoder;

/// Bytes of input for each job; a change changes the digest of every zstd layer.
const JOB_SIZE: u32 = 8 << 20;

/// Compresses what is written to it on threads of its own.
pub struct ZstdWriter<W: Write>(Encoder<'static, W>);

impl<W: Write> ZstdWriter<W> {
    pub(super) fn new(output: W, level: i32, threads: usize) -> io::Result<Self> {
        let mut encoder = Encoder::new(output, level)?;
        let workers = u32::try_from(threads.clamp(1, 64)).unwrap_or(1);
        encoder.set_parameter(CParameter::NbWorkers(workers))?;
        encoder.set_parameter(CParameter::JobSize(JOB_SIZE))?;
        encoder.include_checksum(true)?;
        Ok(Self(encoder))
    }

    pub(super) fn finish(self) -> io::Result<W> {
        self.0.finish()
    }
}

impl<W: Write> Write for ZstdWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<W: Write> std::fmt::Debug for ZstdWriter<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ZstdWriter")
    }
}
