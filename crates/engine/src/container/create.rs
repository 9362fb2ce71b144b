//! Creating, listing and removing containers, as Docker does.

use std::time::SystemTime;

use graph::{ExtraHost, NetworkMode};
use oci::ProcessConfig;
use serde::{Deserialize, Serialize};
use store::{Container, ContainerState};

use crate::engine::{Engine, Inner};
use crate::error::EngineError;
use crate::output::Stack;

/// A container that is to be created.
#[derive(Debug, Clone, Default)]
pub struct CreateContainer {
    /// The image, by name or ID.
    pub image: String,
    /// Its name; made up when none.
    pub name: Option<String>,
    /// Arguments instead of the image's command.
    pub command: Vec<String>,
    /// Instead of the image's entry point; an empty list is none at all.
    pub entrypoint: Option<Vec<String>>,
    /// `KEY=value`, over the image's.
    pub env: Vec<String>,
    /// Instead of the image's user.
    pub user: Option<String>,
    /// Instead of the image's working directory.
    pub working_directory: Option<String>,
    /// Instead of the beginning of the ID.
    pub hostname: Option<String>,
    /// Which network it sees.
    pub network: NetworkMode,
    /// Further lines of `/etc/hosts`.
    pub extra_hosts: Vec<ExtraHost>,
}

/// A container, as a list shows it.
#[derive(Debug, Clone)]
pub struct ContainerSummary {
    /// 64 hexadecimal characters.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The image, as it was asked for.
    pub image: String,
    /// Program and arguments.
    pub command: Vec<String>,
    /// When it was created.
    pub created: SystemTime,
    /// How far it is.
    pub state: ContainerState,
}

/// What of a container is kept beside its row.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct StoredConfig {
    pub(super) args: Vec<String>,
    pub(super) env: Vec<String>,
    pub(super) user: String,
    pub(super) cwd: String,
    pub(super) hostname: String,
    pub(super) isolated: bool,
    pub(super) hosts: Vec<(String, String)>,
}

impl Engine {
    /// Creates a container and does not start it; its ID.
    ///
    /// # Errors
    /// There is no such image, the name is taken, or there is nothing to run.
    pub async fn create_container(&self, new: CreateContainer) -> Result<String, EngineError> {
        let engine = &self.0;
        let found = engine.find_image(&new.image)?;
        let layers = engine.note_layers(&found.reference, &found.image)?;
        engine.snapshots(&Stack::new(layers.clone()), None).await?;
        let id = new_id()?;
        let config = stored_config(&new, &found.image.config.config, &id)?;
        let name = new.name.clone().unwrap_or_else(|| made_up_name(&id));
        let container = Container {
            id: id.clone(),
            name: name.clone(),
            image: new.image.clone(),
            image_digest: Some(found.top.digest),
            config: serde_json::to_string(&config).map_err(EngineError::Serialize)?,
            layers,
            created: engine.clock.now(),
            state: ContainerState::Created,
        };
        if let Some(taken) = engine.store.containers().get(&name)? {
            return Err(EngineError::ContainerName { name, id: taken.id });
        }
        engine
            .store
            .containers()
            .create(&engine.lease, &container)?;
        Ok(id)
    }

    /// All containers, newest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn containers(&self) -> Result<Vec<ContainerSummary>, EngineError> {
        let mut containers = self.0.store.containers().list()?;
        containers.reverse();
        containers.iter().map(summary).collect()
    }

    /// The container with this name, or whose ID begins so.
    ///
    /// # Errors
    /// There is none.
    pub fn inspect_container(&self, name: &str) -> Result<ContainerSummary, EngineError> {
        summary(&self.0.container(name)?)
    }

    /// Removes a container with what it wrote; its ID. A running one only when `force` is set.
    ///
    /// # Errors
    /// There is none, or it runs.
    pub fn remove_container(&self, name: &str, force: bool) -> Result<String, EngineError> {
        let container = self.0.container(name)?;
        if container.state == ContainerState::Running && !force {
            return Err(EngineError::ContainerRuns(name.to_owned()));
        }
        self.0
            .store
            .containers()
            .remove(&self.0.lease, &container.id)?;
        Ok(container.id)
    }
}

