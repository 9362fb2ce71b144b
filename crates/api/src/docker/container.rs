//! Containers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{bytes, or_nothing};

/// The body of `POST /containers/create`. Clients send every field that they know, most of them
/// empty; what kiln does not have is collected in `other`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CreateContainer {
    /// The image, by name or ID.
    pub image: String,
    /// Arguments.
    pub cmd: Option<Vec<String>>,
    /// Program.
    pub entrypoint: Option<Vec<String>>,
    /// `NAME=value`.
    pub env: Option<Vec<String>>,
    /// Who.
    pub user: String,
    /// Where.
    pub working_dir: String,
    /// As the process sees it.
    pub hostname: String,
    /// Whether it has a terminal.
    pub tty: bool,
    /// Whether its standard input can be written to.
    pub open_stdin: bool,
    /// Whether its standard input ends with the first client that was attached to it.
    pub stdin_once: bool,
    /// Free key and value pairs.
    pub labels: Option<BTreeMap<String, String>>,
    /// What asks it to end.
    pub stop_signal: String,
    /// Seconds that it has then.
    pub stop_timeout: Option<i64>,
    /// `port/protocol` to nothing.
    pub exposed_ports: Option<BTreeMap<String, Value>>,
    /// Paths of unnamed volumes, to nothing.
    pub volumes: Option<BTreeMap<String, Value>>,
    /// Of the machine.
    pub host_config: HostConfig,
    /// What else was asked for.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

/// What a container has of the machine.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HostConfig {
    /// `default`, `host`, `none` or `bridge`.
    pub network_mode: String,
    /// `host:address`.
    pub extra_hosts: Option<Vec<String>>,
    /// `source:target[:options]`.
    pub binds: Option<Vec<String>>,
    /// The same in more words.
    pub mounts: Option<Vec<AskedMount>>,
    /// Path to options of a file system in memory.
    pub tmpfs: Option<BTreeMap<String, String>>,
    /// `port/protocol` to where it is published.
    pub port_bindings: Option<BTreeMap<String, Option<Vec<PortBinding>>>>,
    /// Whether the container goes when it ends.
    pub auto_remove: bool,
    /// Bytes of `/dev/shm`.
    pub shm_size: i64,
    /// Bytes of memory.
    pub memory: i64,
    /// Bytes of memory and swap together; -1 is all that there is.
    pub memory_swap: i64,
    /// Billionths of a CPU.
    pub nano_cpus: i64,
    /// The weight among all who want a CPU.
    pub cpu_shares: i64,
    /// Microseconds in which the quota is spent.
    pub cpu_period: i64,
    /// Microseconds of all CPUs in a period.
    pub cpu_quota: i64,
    /// Which CPUs.
    pub cpuset_cpus: String,
    /// Which nodes of memory.
    pub cpuset_mems: String,
    /// Processes and threads; none or less is no limit.
    pub pids_limit: Option<i64>,
    /// Limits of each process.
    pub ulimits: Option<Vec<AskedUlimit>>,
    /// What else was asked for.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

/// A mount that was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AskedMount {
    /// `bind`, `volume` or `tmpfs`.
    pub r#type: String,
    /// A path, or the name of a volume.
    pub source: String,
    /// Where it is seen.
    pub target: String,
    /// Whether it cannot be written to.
    pub read_only: bool,
    /// What else was asked for.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

/// A limit of each process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AskedUlimit {
    /// Such as `nofile`.
    pub name: String,
    /// What a process can raise it to; -1 is no limit.
    pub hard: i64,
    /// What a process starts with; -1 is no limit.
    pub soft: i64,
}

/// Where a port is published.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PortBinding {
    /// An address of this machine; all if empty.
    pub host_ip: String,
    /// A number; any that is free if empty.
    pub host_port: String,
}

/// A field that was asked for and that kiln does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused(pub String);

