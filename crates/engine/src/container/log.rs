//! What containers write to their output: files in their directories, bounded.
//!
//! ```text
//! log      the newest pieces; becomes `log.1` when it is full
//! log.1    the pieces before
//! piece    stream (1 byte: 1 is standard output, 2 standard error), nanoseconds since 1970 (8, big
//!          endian), length (4, big endian), bytes
//! ```
//!
//! One writes, any number read meanwhile. A piece that is not there in whole is not there yet.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::engine::Engine;
use crate::error::EngineError;

/// Bytes of a file, of which there are two.
const FILE: u64 = 16 << 20;
/// Bytes before those that were written.
const HEAD: usize = 13;
/// The longest piece.
const PIECE: usize = 16 << 10;

/// Where a process writes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputStream {
    /// Standard output; a terminal too.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Something that was written: a line with its end, or a part of a long one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Where.
    pub stream: OutputStream,
    /// When.
    pub time: SystemTime,
    /// What.
    pub bytes: Vec<u8>,
}

/// Writes the log of one container.
#[derive(Debug)]
pub struct LogWriter {
    path: PathBuf,
    file: File,
    size: u64,
}

/// Reads the log of one container, oldest first.
#[derive(Debug)]
pub struct LogReader {
    path: PathBuf,
    file: Option<File>,
}

impl Engine {
    /// Begins to write the log of the container with this ID, behind what is there.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write_log(&self, id: &str) -> Result<LogWriter, EngineError> {
        let path = self.0.store.containers().directory(id).join("log");
        LogWriter::open(&path).map_err(|source| EngineError::WriteFile { path, source })
    }

    /// Reads the log of a container.
    ///
    /// # Errors
    /// There is no such container, or its log cannot be read.
    pub fn read_log(&self, name: &str) -> Result<LogReader, EngineError> {
        let id = self.0.container(name)?.id;
        let path = self.0.store.containers().directory(&id).join("log");
        LogReader::open(&path).map_err(|source| EngineError::Read { path, source })
    }
}

impl LogWriter {
    fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let mut file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        // What broke off would hide all that follows.
        let mut size = 0;
        while read_entry(&mut file)?.is_some() {
            size = file.stream_position()?;
        }
        file.set_len(size)?;
        file.seek(SeekFrom::Start(size))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            size,
        })
    }

    /// Adds a piece.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn append(&mut self, entry: &LogEntry) -> io::Result<()> {
        for part in entry.bytes.chunks(PIECE) {
            let bytes = encoded(entry, part);
            if self.size + bytes.len() as u64 > FILE {
                fs::rename(&self.path, self.path.with_added_extension("1"))?;
                *self = Self::open(&self.path)?;
            }
            self.file.write_all(&bytes)?;
            self.size += bytes.len() as u64;
        }
        Ok(())
    }
}

impl LogReader {
    fn open(path: &Path) -> io::Result<Self> {
        let older = present(&path.with_added_extension("1"))?;
        Ok(Self {
            path: path.to_owned(),
            file: older.map_or_else(|| present(path), |older| Ok(Some(older)))?,
        })
    }

    /// The next piece; none if there is none yet.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn read_next(&mut self) -> io::Result<Option<LogEntry>> {
        loop {
            let Some(file) = &mut self.file else {
                self.file = present(&self.path)?;
                if self.file.is_none() {
                    return Ok(None);
                }
                continue;
            };
            if let Some(entry) = read_entry(file)? {
                return Ok(Some(entry));
            }
            let Some(newer) = present(&self.path)? else {
                return Ok(None);
            };
            if same(&newer, file)? {
                return Ok(None);
            }
            // Nothing is added to a file once there is a newer one, but it may have been before.
            if let Some(entry) = read_entry(file)? {
                return Ok(Some(entry));
            }
            self.file = Some(newer);
        }
    }
}

fn encoded(entry: &LogEntry, part: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD + part.len());
    bytes.push(match entry.stream {
        OutputStream::Stdout => 1,
        OutputStream::Stderr => 2,
    });
    let since = entry.time.duration_since(SystemTime::UNIX_EPOCH);
    let nanoseconds = since.map_or(0, |since| since.as_nanos());
    bytes.extend(u64::try_from(nanoseconds).unwrap_or(u64::MAX).to_be_bytes());
    bytes.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend_from_slice(part);
    bytes
}

/// The piece at the file's position; without one, the position stays.
fn read_entry(file: &mut File) -> io::Result<Option<LogEntry>> {
    let begin = file.stream_position()?;
    let entry = read_whole_entry(file)?;
    if entry.is_none() {
        file.seek(SeekFrom::Start(begin))?;
    }
    Ok(entry)
}

fn read_whole_entry(file: &mut File) -> io::Result<Option<LogEntry>> {
    let mut head = Vec::with_capacity(HEAD);
    Read::by_ref(file)
        .take(HEAD as u64)
        .read_to_end(&mut head)?;
    let [stream, time @ .., a, b, c, d] = head.as_slice() else {
        return Ok(None);
    };
    let Ok(time) = <[u8; 8]>::try_from(time) else {
        return Ok(None);
    };
    let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
    let stream = match stream {
        1 => OutputStream::Stdout,
        2 => OutputStream::Stderr,
        _ => return Ok(None),
    };
    if length > PIECE {
        return Ok(None);
    }
    let mut bytes = Vec::with_capacity(length);
    Read::by_ref(file)
        .take(length as u64)
        .read_to_end(&mut bytes)?;
    let since = Duration::from_nanos(u64::from_be_bytes(time));
    Ok((bytes.len() == length).then(|| LogEntry {
        stream,
        time: SystemTime::UNIX_EPOCH + since,
        bytes,
    }))
}

fn present(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn same(one: &File, other: &File) -> io::Result<bool> {
    let (one, other) = (one.metadata()?, other.metadata()?);
    Ok((one.dev(), one.ino()) == (other.dev(), other.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str) -> LogEntry {
        LogEntry {
            stream: OutputStream::Stderr,
            time: SystemTime::UNIX_EPOCH + Duration::new(5, 7),
            bytes: text.as_bytes().to_vec(),
        }
    }

    #[test]
    fn what_is_written_is_read_while_it_is_written() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("log");
        let mut reader = LogReader::open(&path).unwrap();
        assert_eq!(reader.read_next().unwrap(), None);
        let mut writer = LogWriter::open(&path).unwrap();
        writer.append(&entry("one\n")).unwrap();
        assert_eq!(reader.read_next().unwrap(), Some(entry("one\n")));
        assert_eq!(reader.read_next().unwrap(), None);
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(&encoded(&entry("broken off"), b"broken off")[..17])
            .unwrap();
        assert_eq!(reader.read_next().unwrap(), None);
        let mut writer = LogWriter::open(&path).unwrap();
        writer.append(&entry("two\n")).unwrap();
        assert_eq!(reader.read_next().unwrap(), Some(entry("two\n")));
    }

    #[test]
    fn a_log_is_bounded_and_a_reader_follows_it() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("log");
        let mut writer = LogWriter::open(&path).unwrap();
        let mut reader = LogReader::open(&path).unwrap();
        let piece = "x".repeat(PIECE);
        for _ in 0..3 * FILE / PIECE as u64 {
            writer.append(&entry(&piece)).unwrap();
            assert_eq!(reader.read_next().unwrap(), Some(entry(&piece)));
        }
        let size = |name: &str| fs::metadata(scratch.path().join(name)).unwrap().len();
        assert!(size("log") <= FILE && size("log.1") <= FILE);
        assert_eq!(reader.read_next().unwrap(), None);
    }
}
