//! What is an archive of files, by its content alone, and the tar inside of it.

use std::io::{self, BufRead, Read};

use crate::Limits;
use crate::extract::Bounded;
use crate::tar::Reader;

/// As much of the beginning of a stream as [`Compression::of_archive`] wants to see.
pub const START: usize = 16 * 1024;

/// The most that a decompressor looks back, in bytes: twice what `zstd --ultra` and `xz -9` use.
pub const WINDOW: u32 = 256 << 20;

/// How an archive is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip.
    Gzip,
    /// bzip2.
    Bzip2,
    /// xz.
    Xz,
    /// zstd.
    Zstd,
}

/// The bytes that compressed files begin with.
const MAGIC: &[(&[u8], Compression)] = &[
    (b"\x1f\x8b\x08", Compression::Gzip),
    (b"BZh", Compression::Bzip2),
    (b"\xfd7zXZ\0", Compression::Xz),
    (b"\x28\xb5\x2f\xfd", Compression::Zstd),
];

impl Compression {
    /// How what begins with `start` is compressed.
    #[must_use]
    pub fn of(start: &[u8]) -> Self {
        let known = MAGIC.iter().find(|(magic, _)| start.starts_with(magic));
        known.map_or(Self::None, |(_, compression)| *compression)
    }

    /// The same for what is taken for an archive; none when it begins like no archive. What is
    /// compressed is always taken for one.
    #[must_use]
    pub fn of_archive(start: &[u8]) -> Option<Self> {
        let compression = Self::of(start);
        let is_tar = || {
            start.get(257..262) == Some(b"ustar")
                || matches!(Reader::new(start).next_entry(), Ok(Some(_)))
        };
        (compression != Self::None || is_tar()).then_some(compression)
    }

    /// The tar inside of `archive`. Reading it fails once it grows beyond what `limits` allow; no
    /// decompressor takes more memory than [`WINDOW`].
    ///
    /// # Errors
    /// The beginning cannot be read.
    pub fn decode<'a>(
        self,
        archive: impl BufRead + Send + 'a,
        limits: &Limits,
    ) -> io::Result<Box<dyn Read + Send + 'a>> {
        if self == Self::None {
            return Ok(Box::new(archive));
        }
        let bounded = Bounded::new(archive, limits.ratio, |archive| {
            Ok::<Box<dyn Read + Send + 'a>, _>(match self {
                Self::None => Box::new(archive),
                Self::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(archive)),
                Self::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(archive)),
                Self::Xz => {
                    let kibibytes = WINDOW >> 10;
                    let xz = lzma_rust2::XzReader::new_mem_limit(archive, true, kibibytes);
                    Box::new(xz)
                }
                Self::Zstd => {
                    let mut zstd = zstd::Decoder::with_buffer(archive)?;
                    zstd.window_log_max(WINDOW.ilog2())?;
                    Box::new(zstd)
                }
            })
        })?;
        Ok(Box::new(bounded))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts() {
        let mut ustar = vec![0; 512];
        ustar[257..262].copy_from_slice(b"ustar");
        for (start, expected) in [
            (&b""[..], None),
            (b"\x1f", None),
            (b"FROM scratch\n", None),
            (b"\x1f\x8b\x08\0", Some(Compression::Gzip)),
            (b"BZh91", Some(Compression::Bzip2)),
            (b"\xfd7zXZ\0", Some(Compression::Xz)),
            (b"\x28\xb5\x2f\xfd", Some(Compression::Zstd)),
            (&ustar, Some(Compression::None)),
            (&[0; 1024], None),
        ] {
            assert_eq!(Compression::of_archive(start), expected, "{start:?}");
        }
    }
}
