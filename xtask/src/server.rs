//! Servers of others that listen on a socket: waits until they do, and ends them.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::command;

/// How long a server may take until it listens, and to end when asked to.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(20);

/// Waits until somebody listens on `socket`; the end of `log` says why nobody does.
pub(crate) fn until_it_listens(server: &mut Child, socket: &Path, log: &Path) -> Result<()> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE && server.try_wait()?.is_none() {
        if UnixStream::connect(socket).is_ok() {
            return Ok(());
        }
        std::thread::sleep(PAUSE);
    }
    let log = fs::read_to_string(log).unwrap_or_default();
    let end = command::last_lines(&log, 10);
    bail!("nobody listens on {}:\n{end}", socket.display())
}

/// Asks `process`, which is the server or what it waits for, to end, so that it cleans up, and waits
/// for the server. Failures mean that it is gone already, which is what is wanted.
pub(crate) fn end(server: &mut Child, process: u32) {
    let mut terminate = command::program("kill");
    drop(command::quiet(
        terminate.args(["-TERM", &process.to_string()]),
    ));
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if !matches!(server.try_wait(), Ok(None)) {
            return;
        }
        std::thread::sleep(PAUSE);
    }
    drop(server.kill());
    drop(server.wait());
}
