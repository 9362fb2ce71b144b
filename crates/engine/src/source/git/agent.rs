//! The SSH agent as `git` reaches it: a socket in the store that is gone when git is done.

use std::fs::File;
use std::os::fd::AsRawFd as _;

use store::TempSnapshot;

use crate::engine::Inner;
use crate::error::EngineError;
use crate::ssh::{Relay, SshAgent};

const NAME: &str = "agent";

/// A socket, and what keeps it there.
#[derive(Debug)]
pub(super) struct AgentSocket {
    _relay: Relay,
    directory: File,
    _scratch: TempSnapshot,
}

impl AgentSocket {
    pub(super) fn new(engine: &Inner, agent: &SshAgent) -> Result<Self, EngineError> {
        let failed = |source| EngineError::Io {
            action: "forward the SSH agent",
            source,
        };
        let scratch = engine.store.snapshots().allocate(&engine.lease)?;
        let owner = (
            rustix::process::geteuid().as_raw(),
            rustix::process::getegid().as_raw(),
        );
        let path = scratch.path().join(NAME);
        Ok(Self {
            _relay: Relay::start(agent, &path, 0o600, owner).map_err(failed)?,
            directory: File::open(scratch.path()).map_err(failed)?,
            _scratch: scratch,
        })
    }

    /// What git's environment says of it. The path leads through this process, since an address
    /// has room for 107 bytes only.
    pub(super) fn variable(&self) -> (String, String) {
        let (process, directory) = (std::process::id(), self.directory.as_raw_fd());
        let path = format!("/proc/{process}/fd/{directory}/{NAME}");
        ("SSH_AUTH_SOCK".to_owned(), path)
    }
}
