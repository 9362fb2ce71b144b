//! What the builders take of the machine beside time: memory and disk.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::command;
use crate::peers::Peers;

/// The packages without which the Docker engine does not build.
const ENGINE: [&str; 5] = [
    "docker.io",
    "docker-cli",
    "docker-buildx",
    "containerd",
    "runc",
];

/// Where to look for a builder's memory.
#[derive(Debug)]
pub(super) enum Meter {
    /// The builder is the process that is started.
    Client,
    /// These processes do the work, whoever asks them.
    Daemons(Vec<u32>),
}

impl Meter {
    /// Runs the commands, all begun at once, and returns the largest resident sizes of those who
    /// work, summed, in bytes.
    pub(super) fn of(&self, commands: &mut [Command]) -> Result<u64> {
        if let Self::Daemons(processes) = self {
            for process in processes {
                // Forgets the largest size so far (proc_pid_clear_refs(5)).
                std::fs::write(format!("/proc/{process}/clear_refs"), "5")?;
            }
        }
        let clients = run(commands)?;
        match self {
            Self::Client => Ok(clients),
            Self::Daemons(processes) => processes.iter().map(|process| resident(*process)).sum(),
        }
    }
}

/// A line on what is installed.
pub(super) fn installed(binary: &Path, peers: &Peers) -> Result<String> {
    let kiln = std::fs::metadata(binary)?.len() / 1_000_000;
    let sizes = command::read(
        peers
            .program("dpkg-query")
            .args(["-W", "-f", "${Installed-Size}\n"])
            .args(ENGINE),
    )?;
    let kilobytes: u64 = sizes
        .lines()
        .filter_map(|line| line.parse::<u64>().ok())
        .sum();
    let docker = kilobytes * 1024 / 1_000_000;
    let packages = ENGINE.len();
    Ok(format!(
        "Installed, kiln is {kiln} MB in one file, docker {docker} MB in {packages} packages."
    ))
}

/// Runs the commands and returns their largest resident sizes, summed. The kernel keeps the largest
/// value of each, so that looking now and then misses only what is used at the very end.
fn run(commands: &mut [Command]) -> Result<u64> {
    let mut running = Vec::with_capacity(commands.len());
    for command in commands.iter_mut() {
        let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
        running.push((quiet.spawn()?, 0));
    }
    while look(&mut running)? {
        std::thread::sleep(Duration::from_millis(1));
    }
    for ((child, _), command) in running.iter_mut().zip(commands) {
        let status = child.wait()?;
        anyhow::ensure!(
            status.success(),
            "{} failed: {status}",
            command::shown(command)
        );
    }
    Ok(running.iter().map(|(_, peak)| peak).sum())
}

/// Whether one of them still runs.
fn look(running: &mut [(Child, u64)]) -> Result<bool> {
    let mut some = false;
    for (child, peak) in running {
        *peak = largest(child.id()).max(*peak);
        some |= child.try_wait()?.is_none();
    }
    Ok(some)
}

/// The largest resident size so far of the process and of those that it has started, in bytes;
/// those that are gone count for nothing.
fn largest(process: u32) -> u64 {
    let children = std::fs::read_to_string(format!("/proc/{process}/task/{process}/children"));
    let children = children.unwrap_or_default();
    let children = children.split_whitespace().filter_map(|id| id.parse().ok());
    let own = resident(process).unwrap_or(0);
    children.map(largest).fold(own, u64::max)
}

/// The process's largest resident size so far, in bytes.
fn resident(process: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .context("no VmHWM")?;
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes * 1024)
}
