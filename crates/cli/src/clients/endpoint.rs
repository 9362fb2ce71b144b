//! Docker's address, as its client finds it: a flag, a variable, or a context of its configuration.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use oci::Digest;
use serde::Deserialize;

use super::globals::Globals;
use crate::environment::Environment;
use crate::error::{Error, io_text};

/// Where docker's own client looks when nothing is said.
const USUAL: &str = "/var/run/docker.sock";
/// The context that is none.
const DEFAULT: &str = "default";

/// Docker's configuration, as far as it says where docker is.
#[derive(Default, Deserialize)]
struct Config {
    #[serde(rename = "currentContext", default)]
    current_context: String,
}

/// What is kept of a context.
#[derive(Deserialize)]
struct Meta {
    #[serde(rename = "Endpoints", default)]
    endpoints: Endpoints,
}

#[derive(Default, Deserialize)]
struct Endpoints {
    docker: Option<Endpoint>,
}

#[derive(Deserialize)]
struct Endpoint {
    #[serde(rename = "Host", default)]
    host: String,
}

/// Docker's address; none if nothing says that there is a docker.
///
/// # Errors
/// It is in a context that cannot be read.
pub(super) fn endpoint(
    globals: &Globals,
    environment: &Environment,
) -> Result<Option<String>, Error> {
    if let Some(host) = &globals.host {
        return Ok(Some(host.clone()));
    }
    let context = match &globals.context {
        Some(context) => Some(context.clone()),
        None => {
            if let Some(host) = environment.text("DOCKER_HOST")? {
                return Ok(Some(host.to_owned()));
            }
            environment.text("DOCKER_CONTEXT")?.map(str::to_owned)
        }
    };
    let directory = match &globals.config {
        Some(config) => Some(environment.absolute(Path::new(config))),
        None => environment.docker_config(),
    };
    let context = context.or_else(|| current(directory.as_deref()?));
    match context.filter(|name| name != DEFAULT) {
        Some(name) => of_context(&name, directory).map(Some),
        None => Ok(None),
    }
}

/// The address that docker's own client uses when nothing is said, if somebody listens there.
pub(super) fn usual() -> Option<String> {
    let listens = UnixStream::connect(USUAL).is_ok();
    listens.then(|| format!("unix://{USUAL}"))
}

/// The context that the configuration in `directory` is set to.
fn current(directory: &Path) -> Option<String> {
    let text = fs::read_to_string(directory.join("config.json")).ok()?;
    // Whether the rest of it makes sense is found out by who needs it.
    let config: Config = serde_json::from_str(&text).unwrap_or_default();
    Some(config.current_context).filter(|name| !name.is_empty())
}

fn of_context(name: &str, directory: Option<PathBuf>) -> Result<String, Error> {
    let failed = |why: &str| Error::new(format!("context {name:?}: {why}"));
    let directory = directory.ok_or_else(|| failed("there is no home directory"))?;
    let hashed = Digest::of(name.as_bytes()).hex();
    let path = directory
        .join("contexts/meta")
        .join(hashed)
        .join("meta.json");
    let text = fs::read_to_string(&path)
        .map_err(|error| failed(&format!("{}: {}", path.display(), io_text(&error))))?;
    let meta: Meta = serde_json::from_str(&text).map_err(|error| failed(&format!("{error}")))?;
    let endpoint = meta
        .endpoints
        .docker
        .filter(|docker| !docker.host.is_empty());
    endpoint
        .map(|docker| docker.host)
        .ok_or_else(|| failed("it has no docker"))
}
