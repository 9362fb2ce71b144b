//! The fields of a 512-byte header block (POSIX.1-2024 pax, "ustar Interchange Format"; GNU's and
//! star's variants).

use std::ops::Range;

use super::TarError;

pub(super) const BLOCK: usize = 512;
pub(super) type Block = [u8; BLOCK];

pub(super) const NAME: Range<usize> = 0..100;
pub(super) const MODE: Range<usize> = 100..108;
pub(super) const UID: Range<usize> = 108..116;
pub(super) const GID: Range<usize> = 116..124;
pub(super) const SIZE: Range<usize> = 124..136;
pub(super) const MTIME: Range<usize> = 136..148;
pub(super) const CHECKSUM: Range<usize> = 148..156;
pub(super) const TYPE: usize = 156;
pub(super) const LINK: Range<usize> = 157..257;
pub(super) const MAGIC: Range<usize> = 257..265;
pub(super) const DEV_MAJOR: Range<usize> = 329..337;
pub(super) const DEV_MINOR: Range<usize> = 337..345;
pub(super) const PREFIX: Range<usize> = 345..500;
const STAR_PREFIX: Range<usize> = 345..476;
const STAR_TRAILER: Range<usize> = 508..512;
/// GNU: the first entries of a sparse map, whether more follow, the real size.
pub(super) const GNU_SPARSE: Range<usize> = 386..482;
pub(super) const GNU_EXTENDED: usize = 482;
pub(super) const GNU_REAL_SIZE: Range<usize> = 483..495;

pub(super) const USTAR_MAGIC: &[u8; 8] = b"ustar\x0000";
const GNU_MAGIC: &[u8; 8] = b"ustar  \0";

/// The dialect of a header block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    V7,
    Ustar,
    Star,
    Gnu,
}

impl Format {
    /// # Errors
    /// The checksum is wrong.
    pub(super) fn of(block: &Block) -> Result<Self, TarError> {
        let stored = octal("checksum", &block[CHECKSUM]).map_err(|_| TarError::Checksum)?;
        let (unsigned, signed) = checksums(block);
        if stored != unsigned && i64::try_from(stored) != Ok(signed) {
            return Err(TarError::Checksum);
        }
        Ok(match &block[MAGIC] {
            magic if magic == GNU_MAGIC => Self::Gnu,
            magic if magic == USTAR_MAGIC && &block[STAR_TRAILER] == b"tar\0" => Self::Star,
            magic if magic == USTAR_MAGIC => Self::Ustar,
            _ => Self::V7,
        })
    }

    /// The name with the prefix that some dialects have.
    pub(super) fn name(self, block: &Block) -> Vec<u8> {
        let prefix = match self {
            Self::V7 | Self::Gnu => &[][..],
            Self::Ustar => text(&block[PREFIX]),
            Self::Star => text(&block[STAR_PREFIX]),
        };
        let name = text(&block[NAME]);
        if prefix.is_empty() {
            return name.to_vec();
        }
        [prefix, b"/", name].concat()
    }
}

/// The sum of all bytes with the checksum itself as spaces: unsigned as the standard has it, and
/// signed as some old tars did.
pub(super) fn checksums(block: &Block) -> (u64, i64) {
    let mut sums = (0, 0);
    for (at, byte) in block.iter().enumerate() {
        let byte = if CHECKSUM.contains(&at) { b' ' } else { *byte };
        sums.0 += u64::from(byte);
        sums.1 += i64::from(byte.cast_signed());
    }
    sums
}

/// Text up to its NUL, or all of the field.
pub(super) fn text(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// A number in octal or, with the high bit of the first byte set, in base 256.
pub(super) fn number(name: &'static str, field: &[u8]) -> Result<i64, TarError> {
    match field.first() {
        Some(first) if first & 0x80 != 0 => base256(field).ok_or_else(|| invalid(name, field)),
        _ => octal(name, field)
            .and_then(|value| i64::try_from(value).map_err(|_| invalid(name, field))),
    }
}

/// Two's complement, big endian; the highest bit only marks the encoding.
fn base256(field: &[u8]) -> Option<i64> {
    let negative = field.first()? & 0x40 != 0;
    let flip = if negative { 0xff } else { 0 };
    let mut value: u64 = 0;
    for (at, byte) in field.iter().enumerate() {
        let mut byte = byte ^ flip;
        if at == 0 {
            byte &= 0x7f;
        }
        if value >> 56 != 0 {
            return None;
        }
        value = value << 8 | u64::from(byte);
    }
    let value = i64::try_from(value).ok()?;
    Some(if negative { !value } else { value })
}

/// Digits between spaces and NULs; nothing at all is 0.
fn octal(name: &'static str, field: &[u8]) -> Result<u64, TarError> {
    let is_blank = |byte: &u8| matches!(byte, b' ' | 0);
    let Some(start) = field.iter().position(|byte| !is_blank(byte)) else {
        return Ok(0);
    };
    let end = field.iter().rposition(|byte| !is_blank(byte)).unwrap_or(0);
    let digits = text(&field[start..=end]);
    digits
        .iter()
        .try_fold(0u64, |value, digit| match digit {
            b'0'..=b'7' if value >> 61 == 0 => Some(value << 3 | u64::from(digit - b'0')),
            _ => None,
        })
        .ok_or_else(|| invalid(name, field))
}

pub(super) fn invalid(field: &'static str, value: &[u8]) -> TarError {
    TarError::Number {
        field,
        value: String::from_utf8_lossy(text(value)).into_owned(),
    }
}

/// Writes octal digits with leading zeros and a NUL; false if there are too many.
pub(super) fn put_octal(field: &mut [u8], value: u64) -> bool {
    let digits = field.len() - 1;
    field[digits] = 0;
    let mut left = value;
    for byte in field[..digits].iter_mut().rev() {
        *byte = b'0' + (left & 7) as u8;
        left >>= 3;
    }
    left == 0
}

/// Writes as much of the text as fits; the rest of the field stays zero.
pub(super) fn put_text(field: &mut [u8], text: &[u8]) {
    let length = text.len().min(field.len());
    field[..length].copy_from_slice(&text[..length]);
}

/// Writes the checksum; all other fields must be there.
pub(super) fn put_checksum(block: &mut Block) {
    let (sum, _) = checksums(block);
    put_octal(&mut block[CHECKSUM.start..CHECKSUM.end - 1], sum);
    block[CHECKSUM.end - 1] = b' ';
}
