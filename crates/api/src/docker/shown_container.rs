//! Containers as they are shown.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::container::{AskedUlimit, PortBinding};
use super::or_nothing;

/// A row of `GET /containers/json`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ContainerSummary {
    /// 64 hexadecimal characters.
    pub id: String,
    /// With a `/` before each.
    #[serde(deserialize_with = "or_nothing")]
    pub names: Vec<String>,
    /// As it was asked for.
    pub image: String,
    /// What its name led to.
    #[serde(rename = "ImageID")]
    pub image_id: String,
    /// What it runs, in one line.
    pub command: String,
    /// Seconds since 1970.
    pub created: i64,
    /// Published ports.
    #[serde(deserialize_with = "or_nothing")]
    pub ports: Vec<Port>,
    /// Free key and value pairs.
    #[serde(deserialize_with = "or_nothing")]
    pub labels: BTreeMap<String, String>,
    /// `created`, `running` or `exited`.
    pub state: String,
    /// The same for people.
    pub status: String,
    /// What it has of the machine.
    pub host_config: ListedHostConfig,
    /// What is mounted in it.
    #[serde(deserialize_with = "or_nothing")]
    pub mounts: Vec<MountPoint>,
}

/// A port of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Port {
    /// Where it is published.
    #[serde(rename = "IP", skip_serializing_if = "String::is_empty")]
    pub ip: String,
    /// In the container.
    #[serde(rename = "PrivatePort")]
    pub private_port: u16,
    /// On the machine.
    #[serde(rename = "PublicPort", skip_serializing_if = "Option::is_none")]
    pub public_port: Option<u16>,
    /// `tcp`.
    #[serde(rename = "Type")]
    pub kind: String,
}

/// What a container of a list has of the machine.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ListedHostConfig {
    /// As it was asked for.
    pub network_mode: String,
}

/// What is mounted in a container.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct MountPoint {
    /// `bind`, `volume` or `tmpfs`.
    pub r#type: String,
    /// Of a volume.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The path on the machine.
    pub source: String,
    /// Where it is seen.
    pub destination: String,
    /// Of a volume: `local`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub driver: String,
    /// Options.
    pub mode: String,
    /// Whether it can be written to.
    #[serde(rename = "RW")]
    pub rw: bool,
    /// How mounts beneath it spread.
    pub propagation: String,
}

/// `GET /containers/{id}/json`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Container {
    /// 64 hexadecimal characters.
    pub id: String,
    /// RFC 3339.
    pub created: String,
    /// Program.
    pub path: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// How far it is.
    pub state: ContainerState,
    /// What the image's name led to.
    pub image: String,
    /// With a `/` before.
    pub name: String,
    /// How often it was started again by itself: never.
    pub restart_count: u32,
    /// How layers are mounted.
    pub driver: String,
    /// What runs on.
    pub platform: String,
    /// What it has of the machine.
    pub host_config: ShownHostConfig,
    /// What is mounted in it.
    pub mounts: Vec<MountPoint>,
    /// What it was asked for by.
    pub config: ContainerConfig,
    /// How it is reached.
    pub network_settings: NetworkSettings,
}

/// How far a container is.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ContainerState {
    /// `created`, `running` or `exited`.
    pub status: String,
    /// Whether it runs.
    pub running: bool,
    /// Never.
    pub paused: bool,
    /// Never.
    pub restarting: bool,
    /// Not told apart from other deaths.
    #[serde(rename = "OOMKilled")]
    pub oom_killed: bool,
    /// Whether it could not be removed.
    pub dead: bool,
    /// Its process; 0 where there is none.
    pub pid: i32,
    /// How it ended.
    pub exit_code: i32,
    /// Why it was not started.
    pub error: String,
    /// RFC 3339; the year 1 if it never was.
    pub started_at: String,
    /// RFC 3339; the year 1 if it never did.
    pub finished_at: String,
}

/// What a container was asked for by.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ContainerConfig {
    /// As the process sees it.
    pub hostname: String,
    /// Who.
    pub user: String,
    /// `port/protocol` to nothing.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub exposed_ports: BTreeMap<String, Value>,
    /// Whether it has a terminal.
    pub tty: bool,
    /// Whether its standard input can be written to.
    pub open_stdin: bool,
    /// Whether its standard input ends with the first client.
    pub stdin_once: bool,
    /// `NAME=value`.
    pub env: Vec<String>,
    /// Arguments.
    pub cmd: Option<Vec<String>>,
    /// The image.
    pub image: String,
    /// Where.
    pub working_dir: String,
    /// Program.
    pub entrypoint: Option<Vec<String>>,
    /// Free key and value pairs.
    pub labels: BTreeMap<String, String>,
    /// What asks it to end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// Seconds that it has then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_timeout: Option<i64>,
}

/// What a container has of the machine, as it is shown.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ShownHostConfig {
    /// `source:target[:options]`.
    pub binds: Option<Vec<String>>,
    /// As it was asked for.
    pub network_mode: String,
    /// `port/protocol` to where it is published.
    pub port_bindings: BTreeMap<String, Vec<PortBinding>>,
    /// `no`.
    pub restart_policy: RestartPolicy,
    /// Whether the container goes when it ends.
    pub auto_remove: bool,
    /// `host:address`.
    pub extra_hosts: Vec<String>,
    /// Where its output is kept: `json-file` to clients, which ask for logs of that name only.
    pub log_config: LogConfig,
    /// Never.
    pub privileged: bool,
    /// Bytes of `/dev/shm`.
    pub shm_size: u64,
    /// Bytes of memory; 0 is no limit, as it is below.
    pub memory: u64,
    /// Bytes of memory and swap together; -1 is all that there is.
    pub memory_swap: i64,
    /// Billionths of a CPU.
    pub nano_cpus: u64,
    /// The weight among all who want a CPU.
    pub cpu_shares: u64,
    /// Microseconds in which the quota is spent.
    pub cpu_period: u64,
    /// Microseconds of all CPUs in a period.
    pub cpu_quota: u64,
    /// Which CPUs.
    pub cpuset_cpus: String,
    /// Which nodes of memory.
    pub cpuset_mems: String,
    /// Processes and threads.
    pub pids_limit: Option<u64>,
    /// Limits of each process.
    pub ulimits: Vec<AskedUlimit>,
}

/// Whether a container is started again.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RestartPolicy {
    /// `no`.
    pub name: String,
    /// 0.
    pub maximum_retry_count: u32,
}

/// Where output is kept.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct LogConfig {
    /// How.
    pub r#type: String,
    /// Nothing.
    pub config: BTreeMap<String, String>,
}

/// How a container is reached.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct NetworkSettings {
    /// `port/protocol` to where it is published.
    pub ports: BTreeMap<String, Option<Vec<PortBinding>>>,
    /// By name.
    pub networks: BTreeMap<String, Endpoint>,
}

/// A container in a network.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Endpoint {
    /// Of the network.
    #[serde(rename = "NetworkID")]
    pub network_id: String,
    /// None: containers have no addresses of their own.
    #[serde(rename = "IPAddress")]
    pub ip_address: String,
}
