//! The contents of one file into another, by the cheapest way the file systems allow.
//!
//! A reflink shares the extents; else the kernel copies each range of data and leaves the holes
//! out; else we read and write. The result has the same bytes and the same length in every case,
//! and no metadata is touched but the times that writing changes.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{SeekFrom as RangeSeek, copy_file_range, fstat, ftruncate, ioctl_ficlone, seek};
use rustix::io::Errno;

/// How the contents were copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// The extents are shared: no data was copied.
    Reflink,
    /// The kernel copied the data.
    Range,
    /// We read and wrote.
    ReadWrite,
}

/// Copies all of `from` to `to`, which must be empty and writable. Holes stay holes.
///
/// # Errors
/// As the calls underneath; `to` may then hold part of the data.
pub fn contents(from: &File, to: &File) -> io::Result<Method> {
    if reflink(from.as_fd(), to.as_fd())? {
        return Ok(Method::Reflink);
    }
    let length = length(from.as_fd())?;
    // First, so that trailing holes exist and the file system sees the size at once.
    ftruncate(to, length)?;
    let mut method = Method::Range;
    let mut at = 0;
    while let Some((start, end)) = data_range(from.as_fd(), at, length)? {
        if method == Method::Range && !kernel_copy(from.as_fd(), to.as_fd(), start, end)? {
            method = Method::ReadWrite;
        }
        if method == Method::ReadWrite {
            read_write(from, to, start, end)?;
        }
        at = end;
    }
    Ok(method)
}

/// Shares the extents of `from` with `to`; false if these file systems cannot.
///
/// # Errors
/// A failure other than "cannot".
pub fn reflink(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> io::Result<bool> {
    match ioctl_ficlone(to, from) {
        Ok(()) => Ok(true),
        Err(
            Errno::OPNOTSUPP
            | Errno::XDEV
            | Errno::INVAL
            | Errno::NOTTY
            | Errno::NOSYS
            | Errno::TXTBSY
            | Errno::PERM,
        ) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

fn length(file: BorrowedFd<'_>) -> io::Result<u64> {
    u64::try_from(fstat(file)?.st_size).map_err(|_| Errno::OVERFLOW.into())
}

/// The next range that holds data at or after `at`.
fn data_range(file: BorrowedFd<'_>, at: u64, length: u64) -> io::Result<Option<(u64, u64)>> {
    if at >= length {
        return Ok(None);
    }
    let start = match seek(file, RangeSeek::Data(at)) {
        Err(Errno::NXIO) => return Ok(None),
        // A file system that knows no holes: all of it is data.
        Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok(Some((at, length))),
        result => result?,
    };
    let end = seek(file, RangeSeek::Hole(start))?.min(length);
    Ok((start < end).then_some((start, end)))
}

/// Copies one range in the kernel; false, with nothing copied, if it cannot for these files.
fn kernel_copy(from: BorrowedFd<'_>, to: BorrowedFd<'_>, start: u64, end: u64) -> io::Result<bool> {
    let (mut source, mut target) = (start, start);
    while source < end {
        let wanted = usize::try_from(end - source)
            .unwrap_or(usize::MAX)
            .min(1 << 30);
        match copy_file_range(from, Some(&mut source), to, Some(&mut target), wanted) {
            // Some file systems (of /proc, or FUSE's) say 0 for what they could be read for.
            Ok(0)
            | Err(Errno::XDEV | Errno::NOSYS | Errno::OPNOTSUPP | Errno::INVAL | Errno::PERM)
                if source == start =>
            {
                return Ok(false);
            }
            // The file shrank meanwhile; its length was set already, so the rest is a hole.
            Ok(0) => return Ok(true),
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(true)
}

fn read_write(mut from: &File, mut to: &File, start: u64, end: u64) -> io::Result<()> {
    from.seek(SeekFrom::Start(start))?;
    to.seek(SeekFrom::Start(start))?;
    let mut left = end - start;
    let mut buffer = vec![0; 128 * 1024];
    while left > 0 {
        let wanted = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        match from.read(&mut buffer[..wanted]) {
            Ok(0) => break,
            Ok(read) => {
                to.write_all(&buffer[..read])?;
                left -= read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{FileExt, MetadataExt};

    fn check(fill: impl Fn(&File)) {
        let dir = tempfile::tempdir().unwrap();
        let from = dir.path().join("from");
        let file = File::create_new(&from).unwrap();
        fill(&file);
        let to = dir.path().join("to");
        let source = File::open(&from).unwrap();
        contents(&source, &File::create_new(&to).unwrap()).unwrap();
        assert!(std::fs::read(&from).unwrap() == std::fs::read(&to).unwrap());
        let (before, after) = (from.metadata().unwrap(), to.metadata().unwrap());
        assert!(
            after.blocks() <= before.blocks() + 8,
            "{} blocks",
            after.blocks()
        );
    }

    #[test]
    fn same_bytes_and_holes() {
        check(|_| {});
        check(|file| file.write_all_at(b"hello", 0).unwrap());
        check(|file| file.set_len(1 << 20).unwrap());
        check(|file| {
            file.write_all_at(&[1; 5000], 1 << 20).unwrap();
            file.write_all_at(&[2; 70_000], 3 << 20).unwrap();
            file.set_len(5 << 20).unwrap();
        });
    }

    #[test]
    fn files_that_only_read_gives() {
        let dir = tempfile::tempdir().unwrap();
        let to = dir.path().join("to");
        let source = dir.path().join("from");
        std::fs::write(&source, [9; 300_000]).unwrap();
        let (source, to_file) = (File::open(&source).unwrap(), File::create_new(&to).unwrap());
        to_file.set_len(300_000).unwrap();
        read_write(&source, &to_file, 10, 290_000).unwrap();
        let bytes = std::fs::read(&to).unwrap();
        assert!(bytes[10..290_000].iter().all(|byte| *byte == 9) && bytes[290_000] == 0);
    }
}
