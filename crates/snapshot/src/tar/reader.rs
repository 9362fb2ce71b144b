//! Reads an archive member by member.
//!
//! The size of a member's content is decided once, after its extended header was read, and both
//! the content and the place of the next header follow from that one number.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use sys::node::Device;

use super::block::{self, BLOCK, Block, Format, number, text};
use super::pax::Records;
use super::sparse::{self, Map, Range};
use super::{EntryKind, Header, TarError};
use crate::Time;
use crate::file::PERMISSIONS;

/// The longest extended header or long name, as in Go's reader.
const MAX_SPECIAL: u64 = 1024 * 1024;

/// Reads an archive. Give it a buffered stream: headers are read block by block.
///
/// Content is read with [`Read`], holes as zeros, or with [`chunk`](Self::chunk) without them. What
/// was not read of a member is skipped.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    content: Content,
    padding: u64,
    ended: bool,
}

/// Content of a member at one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// Where it belongs in the file.
    pub offset: u64,
    /// How many bytes were read.
    pub length: usize,
}

/// What is left of the content of the current member.
#[derive(Debug, Default)]
struct Content {
    /// Ranges in the archive, the first one perhaps begun; last first.
    ranges: Vec<Range>,
    /// Place in the file.
    at: u64,
    size: u64,
}

/// What comes before the header proper of a member.
#[derive(Debug, Default)]
struct Prelude {
    records: Option<Records>,
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
}

impl<R: Read> Reader<R> {
    /// Reads from `input`.
    pub fn new(input: R) -> Self {
        Self {
            input,
            content: Content::default(),
            padding: 0,
            ended: false,
        }
    }

    /// The stream itself, wherever it stands.
    pub fn into_inner(self) -> R {
        self.input
    }

    /// The next member; none at the end of the archive.
    ///
    /// # Errors
    /// The stream cannot be read or is no well-formed archive.
    pub fn next_entry(&mut self) -> Result<Option<Header>, TarError> {
        self.skip_content()?;
        let mut prelude = Prelude::default();
        let mut has_prelude = false;
        loop {
            let Some(block) = self.next_block()? else {
                return if has_prelude {
                    Err(TarError::Truncated)
                } else {
                    Ok(None)
                };
            };
            let format = Format::of(&block)?;
            match block[block::TYPE] {
                b'x' => prelude.records = Some(Records::parse(&self.special(&block)?)?),
                // Global records have no meaning in layers (and Go's reader gives them none).
                b'g' => {
                    Records::parse(&self.special(&block)?)?;
                    continue;
                }
                b'L' if format == Format::Gnu => prelude.long_name = Some(self.long(&block)?),
                b'K' if format == Format::Gnu => prelude.long_link = Some(self.long(&block)?),
                _ => return self.member(&block, format, prelude).map(Some),
            }
            has_prelude = true;
        }
    }

    /// Reads content up to the next hole or the end of the member; none at its end.
    ///
    /// # Errors
    /// The stream cannot be read or ends early.
    pub fn chunk(&mut self, buffer: &mut [u8]) -> Result<Option<Chunk>, TarError> {
        let Some(range) = self.content.ranges.last_mut() else {
            return Ok(None);
        };
        let wanted = clamp(range.length, buffer.len());
        let length = read_some(&mut self.input, &mut buffer[..wanted])?;
        if length == 0 {
            return Err(TarError::Truncated);
        }
        let offset = range.offset;
        self.content.at = offset + length as u64;
        range.offset += length as u64;
        range.length -= length as u64;
        if range.length == 0 {
            self.content.ranges.pop();
        }
        Ok(Some(Chunk { offset, length }))
    }

    fn skip_content(&mut self) -> Result<(), TarError> {
        let left: u64 = self.content.ranges.iter().map(|range| range.length).sum();
        self.content = Content::default();
        skip(&mut self.input, left)?;
        skip(&mut self.input, std::mem::take(&mut self.padding))
    }

