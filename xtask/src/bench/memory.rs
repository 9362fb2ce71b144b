//! What the builders take of the machine beside time: memory and disk.

use std::path::Path;

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

/// A line on the daemon's peak memory, and on what is installed.
pub(super) fn report(binary: &Path, engine: &Engine<'_>, peers: &Peers) -> Result<String> {
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
    let peak = peak(engine)?;
    Ok(format!(
        "installed: kiln {kiln} MB in one file, docker {docker} MB in five packages; \
         dockerd's memory at its peak: {peak} MB, and kiln has no daemon"
    ))
}

/// The daemon's largest resident size so far, in megabytes.
fn peak(engine: &Engine<'_>) -> Result<u64> {
    let daemon = engine
        .process()
        .context("the Docker engine is not running")?;
    let status = std::fs::read_to_string(format!("/proc/{daemon}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .context("no VmHWM")?;
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes * 1024 / 1_000_000)
}
