//! Bytes on their way to disk while more of them are written, so that who waits for all of them at the
//! end waits for the last few.

use std::os::fd::AsFd;

use crate::raw;

/// Bytes that are written before the disk is told to begin.
const STEP: u64 = 8 << 20;

/// How far a file that grows is on its way. It promises nothing: durable is what `fsync` says.
#[derive(Debug, Default)]
pub struct WriteBack {
    begun: u64,
}

impl WriteBack {
    /// Takes note that the first `written` bytes of `file` were written.
    pub fn advance(&mut self, file: impl AsFd, written: u64) {
        if written < self.begun + STEP {
            return;
        }
        let range = (
            i64::try_from(self.begun),
            i64::try_from(written - self.begun),
        );
        self.begun = written;
        if let (Ok(offset), Ok(length)) = range {
            // Not every file has a disk behind it, and one that fails fails again in `fsync`.
            let _ = raw::begin_write_back(file.as_fd(), offset, length);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn begins_with_whole_steps() {
        let mut file = tempfile::tempfile().unwrap();
        let mut back = WriteBack::default();
        let mut written = 0;
        for (size, begun) in [
            (STEP - 1, 0),
            (1, STEP),
            (STEP / 2, STEP),
            (3 * STEP, 9 * STEP / 2),
        ] {
            file.write_all(&vec![7; usize::try_from(size).unwrap()])
                .unwrap();
            written += size;
            back.advance(&file, written);
            assert_eq!(back.begun, begun);
        }
    }
}
