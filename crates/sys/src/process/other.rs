//! Another process, as whoever answers its system calls sees it: its memory, and a limit that has no
//! meaning.

use std::os::fd::{AsFd, AsRawFd};

use rustix::io::Errno;

use crate::owner::Owner;
use crate::raw::{self, check};

/// `RLIMIT_LOCKS`, which no kernel since 2.4 looks at. Processes pass it on to those that they start,
/// and keep it when they execute a file, as they do with their identity.
pub(crate) const UNUSED_LIMIT: u32 = 10;

/// The number that is kept with a process.
///
/// # Errors
/// The process has ended, or is not ours to ask.
pub fn mark(pid: i32) -> Result<u64, Errno> {
    raw::limit_of(pid, UNUSED_LIMIT).map(|(soft, _)| soft)
}

/// Keeps a number with a process; those that it starts have it too.
///
/// # Errors
/// The process has ended, or is not ours.
pub fn set_mark(pid: i32, mark: u64) -> Result<(), Errno> {
    raw::set_limit(pid, UNUSED_LIMIT, mark, u64::MAX)
}

/// Reads memory of a process, as much as there is of it.
///
/// # Errors
/// There is no such memory, or the process has ended.
pub fn read_memory(pid: i32, address: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
    let ours = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    let theirs = libc::iovec {
        iov_base: address as *mut _,
        iov_len: buffer.len(),
    };
    // SAFETY: it writes to the buffer only, within its length; the other address is not ours.
    let result =
        unsafe { libc::process_vm_readv(pid, &raw const ours, 1, &raw const theirs, 1, 0) };
    let count = check(result as _)?;
    Ok(usize::try_from(count).unwrap_or(0))
}

/// Writes all of `bytes` to memory of a process.
///
/// # Errors
/// There is no such memory, or the process has ended.
pub fn write_memory(pid: i32, address: u64, bytes: &[u8]) -> Result<(), Errno> {
    let ours = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    let theirs = libc::iovec {
        iov_base: address as *mut _,
        iov_len: bytes.len(),
    };
    // SAFETY: it reads from our bytes only, within their length; the other address is not ours.
    let result =
        unsafe { libc::process_vm_writev(pid, &raw const ours, 1, &raw const theirs, 1, 0) };
    match check(result as _)? {
        written if usize::try_from(written) == Ok(bytes.len()) => Ok(()),
        _ => Err(Errno::FAULT),
    }
}

/// What `fstat(2)` would write for a file, were it `owner`'s.
///
/// # Errors
/// As `fstat(2)`.
pub fn stat_of(file: impl AsFd, owner: Owner) -> Result<Vec<u8>, Errno> {
    // SAFETY: all zeroes is a valid structure.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes to the structure.
    let result = unsafe { libc::fstat(file.as_fd().as_raw_fd(), &raw mut stat) };
    check(result.into())?;
    stat.st_uid = owner.uid;
    stat.st_gid = owner.gid;
    Ok(bytes_of(&stat))
}

/// What `statx(2)` would write for a file, were it `owner`'s. Of `flags` only how to synchronise
/// counts.
///
/// # Errors
/// As `statx(2)`.
pub fn statx_of(file: impl AsFd, flags: u32, mask: u32, owner: Owner) -> Result<Vec<u8>, Errno> {
    const SYNC: u32 = 0x6000;
    // SAFETY: all zeroes is a valid structure.
    let mut stat: libc::statx = unsafe { std::mem::zeroed() };
    let flags = (flags & SYNC).cast_signed() | libc::AT_EMPTY_PATH;
    // SAFETY: the path is a literal, and the kernel writes to the structure.
    let result = unsafe {
        libc::statx(
            file.as_fd().as_raw_fd(),
            c"".as_ptr(),
            flags,
            mask,
            &raw mut stat,
        )
    };
    check(result.into())?;
    stat.stx_uid = owner.uid;
    stat.stx_gid = owner.gid;
    Ok(bytes_of(&stat))
}

fn bytes_of<T>(value: &T) -> Vec<u8> {
    let start = std::ptr::from_ref(value).cast::<u8>();
    // SAFETY: the structures of the kernel's that this is for were zeroed as a whole, so that every
    // byte is set.
    unsafe { std::slice::from_raw_parts(start, size_of::<T>()) }.to_vec()
}

/// Gives this thread a root directory, working directory and umask of its own.
///
/// # Errors
/// The kernel refuses.
pub fn unshare_directories() -> Result<(), Errno> {
    // SAFETY: no memory and no descriptor is unshared.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::FS) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_marks_of_a_process() {
        let own = rustix::process::getpid().as_raw_nonzero().get();
        let theirs = *b"there";
        let mut buffer = [0; 5];
        let address = theirs.as_ptr() as u64;
        assert_eq!(read_memory(own, address, &mut buffer), Ok(5));
        assert_eq!(buffer, theirs);
        write_memory(own, buffer.as_mut_ptr() as u64, b"again").unwrap();
        assert_eq!(&buffer, b"again");
        assert_eq!(read_memory(own, 8, &mut buffer), Err(Errno::FAULT));
        let before = mark(own).unwrap();
        set_mark(own, 7).unwrap();
        assert_eq!(mark(own), Ok(7));
        set_mark(own, before).unwrap();
    }

    #[test]
    fn a_file_as_if_it_were_somebodys() {
        let file = tempfile::tempfile().unwrap();
        let owner = Owner { uid: 7, gid: 8 };
        let bytes = stat_of(&file, owner).unwrap();
        assert_eq!(bytes.len(), size_of::<libc::stat>());
        let uid = std::mem::offset_of!(libc::stat, st_uid);
        assert_eq!(bytes[uid..uid + 4], 7_u32.to_ne_bytes());
        let bytes = statx_of(&file, 0, libc::STATX_BASIC_STATS, owner).unwrap();
        let gid = std::mem::offset_of!(libc::statx, stx_gid);
        assert_eq!(bytes[gid..gid + 4], 8_u32.to_ne_bytes());
    }
}
