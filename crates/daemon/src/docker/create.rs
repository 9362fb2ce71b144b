//! `POST /containers/create`: from Docker's document to what the engine is asked for.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use api::docker::{AskedMount, CreateContainer, Created, HostConfig, Refused};
use engine::{
    ContainerMount, EngineError, ExtraHost, MoreSettings, MountSource, NetworkMode, PublishedPort,
};
use hyper::body::Incoming;
use oci::Platform;

use super::volumes::no_network;
use super::{Daemon, created};
use crate::answer::{Answer, Refusal, json};
use crate::query::Query;
use crate::stream;

/// The mode of a file system in memory whose options do not say.
const TMPFS_MODE: u32 = 0o1777;

impl Daemon {
    pub(super) async fn create(
        self: &Arc<Self>,
        mut query: Query,
        body: Incoming,
    ) -> Result<Answer, Refusal> {
        let name = query.one("name");
        if let Some(name) = &name {
            check_name(name)?;
        }
        if let Some(platform) = query.one("platform")
            && platform.parse() != Ok(Platform::host())
        {
            let what = format!("a container for the platform {platform:?}");
            return Err(Refusal::not_provided(&what));
        }
        query.end()?;
        let asked: CreateContainer = stream::document(body, "container").await?;
        asked.check().map_err(|Refused(field)| {
            Refusal::not_provided(&format!("the field {field:?} of a container"))
        })?;
        let mut new = request(asked, name)?;
        new.more.mounts = self.make_volumes(new.more.mounts).await?;
        let engine = self.with(Ok).await?;
        let id = engine.create_container(new).await?;
        let container = self.find(&id).await?;
        self.tell_container("create", &container, &[]);
        let warnings = Vec::new();
        Ok(json(created(), &Created { id, warnings }))
    }

    /// Volumes are made with the container that names them first, and get a name when they have
    /// none.
    async fn make_volumes(
        self: &Arc<Self>,
        mut mounts: Vec<ContainerMount>,
    ) -> Result<Vec<ContainerMount>, Refusal> {
        self.with(move |engine| {
            for mount in &mut mounts {
                if let MountSource::Volume(name) = &mut mount.source {
                    let wanted = Some(name.as_str()).filter(|name| !name.is_empty());
                    *name = engine.create_volume(wanted, BTreeMap::new())?.name;
                }
            }
            Ok(mounts)
        })
        .await
    }
}

fn request(
    asked: CreateContainer,
    name: Option<String>,
) -> Result<engine::CreateContainer, Refusal> {
    let given = |text: String| Some(text).filter(|text| !text.is_empty());
    let host = asked.host_config;
    let mounts = mounts(&host, asked.volumes.unwrap_or_default().into_keys())?;
    let network_name = match host.network_mode.as_str() {
        "" | "default" => "bridge".to_owned(),
        name => name.to_owned(),
    };
    let mut more = MoreSettings {
        tty: asked.tty,
        open_stdin: asked.open_stdin,
        stdin_once: asked.stdin_once,
        auto_remove: host.auto_remove,
        labels: asked.labels.unwrap_or_default(),
        stop_signal: given(asked.stop_signal),
        stop_timeout: asked.stop_timeout,
        ports: ports(&host, &network_name)?,
        network: network_name,
        mounts,
        shm_size: u64::try_from(host.shm_size).ok().filter(|size| *size > 0),
        exposed: asked
            .exposed_ports
            .unwrap_or_default()
            .into_keys()
            .collect(),
        ..MoreSettings::default()
    };
    super::limits::limit(&host, &mut more)?;
    if let Some(signal) = &more.stop_signal {
        super::run::signal(signal)?;
    }
    Ok(engine::CreateContainer {
        image: asked.image,
        name,
        command: asked.cmd.unwrap_or_default(),
        // Clients say "as the image" with nothing, and "none" with one empty word.
        entrypoint: asked
            .entrypoint
            .map(|words| if words == [""] { Vec::new() } else { words }),
        env: asked.env.unwrap_or_default(),
        user: given(asked.user),
        working_directory: given(asked.working_dir),
        hostname: given(asked.hostname),
        network: network(&host.network_mode)?,
        extra_hosts: hosts(&host.extra_hosts.unwrap_or_default())?,
        more,
    })
}

/// Docker's rule for names.
pub(super) fn check_name(name: &str) -> Result<(), Refusal> {
    let bare = name.trim_start_matches('/');
    let first = |c: char| c.is_ascii_alphanumeric();
    let rest = |c: char| first(c) || matches!(c, '_' | '.' | '-');
    if bare.len() > 1 && bare.starts_with(first) && bare.chars().all(rest) {
        return Ok(());
    }
    Err(Refusal::bad(format!(
        "Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
    )))
}

fn mounts(
    host: &HostConfig,
    unnamed: impl Iterator<Item = String>,
) -> Result<Vec<ContainerMount>, Refusal> {
    let mut mounts = Vec::new();
    for bind in host.binds.iter().flatten() {
        mounts.push(bind_mount(bind)?);
    }
    for mount in host.mounts.iter().flatten() {
        mounts.push(asked_mount(mount)?);
    }
    for (target, options) in host.tmpfs.iter().flatten() {
        mounts.push(tmpfs(target, options)?);
    }
    for target in unnamed {
        if !mounts.iter().any(|mount| mount.target == target) {
            mounts.push(ContainerMount {
                source: MountSource::Volume(String::new()),
                target,
                read_only: false,
            });
        }
    }
    if let Some(mount) = mounts.iter().find(|mount| !mount.target.starts_with('/')) {
        let target = &mount.target;
        return Err(Refusal::bad(format!(
            "invalid volume specification: mount path must be absolute: {target:?}"
        )));
    }
    Ok(mounts)
}

