//! What single flags mean.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use engine::{
    AllowedDevices, ExtraHost, NetworkMode, NoCache, OfferedSecret, PullPolicy, Resources, Secret,
    SecretSource, StepNetwork,
};
use oci::Platform;

use super::{AgentAt, OnFailure, ProgressMode, each};
use crate::args::build::Build;
use crate::environment::Environment;
use crate::error::{CliError, Error, choice};
use crate::values::secret::SecretFrom;
use crate::values::{ValueError, host, secret, size, ssh};

/// The network that `text` names.
///
/// # Errors
/// It names none that kiln has.
pub fn network(flag: &'static str, text: &str) -> Result<NetworkMode, Error> {
    match text {
        "" | "default" | "bridge" => Ok(NetworkMode::Default),
        "none" => Ok(NetworkMode::None),
        "host" => Ok(NetworkMode::Host),
        _ => Err(choice(
            flag,
            text,
            "kiln has the networks default, none and host",
        )),
    }
}

/// The network of steps, and what their default one is, by `--network` of a build.
///
/// # Errors
/// It names none that kiln has.
pub(super) fn networks(text: &str) -> Result<(NetworkMode, Option<StepNetwork>), Error> {
    let default = match text {
        "sandbox" => StepNetwork::Sandbox,
        "pasta" => StepNetwork::Pasta,
        "slirp4netns" => StepNetwork::Slirp4netns,
        "cni" => StepNetwork::Cni,
        "" | "default" | "bridge" | "none" | "host" => {
            return Ok((network("--network", text)?, None));
        }
        _ => {
            let known = "kiln has the networks default, none, host, sandbox, pasta, slirp4netns \
                         and cni";
            return Err(choice("--network", text, known));
        }
    };
    Ok((NetworkMode::Default, Some(default)))
}

/// The platforms of `--platform`, else of the environment, else this machine's: each once, in the
/// order in which they were typed.
///
/// # Errors
/// One is none.
pub(super) fn platforms(
    texts: &[String],
    environment: &Environment,
) -> Result<Vec<Platform>, Error> {
    let default = environment.text("DOCKER_DEFAULT_PLATFORM")?;
    let default = default.filter(|_| texts.is_empty());
    let typed = texts.iter().map(String::as_str).chain(default);
    let mut platforms: Vec<Platform> = Vec::new();
    for text in typed.flat_map(|text| text.split(',')) {
        let platform = text.trim().parse::<Platform>();
        let platform = platform.map_err(|error| Error::new(error.to_string()))?;
        if !platforms.contains(&platform) {
            platforms.push(platform);
        }
    }
    if platforms.is_empty() {
        platforms.push(Platform::host());
    }
    Ok(platforms)
}

/// The one platform of `--platform`, else of the environment; none if neither says.
///
/// # Errors
/// There are several, or it is none.
pub fn asked_platform(
    text: Option<&String>,
    environment: &Environment,
) -> Result<Option<Platform>, Error> {
    if text.is_none() && environment.text("DOCKER_DEFAULT_PLATFORM")?.is_none() {
        return Ok(None);
    }
    let platforms = platforms(text.map_or(&[][..], std::slice::from_ref), environment)?;
    match <[Platform; 1]>::try_from(platforms) {
        Ok([platform]) => Ok(Some(platform)),
        Err(several) => {
            let several: Vec<String> = several.iter().map(ToString::to_string).collect();
            let message = "an image is fetched for one platform at a time";
            Err(choice("--platform", &several.join(","), message))
        }
    }
}

/// Each host and address of `--add-host`.
///
/// # Errors
/// A value is none.
pub fn hosts(texts: &[String]) -> Result<Vec<ExtraHost>, Error> {
    Ok(each(texts, "--add-host", host::parse)?
        .into_iter()
        .flatten()
        .collect())
}

pub(super) fn no_cache(typed: &Build) -> Result<NoCache, Error> {
    let stages: Vec<String> = typed
        .no_cache_filter
        .iter()
        .flat_map(|text| text.split(','))
        .map(str::to_owned)
        .collect();
    match (typed.no_cache, stages.is_empty()) {
        (true, false) => Err(CliError::Conflict("--no-cache", "--no-cache-filter").into()),
        (true, true) => Ok(NoCache::All),
        (false, false) => Ok(NoCache::Stages(stages)),
        (false, true) => Ok(NoCache::Off),
    }
}