/// What `POST /containers/create` answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Created {
    /// 64 hexadecimal characters.
    pub id: String,
    /// None ever is of kiln's.
    #[serde(default, deserialize_with = "or_nothing")]
    pub warnings: Vec<String>,
}

/// What is at a path of a container: the header `X-Docker-Container-Path-Stat`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathStat {
    /// The last part of the path.
    pub name: String,
    /// Bytes.
    #[serde(deserialize_with = "bytes")]
    pub size: u64,
    /// As Go's `io/fs.FileMode` has it; see [`file_mode`].
    pub mode: u32,
    /// RFC 3339.
    pub mtime: String,
    /// Where a link leads.
    #[serde(rename = "linkTarget", default)]
    pub link_target: String,
}

/// Fields that say how a client is attached to the container, not what the container is.
const HARMLESS: [&str; 4] = ["AttachStdin", "AttachStdout", "AttachStderr", "ConsoleSize"];

impl CreateContainer {
    /// The first field that would change the container and that kiln does not have.
    ///
    /// # Errors
    /// There is one.
    pub fn check(&self) -> Result<(), Refused> {
        let mounts = self.host_config.mounts.iter().flatten();
        let mounts = mounts.flat_map(|mount| &mount.other);
        let mut fields = self
            .other
            .iter()
            .chain(&self.host_config.other)
            .chain(mounts);
        let network = &self.host_config.network_mode;
        match fields.find(|(name, value)| !is_plain(name, value, network)) {
            Some((name, _)) => Err(Refused(name.clone())),
            None => Ok(()),
        }
    }
}

/// Whether a field leaves the container, which is in this network, as it is without.
fn is_plain(name: &str, value: &Value, network: &str) -> bool {
    match name {
        // An empty list is no default here: it takes the protection away.
        "MaskedPaths" | "ReadonlyPaths" => value.is_null(),
        // The default of the daemon that is asked for by name.
        "LogConfig" => {
            matches!(value["Type"].as_str(), None | Some("" | "json-file"))
                && is_empty(&value["Config"])
        }
        "CgroupnsMode" => matches!(value.as_str(), None | Some("" | "private")),
        "IpcMode" => matches!(value.as_str(), None | Some("" | "private")),
        "RestartPolicy" => matches!(value["Name"].as_str(), None | Some("" | "no")),
        // What is said of networks beside `NetworkMode`.
        "NetworkingConfig" => value["EndpointsConfig"]
            .as_object()
            .is_none_or(|endpoints| {
                let mut endpoints = endpoints.iter();
                endpoints.all(|(name, settings)| {
                    (name == "default" || name == network) && is_empty(settings)
                })
            }),
        "MemorySwappiness" => value.as_i64() == Some(-1) || is_empty(value),
        name => HARMLESS.contains(&name) || is_empty(value),
    }
}

/// Go's permission bits and kinds, of a mode as the kernel has it (`stat(2)`).
#[must_use]
pub const fn file_mode(kernel: u32) -> u32 {
    const KIND: u32 = 0o170_000;
    let kind = match kernel & KIND {
        0o040_000 => 1 << 31,
        0o120_000 => 1 << 27,
        0o060_000 => 1 << 26,
        0o010_000 => 1 << 25,
        0o140_000 => 1 << 24,
        0o020_000 => 1 << 26 | 1 << 21,
        _ => 0,
    };
    let mut bits = 0;
    let special = [(0o4000, 23), (0o2000, 22), (0o1000, 20)];
    let mut at = 0;
    while at < special.len() {
        if kernel & special[at].0 != 0 {
            bits |= 1 << special[at].1;
        }
        at += 1;
    }
    kind | bits | kernel & 0o777
}

/// Whether a field asks for nothing.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(value) => value.as_f64() == Some(0.0),
        Value::String(value) => value.is_empty(),
        Value::Array(values) => values.iter().all(is_empty),
        Value::Object(fields) => fields.values().all(is_empty),
    }
}

#[cfg(test)]
mod tests;
