//! Creating containers, as Docker does.

use graph::{ExtraHost, NetworkMode};
use oci::{Digest, ProcessConfig};
use sandbox::GroupLimits;
use store::{Container, ContainerState, LayerId};

use super::settings::{MoreSettings, settings};
use crate::engine::{Engine, Inner};
use crate::error::EngineError;
use crate::op::limits;
use crate::output::Stack;
use crate::resources::bounded;

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
    /// What else it has. Labels, ports and what is told of its command are completed from the image.
    pub more: MoreSettings,
}

impl Engine {
    /// Creates a container and does not start it; its ID.
    ///
    /// # Errors
    /// There is no such image, the name is taken, there is nothing to run, or a limit cannot be had
    /// here.
    pub async fn create_container(&self, new: CreateContainer) -> Result<String, EngineError> {
        let engine = &self.0;
        let kernel = bounded(&new.more.limits);
        if kernel != GroupLimits::default() {
            engine.sandbox()?.can_hold(&kernel)?;
        }
        limits(&new.more.ulimits)?;
        let found = engine.find_image(&new.image)?;
        let layers = engine.note_stored_layers(&found.reference, &found.image)?;
        engine.snapshots(&Stack::new(layers.clone()), None).await?;
        let image = (found.top.digest, &found.image.config.config);
        engine.note_container(&new, Some(image), layers)
    }
}

impl Inner {
    /// Notes a container over `layers`, which somebody holds; its ID.
    pub(crate) fn note_container(
        &self,
        new: &CreateContainer,
        image: Option<(Digest, &ProcessConfig)>,
        layers: Vec<LayerId>,
    ) -> Result<String, EngineError> {
        let id = new_id()?;
        let without = ProcessConfig::default();
        let config = settings(new, image.map_or(&without, |(_, config)| config), &id)?;
        let name = new.name.clone().unwrap_or_else(|| made_up_name(&id));
        let container = Container {
            id: id.clone(),
            name: name.clone(),
            image: new.image.clone(),
            image_digest: image.map(|(digest, _)| digest),
            config: serde_json::to_string(&config).map_err(EngineError::Serialize)?,
            layers,
            created: self.clock.now(),
            state: ContainerState::Created,
        };
        if let Some(taken) = self.store.containers().get(&name)? {
            return Err(EngineError::ContainerName { name, id: taken.id });
        }
        self.store.containers().create(&self.lease, &container)?;
        Ok(id)
    }
}

/// 64 random hexadecimal characters.
///
/// # Errors
/// The machine has no random numbers.
pub fn new_id() -> Result<String, EngineError> {
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
    Ok(Digest::from_bytes(bytes).hex())
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
