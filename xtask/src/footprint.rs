//! `cargo xtask footprint`: what kiln takes before it does anything. The size of its binary, how
//! long a daemon takes until it listens, and its memory while nobody asks it for anything.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

use crate::{binary, command, paths, server, ui};

/// Bytes of the binary.
const SIZE: u64 = 30_000_000;
/// From the start of the process to the first answer, with an empty store.
const START: Duration = Duration::from_millis(30);
/// Resident bytes of a daemon that has answered once.
const MEMORY: u64 = 15_000_000;
/// Starts, of which the quickest counts: a busy machine says nothing about kiln.
const STARTS: usize = 9;

/// What a person may ask for.
#[derive(Debug, clap::Args)]
pub(crate) struct Wishes {
    /// The kiln binary, instead of building it
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
}

/// What a daemon took that was started for it.
#[derive(Debug, Clone, Copy)]
struct Taken {
    time: Duration,
    memory: u64,
}

pub(crate) fn run(wishes: &Wishes) -> Result<()> {
    let binary = binary::locate(wishes.binary.as_deref())?;
    let size = std::fs::metadata(&binary)?.len();
    let daemons: Vec<Taken> = (0..STARTS)
        .map(|_| daemon(&binary))
        .collect::<Result<_>>()?;
    let time = daemons.iter().map(|taken| taken.time).min();
    let memory = daemons.iter().map(|taken| taken.memory).max();
    let (time, memory) = (time.unwrap_or_default(), memory.unwrap_or_default());
    let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
    let row = |what: &str, is: String, budget| vec![what.to_owned(), is, budget];
    let rows = [
        row("size of the binary", megabytes(size), megabytes(SIZE)),
        row(
            "a daemon's start to its first answer",
            ui::time(time),
            ui::time(START),
        ),
        row(
            "a daemon's memory, idle",
            megabytes(memory),
            megabytes(MEMORY),
        ),
    ];
    ui::say(ui::table(&["footprint", "kiln", "budget"], &rows));
    if size > SIZE || time > START || memory > MEMORY {
        bail!("over budget");
    }
    Ok(())
}

/// Starts a daemon on an empty store, asks it whether it is there, and ends it.
fn daemon(binary: &Path) -> Result<Taken> {
    let scratch = TempDir::with_prefix_in("footprint-", paths::target())?;
    let socket = scratch.path().join("socket");
    let begun = Instant::now();
    let mut daemon = command::program(binary)
        .arg("--root")
        .arg(scratch.path().join("store"))
        .args(["serve", "--host"])
        .arg(format!("unix://{}", socket.display()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start kiln")?;
    let taken = measure(&mut daemon, &socket, begun);
    let process = daemon.id();
    server::end(&mut daemon, process);
    taken
}

fn measure(daemon: &mut Child, socket: &Path, begun: Instant) -> Result<Taken> {
    let mut connection = loop {
        match UnixStream::connect(socket) {
            Ok(connection) => break connection,
            Err(error) if daemon.try_wait()?.is_some() => {
                return Err(error).context("kiln ended at once");
            }
            Err(_) => std::thread::sleep(Duration::from_micros(200)),
        }
    };
    connection.write_all(b"GET /_ping HTTP/1.1\r\nHost: kiln\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    let time = begun.elapsed();
    if !answer.starts_with("HTTP/1.1 200 ") {
        bail!("kiln answered: {answer}");
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.id()))?;
    let memory = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<u64>().ok())
        .context("the kernel tells no memory")?;
    Ok(Taken {
        time,
        memory: memory * 1024,
    })
}
