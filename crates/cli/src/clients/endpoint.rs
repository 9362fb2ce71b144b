//! Docker's address, as its client finds it: a flag, a variable, or a context of its configuration;
//! and the certificates for it.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use client::{TlsFiles, Way};
use oci::Digest;
use serde::Deserialize;

use super::globals::{Globals, TlsFlags};
use crate::args::NamedDaemon;
use crate::environment::Environment;
use crate::error::{Error, io_text};
use crate::remote;

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
    #[serde(rename = "SkipTLSVerify", default)]
    skips_verification: bool,
}

/// The docker that is named; none if nothing says that there is one.
///
/// # Errors
/// It is in a context that cannot be read.
pub(super) fn endpoint(
    globals: &Globals,
    environment: &Environment,
) -> Result<Option<NamedDaemon>, Error> {
    let at = |host: &str| -> Result<_, Error> {
        let tls = certificates(&globals.tls, environment)?;
        Ok(Some(named(host.to_owned(), tls)))
    };
    if let Some(host) = &globals.host {
        return at(host);
    }
    let context = match &globals.context {
        Some(context) => Some(context.clone()),
        None => {
            if let Some(host) = environment.text("DOCKER_HOST")? {
                return at(host);
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
        None if globals.tls != TlsFlags::default() => Err(Error::new(
            "--tls, --tlsverify and the files with them are about a docker that is named: --host",
        )),
        None => Ok(None),
    }
}

const fn named(address: String, tls: Option<TlsFiles>) -> NamedDaemon {
    NamedDaemon {
        address,
        tls,
        server: None,
        way: Way::ByDocker,
    }
}

/// The certificates that flags and variables ask for.
fn certificates(flags: &TlsFlags, environment: &Environment) -> Result<Option<TlsFiles>, Error> {
    let of_variable = environment.os("DOCKER_TLS_VERIFY").is_some();
    // Said at all, it is about encryption, as for docker.
    if !flags.encrypts && flags.verifies.is_none() && !of_variable {
        return Ok(None);
    }
    if !flags.verifies.unwrap_or(of_variable) {
        return Err(unverified());
    }
    let usual = remote::tls_directory(environment);
    let nowhere = || Error::new("there is no directory with certificates: set DOCKER_CERT_PATH");
    let mut files = usual.ok_or_else(nowhere)?;
    let typed = [
        (&mut files.authority, &flags.authority),
        (&mut files.certificate, &flags.certificate),
        (&mut files.key, &flags.key),
    ];
    for (file, path) in typed {
        if let Some(path) = path {
            *file = environment.absolute(Path::new(path));
        }
    }
    Ok(Some(files))
}

fn unverified() -> Error {
    Error::new("kiln speaks to no docker on TLS without knowing who it is").hint("use --tlsverify")
}

/// The docker that its own client speaks to when nothing is said, if somebody listens there.
pub(super) fn usual() -> Option<NamedDaemon> {
    let listens = UnixStream::connect(USUAL).is_ok();
    listens.then(|| named(format!("unix://{USUAL}"), None))
}

/// The context that the configuration in `directory` is set to.
fn current(directory: &Path) -> Option<String> {
    let text = fs::read_to_string(directory.join("config.json")).ok()?;
    // Whether the rest of it makes sense is found out by who needs it.
    let config: Config = serde_json::from_str(&text).unwrap_or_default();
    Some(config.current_context).filter(|name| !name.is_empty())
}

fn of_context(name: &str, directory: Option<PathBuf>) -> Result<NamedDaemon, Error> {
    let failed = |why: &str| Error::new(format!("context {name:?}: {why}"));
    let directory = directory.ok_or_else(|| failed("there is no home directory"))?;
    let hashed = Digest::of(name.as_bytes()).hex();
    let contexts = directory.join("contexts");
    let path = contexts.join("meta").join(&hashed).join("meta.json");
    let text = fs::read_to_string(&path)
        .map_err(|error| failed(&format!("{}: {}", path.display(), io_text(&error))))?;
    let meta: Meta = serde_json::from_str(&text).map_err(|error| failed(&format!("{error}")))?;
    let endpoint = meta
        .endpoints
        .docker
        .filter(|docker| !docker.host.is_empty());
    let docker = endpoint.ok_or_else(|| failed("it has no docker"))?;
    let own = contexts.join("tls").join(hashed).join("docker");
    let has_tls = own.join("ca.pem").exists();
    if docker.skips_verification && docker.host.starts_with("tcp://") {
        return Err(unverified());
    }
    let tls = has_tls.then(|| TlsFiles {
        authority: own.join("ca.pem"),
        certificate: own.join("cert.pem"),
        key: own.join("key.pem"),
    });
    Ok(named(docker.host, tls))
}
