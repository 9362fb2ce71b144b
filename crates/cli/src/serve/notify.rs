//! Tells systemd how the daemon is, where that started it (sd_notify(3)). What cannot be told is
//! no reason not to serve.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use rustix::time::{ClockId, clock_gettime};

use crate::environment::Environment;

/// Tells whoever started this process, if it wants to be told.
pub(super) struct Notifier(Option<(UnixDatagram, SocketAddr)>);

impl Notifier {
    /// Tells the socket that `NOTIFY_SOCKET` names: a path, or after `@` a name without a file.
    pub(super) fn of(environment: &Environment) -> Self {
        let socket = || {
            let name = environment.os("NOTIFY_SOCKET")?;
            let address = match name.as_bytes() {
                [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
                _ => SocketAddr::from_pathname(name),
            };
            Some((UnixDatagram::unbound().ok()?, address.ok()?))
        };
        Self(socket())
    }

    /// Clients can connect.
    pub(super) fn ready(&self) {
        self.tell("READY=1");
    }

    /// The process ends.
    pub(super) fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    /// The configuration is read anew; `ready` follows.
    pub(super) fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let microseconds = now.tv_sec * 1_000_000 + now.tv_nsec / 1000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={microseconds}"));
    }

    fn tell(&self, state: &str) {
        if let Some((socket, address)) = &self.0 {
            let _ = socket.send_to_addr(state.as_bytes(), address);
        }
    }
}
