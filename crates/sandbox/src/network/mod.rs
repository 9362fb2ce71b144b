//! Networks of a process's own that reach something. They are made before the process, which enters
//! them, and end with it.

pub mod cni;
mod connector;
mod program;

use std::io;
use std::os::fd::OwnedFd;

pub use connector::{Connector, ConnectorKind, NAME_SERVER};
pub use program::{Disconnected, can_connect};

use crate::error::SandboxError;
use crate::spec::Network;

/// What a network is connected by, for as long as this lives.
#[derive(Debug)]
pub(crate) enum Connection {
    /// A program.
    Program(program::Running),
    /// Plugins, which have set it up and are to take it down.
    Plugins(cni::Attachment),
}

impl Connection {
    /// Makes the network, unless it is the host's or one without anything. `is_root` says whether we
    /// are root of the machine.
    pub(crate) fn make(
        network: &Network,
        is_root: bool,
    ) -> Result<Option<(Connection, OwnedFd)>, SandboxError> {
        match network {
            Network::Host | Network::None => Ok(None),
            Network::Connected(connector) => {
                let (running, network) = program::Running::start(connector)?;
                Ok(Some((Connection::Program(running), network)))
            }
            Network::Cni(_) if !is_root => Err(cni::CniError::NotRoot.into()),
            Network::Cni(attach) => {
                let (attachment, network) = cni::Attachment::add(attach)?;
                Ok(Some((Connection::Plugins(attachment), network)))
            }
        }
    }

    /// That the process was cut off from its network, if it was.
    pub(crate) fn lost(&mut self) -> Option<Disconnected> {
        match self {
            Connection::Program(running) => running.lost(),
            Connection::Plugins(_) => None,
        }
    }

    /// Ends it, when the process has ended.
    ///
    /// # Errors
    /// Something of it is left.
    pub(crate) fn end(self) -> Result<(), SandboxError> {
        match self {
            Connection::Program(_) => Ok(()),
            Connection::Plugins(attachment) => Ok(attachment.remove()?),
        }
    }
}

fn setup(what: &'static str) -> impl FnOnce(io::Error) -> SandboxError {
    move |source| SandboxError::Setup {
        what: what.into(),
        source,
    }
}
