//! Maps of sparse files: which ranges of the file the archive holds. All else in it is zero.
//!
//! A map is in order, without overlaps, inside the file, and holds exactly the bytes that the
//! archive has for it.

use std::io::Read;

use super::TarError;
use super::block::{BLOCK, Block, GNU_EXTENDED, GNU_REAL_SIZE, GNU_SPARSE, number};
use super::pax::{SparseRecords, decimal};
use super::reader::read_block;

/// Ranges in one map. GNU tar makes one per hole; the largest files have some tens of thousands.
const MAX_RANGES: usize = 256 * 1024;

/// A range that the archive holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) offset: u64,
    pub(super) length: u64,
}

/// A checked map.
#[derive(Debug)]
pub(super) struct Map {
    pub(super) ranges: Vec<Range>,
    pub(super) real_size: u64,
}

impl Map {
    /// `stored` is how many bytes of data the archive has beside the map.
    fn new(numbers: &[i64], real_size: i64, stored: u64) -> Result<Self, TarError> {
        let pairs = numbers.chunks_exact(2);
        let real_size = u64::try_from(real_size).map_err(|_| TarError::Sparse("negative size"))?;
        if !pairs.remainder().is_empty() {
            return Err(TarError::Sparse("an offset without a length"));
        }
        let (mut end, mut total) = (0u64, 0u64);
        let mut ranges = Vec::with_capacity(pairs.len());
        for pair in pairs {
            let (Ok(offset), Ok(length)) = (u64::try_from(pair[0]), u64::try_from(pair[1])) else {
                return Err(TarError::Sparse("a negative number"));
            };
            if offset < end {
                return Err(TarError::Sparse("ranges overlap or are out of order"));
            }
            // Both are below 2^63.
            end = offset + length;
            total = total.saturating_add(length);
            if end > real_size {
                return Err(TarError::Sparse("a range beyond the end of the file"));
            }
            if length > 0 {
                ranges.push(Range { offset, length });
            }
        }
        if total != stored {
            return Err(TarError::Sparse("other than the archive holds"));
        }
        Ok(Self { ranges, real_size })
    }
}

/// The map of a type `S` member, whose header may be followed by blocks with more of it.
pub(super) fn old_gnu(block: &Block, stored: u64, input: &mut impl Read) -> Result<Map, TarError> {
    let real_size = number("sparse size", &block[GNU_REAL_SIZE])?;
    let mut numbers = Vec::new();
    push_entries(&mut numbers, &block[GNU_SPARSE])?;
    let mut more = block[GNU_EXTENDED] != 0;
    while more {
        let mut next = [0; BLOCK];
        read_block(input, &mut next)?;
        push_entries(&mut numbers, &next[..504])?;
        more = next[504] != 0;
        check_count(numbers.len() / 2)?;
    }
    Map::new(&numbers, real_size, stored)
}

fn push_entries(numbers: &mut Vec<i64>, entries: &[u8]) -> Result<(), TarError> {
    for entry in entries.chunks_exact(24) {
        if entry[0] == 0 {
            break;
        }
        numbers.push(number("sparse offset", &entry[..12])?);
        numbers.push(number("sparse length", &entry[12..])?);
    }
    Ok(())
}

/// The map that PAX records announce; none for an ordinary file.
pub(super) fn pax(
    records: &SparseRecords,
    stored: u64,
    input: &mut impl Read,
) -> Result<Option<Map>, TarError> {
    match records.version {
        (None, None) if records.map.is_empty() && records.size.is_none() => Ok(None),
        (None, None) | (Some(0), Some(0 | 1)) => {
            let size = records.size.or(records.real_size);
            let size = size.ok_or(TarError::Sparse("no size"))?;
            check_count(records.map.len() / 2)?;
            Map::new(&records.map, size, stored).map(Some)
        }
        (Some(1), Some(0)) => {
            let size = records.real_size.or(records.size);
            let size = size.ok_or(TarError::Sparse("no size"))?;
            let (numbers, consumed) = inline(stored, input)?;
            Map::new(&numbers, size, stored - consumed).map(Some)
        }
        _ => Err(TarError::Sparse("unknown version")),
    }
}

/// The map of format 1.0: decimal lines at the start of the content, padded to a whole block.
fn inline(stored: u64, input: &mut impl Read) -> Result<(Vec<i64>, u64), TarError> {
    let mut lines = Lines {
        input,
        block: [0; BLOCK],
        at: BLOCK,
        left: stored,
        consumed: 0,
    };
    let count = lines.next()?;
    let count = usize::try_from(count).map_err(|_| TarError::Sparse("a negative number"))?;
    check_count(count)?;
    let mut numbers = Vec::new();
    for _ in 0..count * 2 {
        numbers.push(lines.next()?);
    }
    Ok((numbers, lines.consumed))
}

struct Lines<'a, R> {
    input: &'a mut R,
    block: Block,
    at: usize,
    left: u64,
    consumed: u64,
}

impl<R: Read> Lines<'_, R> {
    fn next(&mut self) -> Result<i64, TarError> {
        let mut line = Vec::new();
        loop {
            if self.at == BLOCK {
                if self.left < BLOCK as u64 {
                    return Err(TarError::Sparse("the map is longer than the content"));
                }
                read_block(self.input, &mut self.block)?;
                self.at = 0;
                self.left -= BLOCK as u64;
                self.consumed += BLOCK as u64;
            }
            let byte = self.block[self.at];
            self.at += 1;
            match byte {
                b'\n' => return decimal("sparse map", &line),
                _ if line.len() < 20 => line.push(byte),
                _ => return Err(TarError::Sparse("a line too long")),
            }
        }
    }
}

fn check_count(ranges: usize) -> Result<(), TarError> {
    if ranges > MAX_RANGES {
        return Err(TarError::TooLong {
            what: "sparse map",
            size: ranges as u64,
            limit: MAX_RANGES as u64,
        });
    }
    Ok(())
}
