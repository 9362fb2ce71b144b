//! What the arguments of `build` mean in this environment; no file is read.

mod attestations;
mod caches;
mod exports;
mod sources;
mod targets;
mod values;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use engine::{BuildRequest, KeepFailed, Remote};

use crate::args::build::Build;
use crate::environment::Environment;
use crate::error::{CliError, Error};
use crate::values::{ValueError, pair, ulimit};

pub(crate) use sources::context_key;
pub use values::{Allowed, asked_platform, hosts, network};
pub(crate) use values::{agents, allowed, mode_of, secrets, shm_size};

use exports::{check_platforms, exports};
use sources::{named_contexts, sources};
use targets::targets;
use values::{
    Epoch, jobs, networks, no_cache, on_failure, platforms, progress, pull, resources,
    source_date_epoch,
};

/// One build, resolved; paths are absolute.
#[derive(Debug)]
pub struct BuildPlan {
    /// Where the Dockerfile is.
    pub dockerfile: DockerfileAt,
    /// Where the context is.
    pub context: ContextAt,
    /// Agents that steps may use.
    pub ssh: BTreeMap<String, AgentAt>,
    /// All else that is asked for. What the fields above lead to is put in when it is read.
    pub request: BuildRequest,
    /// What becomes of a step that fails.
    pub on_failure: OnFailure,
    /// How progress is shown.
    pub progress: ProgressMode,
    /// Print the image ID alone.
    pub quiet: bool,
    /// File for the image ID.
    pub iidfile: Option<PathBuf>,
    /// File for the metadata.
    pub metadata_file: Option<PathBuf>,
}

/// Where a Dockerfile is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DockerfileAt {
    /// `Dockerfile` of the context.
    Default,
    /// At this path, from the working directory or else from the context.
    Path(PathBuf),
    /// On standard input.
    Stdin,
    /// This is its text.
    Text(String),
}

/// Where a context is.
#[derive(Debug, Clone)]
pub enum ContextAt {
    /// A directory or an archive of this machine, or else something elsewhere.
    Path {
        /// Where it is.
        path: PathBuf,
        /// What was typed for it.
        typed: String,
        /// What it is if there is no such directory.
        remote: Option<Remote>,
    },
    /// On standard input: an archive, or else a Dockerfile without a context.
    Stdin,
}

/// Where an SSH agent is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentAt {
    /// The one of the environment, at this socket.
    Default(PathBuf),
    /// At a socket, or in files with keys.
    Paths(Vec<PathBuf>),
}

/// What becomes of a step that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// Nothing of it stays.
    Discard,
    /// It is kept, to be entered.
    Keep,
    /// It is kept, and entered at once.
    Shell,
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgressMode {
    /// In place, on a terminal.
    Tty,
    /// As lines.
    Plain,
    /// As JSON lines.
    RawJson,
    /// Not at all.
    Quiet,
}

/// What `typed` means in `environment`.
///
/// # Errors
/// A value is none, or flags contradict each other.
pub fn plan(typed: &Build, environment: &Environment) -> Result<BuildPlan, Error> {
    let file = |typed: &Option<String>| {
        let path = typed.as_ref().map(Path::new);
        path.map(|path| environment.absolute(path))
    };
    let (dockerfile, context) = sources(typed, environment)?;
    let on_failure = on_failure(typed.on_failure.as_deref(), environment)?;
    let request = BuildRequest {
        keep_failed: (on_failure != OnFailure::Discard).then(KeepFailed::default),
        ..request(typed, environment)?
    };
    Ok(BuildPlan {
        dockerfile,
        context,
        ssh: agents(&typed.ssh, environment)?,
        request,
        on_failure,
        progress: progress(typed, environment)?,
        quiet: typed.quiet,
        iidfile: file(&typed.iidfile),
        metadata_file: file(&typed.metadata_file),
    })
}

/// All that takes no file to be known.
fn request(typed: &Build, environment: &Environment) -> Result<BuildRequest, Error> {
    let mut build_args = pair::map(&typed.build_arg, |name| environment.raw(name))?;
    let epoch = source_date_epoch(&mut build_args, environment)?;
    let targets = targets(&typed.target, &typed.tag)?;
    let platforms = platforms(&typed.platform, environment)?;
    let exports = exports(typed, environment)?;
    check_platforms(&exports, &platforms)?;
    let provenance = attestations::provenance(typed, &build_args)?;
    let sbom = attestations::sbom(typed, &build_args)?;
    let (network, default_network) = networks(&typed.network)?;
    let allowed = allowed(&typed.allow)?;
    Ok(BuildRequest {
        named_contexts: named_contexts(typed, environment)?,
        target: targets.target,
        more_targets: targets.more,
        require: typed.require.clone(),
        build_args,
        labels: pair::map(&typed.label, |_| Some(String::new()))?,
        no_cache: no_cache(typed)?,
        pull: pull(typed.pull.as_deref())?,
        platforms,
        network,
        default_network,
        extra_hosts: hosts(&typed.add_host)?,
        allow_host_network: allowed.host_network,
        allow_insecure: allowed.insecure,
        allow_devices: allowed.devices,
        shm_size: shm_size(typed.shm_size.as_deref())?,
        resources: resources(typed)?,
        ulimits: each(&typed.ulimit, "--ulimit", ulimit::parse)?,
        secrets: secrets(&typed.secret, environment)?,
        tags: targets.tags,
        exports,
        cache_from: caches::from(typed, environment)?,
        cache_to: caches::to(typed, environment)?,
        cache_mounts_from: caches::mounts_from(typed, environment)?,
        cache_mounts_to: caches::mounts_to(typed, environment)?,
        jobs: jobs(typed.jobs.as_deref())?,
        explain: typed.explain,
        source_date_epoch: epoch.and_then(Epoch::seconds),
        provenance,
        sbom,
        ..BuildRequest::default()
    })
}

pub(crate) fn each<T>(
    texts: &[String],
    flag: &'static str,
    parse: impl Fn(&str) -> Result<T, ValueError>,
) -> Result<Vec<T>, Error> {
    let one = |text: &String| {
        parse(text).map_err(|source| {
            let value = text.clone();
            CliError::Flag {
                flag,
                value,
                source,
            }
        })
    };
    Ok(texts.iter().map(one).collect::<Result<_, _>>()?)
}