impl Inner {
    /// The container with this name or ID, or whose ID begins so.
    pub(super) fn container(&self, name: &str) -> Result<Container, EngineError> {
        let name = name.trim_start_matches('/');
        if let Some(container) = self.store.containers().get(name)? {
            return Ok(container);
        }
        let missing = || EngineError::NoSuchContainer(name.to_owned());
        if name.is_empty() {
            return Err(missing());
        }
        let mut matching = self.store.containers().list()?;
        matching.retain(|container| container.id.starts_with(name));
        match matching.len() {
            1 => matching.pop().ok_or_else(missing),
            _ => Err(missing()),
        }
    }
}

pub(super) fn read_config(container: &Container) -> Result<StoredConfig, EngineError> {
    serde_json::from_str(&container.config).map_err(|source| EngineError::ContainerConfig {
        id: container.id.clone(),
        source,
    })
}

fn summary(container: &Container) -> Result<ContainerSummary, EngineError> {
    Ok(ContainerSummary {
        id: container.id.clone(),
        name: container.name.clone(),
        image: container.image.clone(),
        command: read_config(container)?.args,
        created: container.created,
        state: container.state,
    })
}

fn stored_config(
    new: &CreateContainer,
    image: &ProcessConfig,
    id: &str,
) -> Result<StoredConfig, EngineError> {
    let entrypoint = new.entrypoint.clone().or_else(|| image.entrypoint.clone());
    let command = if !new.command.is_empty() {
        new.command.clone()
    } else if new.entrypoint.is_some() {
        // Another entry point does not go with the image's arguments.
        Vec::new()
    } else {
        image.cmd.clone().unwrap_or_default()
    };
    let args: Vec<String> = entrypoint
        .unwrap_or_default()
        .into_iter()
        .chain(command)
        .collect();
    if args.is_empty() {
        return Err(EngineError::NoCommand);
    }
    let or = |chosen: &Option<String>, image: &str, default: &str| match chosen {
        Some(chosen) => chosen.clone(),
        None if image.is_empty() => default.to_owned(),
        None => image.to_owned(),
    };
    Ok(StoredConfig {
        args,
        env: environment(&image.env, &new.env),
        user: or(&new.user, &image.user, ""),
        cwd: or(&new.working_directory, &image.working_dir, "/"),
        hostname: new.hostname.clone().unwrap_or_else(|| id[..12].to_owned()),
        isolated: new.network == NetworkMode::None,
        hosts: new
            .extra_hosts
            .iter()
            .map(|h| (h.host.clone(), h.address.clone()))
            .collect(),
    })
}

fn environment(image: &[String], new: &[String]) -> Vec<String> {
    let key = |entry: &str| entry.split('=').next().unwrap_or_default().to_owned();
    let mut env: Vec<String> = image.to_vec();
    for entry in new {
        env.retain(|known| key(known) != key(entry));
        env.push(entry.clone());
    }
    if !env.iter().any(|entry| key(entry) == "PATH") {
        let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        env.insert(0, format!("PATH={path}"));
    }
    env
}

fn new_id() -> Result<String, EngineError> {
    let mut bytes = [0; 32];
    let filled = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .map_err(|errno| EngineError::Io {
            action: "make an ID",
            source: errno.into(),
        })?;
    if filled < bytes.len() {
        let source = std::io::ErrorKind::UnexpectedEof.into();
        return Err(EngineError::Io {
            action: "make an ID",
            source,
        });
    }
    Ok(oci::Digest::from_bytes(bytes).hex())
}

const ADJECTIVES: [&str; 16] = [
    "amber", "brisk", "calm", "dusty", "eager", "fired", "glazed", "humble", "ivory", "jolly",
    "keen", "lively", "matte", "noble", "ochre", "plain",
];
const NOUNS: [&str; 16] = [
    "amphora", "basin", "bowl", "brick", "crock", "cup", "dish", "ewer", "flask", "jar", "jug",
    "mug", "plate", "tile", "urn", "vase",
];

/// A name that people can remember, from the random digits of the ID.
fn made_up_name(id: &str) -> String {
    let digit = |place: usize| {
        let digit = id.as_bytes().get(place).copied().unwrap_or(b'0');
        usize::from(digit % 16)
    };
    format!("{}_{}_{}", ADJECTIVES[digit(0)], NOUNS[digit(1)], &id[2..6])
}
