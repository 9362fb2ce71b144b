//! Containers, as Docker's documents show them.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use api::docker::{
    AskedUlimit, Container, ContainerConfig, ContainerState as State, ContainerSummary, Endpoint,
    ListedHostConfig, LogConfig, MountPoint, NetworkSettings, Port, PortBinding, RestartPolicy,
    ShownHostConfig,
};
use engine::{ContainerMount, ContainerState, MoreSettings, MountSource, rfc3339};
use serde_json::json;

use super::since_1970;

/// Bytes of `/dev/shm` when nothing else was asked for.
const SHM_SIZE: u64 = 64 << 20;
/// What Go shows of no time.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// All that is known of a container.
#[must_use]
pub fn container(summary: engine::ContainerSummary) -> Container {
    let (path, args) = match summary.command.split_first() {
        Some((path, args)) => (path.clone(), args.to_vec()),
        None => (String::new(), Vec::new()),
    };
    Container {
        created: rfc3339(summary.created),
        path,
        args,
        state: shown_state(&summary),
        image: summary.image.clone(),
        name: format!("/{}", summary.name),
        restart_count: 0,
        driver: "overlay2".to_owned(),
        platform: "linux".to_owned(),
        host_config: host_config(&summary.settings),
        mounts: summary.settings.more.mounts.iter().map(mount).collect(),
        config: config(&summary),
        network_settings: network_settings(&summary.settings.more),
        id: summary.id,
    }
}

fn shown_state(summary: &engine::ContainerSummary) -> State {
    let life = &summary.life;
    let time = |time: Option<SystemTime>| time.map_or_else(|| NEVER.to_owned(), rfc3339);
    State {
        status: state(summary.state).to_owned(),
        running: summary.state == ContainerState::Running,
        paused: false,
        restarting: false,
        oom_killed: life.oom_killed,
        dead: false,
        pid: life.pid,
        exit_code: match summary.state {
            ContainerState::Exited(code) => code,
            ContainerState::Created | ContainerState::Running => life.exit_code,
        },
        error: life.error.clone(),
        started_at: time(life.started),
        finished_at: time(life.finished),
    }
}

fn config(summary: &engine::ContainerSummary) -> ContainerConfig {
    let settings = &summary.settings;
    let more = &settings.more;
    let exposed = more.exposed.iter();
    ContainerConfig {
        hostname: settings.hostname.clone(),
        user: settings.user.clone(),
        exposed_ports: exposed.map(|port| (port.clone(), json!({}))).collect(),
        tty: more.tty,
        open_stdin: more.open_stdin,
        stdin_once: more.stdin_once,
        env: settings.env.clone(),
        cmd: Some(more.command.clone()).filter(|command| !command.is_empty()),
        image: summary.image.clone(),
        working_dir: settings.cwd.clone(),
        entrypoint: more.entrypoint.clone(),
        labels: more.labels.clone(),
        stop_signal: more.stop_signal.clone(),
        stop_timeout: more.stop_timeout,
    }
}

fn host_config(settings: &engine::ContainerSettings) -> ShownHostConfig {
    let more = &settings.more;
    let mut port_bindings: BTreeMap<String, Vec<PortBinding>> = BTreeMap::new();
    for port in &more.ports {
        let bindings = port_bindings.entry(format!("{}/tcp", port.container_port));
        bindings.or_default().push(PortBinding {
            host_ip: port.address.clone(),
            host_port: match port.port {
                0 => String::new(),
                port => port.to_string(),
            },
        });
    }
    let binds: Vec<String> = more.mounts.iter().filter_map(bind).collect();
    let hosts = settings.hosts.iter();
    let limits = &more.limits;
    let is_nano = more.nano_cpus > 0;
    let number = |limit: Option<u64>| limit.filter(|limit| *limit != u64::MAX).unwrap_or_default();
    let of_cpus = |limit| if is_nano { 0 } else { number(limit) };
    let memory = number(limits.memory);
    ShownHostConfig {
        binds: Some(binds).filter(|binds| !binds.is_empty()),
        network_mode: more.network.clone(),
        port_bindings,
        restart_policy: RestartPolicy {
            name: "no".to_owned(),
            maximum_retry_count: 0,
        },
        auto_remove: more.auto_remove,
        extra_hosts: hosts
            .map(|(name, address)| format!("{name}:{address}"))
            .collect(),
        log_config: LogConfig {
            r#type: "json-file".to_owned(),
            config: BTreeMap::new(),
        },
        privileged: false,
        shm_size: more.shm_size.unwrap_or(SHM_SIZE),
        memory,
        // Docker's default is twice the memory.
        memory_swap: match limits.memory_swap {
            Some(u64::MAX) => -1,
            both => both
                .unwrap_or(memory.saturating_mul(2))
                .try_into()
                .unwrap_or(i64::MAX),
        },
        nano_cpus: more.nano_cpus,
        cpu_shares: number(limits.cpu_shares),
        cpu_period: of_cpus(limits.cpu_period),
        cpu_quota: of_cpus(limits.cpu_quota),
        cpuset_cpus: limits.cpuset_cpus.clone().unwrap_or_default(),
        cpuset_mems: limits.cpuset_mems.clone().unwrap_or_default(),
        pids_limit: limits.pids.filter(|limit| *limit != u64::MAX),
        ulimits: more.ulimits.iter().map(ulimit).collect(),
    }
}

