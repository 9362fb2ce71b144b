//! What a build may ask of its client: directories and secrets.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use graph::{NetworkMode, SecurityMode};
use sandbox::Security;

use crate::cache_mount::Carried;
use crate::config::StepNetwork;
use crate::debug::KeepFailed;
use crate::device::Catalogue;
use crate::error::EngineError;
use crate::request::{BuildRequest, Context, NamedContext, OfferedSecret, Secret, SecretStore};
use crate::resources::Resources;
use crate::ssh::SshAgent;

/// What the graph calls the main context.
pub(crate) const CONTEXT: &str = "context";

/// What the graph calls a further context; no such name is the main one's.
pub(crate) fn named(name: &str) -> String {
    format!("context:{name}")
}

/// The name that the client gave the context; empty for the main one.
pub(crate) fn context_name(name: &str) -> &str {
    name.strip_prefix("context:").unwrap_or_default()
}

/// The client's side of a build.
#[derive(Debug, Default)]
pub(crate) struct Session {
    /// Directories by the name of their context.
    pub(crate) directories: BTreeMap<String, PathBuf>,
    pub(crate) secrets: BTreeMap<String, OfferedSecret>,
    /// Asked for secrets that are not among them.
    pub(crate) more_secrets: Option<Arc<dyn SecretStore>>,
    /// SSH agents by their names.
    pub(crate) agents: BTreeMap<String, SshAgent>,
    /// The machine's devices, once they are known.
    pub(crate) devices: Arc<Catalogue>,
    /// Where cache mounts come from that the machine does not have.
    pub(crate) carried: Option<Carried>,
    /// What each step may take.
    pub(crate) resources: Resources,
    /// The network of steps that choose none, in place of what the configuration says.
    pub(crate) network: Option<StepNetwork>,
    /// Steps may have the machine's network where it is not the default.
    pub(crate) host_network: bool,
    /// Steps may have all rights. Whoever plans steps has asked already; a step of another build's
    /// result was planned with what that build may.
    pub(crate) insecure: bool,
    /// The client wants the first step that fails.
    pub(crate) keep_failed: Option<KeepFailed>,
}

impl Session {
    /// The client's side of `request`.
    pub(crate) fn of(request: &BuildRequest) -> Self {
        let mut directories = BTreeMap::new();
        if let Context::Directory { path, .. } = &request.context {
            directories.insert(CONTEXT.to_owned(), path.clone());
        }
        for (name, context) in &request.named_contexts {
            if let NamedContext::Directory(path) = context {
                directories.insert(named(name), path.clone());
            }
        }
        for (name, path) in request.steps().flat_map(|steps| &steps.directories) {
            directories.insert(named(name), path.clone());
        }
        Self {
            directories,
            secrets: request.secrets.clone(),
            more_secrets: request.more_secrets.clone(),
            agents: request.ssh.clone(),
            devices: Arc::default(),
            carried: None,
            resources: request.resources.clone(),
            network: request.default_network,
            host_network: request.allow_host_network || request.network == NetworkMode::Host,
            insecure: request.may_be_insecure(),
            keep_failed: request.keep_failed.clone(),
        }
    }

    /// The sandbox's word for a level of security.
    ///
    /// # Errors
    /// The build was not given what a step wants.
    pub(crate) const fn security(&self, mode: SecurityMode) -> Result<Security, EngineError> {
        match mode {
            SecurityMode::Sandbox => Ok(Security::Sandbox),
            SecurityMode::Insecure if self.insecure => Ok(Security::Insecure),
            SecurityMode::Insecure => Err(EngineError::Insecure),
        }
    }

    /// The agent that git may use.
    pub(crate) fn git_agent(&self) -> Option<&SshAgent> {
        self.agents.get("default")
    }

    /// The secret under `id`; none when the client does not offer it.
    pub(crate) fn secret(&self, id: &str) -> Result<Option<Secret>, EngineError> {
        if let Some(offered) = self.secrets.get(id) {
            return offered.source.read().map(Some);
        }
        match &self.more_secrets {
            Some(store) => store.get(id).map_err(|reason| EngineError::SecretStore {
                id: id.to_owned(),
                reason,
            }),
            None => Ok(None),
        }
    }
}