/// `source:target[:options]`.
fn bind_mount(text: &str) -> Result<ContainerMount, Refusal> {
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, options) = match parts.as_slice() {
        [source, target] => (source, target, ""),
        [source, target, options] => (source, target, *options),
        _ => {
            let message = format!("invalid volume specification: '{text}'");
            return Err(Refusal::bad(message));
        }
    };
    let mut read_only = false;
    for option in options.split(',') {
        match option {
            "ro" => read_only = true,
            // Labels of SELinux, which kiln does not set anywhere, and what is so in any case.
            "" | "rw" | "z" | "Z" | "rprivate" | "consistent" | "cached" | "delegated" => {}
            other => {
                return Err(Refusal::not_provided(&format!(
                    "the volume option {other:?}"
                )));
            }
        }
    }
    let source = if source.starts_with('/') {
        let path = PathBuf::from(source);
        // As Docker has always done for these, though not for `--mount`.
        std::fs::create_dir_all(&path)
            .or_else(|error| if path.exists() { Ok(()) } else { Err(error) })
            .map_err(|source| EngineError::WriteFile {
                path: path.clone(),
                source,
            })?;
        MountSource::Bind(path)
    } else {
        MountSource::Volume((*source).to_owned())
    };
    Ok(ContainerMount {
        source,
        target: (*target).to_owned(),
        read_only,
    })
}

fn asked_mount(mount: &AskedMount) -> Result<ContainerMount, Refusal> {
    let source = match mount.r#type.as_str() {
        "bind" => {
            let path = PathBuf::from(&mount.source);
            if !path.exists() {
                return Err(Refusal::bad(EngineError::NoMountSource(path).to_string()));
            }
            MountSource::Bind(path)
        }
        "volume" => MountSource::Volume(mount.source.clone()),
        "tmpfs" => MountSource::Memory {
            size: None,
            mode: TMPFS_MODE,
        },
        other => {
            return Err(Refusal::not_provided(&format!(
                "a mount of the type {other:?}"
            )));
        }
    };
    Ok(ContainerMount {
        source,
        target: mount.target.clone(),
        read_only: mount.read_only,
    })
}

fn tmpfs(target: &str, options: &str) -> Result<ContainerMount, Refusal> {
    let (mut size, mut mode, mut read_only) = (None, TMPFS_MODE, false);
    for option in options.split(',') {
        let refused = || Refusal::not_provided(&format!("the tmpfs option {option:?}"));
        match option.split_once('=').unwrap_or((option, "")) {
            ("size", value) => size = Some(engine::parse_size(value).ok_or_else(refused)?),
            ("mode", value) => mode = u32::from_str_radix(value, 8).map_err(|_| refused())?,
            ("ro", "") => read_only = true,
            ("" | "rw", "") => {}
            _ => return Err(refused()),
        }
    }
    Ok(ContainerMount {
        source: MountSource::Memory { size, mode },
        target: target.to_owned(),
        read_only,
    })
}

fn ports(host: &HostConfig, network: &str) -> Result<Vec<PublishedPort>, Refusal> {
    let mut ports = Vec::new();
    for (name, bindings) in host.port_bindings.iter().flatten() {
        let (number, protocol) = name.split_once('/').unwrap_or((name, "tcp"));
        let invalid = || Refusal::bad(format!("invalid port specification: {name:?}"));
        let container_port = number.parse().map_err(|_| invalid())?;
        if protocol != "tcp" {
            return Err(Refusal::not_provided(&format!(
                "publishing the port {name}"
            )));
        }
        for binding in bindings.iter().flatten() {
            let port = match binding.host_port.as_str() {
                "" => 0,
                text => text.parse().map_err(|_| invalid())?,
            };
            ports.push(PublishedPort {
                address: binding.host_ip.clone(),
                port,
                container_port,
            });
        }
    }
    // The host's network has the ports already, and none leads anywhere.
    Ok(if network == "bridge" {
        ports
    } else {
        Vec::new()
    })
}

/// A network by Docker's name.
pub(super) fn network(name: &str) -> Result<NetworkMode, Refusal> {
    match name {
        "" | "default" | "bridge" => Ok(NetworkMode::Default),
        "none" => Ok(NetworkMode::None),
        "host" => Ok(NetworkMode::Host),
        name if name.starts_with("container:") => {
            Err(Refusal::not_provided("the network of another container"))
        }
        name => Err(no_network(name)),
    }
}

/// Lines of `/etc/hosts`, as `host:address`.
pub(super) fn hosts(texts: &[String]) -> Result<Vec<ExtraHost>, Refusal> {
    let parse = |text: &String| {
        let (host, address) = text.split_once(':')?;
        let address: IpAddr = address.trim_matches(['[', ']']).parse().ok()?;
        Some(ExtraHost {
            host: host.to_owned(),
            address: address.to_string(),
        })
    };
    let parsed = |text| parse(text).ok_or_else(|| Refusal::bad(format!("invalid host {text:?}")));
    texts.iter().map(parsed).collect()
}
