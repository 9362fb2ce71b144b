//! Docker's address, as its client finds it: a flag, a variable, or a context of its configuration;
//! and the certificates for it.

use std::fs;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use client::{OwnFiles, TlsFiles, Way};
use oci::Digest;
use serde::Deserialize;

use super::globals::{Globals, TlsFlags};
use crate::args::NamedDaemon;
use crate::environment::Environment;
use crate::error::{CliError, Error, io_text};
use crate::remote;

/// Where docker's own client looks when nothing is said.
const USUAL: &str = "/var/run/docker.sock";
/// Contexts that are looked at.
const MAX_CONTEXTS: usize = 1_000;
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
    #[serde(rename = "Name", default)]
    name: String,
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

/// Which docker is meant.
enum Which {
    /// The one that listens there.
    Host(String),
    /// That of a context.
    Context(String),
    /// None is named.
    Usual,
}

/// Which docker flags, variables and the configuration in `directory` mean.
fn which(
    globals: &Globals,
    directory: Option<&Path>,
    environment: &Environment,
) -> Result<Which, Error> {
    if let Some(host) = &globals.host {
        return match &globals.context {
            None => Ok(Which::Host(host.clone())),
            Some(_) => Err(CliError::Conflict("--host", "--context").into()),
        };
    }
    let context = match &globals.context {
        Some(context) => Some(context.clone()),
        None => {
            if let Some(host) = environment.text("DOCKER_HOST")? {
                return Ok(Which::Host(host.to_owned()));
            }
            environment.text("DOCKER_CONTEXT")?.map(str::to_owned)
        }
    };
    let context = context.or_else(|| current(directory?));
    Ok(match context.filter(|name| name != DEFAULT) {
        Some(name) => Which::Context(name),
        None => Which::Usual,
    })
}

fn directory(globals: &Globals, environment: &Environment) -> Option<PathBuf> {
    match &globals.config {
        Some(config) => Some(environment.absolute(Path::new(config))),
        None => environment.docker_config(),
    }
}

/// The docker that is named; none if nothing says that there is one.
///
/// # Errors
/// It is in a context that cannot be read.
pub(super) fn endpoint(
    globals: &Globals,
    environment: &Environment,
) -> Result<Option<NamedDaemon>, Error> {
    let directory = directory(globals, environment);
    match which(globals, directory.as_deref(), environment)? {
        Which::Host(host) => {
            // A socket needs none, whatever is said of them.
            let tls = match host.starts_with("unix://") {
                true => None,
                false => certificates(&globals.tls, environment)?,
            };
            Ok(Some(named(host, tls)))
        }
        _ if globals.tls != TlsFlags::default() => Err(Error::new(
            "--tls, --tlsverify and the files with them are about a docker that is named by --host \
             or DOCKER_HOST",
        )),
        Which::Context(name) => of_context(&name, directory).map(Some),
        Which::Usual => Ok(None),
    }
}

/// Under what buildx remembers which builder was chosen for the docker that is meant.
///
/// # Errors
/// A variable is no text.
pub(super) fn key(globals: &Globals, environment: &Environment) -> Result<String, Error> {
    let directory = directory(globals, environment);
    Ok(match which(globals, directory.as_deref(), environment)? {
        Which::Host(name) | Which::Context(name) => name,
        Which::Usual => format!("unix://{USUAL}"),
    })
}

/// Names of the contexts of docker's configuration, sorted.
pub(super) fn contexts(environment: &Environment) -> Vec<String> {
    let metas = environment.docker_config();
    let metas = metas.and_then(|docker| fs::read_dir(docker.join("contexts/meta")).ok());
    let entries = metas.into_iter().flatten().flatten().take(MAX_CONTEXTS);
    let mut names: Vec<String> = entries
        .filter_map(|entry| {
            let text = fs::read_to_string(entry.path().join("meta.json")).ok()?;
            let meta: Meta = serde_json::from_str(&text).ok()?;
            Some(meta.name).filter(|name| !name.is_empty())
        })
        .collect();
    names.sort();
    names
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
    let verifies = environment.os("DOCKER_TLS_VERIFY").is_some();
    let encrypts = environment.os("DOCKER_TLS").is_some();
    // Said at all, it is about encryption, as for docker.
    let encrypts = flags.encrypts.unwrap_or(encrypts) || flags.verifies.is_some() || verifies;
    if !encrypts && flags.names_a_file() {
        return Err(
            Error::new("--tlscacert, --tlscert and --tlskey do not encrypt by themselves")
                .hint("add --tlsverify"),
        );
    }
    if !encrypts {
        return Ok(None);
    }
    if !flags.verifies.unwrap_or(verifies) {
        return Err(unverified());
    }
    let usual = remote::tls_directory(environment);
    let nowhere = || Error::new("there is no directory with certificates: set DOCKER_CERT_PATH");
    let TlsFiles { authority, own } = usual.ok_or_else(nowhere)?;
    let typed = |path: &Option<String>, usual: PathBuf| match path {
        Some(path) => environment.absolute(Path::new(path)),
        None => usual,
    };
    Ok(Some(TlsFiles {
        authority: typed(&flags.authority, authority),
        own: own.map(|own| OwnFiles {
            certificate: typed(&flags.certificate, own.certificate),
            key: typed(&flags.key, own.key),
        }),
    }))
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

/// The docker of a context.
///
/// # Errors
/// There is none, or it cannot be read.
pub(super) fn of_context(name: &str, directory: Option<PathBuf>) -> Result<NamedDaemon, Error> {
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
    if docker.skips_verification && docker.host.starts_with("tcp://") {
        return Err(unverified());
    }
    let own = contexts.join("tls").join(hashed).join("docker");
    let tls = match docker.host.starts_with("unix://") {
        true => None,
        false => own_certificates(&own).map_err(|why| failed(&why))?,
    };
    Ok(named(docker.host, tls))
}

/// The certificates of a context. One that has any is about encryption, as for docker, and one that
/// lacks some is never spoken to without.
fn own_certificates(own: &Path) -> Result<Option<TlsFiles>, String> {
    let failed = |path: &Path, error: &io::Error| format!("{}: {}", path.display(), io_text(error));
    match fs::symlink_metadata(own) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(own, &error)),
    }
    for name in ["ca.pem", "cert.pem", "key.pem"] {
        let path = own.join(name);
        fs::metadata(&path).map_err(|error| failed(&path, &error))?;
    }
    Ok(Some(remote::tls_in(own)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificates_of(files: &[&str]) -> Result<Option<TlsFiles>, String> {
        let context = tempfile::TempDir::new().unwrap();
        let own = context.path().join("docker");
        for name in files {
            fs::create_dir_all(&own).unwrap();
            fs::write(own.join(name), "").unwrap();
        }
        own_certificates(&own)
    }

    #[test]
    fn a_context_with_certificates_is_encrypted() {
        assert_eq!(certificates_of(&[]), Ok(None));
        let all = certificates_of(&["ca.pem", "cert.pem", "key.pem"]).unwrap();
        assert!(all.unwrap().authority.ends_with("docker/ca.pem"));
        for (some, missing) in [
            (&["cert.pem", "key.pem"][..], "ca.pem"),
            (&["ca.pem"], "cert.pem"),
            (&["ca.pem", "cert.pem"], "key.pem"),
        ] {
            let error = certificates_of(some).unwrap_err();
            assert!(
                error.ends_with(&format!("/{missing}: no such file or directory")),
                "{error}"
            );
        }
    }
}
