//! What a process finds besides its files: `/etc/hosts`, `/etc/resolv.conf`, its environment, its
//! limits.

use std::path::{Path, PathBuf};

use graph::{ExtraHost, Ulimit};
use sandbox::{Limit, Network, Resource};
use sys::mount::{Mount, MountFlags, MountKind};

use crate::config::DnsConfig;
use crate::error::EngineError;

/// The host name of a step that does not choose one; BuildKit's.
pub(crate) const HOSTNAME: &str = "buildkitsandbox";

/// The files that a container engine gives to a process, in a directory of the caller's.
#[derive(Debug)]
pub(crate) struct SystemFiles {
    hosts: PathBuf,
    resolv_conf: PathBuf,
}

impl SystemFiles {
    /// Writes the files into `directory`.
    pub(crate) fn write(
        directory: &Path,
        hostname: &str,
        extra: &[ExtraHost],
        network: &Network,
        dns: &DnsConfig,
    ) -> Result<Self, EngineError> {
        let extra = extra
            .iter()
            .map(extra_host)
            .collect::<Result<Vec<_>, _>>()?;
        let files = Self {
            hosts: directory.join("hosts"),
            resolv_conf: directory.join("resolv.conf"),
        };
        let host = machines_resolv_conf(network);
        write(&files.hosts, &sandbox::hosts(hostname, &extra))?;
        let text = dns.resolv_conf(&sandbox::resolv_conf(&host, network));
        write(&files.resolv_conf, &text)?;
        Ok(files)
    }

    /// The mounts that show them.
    pub(crate) fn mounts(&self, flags: MountFlags) -> Vec<Mount> {
        let mount = |source: &PathBuf, target: &str| Mount {
            kind: MountKind::Bind {
                source: source.clone(),
                recursive: false,
            },
            target: target.into(),
            flags,
        };
        vec![
            mount(&self.hosts, "/etc/hosts"),
            mount(&self.resolv_conf, "/etc/resolv.conf"),
        ]
    }
}

/// What the machine says of name servers. Where plugins have set up the network, the one on its
/// loopback interface that systemd-resolved puts before others gives way to those.
fn machines_resolv_conf(network: &Network) -> String {
    const OWN: &str = "/etc/resolv.conf";
    const OTHERS: &str = "/run/systemd/resolve/resolv.conf";
    // A machine without one is a machine without name servers.
    let own = std::fs::read_to_string(OWN).unwrap_or_default();
    match network {
        Network::Cni(_) if !sandbox::has_nameserver(&sandbox::resolv_conf(&own, network)) => {
            std::fs::read_to_string(OTHERS).unwrap_or(own)
        }
        _ => own,
    }
}

fn write(path: &Path, text: &str) -> Result<(), EngineError> {
    std::fs::write(path, text).map_err(|source| EngineError::WriteFile {
        path: path.to_owned(),
        source,
    })
}

fn extra_host(host: &ExtraHost) -> Result<sandbox::ExtraHost, EngineError> {
    let address = host.address.parse().map_err(|_| EngineError::Unsupported {
        what: format!("host address {:?} for {:?}", host.address, host.host),
        instead: "give an IP address",
    })?;
    Ok(sandbox::ExtraHost {
        name: host.host.clone(),
        address,
    })
}

/// The sandbox's words for limits such as `nofile`.
pub(crate) fn limits(ulimits: &[Ulimit]) -> Result<Vec<Limit>, EngineError> {
    ulimits
        .iter()
        .map(|ulimit| {
            let resource = resource(&ulimit.name).ok_or_else(|| EngineError::Unsupported {
                what: format!("ulimit {:?}", ulimit.name),
                instead: "use a name that getrlimit(2) knows, such as nofile",
            })?;
            let value = |value: i64| u64::try_from(value).unwrap_or(u64::MAX);
            Ok(Limit {
                resource,
                soft: value(ulimit.soft),
                hard: value(ulimit.hard),
            })
        })
        .collect()
}

fn resource(name: &str) -> Option<Resource> {
    Some(match name {
        "cpu" => Resource::Cpu,
        "fsize" => Resource::FileSize,
        "data" => Resource::Data,
        "stack" => Resource::Stack,
        "core" => Resource::Core,
        "rss" => Resource::ResidentSet,
        "nproc" => Resource::Processes,
        "nofile" => Resource::OpenFiles,
        "memlock" => Resource::LockedMemory,
        "as" => Resource::AddressSpace,
        "locks" => Resource::Locks,
        "sigpending" => Resource::PendingSignals,
        "msgqueue" => Resource::MessageQueues,
        "nice" => Resource::Nice,
        "rtprio" => Resource::RealTimePriority,
        "rttime" => Resource::RealTimeTime,
        _ => return None,
    })
}
