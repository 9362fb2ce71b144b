//! `docker` and its plug-in `docker-buildx`.

use std::ffi::{OsStr, OsString};

use serde_json::json;

use super::globals::Globals;
use super::{Called, Docker, endpoint, nothing};
use crate::args::{DockerClient, NamedDaemon};
use crate::environment::Environment;
use crate::error::{Error, USAGE};

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
    let (first, rest) = match globals.rest.split_first() {
        Some((first, rest)) => (first.as_os_str(), rest),
        None => (OsStr::new(""), &[][..]),
    };
    let is_buildx = first == "buildx" || first == "builder";
    if globals.builder.is_some() {
        return Err(Error::new("unknown flag: --builder").exit(USAGE));
    }
    let (builder, rest) = match is_buildx {
        true => named_builder(rest)?,
        false => (None, rest),
    };
    let client = DockerClient {
        endpoint: endpoint::key(&globals, environment)?,
        picks_current: is_buildx,
        builder,
    };
    let words = globals.rest.first().into_iter().chain(rest);
    Ok(kiln(environment, &globals, words, (daemon, client)))
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
    let (builder, words) = named_builder(words)?;
    let client = DockerClient {
        endpoint: endpoint::key(&globals, environment)?,
        picks_current: true,
        builder: builder.or_else(|| globals.builder.clone()),
    };
    let first = OsString::from("builder");
    let words = std::iter::once(&first).chain(words);
    Ok(kiln(environment, &globals, words, (daemon, client)))
}

/// The builder that is named before buildx's command, and the words without it.
fn named_builder(words: &[OsString]) -> Result<(Option<String>, &[OsString]), Error> {
    let text = |word: &OsString| word.to_str().map(str::to_owned);
    match words {
        [flag, rest @ ..] if flag == "--builder" => match rest {
            [name, rest @ ..] => Ok((text(name), rest)),
            [] => Err(Error::new("flag needs an argument: --builder").exit(USAGE)),
        },
        [flag, rest @ ..] => {
            let name =
                text(flag).and_then(|flag| Some(flag.strip_prefix("--builder=")?.to_owned()));
            match name {
                Some(name) => Ok((Some(name), rest)),
                None => Ok((None, words)),
            }
        }
        [] => Ok((None, words)),
    }
}

fn globals(environment: &Environment) -> Result<Globals, Error> {
    Globals::read(environment.arguments.get(1..).unwrap_or_default())
}

/// The line of kiln's that `words` are.
fn kiln<'a>(
    environment: &Environment,
    globals: &Globals,
    words: impl Iterator<Item = &'a OsString>,
    (daemon, client): (Option<NamedDaemon>, DockerClient),
) -> Called {
    let words: Vec<OsString> = words.cloned().collect();
    let program = environment.arguments.first().cloned().unwrap_or_default();
    let mut line = vec![program];
    if globals.debug {
        line.push("--debug".into());
    }
    let taking = ["build", "b", "bake", "f", "imagetools"];
    let takes = |word: &&OsString| taking.iter().any(|name| *word == OsStr::new(name));
    match words.iter().take(2).any(|word| takes(&word)) {
        true => line.extend(nothing::leave_out(&words)),
        false => line.extend(words),
    }
    let docker = Docker {
        daemon,
        config: globals.config.clone(),
        client: Some(client),
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