pub(super) fn pull(text: Option<&str>) -> Result<PullPolicy, Error> {
    match text {
        Some("always" | "true" | "1") => Ok(PullPolicy::Always),
        None | Some("missing" | "false" | "0") => Ok(PullPolicy::Missing),
        Some("newer") => Ok(PullPolicy::Newer),
        Some("never") => Ok(PullPolicy::Never),
        Some(other) => Err(choice(
            "--pull",
            other,
            "expected always, missing, newer or never",
        )),
    }
}

/// What steps may ask for beyond what all have.
#[derive(Debug, Clone, Default)]
pub struct Allowed {
    /// All rights.
    pub insecure: bool,
    /// The machine's network, which is open to steps without permission where it is the default.
    pub host_network: bool,
    /// Devices of the machine.
    pub devices: AllowedDevices,
}

/// What `--allow` allows.
pub(crate) fn allowed(entitlements: &[String]) -> Result<Allowed, Error> {
    let mut allowed = Allowed::default();
    for text in entitlements {
        if let Some(device) = text.strip_prefix("device=") {
            allow_device(device, &mut allowed.devices)?;
            continue;
        }
        for entitlement in text.split(',') {
            match entitlement {
                "network.host" => allowed.host_network = true,
                "security.insecure" => allowed.insecure = true,
                "device" => allowed.devices.all = true,
                other => {
                    let known = "kiln knows device, network.host and security.insecure";
                    return Err(choice("--allow", other, known));
                }
            }
        }
    }
    Ok(allowed)
}

/// `NAME`, or `NAME,alias=NAME` for one that the Dockerfile calls otherwise.
fn allow_device(text: &str, devices: &mut AllowedDevices) -> Result<(), Error> {
    let refuse = |why| choice("--allow", &format!("device={text}"), why);
    let mut fields = text.split(',');
    let name = fields.next().unwrap_or_default().to_owned();
    let mut alias = None;
    for field in fields {
        match field.split_once('=') {
            Some(("alias", name)) => alias = Some(name.to_owned()),
            _ => return Err(refuse("expected device=NAME or device=NAME,alias=NAME")),
        }
    }
    match alias {
        _ if name.is_empty() => devices.all = true,
        Some(alias) => {
            devices.aliases.insert(alias, name);
        }
        None => {
            devices.names.insert(name);
        }
    }
    Ok(())
}

pub(crate) fn shm_size(text: Option<&str>) -> Result<Option<u64>, Error> {
    let Some(text) = text else { return Ok(None) };
    let bytes = size::bytes(text).map_err(|source| CliError::Flag {
        flag: "--shm-size",
        value: text.to_owned(),
        source,
    })?;
    Ok(Some(bytes).filter(|bytes| *bytes > 0))
}

/// What each step may take: docker's own flags first, as docker reads them.
pub(super) fn resources(typed: &Build) -> Result<Resources, Error> {
    let mut resources = Resources::default();
    let invalid = |flag, value: &str, source| CliError::Flag {
        flag,
        value: value.to_owned(),
        source: ValueError::Resource(source),
    };
    for (key, flag, value) in typed.limits.0.typed() {
        let set = resources.set(key, value);
        set.map_err(|source| invalid(flag, value, source))?;
    }
    for text in &typed.resource {
        let read = resources.read(text);
        read.map_err(|source| invalid("--resource", text, source))?;
    }
    let check = resources.check();
    check.map_err(|source| Error::new(source.to_string()))?;
    Ok(resources)
}

pub(super) fn jobs(text: Option<&str>) -> Result<Option<usize>, Error> {
    let Some(text) = text else { return Ok(None) };
    match text.parse::<usize>() {
        Ok(jobs) if jobs > 0 => Ok(Some(jobs)),
        _ => Err(choice("--jobs", text, "expected a number from 1 up")),
    }
}

pub(crate) fn secrets(
    typed: &[String],
    environment: &Environment,
) -> Result<BTreeMap<String, OfferedSecret>, Error> {
    let mut secrets = BTreeMap::new();
    for secret in each(typed, "--secret", secret::parse)? {
        let of_variable = |name: &str| {
            let value = environment.variables.get(std::ffi::OsStr::new(name))?;
            Some(SecretSource::Value(Secret::new(
                value.clone().into_encoded_bytes(),
            )))
        };
        let of_file = |path: &str| SecretSource::File(environment.absolute(Path::new(path)));
        let source = match &secret.from {
            SecretFrom::File(path) => of_file(path),
            SecretFrom::Env(name) => of_variable(name).ok_or_else(|| {
                let id = &secret.id;
                Error::new(format!(
                    "secret {id}: environment variable {name:?} is not set"
                ))
            })?,
            SecretFrom::Named => of_variable(&secret.id).unwrap_or_else(|| of_file(&secret.id)),
        };
        let keyed = secret.keyed;
        secrets.insert(secret.id, OfferedSecret { source, keyed });
    }
    Ok(secrets)
}

