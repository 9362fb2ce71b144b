//! kiln standing in by name for the clients `docker`, `docker-buildx` and `buildctl`: their command
//! lines become kiln's own, whose commands and flags follow docker's, or are refused by name.

pub(crate) mod buildctl;
mod docker;
mod endpoint;
mod globals;
mod nothing;

use std::ffi::OsString;

use crate::args::{DockerClient, Global, NamedDaemon};
use crate::environment::Environment;
use crate::error::Error;
use crate::names::Name;
use globals::Globals;

/// What a command line of a client's comes to.
#[derive(Debug)]
pub(crate) enum Called {
    /// This line of kiln's.
    Kiln {
        /// The line, of which the first word is the program itself.
        line: Vec<OsString>,
        /// What holds for it.
        docker: Docker,
    },
    /// A call of `buildctl`.
    Buildctl(buildctl::Call),
    /// Print this and be done.
    Print(String),
}

/// What flags and variables of docker's client say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Docker {
    /// The docker that is named, if one is.
    daemon: Option<NamedDaemon>,
    /// The directory of the client's configuration, if it is named.
    config: Option<String>,
    /// As which kiln was called, if as one.
    client: Option<DockerClient>,
}

/// What this process was called for, under whatever name.
///
/// # Errors
/// The line asks for something that there is nothing like here.
pub(crate) fn called(environment: &Environment) -> Result<Called, Error> {
    let line = &environment.arguments;
    match line.first().map(|program| Name::of(program)) {
        Some(Name::Docker) => docker::docker(environment),
        Some(Name::DockerBuildx) => docker::buildx(environment),
        Some(Name::Buildctl) => buildctl::read(environment),
        _ => Ok(Called::Kiln {
            line: line.clone(),
            docker: Docker::default(),
        }),
    }
}

impl Docker {
    /// Has a command done with what was said.
    pub(crate) fn apply(self, global: &mut Global, environment: &mut Environment) {
        if let Some(config) = self.config {
            let variables = &mut environment.variables;
            variables.insert("DOCKER_CONFIG".into(), config.into());
        }
        global.daemon = self.daemon;
        global.client = self.client;
    }
}

/// Under what buildx remembers which builder was chosen for the docker that the environment means.
///
/// # Errors
/// A variable is no text.
pub(crate) fn docker_key(environment: &Environment) -> Result<String, Error> {
    endpoint::key(&Globals::default(), environment)
}

/// Names of the contexts of docker's configuration, sorted.
pub(crate) fn contexts(environment: &Environment) -> Vec<String> {
    endpoint::contexts(environment)
}

/// The docker of a context.
///
/// # Errors
/// There is none, or it cannot be read.
pub(crate) fn of_context(name: &str, environment: &Environment) -> Result<NamedDaemon, Error> {
    endpoint::of_context(name, environment.docker_config())
}
