//! What there is of containers, by another name, or no more.

use std::time::SystemTime;

use oci::Digest;
use store::{Container, ContainerState};

use super::life::ContainerLife;
use super::settings::ContainerSettings;
use crate::engine::{Engine, Inner};
use crate::error::EngineError;

/// A container, as a list shows it.
#[derive(Debug, Clone)]
pub struct ContainerSummary {
    /// 64 hexadecimal characters.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The image, as it was asked for.
    pub image: String,
    /// What the image's name led to.
    pub image_digest: Option<Digest>,
    /// Program and arguments.
    pub command: Vec<String>,
    /// When it was created.
    pub created: SystemTime,
    /// How far it is.
    pub state: ContainerState,
    /// Its latest run.
    pub life: ContainerLife,
    /// What it was created with.
    pub settings: ContainerSettings,
}

impl Engine {
    /// All containers, newest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn containers(&self) -> Result<Vec<ContainerSummary>, EngineError> {
        let mut containers = self.0.store.containers().list()?;
        containers.reverse();
        containers
            .iter()
            .map(|container| self.0.container_summary(container))
            .collect()
    }

    /// The container with this name, or whose ID begins so.
    ///
    /// # Errors
    /// There is none.
    pub fn inspect_container(&self, name: &str) -> Result<ContainerSummary, EngineError> {
        self.0.container_summary(&self.0.container(name)?)
    }

    /// Gives a container another name; its ID and the name that it had.
    ///
    /// # Errors
    /// There is none, or the name is another's.
    pub fn rename_container(&self, name: &str, new: &str) -> Result<(String, String), EngineError> {
        let container = self.0.container(name)?;
        let new = new.trim_start_matches('/');
        if let Some(taken) = self.0.store.containers().get(new)? {
            return Err(EngineError::ContainerName {
                name: new.to_owned(),
                id: taken.id,
            });
        }
        self.0.store.containers().rename(&container.id, new)?;
        Ok((container.id, container.name))
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

    /// The time by the engine's clock.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        self.0.clock.now()
    }
}

impl Inner {
    /// The container with this name or ID, or whose ID begins so.
    pub(crate) fn container(&self, name: &str) -> Result<Container, EngineError> {
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

    fn container_summary(&self, container: &Container) -> Result<ContainerSummary, EngineError> {
        let settings = read_settings(container)?;
        let mut life = self.life(&container.id);
        if container.state != ContainerState::Running {
            life.pid = 0;
            // Nobody saw the end of one that ended with whoever ran it.
            life.finished = life.finished.or(life.started);
        }
        Ok(ContainerSummary {
            id: container.id.clone(),
            name: container.name.clone(),
            image: container.image.clone(),
            image_digest: container.image_digest,
            command: settings.args.clone(),
            created: container.created,
            state: container.state,
            life,
            settings,
        })
    }
}

pub(super) fn read_settings(container: &Container) -> Result<ContainerSettings, EngineError> {
    serde_json::from_str(&container.config).map_err(|source| EngineError::ContainerConfig {
        id: container.id.clone(),
        source,
    })
}
