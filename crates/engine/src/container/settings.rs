//! What a container was created with: a document beside its row, and how it follows from what was
//! asked for and the image.

use std::collections::BTreeMap;
use std::path::PathBuf;

use graph::{NetworkMode, Ulimit};
use oci::ProcessConfig;
use sandbox::GroupLimits;
use serde::{Deserialize, Serialize};

use super::create::CreateContainer;
use crate::error::EngineError;

/// What of a container is kept beside its row.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ContainerSettings {
    /// Program and arguments.
    pub args: Vec<String>,
    /// `NAME=value`.
    pub env: Vec<String>,
    /// Who; root if empty.
    pub user: String,
    /// Where.
    pub cwd: String,
    /// As the process sees it.
    pub hostname: String,
    /// Whether it has a network of its own.
    pub isolated: bool,
    /// Further lines of `/etc/hosts`: name and address.
    pub hosts: Vec<(String, String)>,
    /// What it has beyond a process.
    #[serde(flatten, default)]
    pub more: MoreSettings,
}

/// What a container has beyond a process; nothing of it where nothing was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MoreSettings {
    /// Whether it has a terminal.
    pub tty: bool,
    /// Whether its standard input can be written to.
    pub open_stdin: bool,
    /// Whether its standard input ends with the first who was attached to it.
    pub stdin_once: bool,
    /// Whether it is removed when it ends.
    pub auto_remove: bool,
    /// Free key and value pairs, the image's included.
    pub labels: BTreeMap<String, String>,
    /// What asks it to end, by name or number.
    pub stop_signal: Option<String>,
    /// Seconds that it has then; ten without.
    pub stop_timeout: Option<i64>,
    /// The network by the name that was asked for.
    pub network: String,
    /// What is mounted in it.
    pub mounts: Vec<ContainerMount>,
    /// Ports of this machine that lead to it.
    pub ports: Vec<PublishedPort>,
    /// Bytes of `/dev/shm`.
    pub shm_size: Option<u64>,
    /// What its processes may take together.
    pub limits: GroupLimits,
    /// Billionths of a CPU, where the limit of CPUs was asked for so.
    pub nano_cpus: u64,
    /// Limits of each process.
    pub ulimits: Vec<Ulimit>,
    /// The image's entry point or the one that was asked for.
    pub entrypoint: Option<Vec<String>>,
    /// The arguments behind it.
    pub command: Vec<String>,
    /// Ports that the image or the request names.
    pub exposed: Vec<String>,
}

/// Something that is mounted in a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerMount {
    /// Where it comes from.
    pub source: MountSource,
    /// Where it is seen.
    pub target: String,
    /// Whether it cannot be written to.
    pub read_only: bool,
}

/// Where a mount of a container comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MountSource {
    /// A path of this machine.
    Bind(PathBuf),
    /// A volume, made when it is missing.
    Volume(String),
    /// Memory.
    Memory {
        /// Bytes at most.
        size: Option<u64>,
        /// Permission bits of its root.
        mode: u32,
    },
}

/// A port of this machine that leads to one of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedPort {
    /// Where it listens; everywhere if empty.
    pub address: String,
    /// On which port; any that is free when 0.
    pub port: u16,
    /// Where it leads.
    pub container_port: u16,
}

/// What follows from what was asked for and the image.
pub(super) fn settings(
    new: &CreateContainer,
    image: &ProcessConfig,
    id: &str,
) -> Result<ContainerSettings, EngineError> {
    let mut more = new.more.clone();
    more.entrypoint = new.entrypoint.clone().or_else(|| image.entrypoint.clone());
    more.command = command(new, image);
    let program = more.entrypoint.iter().flatten();
    let args: Vec<String> = program.chain(&more.command).cloned().collect();
    if args.is_empty() {
        return Err(EngineError::NoCommand);
    }
    more.labels = image.labels.clone();
    more.labels.extend(new.more.labels.clone());
    if more.stop_signal.is_none() && !image.stop_signal.is_empty() {
        more.stop_signal = Some(image.stop_signal.clone());
    }
    for port in image.exposed_ports.keys() {
        if !more.exposed.contains(port) {
            more.exposed.push(port.clone());
        }
    }
    let or = |chosen: &Option<String>, image: &str, default: &str| match chosen {
        Some(chosen) => chosen.clone(),
        None if image.is_empty() => default.to_owned(),
        None => image.to_owned(),
    };
    let hosts = new.extra_hosts.iter();
    Ok(ContainerSettings {
        args,
        env: environment(&image.env, &new.env, more.tty),
        user: or(&new.user, &image.user, ""),
        cwd: or(&new.working_directory, &image.working_dir, "/"),
        hostname: new.hostname.clone().unwrap_or_else(|| id[..12].to_owned()),
        isolated: new.network == NetworkMode::None || !more.ports.is_empty(),
        hosts: hosts
            .map(|host| (host.host.clone(), host.address.clone()))
            .collect(),
        more,
    })
}

/// Another entry point does not go with the image's arguments.
fn command(new: &CreateContainer, image: &ProcessConfig) -> Vec<String> {
    if !new.command.is_empty() || new.entrypoint.is_some() {
        return new.command.clone();
    }
    image.cmd.clone().unwrap_or_default()
}

fn environment(image: &[String], new: &[String], tty: bool) -> Vec<String> {
    let key = |entry: &str| entry.split('=').next().unwrap_or_default().to_owned();
    let mut env: Vec<String> = image.to_vec();
    for entry in new {
        env.retain(|known| key(known) != key(entry));
        env.push(entry.clone());
    }
    // A name alone takes the image's variable away.
    env.retain(|entry| entry.contains('='));
    if !env.iter().any(|entry| key(entry) == "PATH") {
        env.insert(0, format!("PATH={}", oci::DEFAULT_PATH));
    }
    if tty && !env.iter().any(|entry| key(entry) == "TERM") {
        env.push("TERM=xterm".to_owned());
    }
    env
}
