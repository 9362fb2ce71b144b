//! kiln standing in by name for the clients `docker`, `docker-buildx` and `buildctl`: their command
//! lines become kiln's own, whose commands and flags follow docker's, or are refused by name.

pub(crate) mod buildctl;
mod docker;
mod endpoint;
mod globals;
mod nothing;

use std::ffi::OsString;

use crate::args::Command;
use crate::args::image::Image;
use crate::args::system::Builder;
use crate::environment::Environment;
use crate::error::Error;
use crate::names::Name;

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
    /// Docker's address, if it is named.
    host: Option<String>,
    /// The directory of the client's configuration, if it is named.
    config: Option<String>,
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
    /// Has `command` done with what was said.
    ///
    /// # Errors
    /// It would work on another store than that of the docker which is named.
    pub(crate) fn apply(
        self,
        command: &mut Command,
        environment: &mut Environment,
    ) -> Result<(), Error> {
        if let Some(config) = self.config {
            let variables = &mut environment.variables;
            variables.insert("DOCKER_CONFIG".into(), config.into());
        }
        let Some(host) = self.host else {
            return Ok(());
        };
        match command {
            Command::Build(args)
            | Command::Image(Image::Build(args))
            | Command::Builder(Builder::Build(args)) => {
                args.docker_host = Some(host);
                Ok(())
            }
            other if !other.needs_store() => Ok(()),
            _ => Err(Error::new(format!(
                "kiln stands in for docker with a store of its own, and this is for the docker at \
                 {host}: only builds go there"
            ))
            .hint("unset DOCKER_HOST and leave --host out, or use docker's own client")),
        }
    }
}
