//! Our ends of what a process in a container speaks to.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};

use engine::EngineError;

use super::lock;
use crate::descriptor::{Descriptor, nothing, pipe};

/// Our ends of what a process speaks to.
pub(super) struct Ends {
    /// Taken by who feeds it: it is closed when that one drops it.
    stdin: Mutex<Option<Arc<Descriptor>>>,
    pub(super) stdout: Arc<Descriptor>,
    /// None with a terminal, which `stdout` then is.
    pub(super) stderr: Option<Descriptor>,
}

impl Ends {
    /// Three pipes, with the process's ends in the order of their numbers; no input unless
    /// `open_stdin`.
    pub(super) fn pipes(open_stdin: bool) -> Result<(Self, [OwnedFd; 3]), EngineError> {
        Self::make_pipes(open_stdin).map_err(pipe_failed)
    }

    /// A terminal, by its master.
    pub(super) fn terminal(master: OwnedFd, open_stdin: bool) -> Result<Self, EngineError> {
        let master = Arc::new(Descriptor::new(master).map_err(pipe_failed)?);
        Ok(Self {
            stdin: Mutex::new(open_stdin.then(|| Arc::clone(&master))),
            stdout: master,
            stderr: None,
        })
    }

    /// The end of the standard input, for the first who asks.
    pub(super) fn take_stdin(&self) -> Option<Arc<Descriptor>> {
        lock(&self.stdin).take()
    }

    /// What can be resized.
    pub(super) fn own_terminal(&self) -> Option<Arc<Descriptor>> {
        self.stderr.is_none().then(|| Arc::clone(&self.stdout))
    }

    fn make_pipes(open_stdin: bool) -> io::Result<(Self, [OwnedFd; 3])> {
        let (stdin, writer) = if open_stdin {
            let (read, write) = pipe()?;
            (read, Some(Arc::new(Descriptor::new(write)?)))
        } else {
            (nothing()?, None)
        };
        let output = || -> io::Result<(Descriptor, OwnedFd)> {
            let (read, write) = pipe()?;
            Ok((Descriptor::new(read)?, write))
        };
        let ((stdout_end, stdout), (stderr_end, stderr)) = (output()?, output()?);
        let ends = Self {
            stdin: Mutex::new(writer),
            stdout: Arc::new(stdout_end),
            stderr: Some(stderr_end),
        };
        Ok((ends, [stdin, stdout, stderr]))
    }
}

fn pipe_failed(source: io::Error) -> EngineError {
    EngineError::Io {
        action: "make a pipe",
        source,
    }
}
