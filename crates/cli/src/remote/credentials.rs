//! What docker's configuration has for registries. It is read by those commands alone that send some
//! of it.

use std::path::PathBuf;
use std::sync::Arc;

use engine::EngineError;

use crate::environment::Environment;

/// Where docker's configuration is, and the programs that it may name.
#[derive(Debug, Clone)]
pub(crate) struct CredentialFiles {
    config: Option<PathBuf>,
    helper_path: Vec<PathBuf>,
}

impl CredentialFiles {
    /// Those of this user.
    pub(crate) fn of(environment: &Environment) -> Self {
        let directory = environment.docker_config();
        Self {
            config: directory.map(|directory| directory.join("config.json")),
            helper_path: environment.program_path(),
        }
    }

    /// Reads the configuration.
    ///
    /// # Errors
    /// It makes no sense.
    pub(crate) fn read(&self) -> Result<Arc<dyn engine::Credentials>, EngineError> {
        engine::docker_credentials(self.config.as_deref(), self.helper_path.clone())
    }
}
