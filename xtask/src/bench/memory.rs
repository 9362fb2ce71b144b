//! What the builders take of the machine beside time: memory and disk.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::command;
use crate::peers::{Engine, Peers};

/// The packages without which the Docker engine does not build.
const ENGINE: [&str; 5] = [
    "docker.io",
    "docker-cli",
    "docker-buildx",
    "containerd",
    "runc",
];

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
        "installed: kiln {kiln} MB in one file, docker {docker} MB in {packages} packages"
    ))
}

/// Runs the command and returns its largest resident size in bytes. The kernel keeps the largest
/// value, so that looking now and then misses only what is used at the very end.
pub(super) fn of(command: &mut Command) -> Result<u64> {
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let mut peak = 0;
    loop {
        if let Ok(kilobytes) = resident(child.id()) {
            peak = peak.max(kilobytes * 1024);
        }
        if let Some(status) = child.try_wait()? {
            anyhow::ensure!(
                status.success(),
                "{} failed: {status}",
                command::shown(command)
            );
            return Ok(peak);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The daemon's largest resident size so far, in megabytes.
pub(super) fn peak(engine: &Engine<'_>) -> Result<u64> {
    let daemon = engine
        .process()
        .context("the Docker engine is not running")?;
    Ok(resident(daemon)? * 1024 / 1_000_000)
}

/// The process's largest resident size so far, in kilobytes.
fn resident(process: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .context("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
