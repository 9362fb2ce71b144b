//! `buildkit.exec.v0`: steps that run a process (`ops.ExecOp.CacheMap`).
//!
//! BuildKit sorts mounts by target, numbers inputs in that order, and puts secrets and SSH agents
//! after them. Selectors are part of the inputs, not of the op, and the identities of cache mounts
//! count only where they are what a Dockerfile has by default.

use graph::{
    CacheSharing, Edge, ExecOp, FileOwner, Mount, MountSource, NetworkMode, SecretTarget,
    SecurityMode,
};
use oci::{Digest, Platform};
use serde::Serialize;

use crate::cache_map::{CacheMap, InputMap, InputSource, Inputs, Selector, outermost};
use crate::json::{self, is_empty};

/// There is no input, or nothing is kept.
const NONE: i64 = -1;

/// Where heredocs that are scripts are mounted; BuildKit's path ends with a slash.
const PIPES: &str = "/dev/pipes";

#[derive(Serialize)]
struct Keyed<'a> {
    #[serde(rename = "Type")]
    kind: &'static str,
    #[serde(rename = "Exec")]
    exec: Exec<'a>,
    #[serde(rename = "OS")]
    os: &'a str,
    #[serde(rename = "Arch")]
    architecture: &'a str,
    #[serde(rename = "Variant", skip_serializing_if = "is_empty")]
    variant: &'a str,
}

#[derive(Serialize)]
struct Exec<'a> {
    meta: Meta<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mounts: Vec<Mounted>,
    #[serde(skip_serializing_if = "is_empty")]
    network: u8,
    #[serde(skip_serializing_if = "is_empty")]
    security: u8,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    secretenv: Vec<SecretVariable>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Meta<'a> {
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    args: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    env: &'a [String],
    #[serde(skip_serializing_if = "is_empty")]
    cwd: &'a str,
    #[serde(skip_serializing_if = "is_empty")]
    user: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    extra_hosts: Vec<Host<'a>>,
    #[serde(skip_serializing_if = "is_empty")]
    hostname: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ulimit: Vec<Limit<'a>>,
    remove_mount_stubs_recursive: bool,
}

#[derive(Serialize)]
struct Host<'a> {
    #[serde(rename = "Host")]
    host: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Limit<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "is_empty")]
    soft: i64,
    #[serde(skip_serializing_if = "is_empty")]
    hard: i64,
}

#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
struct Mounted {
    #[serde(skip_serializing_if = "is_empty")]
    input: i64,
    dest: String,
    #[serde(skip_serializing_if = "is_empty")]
    output: i64,
    #[serde(skip_serializing_if = "is_empty")]
    readonly: bool,
    #[serde(skip_serializing_if = "is_empty")]
    mount_type: u8,
    #[serde(rename = "TmpfsOpt", skip_serializing_if = "Option::is_none")]
    tmpfs: Option<Tmpfs>,
    #[serde(rename = "cacheOpt", skip_serializing_if = "Option::is_none")]
    cache: Option<Cache>,
    #[serde(rename = "secretOpt", skip_serializing_if = "Option::is_none")]
    secret: Option<Offered>,
    #[serde(rename = "SSHOpt", skip_serializing_if = "Option::is_none")]
    ssh: Option<Offered>,
}

#[derive(Serialize)]
struct Tmpfs {
    #[serde(skip_serializing_if = "is_empty")]
    size: u64,
}

#[derive(Serialize, Default)]
struct Cache {
    #[serde(rename = "ID", skip_serializing_if = "is_empty")]
    id: String,
    #[serde(skip_serializing_if = "is_empty")]
    sharing: u8,
}

/// A secret or an agent.
#[derive(Serialize)]
struct Offered {
    #[serde(rename = "ID", skip_serializing_if = "is_empty")]
    id: String,
    #[serde(skip_serializing_if = "is_empty")]
    uid: u32,
    #[serde(skip_serializing_if = "is_empty")]
    gid: u32,
    #[serde(skip_serializing_if = "is_empty")]
    mode: u32,
    #[serde(skip_serializing_if = "is_empty")]
    optional: bool,
}

#[derive(Serialize)]
struct SecretVariable {
    #[serde(rename = "ID")]
    id: String,
    name: String,
    #[serde(skip_serializing_if = "is_empty")]
    optional: bool,
}

/// The mounts of a step on their way into BuildKit's form.
#[derive(Default)]
struct Mounts {
    inputs: Inputs,
    /// What each input is read by: paths, and whether by content.
    reads: Vec<(Vec<String>, bool)>,
    file_systems: Vec<Mounted>,
    secrets: Vec<Mounted>,
    agents: Vec<Mounted>,
    variables: Vec<SecretVariable>,
}

