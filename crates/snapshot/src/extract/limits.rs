//! Bounds on archives, which no real one meets.

use std::fmt;
use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::ExtractError;

/// What may come out of a decompressor before its ratio is looked at: files of zeros are real, and
/// so are disk images.
const RATIO_FROM: u64 = 4 << 30;

/// Bounds on an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Members, and directories that they imply.
    pub entries: u64,
    /// Bytes of all files together, holes included, and of what follows the last of them.
    pub size: u64,
    /// Bytes out of a decompressor for each byte into it, once [`RATIO_FROM`] came out.
    pub ratio: u64,
    /// Bytes of the names of directories and hard links, which are kept in memory.
    pub names: u64,
    /// Components of a name.
    pub depth: usize,
    /// Bytes of a name.
    pub name: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries: 10_000_000,
            size: 1 << 40,
            ratio: 10_000,
            names: 256 << 20,
            depth: 512,
            name: 4096,
        }
    }
}

/// What there can be too much of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// Members, and directories that they imply.
    Entries,
    /// Bytes of files.
    Bytes,
    /// Components of one name.
    Depth,
    /// Bytes of one name.
    Name,
    /// Bytes of names that are kept.
    Names,
    /// Bytes out of each byte of a compressed archive.
    Ratio,
}

impl Bound {
    /// # Errors
    /// There is too much.
    pub const fn check(self, found: u64, limit: u64) -> Result<(), ExtractError> {
        if found > limit {
            return Err(ExtractError::Limit { bound: self, limit });
        }
        Ok(())
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Entries => "entries",
            Self::Bytes => "bytes",
            Self::Depth => "components in one name",
            Self::Name => "bytes in one name",
            Self::Names => "bytes in the names of directories and links",
            Self::Ratio => "bytes for each compressed one",
        })
    }
}

/// Counts what a decompressor reads.
#[derive(Debug)]
pub(crate) struct Counted<R> {
    input: R,
    count: Arc<AtomicU64>,
}

impl<R: BufRead> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.input.read(buffer)?;
        self.count.fetch_add(length as u64, Ordering::Relaxed);
        Ok(length)
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.input.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.count.fetch_add(amount as u64, Ordering::Relaxed);
        self.input.consume(amount);
    }
}

/// What comes out of a decompressor, as long as it is no bomb.
#[derive(Debug)]
pub(crate) struct Bounded<D> {
    output: D,
    read: Arc<AtomicU64>,
    written: u64,
    ratio: u64,
}

impl<D: Read> Bounded<D> {
    /// What `decoder` makes of `input`.
    pub(crate) fn new<R: BufRead>(
        input: R,
        ratio: u64,
        decoder: impl FnOnce(Counted<R>) -> io::Result<D>,
    ) -> io::Result<Self> {
        let read = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&read);
        Ok(Self {
            output: decoder(Counted { input, count })?,
            read,
            written: 0,
            ratio,
        })
    }
}

impl<D: Read> Read for Bounded<D> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.output.read(buffer)?;
        self.written += length as u64;
        let (read, limit) = (self.read.load(Ordering::Relaxed), self.ratio);
        if self.written > RATIO_FROM.max(read.saturating_mul(limit)) {
            let bound = Bound::Ratio;
            return Err(io::Error::other(ExtractError::Limit { bound, limit }));
        }
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a decompressor of a bomb looks like from outside: nothing in, and no end.
    #[test]
    fn a_bomb_ends() {
        let decoder = |_: Counted<&[u8]>| Ok(io::repeat(0));
        let mut bomb = Bounded::new(&b""[..], 10, decoder).unwrap();
        bomb.written = RATIO_FROM - 5;
        let mut buffer = [0; 5];
        assert_eq!(bomb.read(&mut buffer).unwrap(), 5);
        assert_eq!(
            bomb.read(&mut buffer).unwrap_err().to_string(),
            "archive has too many bytes for each compressed one: at most 10 are accepted"
        );
        bomb.read.store(RATIO_FROM, Ordering::Relaxed);
        assert_eq!(bomb.read(&mut buffer).unwrap(), 5);
    }
}