pub(crate) fn agents(
    typed: &[String],
    environment: &Environment,
) -> Result<BTreeMap<String, AgentAt>, Error> {
    let mut agents = BTreeMap::new();
    for agent in each(typed, "--ssh", ssh::parse)? {
        let at = if agent.paths.is_empty() {
            let socket = environment.os("SSH_AUTH_SOCK").ok_or_else(|| {
                Error::new("invalid empty ssh agent socket: make sure SSH_AUTH_SOCK is set")
            })?;
            AgentAt::Default(PathBuf::from(socket))
        } else {
            let paths = agent.paths.iter().map(Path::new);
            AgentAt::Paths(paths.map(|path| environment.absolute(path)).collect())
        };
        agents.insert(agent.id, at);
    }
    Ok(agents)
}

/// What becomes of a step that fails.
pub(super) fn on_failure(
    typed: Option<&str>,
    environment: &Environment,
) -> Result<OnFailure, Error> {
    let terminals = &environment.terminals;
    match typed {
        None | Some("discard") => Ok(OnFailure::Discard),
        Some("keep") => Ok(OnFailure::Keep),
        Some("shell") if terminals.stdin && terminals.stdout => Ok(OnFailure::Shell),
        Some("shell") => Err(Error::new("--on-failure=shell needs a terminal")
            .hint("--on-failure=keep keeps the step, and `kiln debug shell` enters it")),
        Some(other) => Err(choice("--on-failure", other, "discard, keep or shell")),
    }
}

/// The time that stands for all later ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Epoch {
    /// In seconds since 1970.
    Seconds(i64),
    /// That of something whose name is the build argument.
    Named,
}

impl Epoch {
    pub(super) const fn seconds(self) -> Option<i64> {
        match self {
            Self::Seconds(seconds) => Some(seconds),
            Self::Named => None,
        }
    }
}

/// The build argument wins over the variable, and the variable becomes a build argument.
pub(super) fn source_date_epoch(
    build_args: &mut BTreeMap<String, String>,
    environment: &Environment,
) -> Result<Option<Epoch>, Error> {
    const NAME: &str = "SOURCE_DATE_EPOCH";
    if !build_args.contains_key(NAME)
        && let Some(value) = environment.text(NAME)?
    {
        build_args.insert(NAME.to_owned(), value.to_owned());
    }
    let text = build_args.get(NAME).filter(|text| !text.is_empty());
    Ok(text.map(|text| text.parse().map_or(Epoch::Named, Epoch::Seconds)))
}

pub(super) fn progress(typed: &Build, environment: &Environment) -> Result<ProgressMode, Error> {
    let of_environment = environment.text("BUILDKIT_PROGRESS")?;
    let mode = match typed.progress.as_deref() {
        None | Some("" | "auto") => of_environment.unwrap_or("auto"),
        Some(mode) => mode,
    };
    if typed.explain && (typed.quiet || matches!(mode, "quiet" | "none")) {
        // Explanations are part of the progress.
        let quiet = if typed.quiet {
            "--quiet"
        } else {
            "--progress quiet"
        };
        return Err(CliError::Conflict("--explain", quiet).into());
    }
    if typed.quiet {
        return match mode {
            "auto" | "quiet" | "none" => Ok(ProgressMode::Quiet),
            // A default for all builds does not contradict a flag of this one.
            _ if typed.progress.is_none() => Ok(ProgressMode::Quiet),
            mode => Err(Error::new(format!(
                "progress={mode} and quiet cannot be used together"
            ))),
        };
    }
    mode_of(mode, environment)
}

/// How progress is shown that is asked for by the name `mode`.
pub(crate) fn mode_of(mode: &str, environment: &Environment) -> Result<ProgressMode, Error> {
    match mode {
        "auto" if environment.terminals.stderr => Ok(ProgressMode::Tty),
        "auto" | "plain" => Ok(ProgressMode::Plain),
        "tty" if environment.terminals.stderr => Ok(ProgressMode::Tty),
        "tty" => Err(Error::new(
            "failed to get console: provided file is not a console",
        )),
        "rawjson" => Ok(ProgressMode::RawJson),
        "quiet" | "none" => Ok(ProgressMode::Quiet),
        other => Err(choice(
            "--progress",
            other,
            "expected auto, none, plain, quiet, rawjson or tty",
        )),
    }
}
