//! What a client asks for, fully resolved: no string maps, no environment, no working directory.

mod context;
mod export;
mod secret;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use dockerfile::AllowedDevices;
use graph::{ExtraHost, NetworkMode, PullPolicy, Ulimit};
use oci::{Platform, Reference};

use crate::config::StepNetwork;
use crate::debug::KeepFailed;
use crate::ssh::SshAgent;

pub use context::{ByteStream, Context, DockerfileIn, LayoutImage, NamedContext, Remote, Steps};
pub use export::{
    ArchiveExport, ArchiveKind, AttestationFormat, ClientStream, Destination, Export, FilesExport,
    ImageExport, Latest, LayerFormat, Sink, Times, is_name_prefix,
};
pub use secret::{OfferedSecret, Secret, SecretSource, SecretStore};

/// One build; by default of nothing.
#[derive(Debug, Clone, Default)]
pub struct BuildRequest {
    /// What to build.
    pub dockerfile: Dockerfile,
    /// Where `COPY` without `--from` reads.
    pub context: Context,
    /// Further contexts by name; they stand in for stages and images too.
    pub named_contexts: BTreeMap<String, NamedContext>,
    /// The stage that is wanted; the last one when none.
    pub target: Option<String>,
    /// Further stages that are wanted; steps that they share run once.
    pub more_targets: Vec<MoreTarget>,
    /// Stages that must succeed though nothing may need them.
    pub require: Vec<String>,
    /// Values for `ARG`.
    pub build_args: BTreeMap<String, String>,
    /// Labels for the result.
    pub labels: BTreeMap<String, String>,
    /// Which steps run even when their results are known.
    pub no_cache: NoCache,
    /// When registries are asked about base images.
    pub pull: PullPolicy,
    /// What the result runs on: an image for each; this machine's platform when none.
    pub platforms: Vec<Platform>,
    /// An index leads to the image even when there is one alone.
    pub indexed: bool,
    /// Network of `RUN` steps that do not choose one.
    pub network: NetworkMode,
    /// What their default network is; what the configuration says when none.
    pub default_network: Option<StepNetwork>,
    /// Steps may ask for the machine's network with `RUN --network=host` where it is not the
    /// default.
    pub allow_host_network: bool,
    /// What steps are told that their machine is called, unless `BUILDKIT_SANDBOX_HOSTNAME` among
    /// the build arguments says so.
    pub hostname: Option<String>,
    /// Further lines of `/etc/hosts` in steps.
    pub extra_hosts: Vec<ExtraHost>,
    /// Steps may ask for all rights with `RUN --security=insecure`.
    pub allow_insecure: bool,
    /// Which devices steps may ask for with `RUN --device`.
    pub allow_devices: AllowedDevices,
    /// Size of `/dev/shm` in steps, in bytes.
    pub shm_size: Option<u64>,
    /// Limits of steps.
    pub ulimits: Vec<Ulimit>,
    /// What each step may take; what the configuration says where this says nothing.
    pub resources: crate::resources::Resources,
    /// What steps may ask for with `--mount=type=secret`.
    pub secrets: BTreeMap<String, OfferedSecret>,
    /// Asked for secrets that are not among them.
    pub more_secrets: Option<Arc<dyn SecretStore>>,
    /// SSH agents that steps may ask for with `--mount=type=ssh`; git uses the one named `default`.
    pub ssh: BTreeMap<String, SshAgent>,
    /// Names for the result of `target`.
    pub tags: Vec<Reference>,
    /// What becomes of the result.
    pub exports: Vec<Export>,
    /// Caches to look in for what the store does not have.
    pub cache_from: Vec<crate::remote_cache::CacheFrom>,
    /// Caches to write.
    pub cache_to: Vec<crate::remote_cache::CacheTo>,
    /// Where cache mounts come from that the machine does not have.
    pub cache_mounts_from: Vec<crate::remote_cache::CacheFrom>,
    /// Where the cache mounts of the build go.
    pub cache_mounts_to: Vec<crate::cache_mount::CacheMountsTo>,
    /// Steps at once; what the configuration says when none.
    pub jobs: Option<usize>,
    /// Whether it is found out of each step that runs why it does, also without a history.
    pub explain: bool,
    /// Keep the first step that fails.
    pub keep_failed: Option<KeepFailed>,
    /// Seconds since 1970 that stand for all later times in the result.
    pub source_date_epoch: Option<i64>,
    /// What is stated about the images that are made.
    pub provenance: Option<crate::provenance::Provenance>,
    /// By which scanner it is stated what is in them.
    pub sbom: Option<crate::sbom::Sbom>,
}

impl BuildRequest {
    /// What the result runs on.
    pub(crate) fn runs_on(&self) -> Vec<Platform> {
        match self.platforms.as_slice() {
            [] => vec![Platform::host()],
            platforms => platforms.to_vec(),
        }
    }

    /// Whether some step of the build may have all rights: one of its own, or of a build that it
    /// goes on from and that may have such steps.
    pub(crate) fn may_be_insecure(&self) -> bool {
        self.allow_insecure || self.steps().any(|steps| steps.allow_insecure)
    }

    /// Contexts that further steps make.
    pub(crate) fn steps(&self) -> impl Iterator<Item = &Steps> {
        let main = match &self.context {
            Context::Steps(steps) => Some(steps),
            _ => None,
        };
        let named = self.named_contexts.values();
        let named = named.flat_map(|context| match context {
            NamedContext::Steps(steps) => std::slice::from_ref(steps),
            NamedContext::EachSteps(each) => each.as_slice(),
            _ => &[],
        });
        main.into_iter().chain(named)
    }
}

/// A further stage that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MoreTarget {
    /// Which stage.
    pub stage: String,
    /// Names for its image; without any it is built and not kept.
    pub tags: Vec<Reference>,
}

/// What to build.
#[derive(Debug, Clone, Default)]
pub struct Dockerfile {
    /// As messages call it.
    pub name: String,
    /// The file of this machine that it was read from, if it was.
    pub path: Option<PathBuf>,
    /// Its text.
    pub text: String,
}

/// Which steps run even when their results are known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum NoCache {
    /// None.
    #[default]
    Off,
    /// All.
    All,
    /// Those of these stages.
    Stages(Vec<String>),
}