    fn next_block(&mut self) -> Result<Option<Block>, TarError> {
        let mut block = [0; BLOCK];
        if self.ended || !try_read_block(&mut self.input, &mut block)? {
            self.ended = true;
            return Ok(None);
        }
        if block != [0; BLOCK] {
            return Ok(Some(block));
        }
        if try_read_block(&mut self.input, &mut block)? && block != [0; BLOCK] {
            return Err(TarError::LoneZeroBlock);
        }
        self.ended = true;
        Ok(None)
    }

    /// The content of an extended header or long name, with its padding.
    fn special(&mut self, block: &Block) -> Result<Vec<u8>, TarError> {
        let size = size(&block[block::SIZE])?;
        if size > MAX_SPECIAL {
            return Err(TarError::TooLong {
                what: "extended header",
                size,
                limit: MAX_SPECIAL,
            });
        }
        let mut data = Vec::new();
        (&mut self.input).take(size).read_to_end(&mut data)?;
        if data.len() as u64 != size {
            return Err(TarError::Truncated);
        }
        skip(&mut self.input, padding(size))?;
        Ok(data)
    }

    fn long(&mut self, block: &Block) -> Result<Vec<u8>, TarError> {
        Ok(text(&self.special(block)?).to_vec())
    }

    fn member(
        &mut self,
        block: &Block,
        format: Format,
        prelude: Prelude,
    ) -> Result<Header, TarError> {
        let records = prelude.records.unwrap_or_default();
        let path = prelude
            .long_name
            .or(records.path)
            .unwrap_or_else(|| format.name(block));
        let link = prelude
            .long_link
            .or(records.link)
            .unwrap_or_else(|| text(&block[block::LINK]).to_vec());
        let kind = kind(block, format, &path, path_of(link))?;
        let (mut path, mut size) = (path, size_of(&kind, block, records.size)?);
        if kind == EntryKind::File {
            self.padding = padding(size);
            let map = match block[block::TYPE] {
                b'S' => Some(sparse::old_gnu(block, size, &mut self.input)?),
                _ => sparse::pax(&records.sparse, size, &mut self.input)?,
            };
            path = records.sparse.name.unwrap_or(path);
            size = self.content.begin(size, map);
        }
        Ok(Header {
            path: path_of(path),
            kind,
            mode: mode(&block[block::MODE])?,
            uid: id("uid", records.uid, &block[block::UID])?,
            gid: id("gid", records.gid, &block[block::GID])?,
            size,
            modified: match records.modified {
                Some(modified) => modified,
                None => Time::from_seconds(number("mtime", &block[block::MTIME])?),
            },
            xattrs: records.xattrs,
        })
    }
}

impl Content {
    /// The size of the file whose content begins.
    fn begin(&mut self, stored: u64, map: Option<Map>) -> u64 {
        let (mut ranges, size) = match map {
            Some(map) => (map.ranges, map.real_size),
            None if stored == 0 => (Vec::new(), 0),
            None => {
                let all = Range {
                    offset: 0,
                    length: stored,
                };
                (vec![all], stored)
            }
        };
        ranges.reverse();
        *self = Self {
            ranges,
            at: 0,
            size,
        };
        size
    }
}

impl<R: Read> Read for Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let next = self.content.ranges.last().map(|range| range.offset);
        let hole = next.unwrap_or(self.content.size) - self.content.at;
        if hole > 0 {
            let length = clamp(hole, buffer.len());
            buffer[..length].fill(0);
            self.content.at += length as u64;
            return Ok(length);
        }
        if buffer.is_empty() {
            return Ok(0);
        }
        match self.chunk(buffer) {
            Ok(None) => Ok(0),
            Ok(Some(chunk)) => Ok(chunk.length),
            Err(TarError::Io(error)) => Err(error),
            Err(error) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, error)),
        }
    }
}

