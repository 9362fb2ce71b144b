//! Who is at the other end of a socket of this machine, as the kernel says.

use tokio::net::UnixStream;

/// The user whom the kernel names in the place of all that a user namespace does not have.
const NOBODY: u32 = 65534;

/// A process that has connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer {
    user: u32,
    process: Option<u32>,
}

impl Peer {
    /// Of a connection; none if the kernel does not say.
    pub(crate) fn of(stream: &UnixStream) -> Option<Self> {
        let credentials = stream.peer_cred().ok()?;
        Some(Self {
            user: credentials.uid(),
            process: credentials.pid().and_then(|pid| pid.try_into().ok()),
        })
    }

    /// Whether it is this process of the daemon's own user: it may read what the daemon may, and the
    /// other way round. A connection that somebody hands on is that one's.
    pub(crate) fn is_own(self, process: u32) -> bool {
        let own = rustix::process::geteuid().as_raw();
        self.user == own && own != NOBODY && self.process == Some(process)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_process_of_the_same_user_and_no_other() {
        let (one, _other) = UnixStream::pair().unwrap();
        let peer = Peer::of(&one).unwrap();
        let here = std::process::id();
        assert!(peer.is_own(here));
        assert!(!peer.is_own(here + 1));
        let user = peer.user + 1;
        assert!(!Peer { user, ..peer }.is_own(here));
        let process = None;
        assert!(!Peer { process, ..peer }.is_own(here));
    }
}
