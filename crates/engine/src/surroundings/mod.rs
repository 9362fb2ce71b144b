//! What this machine and its registries offer, for who asks whether all is well; nothing is made.

mod emulators;

use std::path::PathBuf;

use sandbox::{Connector, ConnectorKind};

use crate::engine::Engine;
use crate::error::EngineError;

pub use emulators::{Emulator, emulators};

impl Engine {
    /// The programs that can connect networks of steps' own, the better one first.
    #[must_use]
    pub fn connectors(&self) -> Vec<Connector> {
        let search: &[PathBuf] = &self.0.helper_path;
        let all = ConnectorKind::ALL.iter();
        all.filter_map(|kind| kind.find(search)).collect()
    }

    /// Looks whether plugins of CNI can set up networks of steps; the network's name.
    ///
    /// # Errors
    /// They cannot: none is configured, its configuration makes no sense, or a plugin is missing.
    pub fn cni_network(&self) -> Result<String, EngineError> {
        let cni = self.0.cni(None)?;
        self.0.sandbox()?.can_attach(&cni)?;
        Ok(cni.list.name().to_owned())
    }

    /// What of a step the kernel can limit here. Time, output and disk can be limited anywhere.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn kernel_limits(&self) -> Result<Vec<sandbox::Means>, EngineError> {
        Ok(self.0.sandbox()?.group_means())
    }

    /// Asks the registry of `domain` whether it takes the client's credentials; by how many seconds
    /// our clock is ahead of its, if it tells.
    ///
    /// # Errors
    /// It does not take them, or does not answer.
    pub async fn ask_registry(&self, domain: &str) -> Result<Option<i64>, EngineError> {
        let date = self.0.registry()?.greet(domain).await;
        let date = date.map_err(|source| EngineError::AskRegistry {
            domain: domain.to_owned(),
            source,
        })?;
        let now = jiff::Timestamp::try_from(self.0.clock.now()).ok();
        let theirs = date.and_then(|text| jiff::fmt::rfc2822::parse(&text).ok());
        Ok(now
            .zip(theirs)
            .map(|(now, theirs)| now.as_second() - theirs.timestamp().as_second()))
    }
}
