//! Descriptors that whoever started this process left open for it, known by their numbers
//! (sd_listen_fds(3)).

use std::io;
use std::os::fd::{OwnedFd, RawFd};

use crate::raw;

/// A copy of the descriptor `number`. The original stays, but no program that is started from now
/// on gets it.
///
/// # Errors
/// No descriptor has this number.
pub fn handed(number: RawFd) -> io::Result<OwnedFd> {
    Ok(raw::copy_of_number(number)?)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::fd::AsRawFd as _;

    use rustix::io::FdFlags;

    use super::*;

    #[test]
    fn both_close_on_exec_and_are_the_same_file() {
        let (mut reader, writer) = io::pipe().unwrap();
        rustix::io::fcntl_setfd(&writer, FdFlags::empty()).unwrap();
        let copy = handed(writer.as_raw_fd()).unwrap();
        for descriptor in [
            rustix::io::fcntl_getfd(&writer),
            rustix::io::fcntl_getfd(&copy),
        ] {
            assert_eq!(descriptor.unwrap(), FdFlags::CLOEXEC);
        }
        drop(writer);
        let mut copy = std::fs::File::from(copy);
        copy.write_all(b"x").unwrap();
        drop(copy);
        let mut read = String::new();
        reader.read_to_string(&mut read).unwrap();
        assert_eq!(read, "x");
    }

    #[test]
    fn a_number_that_nobody_has() {
        let error = handed(RawFd::MAX).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EBADF));
    }
}
