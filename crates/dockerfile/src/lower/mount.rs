//! `RUN --mount`: what each mount shows, and where.

use std::borrow::Cow;
use std::collections::BTreeMap;

use graph::{CacheSharing, Edge, FileOwner, Mount, MountSource, SecretTarget};

use super::dispatch::{Current, Dispatcher, Stage};
use super::error::LowerError;
use super::node::From;
use super::transfer::index;
use crate::instruction::{self, MountKind, Run, Sharing};
use crate::path;

impl Dispatcher<'_> {
    /// Adds what an instruction mounts; names of variables that hold secrets.
    pub(super) fn mounts(
        &mut self,
        stage: &Stage<'_>,
        at: Current<'_>,
        run: &Run,
        inputs: &mut Vec<Edge>,
        mounts: &mut Vec<Mount>,
    ) -> Result<Vec<String>, LowerError> {
        let mut secret_variables = Vec::new();
        let mut agents = 0;
        for (text, from) in run.mounts.iter().zip(&at.step.from) {
            let mount = self.parse_mount(stage, at, text, &from.name)?;
            match mount.kind {
                MountKind::Secret => {
                    mounts.extend(secret(stage, &mount, &self.lowering.options.secret_digests));
                    secret_variables.extend(mount.env);
                }
                MountKind::Ssh => {
                    mounts.push(agent(stage, &mount, agents)?);
                    agents += 1;
                }
                _ => {
                    let target = target(stage, &mount.target);
                    if target == "/" {
                        return Err(LowerError::MountTarget(target));
                    }
                    let edge = self.mounted(&mount, from)?;
                    let input = edge.map(|edge| add_input(inputs, edge));
                    mounts.push(Mount {
                        source: self.source(&mount, input),
                        target,
                        read_only: mount.read_only,
                    });
                }
            }
        }
        Ok(secret_variables)
    }

    fn parse_mount(
        &mut self,
        stage: &Stage<'_>,
        at: Current<'_>,
        text: &str,
        from: &str,
    ) -> Result<instruction::Mount, LowerError> {
        let mut failed = None;
        let mount =
            instruction::Mount::parse(text, from, &mut |word| match self.expand(stage, at, word) {
                Ok(word) => Ok(word),
                Err(LowerError::Word(error)) => Err(error),
                Err(error) => {
                    failed = Some(error);
                    Ok(Cow::Borrowed(""))
                }
            });
        match failed {
            Some(error) => Err(error),
            None => Ok(mount?),
        }
    }

    /// What a mount shows, if it is a file system.
    fn mounted(
        &mut self,
        mount: &instruction::Mount,
        from: &From,
    ) -> Result<Option<Edge>, LowerError> {
        let Some(node) = from.node else {
            return match mount.kind {
                MountKind::Bind => self.sources.context(&self.lowering.options),
                _ => Ok(None),
            };
        };
        match self.done.edge(node) {
            Some(edge) if mount.kind != MountKind::Tmpfs => Ok(edge),
            Some(_) => Ok(None),
            None => Err(LowerError::MountForward {
                from: mount.from.clone(),
                target: mount.target.clone(),
            }),
        }
    }

    fn source(&self, mount: &instruction::Mount, input: Option<u32>) -> MountSource {
        let mut selector = String::new();
        if !mount.source.is_empty() {
            selector = path::absolute("/", &mount.source);
        }
        if selector == "/" {
            selector.clear();
        }
        match mount.kind {
            MountKind::Cache => MountSource::Cache {
                id: self.cache_id(mount),
                sharing: match mount.sharing {
                    None | Some(Sharing::Shared) => CacheSharing::Shared,
                    Some(Sharing::Private) => CacheSharing::Private,
                    Some(Sharing::Locked) => CacheSharing::Locked,
                },
                input,
                selector,
                mode: mount.mode.unwrap_or(0o755),
                owner: owner(mount),
            },
            MountKind::Tmpfs => MountSource::Tmpfs { size: mount.size },
            _ => MountSource::Bind {
                input,
                selector,
                output: None,
            },
        }
    }

    fn cache_id(&self, mount: &instruction::Mount) -> String {
        let id = match mount.id.as_str() {
            "" => path::clean(&mount.target),
            id => id.to_owned(),
        };
        match self.lowering.options.cache_mount_namespace.as_str() {
            "" => id,
            namespace => format!("{namespace}/{id}"),
        }
    }
}

/// A file, an environment variable, or both.
fn secret(
    stage: &Stage<'_>,
    mount: &instruction::Mount,
    digests: &BTreeMap<String, [u8; 32]>,
) -> Vec<Mount> {
    let id = match (mount.source.as_str(), mount.id.as_str()) {
        ("", "") => path::base(&mount.target),
        ("", id) => id,
        (source, _) => source,
    };
    let at = |target: String, at: SecretTarget| Mount {
        target,
        source: MountSource::Secret {
            id: id.to_owned(),
            at,
            required: mount.required,
            digest: digests.get(id).copied(),
        },
        read_only: true,
    };
    let default_target = format!("/run/secrets/{}", path::base(id));
    let mut mounts = Vec::new();
    if mount.env.is_none() || !mount.target.is_empty() {
        let place = match mount.target.as_str() {
            "" => default_target.clone(),
            written => target(stage, written),
        };
        let file = SecretTarget::File {
            mode: mount.mode.unwrap_or(0o400),
            owner: owner(mount),
        };
        mounts.push(at(place, file));
    }
    if let Some(name) = &mount.env {
        let name = if name.is_empty() { id } else { name };
        mounts.push(at(default_target, SecretTarget::Env(name.to_owned())));
    }
    mounts
}

fn agent(
    stage: &Stage<'_>,
    mount: &instruction::Mount,
    number: usize,
) -> Result<Mount, LowerError> {
    if !mount.source.is_empty() {
        return Err(LowerError::SshSource);
    }
    Ok(Mount {
        target: match mount.target.as_str() {
            "" => format!("/run/buildkit/ssh_agent.{number}"),
            written => target(stage, written),
        },
        source: MountSource::Ssh {
            id: match mount.id.as_str() {
                "" => "default".to_owned(),
                id => id.to_owned(),
            },
            mode: mount.mode.unwrap_or(0o600),
            owner: owner(mount),
            required: mount.required,
        },
        read_only: true,
    })
}

fn owner(mount: &instruction::Mount) -> FileOwner {
    FileOwner {
        uid: mount.uid.unwrap_or_default(),
        gid: mount.gid.unwrap_or_default(),
    }
}

fn target(stage: &Stage<'_>, written: &str) -> String {
    path::absolute(&stage.scope.directory(), written)
}

/// Each mount has an input of its own: how it is used decides how it is keyed.
fn add_input(inputs: &mut Vec<Edge>, edge: Edge) -> u32 {
    inputs.push(edge);
    index(inputs.len() - 1)
}
