//! The file with the process's number, for those who look for a daemon that way.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, getpid, test_kill_process};

use crate::error::{CliError, Error};

/// A file with the number of this process, until it is dropped.
pub(super) struct PidFile(PathBuf);

impl PidFile {
    /// Writes the number of this process to `path`.
    ///
    /// # Errors
    /// Another process that runs is named there, or it cannot be written.
    pub(super) fn write(path: PathBuf) -> Result<Self, Error> {
        if let Some(other) = running(&path) {
            let (shown, number) = (path.display(), other.as_raw_nonzero());
            return Err(Error::new(format!(
                "process {number} is named in {shown} and still runs"
            )));
        }
        let failed = |source: io::Error| CliError::File {
            action: "write",
            path: path.clone(),
            source,
        };
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        fs::write(&path, getpid().as_raw_nonzero().to_string()).map_err(failed)?;
        Ok(Self(path))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // Somebody may have removed it, which is what is wanted.
        drop(fs::remove_file(&self.0));
    }
}

/// The process that is named in the file, if it runs.
fn running(path: &Path) -> Option<Pid> {
    let text = fs::read_to_string(path).ok()?;
    let process = Pid::from_raw(text.trim().parse().ok()?)?;
    let runs = process != getpid() && test_kill_process(process) != Err(rustix::io::Errno::SRCH);
    runs.then_some(process)
}
