//! What the arguments of `build` mean in this environment; no file is read.

mod attestations;
mod caches;
mod exports;
mod sources;
mod targets;
mod values;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use engine::{
    CacheFrom, CacheMountsTo, CacheTo, Export, ExtraHost, MoreTarget, NamedContext, NetworkMode,
    NoCache, OfferedSecret, Provenance, PullPolicy, Remote, Resources, StepNetwork, Ulimit,
};
use oci::{Platform, Reference};

use crate::args::build::Build;
use crate::environment::Environment;
use crate::error::{CliError, Error};
use crate::values::{ValueError, pair, ulimit};

pub(crate) use sources::context_key;
pub use values::{Allowed, asked_platform, hosts, network};
pub(crate) use values::{agents, secrets, shm_size};

use exports::{check_platforms, exports};
use sources::{named_contexts, sources};
use targets::targets;
use values::{
    Epoch, allowed, jobs, networks, no_cache, on_failure, platforms, progress, pull, resources,
    source_date_epoch,
};

/// One build, resolved; paths are absolute.
#[derive(Debug)]
pub struct BuildPlan {
    /// Where the Dockerfile is.
    pub dockerfile: DockerfileAt,
    /// Where the context is.
    pub context: ContextAt,
    /// Further contexts by name.
    pub named_contexts: BTreeMap<String, NamedContext>,
    /// The stage that is wanted.
    pub target: Option<String>,
    /// Further stages that are wanted.
    pub more_targets: Vec<MoreTarget>,
    /// Stages that must succeed.
    pub require: Vec<String>,
    /// Values for `ARG`.
    pub build_args: BTreeMap<String, String>,
    /// Labels for the result.
    pub labels: BTreeMap<String, String>,
    /// Which steps run even when their results are known.
    pub no_cache: NoCache,
    /// When registries are asked about base images.
    pub pull: PullPolicy,
    /// What the result runs on: an image for each.
    pub platforms: Vec<Platform>,
    /// Network of `RUN` steps.
    pub network: NetworkMode,
    /// What their default network is; what the configuration says when none.
    pub default_network: Option<StepNetwork>,
    /// Further lines of `/etc/hosts`.
    pub extra_hosts: Vec<ExtraHost>,
    /// What steps may ask for beyond what all have.
    pub allowed: Allowed,
    /// Size of `/dev/shm`.
    pub shm_size: Option<u64>,
    /// Limits of steps.
    pub ulimits: Vec<Ulimit>,
    /// What each step may take.
    pub resources: Resources,
    /// What steps may ask for.
    pub secrets: BTreeMap<String, OfferedSecret>,
    /// Agents that steps may use: a socket, or files with keys.
    pub ssh: BTreeMap<String, Vec<PathBuf>>,
    /// Names for the result.
    pub tags: Vec<Reference>,
    /// What becomes of the result.
    pub exports: Vec<Export>,
    /// Caches to look in.
    pub cache_from: Vec<CacheFrom>,
    /// Caches to write.
    pub cache_to: Vec<CacheTo>,
    /// Where cache mounts come from that the machine does not have.
    pub cache_mounts_from: Vec<CacheFrom>,
    /// Where the cache mounts of the build go.
    pub cache_mounts_to: Vec<CacheMountsTo>,
    /// Steps at once.
    pub jobs: Option<usize>,
    /// Tell why steps run.
    pub explain: bool,
    /// What becomes of a step that fails.
    pub on_failure: OnFailure,
    /// The time that stands for all later ones.
    pub source_date_epoch: Option<i64>,
    /// What is stated about the images.
    pub provenance: Option<Provenance>,
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
    let variable = |name: &str| environment.raw(name);
    let mut build_args = pair::map(&typed.build_arg, variable)?;
    let epoch = source_date_epoch(&mut build_args, environment)?;
    let (dockerfile, context) = sources(typed, environment)?;
    let targets = targets(&typed.target, &typed.tag)?;
    let platforms = platforms(&typed.platform, environment)?;
    let exports = exports(typed, epoch.is_some(), environment)?;
    check_platforms(&exports, &platforms)?;
    let provenance = attestations::provenance(typed, &build_args)?;
    let (network, default_network) = networks(&typed.network)?;
    Ok(BuildPlan {
        dockerfile,
        context,
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
        allowed: allowed(&typed.allow)?,
        shm_size: shm_size(typed.shm_size.as_deref())?,
        resources: resources(typed)?,
        ulimits: each(&typed.ulimit, "--ulimit", ulimit::parse)?,
        secrets: secrets(&typed.secret, environment)?,
        ssh: agents(&typed.ssh, environment)?,
        tags: targets.tags,
        exports,
        cache_from: caches::from(typed, environment)?,
        cache_to: caches::to(typed, environment)?,
        cache_mounts_from: caches::mounts_from(typed, environment)?,
        cache_mounts_to: caches::mounts_to(typed, environment)?,
        jobs: jobs(typed.jobs.as_deref())?,
        explain: typed.explain,
        on_failure: on_failure(typed.on_failure.as_deref(), environment)?,
        source_date_epoch: epoch.and_then(Epoch::seconds),
        provenance,
        progress: progress(typed, environment)?,
        quiet: typed.quiet,
        iidfile: typed
            .iidfile
            .as_ref()
            .map(|path| environment.absolute(Path::new(path))),
        metadata_file: typed
            .metadata_file
            .as_ref()
            .map(|path| environment.absolute(Path::new(path))),
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