pub(crate) fn cache_map(op: &ExecOp, edges: &[Edge], platform: &Platform) -> Option<CacheMap> {
    // What a device changes counts for kiln, and its name alone for BuildKit.
    if !op.devices.is_empty() {
        return None;
    }
    // No Dockerfile has them, so that their form there is not known here.
    if !op.valid_exit_codes.is_empty() {
        return None;
    }
    let mut mounts = Mounts::default();
    for mount in in_order(op) {
        mounts.add(&mount, edges)?;
    }
    let inputs = mounts.keyed_inputs();
    let mut mounted = mounts.file_systems;
    mounted.extend(mounts.secrets);
    mounted.extend(mounts.agents);
    // A step with nothing but its root is known without it.
    if let [only] = mounted.as_slice()
        && only.dest == "/"
        && !only.readonly
        && only.mount_type == 0
    {
        mounted.clear();
    }
    let exec = Exec {
        meta: meta(op),
        mounts: mounted,
        network: match op.network {
            NetworkMode::Default => 0,
            NetworkMode::Host => 1,
            NetworkMode::None => 2,
        },
        security: match op.security {
            SecurityMode::Sandbox => 0,
            SecurityMode::Insecure => 1,
        },
        secretenv: mounts.variables,
    };
    let keyed = Keyed {
        kind: "buildkit.exec.v0",
        exec,
        os: &platform.os,
        architecture: &platform.architecture,
        variant: &platform.variant,
    };
    Some(CacheMap {
        digest: json::digest(&keyed)?,
        inputs,
    })
}

fn meta(op: &ExecOp) -> Meta<'_> {
    Meta {
        args: &op.process.args,
        env: &op.process.env,
        cwd: &op.process.cwd,
        user: &op.process.user,
        extra_hosts: op
            .extra_hosts
            .iter()
            .map(|host| Host { host: &host.host })
            .collect(),
        hostname: op.hostname.as_deref().unwrap_or_default(),
        ulimit: op
            .ulimits
            .iter()
            .map(|limit| Limit {
                name: &limit.name,
                soft: limit.soft,
                hard: limit.hard,
            })
            .collect(),
        remove_mount_stubs_recursive: true,
    }
}

/// The mounts of a graph are in order; shared memory is one of them for BuildKit.
fn in_order(op: &ExecOp) -> Vec<Mount> {
    let shared_memory = op.shm_size.map(|size| Mount {
        target: "/dev/shm".to_owned(),
        source: MountSource::Tmpfs { size: Some(size) },
        read_only: false,
    });
    let mut mounts = op.mounts.clone();
    if let Some(shared_memory) = shared_memory {
        let is_before = |mount: &Mount| {
            !matches!(
                mount.source,
                MountSource::Secret { .. } | MountSource::Ssh { .. }
            ) && mount.target <= shared_memory.target
        };
        let place = mounts.iter().take_while(|mount| is_before(mount)).count();
        mounts.insert(place, shared_memory);
    }
    mounts
}

impl Mounts {
    fn add(&mut self, mount: &Mount, edges: &[Edge]) -> Option<()> {
        let edge = |input: &Option<u32>| match input {
            Some(input) => edges.get(*input as usize).map(|edge| Some(*edge)),
            None => Some(None),
        };
        match &mount.source {
            MountSource::Bind {
                input,
                selector,
                output,
            } => {
                let source = edge(input)?.map(InputSource::Edge);
                let kept = output.map_or(NONE, i64::from);
                let mounted = Mounted {
                    readonly: mount.read_only,
                    ..self.file_system(mount, source, selector, kept)
                };
                self.file_systems.push(mounted);
            }
            MountSource::Cache {
                id,
                sharing,
                input,
                selector,
                mode,
                owner,
            } => {
                let below = edge(input)?;
                let (source, selector) = first_content(below, selector, *mode, *owner)?;
                let mounted = Mounted {
                    readonly: mount.read_only,
                    mount_type: 3,
                    cache: Some(cache(id, *sharing, &mount.target)),
                    ..self.file_system(mount, source, selector, NONE)
                };
                self.file_systems.push(mounted);
            }
            MountSource::Tmpfs { size } => self.file_systems.push(tmpfs(mount, *size)),
            MountSource::Secret {
                digest: Some(_), ..
            } => return None,
            MountSource::Secret {
                id, at, required, ..
            } => self.secret(mount, id, at, !*required),
            MountSource::Ssh {
                id,
                mode,
                owner,
                required,
            } => self
                .agents
                .push(agent(&mount.target, id, *mode, *owner, !required)),
        }
        Some(())
    }