fn kind(block: &Block, format: Format, path: &[u8], link: PathBuf) -> Result<EntryKind, TarError> {
    let flag = block[block::TYPE];
    Ok(match flag {
        // Before ustar a directory was a file whose name ends in a slash.
        0 if path.ends_with(b"/") => EntryKind::Directory,
        0 | b'0' | b'7' => EntryKind::File,
        b'S' if format == Format::Gnu => EntryKind::File,
        b'1' => EntryKind::Link(link),
        b'2' => EntryKind::Symlink(link),
        b'3' => EntryKind::Character(device(block, format)?),
        b'4' => EntryKind::Block(device(block, format)?),
        b'5' => EntryKind::Directory,
        b'6' => EntryKind::Fifo,
        _ => {
            return Err(TarError::Type {
                flag: char::from(flag),
                path: path_of(path.to_vec()),
            });
        }
    })
}

fn device(block: &Block, format: Format) -> Result<Device, TarError> {
    if format == Format::V7 {
        return Ok(Device::default());
    }
    let part = |name, field: &[u8]| {
        u32::try_from(number(name, field)?).map_err(|_| block::invalid(name, field))
    };
    Ok(Device {
        major: part("device number", &block[block::DEV_MAJOR])?,
        minor: part("device number", &block[block::DEV_MINOR])?,
    })
}

/// Only files have content: what others say of their size has no meaning and takes no room.
fn size_of(kind: &EntryKind, block: &Block, record: Option<i64>) -> Result<u64, TarError> {
    let size = match record {
        Some(record) => u64::try_from(record)
            .map_err(|_| block::invalid("size", record.to_string().as_bytes()))?,
        None => size(&block[block::SIZE])?,
    };
    Ok(if *kind == EntryKind::File { size } else { 0 })
}

fn size(field: &[u8]) -> Result<u64, TarError> {
    u64::try_from(number("size", field)?).map_err(|_| block::invalid("size", field))
}

/// The permission bits. Some archives have the file type in there as well.
fn mode(field: &[u8]) -> Result<u32, TarError> {
    let mode = number("mode", field)?;
    u32::try_from(mode & i64::from(PERMISSIONS)).map_err(|_| block::invalid("mode", field))
}

/// An owner. The highest number means "nobody" to the system and cannot be given to a file.
fn id(name: &'static str, record: Option<i64>, field: &[u8]) -> Result<u32, TarError> {
    let id = match record {
        Some(id) => id,
        None => number(name, field)?,
    };
    match u32::try_from(id) {
        Ok(id) if id != u32::MAX => Ok(id),
        _ => Err(TarError::Number {
            field: name,
            value: id.to_string(),
        }),
    }
}

fn path_of(bytes: Vec<u8>) -> PathBuf {
    PathBuf::from(OsString::from_vec(bytes))
}

const fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}

fn clamp(wanted: u64, limit: usize) -> usize {
    usize::try_from(wanted).unwrap_or(usize::MAX).min(limit)
}

pub(super) fn read_block(input: &mut impl Read, block: &mut Block) -> Result<(), TarError> {
    if try_read_block(input, block)? {
        Ok(())
    } else {
        Err(TarError::Truncated)
    }
}

/// False at the end of the stream; a part of a block is an error.
fn try_read_block(input: &mut impl Read, block: &mut Block) -> Result<bool, TarError> {
    let mut filled = 0;
    while filled < BLOCK {
        match read_some(input, &mut block[filled..])? {
            0 if filled == 0 => return Ok(false),
            0 => return Err(TarError::Truncated),
            length => filled += length,
        }
    }
    Ok(true)
}

fn read_some(input: &mut impl Read, buffer: &mut [u8]) -> Result<usize, TarError> {
    loop {
        match input.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return Ok(result?),
        }
    }
}

fn skip(input: &mut impl Read, length: u64) -> Result<(), TarError> {
    if io::copy(&mut input.take(length), &mut io::sink())? == length {
        Ok(())
    } else {
        Err(TarError::Truncated)
    }
}