fn ulimit(limit: &engine::Ulimit) -> AskedUlimit {
    AskedUlimit {
        name: limit.name.clone(),
        hard: limit.hard,
        soft: limit.soft,
    }
}

fn bind(mount: &ContainerMount) -> Option<String> {
    let source = match &mount.source {
        MountSource::Bind(path) => path.display().to_string(),
        MountSource::Volume(name) => name.clone(),
        MountSource::Memory { .. } => return None,
    };
    let options = if mount.read_only { ":ro" } else { "" };
    Some(format!("{source}:{}{options}", mount.target))
}

fn mount(mount: &ContainerMount) -> MountPoint {
    let (kind, name, source, driver) = match &mount.source {
        MountSource::Bind(path) => ("bind", "", path.display().to_string(), ""),
        MountSource::Volume(name) => ("volume", name.as_str(), name.clone(), "local"),
        MountSource::Memory { .. } => ("tmpfs", "", String::new(), ""),
    };
    MountPoint {
        r#type: kind.to_owned(),
        name: name.to_owned(),
        source,
        destination: mount.target.clone(),
        driver: driver.to_owned(),
        mode: if mount.read_only { "ro" } else { "" }.to_owned(),
        rw: !mount.read_only,
        propagation: if kind == "bind" { "rprivate" } else { "" }.to_owned(),
    }
}

fn network_settings(more: &MoreSettings) -> NetworkSettings {
    let endpoint = Endpoint {
        network_id: String::new(),
        ip_address: String::new(),
    };
    let exposed = more.exposed.iter();
    NetworkSettings {
        ports: exposed.map(|port| (port.clone(), None)).collect(),
        networks: BTreeMap::from([(more.network.clone(), endpoint)]),
    }
}

/// Shows where a port of a container that runs is published.
pub(crate) fn show_port(settings: &mut NetworkSettings, port: &Port) {
    let name = format!("{}/{}", port.private_port, port.kind);
    let bindings = settings.ports.entry(name).or_default();
    bindings.get_or_insert_default().push(PortBinding {
        host_ip: port.ip.clone(),
        host_port: port.public_port.unwrap_or_default().to_string(),
    });
}

/// A container's state in docker's word.
#[must_use]
pub const fn state(state: ContainerState) -> &'static str {
    match state {
        ContainerState::Created => "created",
        ContainerState::Running => "running",
        ContainerState::Exited(_) => "exited",
    }
}

/// A container's state for people.
#[must_use]
pub fn status(container: &engine::ContainerSummary, now: SystemTime) -> String {
    let ago = |time: Option<SystemTime>| {
        let elapsed = time.and_then(|time| now.duration_since(time).ok());
        human(elapsed.unwrap_or_default())
    };
    match container.state {
        ContainerState::Created => "Created".to_owned(),
        ContainerState::Running => format!("Up {}", ago(container.life.started)),
        ContainerState::Exited(code) => {
            format!("Exited ({code}) {} ago", ago(container.life.finished))
        }
    }
}

/// A time span as Docker tells it to people.
fn human(span: Duration) -> String {
    let seconds = span.as_secs();
    let (minutes, hours) = (seconds / 60, (seconds + 1800) / 3600);
    match (seconds, minutes, hours) {
        (0, ..) => "Less than a second".to_owned(),
        (1, ..) => "1 second".to_owned(),
        (2..60, ..) => format!("{seconds} seconds"),
        (_, 1, _) => "About a minute".to_owned(),
        (_, 2..60, _) => format!("{minutes} minutes"),
        (.., 1) => "About an hour".to_owned(),
        (.., 2..48) => format!("{hours} hours"),
        (.., 48..336) => format!("{} days", hours / 24),
        (.., 336..1440) => format!("{} weeks", hours / 24 / 7),
        (.., 1440..17520) => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", hours / 24 / 365),
    }
}

/// Rows of containers; `ports` says which of theirs are published.
pub fn containers(
    all: &[engine::ContainerSummary],
    now: SystemTime,
    ports: impl Fn(&str) -> Vec<Port>,
) -> Vec<ContainerSummary> {
    let row = |container: &engine::ContainerSummary| {
        let more = &container.settings.more;
        ContainerSummary {
            id: container.id.clone(),
            names: vec![format!("/{}", container.name)],
            image: container.image.clone(),
            image_id: container
                .image_digest
                .map(|digest| digest.to_string())
                .unwrap_or_default(),
            command: container.command.join(" "),
            created: since_1970(container.created),
            ports: ports(&container.id),
            labels: more.labels.clone(),
            state: state(container.state).to_owned(),
            status: status(container, now),
            host_config: ListedHostConfig {
                network_mode: more.network.clone(),
            },
            mounts: more.mounts.iter().map(mount).collect(),
        }
    };
    all.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_as_people_are_told() {
        let told = [0, 1, 59, 60, 119, 120, 3599, 3600, 5400, 86400 * 3].map(|seconds| {
            let text = human(Duration::from_secs(seconds));
            format!("{seconds}: {text}")
        });
        assert_eq!(
            told,
            [
                "0: Less than a second",
                "1: 1 second",
                "59: 59 seconds",
                "60: About a minute",
                "119: About a minute",
                "120: 2 minutes",
                "3599: 59 minutes",
                "3600: About an hour",
                "5400: 2 hours",
                "259200: 3 days",
            ]
        );
    }
}
