//! Compresses layers in parallel.
//!
//! The bytes depend on the input, the format and the level, and on nothing else: not on the
//! number of threads, not on the sizes of the writes. Golden digests in the tests pin them, since
//! the digest of every compressed layer hangs on them. Memory is bounded by the number of blocks
//! under way.

mod gzip;
mod zstandard;

use std::io::{self, Write};
use std::sync::Arc;

use libdeflater::CompressionLvl;
use oci::Compression;

pub use gzip::GzipWriter;
use zstandard::ZstdWriter;

/// The gzip level when none is asked for. Layers are as large as with the default of other builders,
/// within a hundredth on text and smaller on programs; level 4 is a sixth slower for at most as much
/// as that again.
pub const DEFAULT_GZIP_LEVEL: i32 = 2;
/// The zstd level when none is asked for.
pub const DEFAULT_ZSTD_LEVEL: i32 = 3;

/// Compresses what is written to it into `W`; only [`Compressor::finish`] ends the stream.
pub enum Compressor<W: Write> {
    /// Passes bytes through.
    Uncompressed(W),
    /// RFC 1952.
    Gzip(GzipWriter<W>),
    /// RFC 8878.
    Zstd(ZstdWriter<W>),
}

impl<W: Write> Compressor<W> {
    /// A compressor for `format`; `level` is the format's default when none.
    ///
    /// # Errors
    /// The level is none that the format has.
    pub fn new(
        output: W,
        format: Compression,
        level: Option<i32>,
        pool: &Arc<rayon::ThreadPool>,
    ) -> io::Result<Self> {
        Ok(match format {
            Compression::Uncompressed => Self::Uncompressed(output),
            Compression::Gzip => {
                let level = level.unwrap_or(DEFAULT_GZIP_LEVEL);
                // The library has three more, which no other builder has.
                let level = (level <= 9).then(|| CompressionLvl::new(level));
                let level = level.and_then(Result::ok).ok_or_else(bad_level)?;
                Self::Gzip(GzipWriter::new(output, level, Arc::clone(pool)))
            }
            Compression::Zstd => {
                let level = level.unwrap_or(DEFAULT_ZSTD_LEVEL);
                if !(0..=22).contains(&level) {
                    return Err(bad_level());
                }
                Self::Zstd(ZstdWriter::new(output, level, pool.current_num_threads())?)
            }
        })
    }

    /// Ends the stream and gives back what it was written to.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn finish(self) -> io::Result<W> {
        match self {
            Self::Uncompressed(output) => Ok(output),
            Self::Gzip(writer) => writer.finish(),
            Self::Zstd(writer) => writer.finish(),
        }
    }
}

fn bad_level() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        "compression level out of range",
    )
}

impl<W: Write> Write for Compressor<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Uncompressed(output) => output.write(bytes),
            Self::Gzip(writer) => writer.write(bytes),
            Self::Zstd(writer) => writer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        // A flush in the middle would change the bytes.
        Ok(())
    }
}

impl<W: Write> std::fmt::Debug for Compressor<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Uncompressed(_) => "Compressor(uncompressed)",
            Self::Gzip(_) => "Compressor(gzip)",
            Self::Zstd(_) => "Compressor(zstd)",
        })
    }
}

#[cfg(test)]
mod tests;
