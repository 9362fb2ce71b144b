//! What a build is asked to do beside the Dockerfile.

use std::collections::BTreeMap;
use std::sync::Arc;

use graph::{Edge, ExtraHost, Graph, NetworkMode, PullPolicy, SourceOp, Ulimit};
use oci::{ImageConfig, Platform, Reference};

use super::device::Devices;

/// What a build is asked to do.
#[derive(Debug, Clone)]
pub struct Options {
    /// The stage to build; the last one when none.
    pub target: Option<String>,
    /// Further stages to build in the same graph, each with a result of its own.
    pub more_targets: Vec<String>,
    /// Stages that must succeed though no target may need them.
    pub require: Vec<String>,
    /// Look at every stage, needed or not, as for a check of the whole file.
    pub every_stage: bool,
    /// Which warnings there are to be.
    pub checks: Checks,
    /// Values of `ARG`; a name without a value is as if it were not given.
    pub build_args: BTreeMap<String, Option<String>>,
    /// What the image is to run on, when that was asked for; else `build_platform`, and the
    /// image's config says what its base runs on.
    pub target_platform: Option<Platform>,
    /// What steps run on.
    pub build_platform: Platform,
    /// The image is built for several platforms: names of steps tell which.
    pub multi_platform: bool,
    /// Labels of the image; they win over `LABEL`.
    pub labels: BTreeMap<String, String>,
    /// What runs even when its result is known.
    pub no_cache: NoCache,
    /// When registries are asked about images.
    pub pull: PullPolicy,
    /// The network of steps that do not say.
    pub network: NetworkMode,
    /// Further lines of `/etc/hosts` of steps.
    pub extra_hosts: Vec<ExtraHost>,
    /// Steps may ask for all rights with `RUN --security=insecure`.
    pub allow_insecure: bool,
    /// Devices that steps may ask for; none leaves open what they get.
    pub devices: Option<Devices>,
    /// Size of `/dev/shm` of steps, in bytes.
    pub shm_size: Option<u64>,
    /// Limits of steps.
    pub ulimits: Vec<Ulimit>,
    /// Host name of steps.
    pub hostname: Option<String>,
    /// Keeps cache mounts apart from those of other builds; empty for none.
    pub cache_mount_namespace: String,
    /// Further contexts by name (`name`, or `name::os/arch`). They replace stages and images.
    pub named_contexts: BTreeMap<String, NamedContext>,
    /// Where `COPY` and `ADD` copy from.
    pub context: BuildContext,
    /// What stands for the bytes of secrets, for those on which steps are to depend.
    pub secret_digests: BTreeMap<String, [u8; 32]>,
    /// Seconds since 1970 that stand for every time that the build makes.
    pub source_date_epoch: Option<i64>,
    /// Results are to be scanned: what is scanned beside them is told.
    pub scan: bool,
}

/// Which warnings there are to be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Checks {
    /// None, whatever the file asks for.
    None,
    /// Those of a build, which are Docker's.
    #[default]
    Docker,
    /// kiln's own too.
    All,
}

/// What runs even when its result is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum NoCache {
    /// Nothing.
    #[default]
    None,
    /// Every step.
    All,
    /// Steps of these stages.
    Stages(Vec<String>),
}

/// Where `COPY` and `ADD` copy from.
#[derive(Debug, Clone, Default)]
pub enum BuildContext {
    /// There is no context.
    #[default]
    Empty,
    /// Files that the client offers.
    Local {
        /// Under this name.
        name: String,
        /// Patterns of what is left out.
        exclude: Vec<String>,
    },
    /// Something else, such as a git repository.
    Source(SourceOp),
    /// What further steps make.
    Steps(Steps),
}

/// A context that stands for a stage or an image.
#[derive(Debug, Clone)]
pub enum NamedContext {
    /// Another image.
    Image(Reference),
    /// An empty file system.
    Scratch,
    /// Files that the client offers.
    Local {
        /// Under this name.
        name: String,
        /// Patterns of what is left out.
        exclude: Vec<String>,
    },
    /// Something else, such as a git repository.
    Source(SourceOp),
    /// What further steps make.
    Steps(Steps),
}

impl NamedContext {
    /// What steps say of what they make.
    pub(super) fn config(&self) -> Option<&ImageConfig> {
        match self {
            Self::Steps(steps) => steps.config.as_deref(),
            _ => None,
        }
    }
}

/// Steps of which no Dockerfile tells, and what they make.
#[derive(Debug, Clone, Default)]
pub struct Steps {
    /// The steps.
    pub graph: Arc<Graph>,
    /// The file system; none when it is empty.
    pub root: Option<Edge>,
    /// What must be made beside it.
    pub required: Vec<Edge>,
    /// What is said of it as an image, for stages that start from it.
    pub config: Option<Box<ImageConfig>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            target: None,
            more_targets: Vec::new(),
            require: Vec::new(),
            every_stage: false,
            checks: Checks::default(),
            build_args: BTreeMap::new(),
            target_platform: None,
            build_platform: Platform::new("linux", "amd64", ""),
            multi_platform: false,
            labels: BTreeMap::new(),
            no_cache: NoCache::None,
            pull: PullPolicy::Missing,
            network: NetworkMode::Default,
            extra_hosts: Vec::new(),
            allow_insecure: false,
            devices: None,
            shm_size: None,
            ulimits: Vec::new(),
            hostname: None,
            cache_mount_namespace: String::new(),
            named_contexts: BTreeMap::new(),
            context: BuildContext::Empty,
            secret_digests: BTreeMap::new(),
            source_date_epoch: None,
            scan: false,
        }
    }
}

impl Options {
    /// What the image runs on.
    pub(super) fn platform(&self) -> &Platform {
        self.target_platform
            .as_ref()
            .unwrap_or(&self.build_platform)
    }

    /// The value given for an `ARG`.
    pub(super) fn build_arg(&self, key: &str) -> Option<&str> {
        self.build_args.get(key)?.as_deref()
    }

    /// Steps of the stage run even when their results are known.
    pub(super) fn ignores_cache(&self, stage: Option<&str>) -> bool {
        match &self.no_cache {
            NoCache::None => false,
            NoCache::All => true,
            NoCache::Stages(names) => {
                let stage = stage.unwrap_or_default();
                names.iter().any(|name| name.eq_ignore_ascii_case(stage))
            }
        }
    }

    /// The context that stands for a stage or image of this name on a platform.
    pub(super) fn named_context(
        &self,
        name: &str,
        platform: &Platform,
    ) -> Option<(String, NamedContext)> {
        if self.named_contexts.is_empty()
            || name.eq_ignore_ascii_case("scratch")
            || name.eq_ignore_ascii_case("context")
        {
            return None;
        }
        let familiar = context_name(name)?;
        let exact = format!("{familiar}::{}", platform.normalised());
        for key in [exact, familiar] {
            if let Some(context) = self.named_contexts.get(&key) {
                return Some((key, context.clone()));
            }
        }
        None
    }
}

/// The name of a context in its shortest form; none when it is no name of an image.
pub(super) fn context_name(name: &str) -> Option<String> {
    let familiar = name.parse::<Reference>().ok()?.familiar();
    let short = familiar.strip_suffix(":latest");
    Some(short.map_or_else(|| familiar.clone(), str::to_owned))
}
