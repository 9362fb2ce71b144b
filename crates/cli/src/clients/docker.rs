//! `docker` and its plug-in `docker-buildx`.

use std::ffi::{OsStr, OsString};

use serde_json::json;

use super::globals::Globals;
use super::{Called, Docker, endpoint, nothing};
use crate::args::NamedDaemon;
use crate::environment::Environment;
use crate::error::Error;

/// The version of docker that kiln stands in for: clients of clients choose by it what they ask for.
const DOCKER: &str = "28.5.2";
/// The same of buildx.
const BUILDX: &str = "0.29.1";
/// kiln's own.
const OWN: &str = env!("CARGO_PKG_VERSION");
/// What docker asks a plug-in first.
const METADATA: &str = "docker-cli-plugin-metadata";
/// Set by docker for its plug-ins.
const PLUG_IN: &str = "DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND";

/// What `docker …` comes to.
pub(super) fn docker(environment: &Environment) -> Result<Called, Error> {
    let globals = globals(environment)?;
    if globals.version {
        return Ok(Called::Print(format!(
            "Docker version {DOCKER}, build kiln-{OWN}\n"
        )));
    }
    let daemon = endpoint::endpoint(&globals, environment)?;
    let words = globals.rest.clone();
    Ok(kiln(environment, &globals, words, daemon))
}

/// What `docker-buildx …` comes to, by itself or as the plug-in of a docker.
pub(super) fn buildx(environment: &Environment) -> Result<Called, Error> {
    let globals = globals(environment)?;
    let words = match globals.rest.split_first() {
        Some((first, _)) if first == METADATA => return Ok(Called::Print(metadata())),
        Some((first, rest)) if first == "buildx" => rest,
        _ => &globals.rest,
    };
    if globals.version || words.first().is_some_and(|word| word == "version") {
        return Ok(Called::Print(format!(
            "github.com/docker/buildx v{BUILDX} kiln-{OWN}\n"
        )));
    }
    let mut daemon = endpoint::endpoint(&globals, environment)?;
    if daemon.is_none() && environment.os(PLUG_IN).is_some() {
        // The docker whose plug-in this is shows what is built.
        daemon = endpoint::usual();
    }
    let words = std::iter::once(OsString::from("builder")).chain(words.iter().cloned());
    Ok(kiln(environment, &globals, words.collect(), daemon))
}

fn globals(environment: &Environment) -> Result<Globals, Error> {
    Globals::read(environment.arguments.get(1..).unwrap_or_default())
}

/// The line of kiln's that `words` are.
fn kiln(
    environment: &Environment,
    globals: &Globals,
    words: Vec<OsString>,
    daemon: Option<NamedDaemon>,
) -> Called {
    let program = environment.arguments.first().cloned().unwrap_or_default();
    let mut line = vec![program];
    if globals.debug {
        line.push("--debug".into());
    }
    let building = ["build", "b", "bake", "f"];
    let builds = |word: &&OsString| building.iter().any(|name| *word == OsStr::new(name));
    match words.iter().take(2).any(|word| builds(&word)) {
        true => line.extend(nothing::leave_out(&words)),
        false => line.extend(words),
    }
    let docker = Docker {
        daemon,
        config: globals.config.clone(),
    };
    Called::Kiln { line, docker }
}

/// What docker reads of a plug-in.
fn metadata() -> String {
    let metadata = json!({
        "SchemaVersion": "0.1.0",
        "Vendor": "kiln",
        "Version": format!("v{BUILDX}+kiln.{OWN}"),
        "ShortDescription": "Build with kiln",
    });
    format!("{metadata}\n")
}
