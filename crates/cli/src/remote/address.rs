//! Which builder a command is carried out by: `--builder`, `KILN_HOST`, or this process.

use std::path::{Path, PathBuf};

use client::Way;

use crate::args::history::History;
use crate::args::image::Image;
use crate::args::system::{Builder, System};
use crate::args::{Command, build::Build};
use crate::environment::Environment;
use crate::error::{Error, choice};

/// The variable that names the builder of every build.
const VARIABLE: &str = "KILN_HOST";

/// A builder that is another process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Host {
    /// Where it is reached.
    pub(crate) socket: PathBuf,
    /// How.
    pub(crate) way: Way,
}

/// The builder that a build is asked of; none if this process builds.
///
/// # Errors
/// The builder is named in a way that kiln does not know.
pub(crate) fn builder(args: &Build, environment: &Environment) -> Result<Option<Host>, Error> {
    match (&args.builder, named(environment)?, &args.docker_host) {
        (Some(host), ..) => host_at("--builder", host, Way::Straight, environment).map(Some),
        (None, Some(host), _) => Ok(Some(host)),
        (None, None, Some(host)) => host_at("--host", host, Way::ByDocker, environment).map(Some),
        (None, None, None) => Ok(None),
    }
}

/// The builder that the environment names.
///
/// # Errors
/// It is named in a way that kiln does not know.
pub(crate) fn named(environment: &Environment) -> Result<Option<Host>, Error> {
    let host = environment.text(VARIABLE)?;
    let host = host.map(|host| host_at(VARIABLE, host, Way::Straight, environment));
    host.transpose()
}

fn host_at(
    flag: &'static str,
    host: &str,
    way: Way,
    environment: &Environment,
) -> Result<Host, Error> {
    match host.strip_prefix("unix://") {
        Some(path) if !path.is_empty() => Ok(Host {
            socket: environment.absolute(Path::new(path)),
            way,
        }),
        _ => {
            let expected = "kiln reaches builders on sockets of this machine: unix://PATH";
            Err(choice(flag, host, expected))
        }
    }
}

/// Whether another process carries `command` out, and this one needs no store.
///
/// # Errors
/// The builder is named in a way that kiln does not know.
pub(crate) fn is_elsewhere(command: &Command, environment: &Environment) -> Result<bool, Error> {
    match command {
        Command::Build(args)
        | Command::Image(Image::Build(args))
        | Command::Builder(Builder::Build(args)) => Ok(builder(args, environment)?.is_some()),
        command if is_asked(command) => Ok(named(environment)?.is_some()),
        _ => Ok(false),
    }
}

/// Whether a builder that is another process is asked for what the command is about.
const fn is_asked(command: &Command) -> bool {
    matches!(
        command,
        Command::Du(_)
            | Command::System(System::Df(_))
            | Command::Builder(Builder::Du(_) | Builder::History(_) | Builder::Prune(_))
            | Command::History(History {
                command: Some(_),
                ..
            })
    )
}

/// Refuses what works on this machine's store while builds are made elsewhere.
///
/// # Errors
/// `command` is such a one.
pub(crate) fn refuse_elsewhere(command: &Command, environment: &Environment) -> Result<(), Error> {
    let Some(host) = environment.text(VARIABLE)? else {
        return Ok(());
    };
    let is_here = match command {
        Command::Build(_)
        | Command::Image(Image::Build(_))
        | Command::Builder(Builder::Build(_) | Builder::Version(_)) => true,
        // These are about this machine, whoever builds.
        Command::Serve(_) | Command::Doctor(_) | Command::Store(_) => true,
        other => is_asked(other) || !other.needs_store(),
    };
    if is_here {
        return Ok(());
    }
    Err(Error::new(format!(
        "the command works on the store of this machine, and {VARIABLE}={host} has builds made \
         elsewhere"
    ))
    .hint(format!(
        "unset {VARIABLE} to work on the store here, or ask the builder with docker: \
         DOCKER_HOST={host} docker …"
    )))
}