    fn secret(&mut self, mount: &Mount, id: &str, at: &SecretTarget, optional: bool) {
        match at {
            SecretTarget::Env(name) => self.variables.push(SecretVariable {
                id: id.to_owned(),
                name: name.clone(),
                optional,
            }),
            SecretTarget::File { mode, owner } => self.secrets.push(Mounted {
                input: NONE,
                dest: mount.target.clone(),
                mount_type: 1,
                secret: Some(Offered {
                    id: id.to_owned(),
                    uid: owner.uid,
                    gid: owner.gid,
                    mode: *mode,
                    optional,
                }),
                ..Mounted::default()
            }),
        }
    }

    /// A mount that shows an input, and what it reads of it.
    fn file_system(
        &mut self,
        mount: &Mount,
        source: Option<InputSource>,
        selector: &str,
        output: i64,
    ) -> Mounted {
        let path = if selector.is_empty() { "/" } else { selector };
        let input = source.map_or(NONE, |source| self.inputs.place(source));
        if let Ok(place) = usize::try_from(input) {
            self.reads
                .resize_with(self.inputs.0.len(), Default::default);
            if let Some((paths, by_content)) = self.reads.get_mut(place) {
                paths.push(path.to_owned());
                let is_safe = output == NONE || mount.read_only || path == "/";
                *by_content = is_safe && mount.target != "/";
            }
        }
        let slash = if mount.target == PIPES { "/" } else { "" };
        Mounted {
            input,
            dest: format!("{}{slash}", mount.target),
            output,
            ..Mounted::default()
        }
    }

    fn keyed_inputs(&mut self) -> Vec<InputMap> {
        let reads = std::mem::take(&mut self.reads);
        let inputs = std::mem::take(&mut self.inputs.0);
        let keyed = |(input, (paths, by_content)): (InputMap, (Vec<String>, bool))| InputMap {
            selector: Some(Digest::of(paths.join("\0").as_bytes())),
            content: by_content.then(|| selectors(&paths)),
            ..input
        };
        inputs.into_iter().zip(reads).map(keyed).collect()
    }
}

fn selectors(paths: &[String]) -> Vec<Selector> {
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let outermost = outermost(&paths);
    if outermost.iter().any(|path| path == "/") {
        return vec![Selector::default()];
    }
    let followed = |path| Selector {
        path,
        follow_links: true,
        ..Selector::default()
    };
    outermost.into_iter().map(followed).collect()
}

/// What a cache mount is mounted over, and which directory of it.
fn first_content(
    below: Option<Edge>,
    selector: &str,
    mode: u32,
    owner: FileOwner,
) -> Option<(Option<InputSource>, &str)> {
    Some(match (selector, mode, owner) {
        ("", 0o755, FileOwner { uid: 0, gid: 0 }) => (below.map(InputSource::Edge), ""),
        ("", mode, owner) => {
            let made = crate::file::cache_directory(below, mode, owner)?;
            (Some(InputSource::Made(Box::new(made))), "/cache")
        }
        (selector, _, _) => (below.map(InputSource::Edge), selector),
    })
}

fn tmpfs(mount: &Mount, size: Option<u64>) -> Mounted {
    Mounted {
        input: NONE,
        dest: mount.target.clone(),
        output: NONE,
        readonly: mount.read_only,
        mount_type: 4,
        tmpfs: Some(Tmpfs {
            size: size.unwrap_or_default(),
        }),
        ..Mounted::default()
    }
}

fn agent(target: &str, id: &str, mode: u32, owner: FileOwner, optional: bool) -> Mounted {
    Mounted {
        input: NONE,
        dest: target.to_owned(),
        mount_type: 2,
        ssh: Some(Offered {
            // An agent that the Dockerfile does not name has no name there.
            id: if id == "default" { "" } else { id }.to_owned(),
            uid: owner.uid,
            gid: owner.gid,
            mode,
            optional,
        }),
        ..Mounted::default()
    }
}

/// Only an identity that follows from the target counts.
fn cache(id: &str, sharing: CacheSharing, target: &str) -> Cache {
    let is_default = id.strip_prefix('/').is_some_and(|_| id == target);
    if !is_default || sharing != CacheSharing::Shared {
        return Cache::default();
    }
    Cache {
        id: format!("/{id}"),
        sharing: 0,
    }
}
