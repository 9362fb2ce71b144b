//! What a client asks for, fully resolved: no string maps, no environment, no working directory.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use dockerfile::AllowedDevices;
use graph::{ExtraHost, GitSource, NetworkMode, PullPolicy, SourceOp, Ulimit};
use oci::{Compression, ImageConfig, Platform, Reference};
use zeroize::Zeroizing;

use crate::build::Definition;
use crate::config::StepNetwork;
use crate::debug::KeepFailed;
use crate::error::EngineError;
use crate::ssh::SshAgent;

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
}

impl BuildRequest {
    /// What the result runs on.
    pub(crate) fn runs_on(&self) -> Vec<Platform> {
        match self.platforms.as_slice() {
            [] => vec![Platform::host()],
            platforms => platforms.to_vec(),
        }
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

/// Where `COPY` without `--from` reads.
#[derive(Debug, Clone, Default)]
pub enum Context {
    /// A directory of this machine, without what the patterns exclude.
    Directory {
        /// Where it is.
        path: PathBuf,
        /// The text of the ignore file that applies.
        ignore: String,
    },
    /// There are no files.
    #[default]
    Empty,
    /// Files that are brought in first ([`crate::Engine::bring_in`]).
    Remote {
        /// From where.
        from: Remote,
        /// The Dockerfile among them; none when the request has its text already.
        dockerfile: Option<DockerfileIn>,
    },
    /// Files that were brought in.
    Source(SourceOp),
    /// What further steps make.
    Steps(Steps),
}

/// A further context.
#[derive(Debug, Clone)]
pub enum NamedContext {
    /// A directory of this machine.
    Directory(PathBuf),
    /// The file system of an image.
    Image(Reference),
    /// The file system of an image in an OCI layout.
    Layout(LayoutImage),
    /// Files that are brought in first ([`crate::Engine::bring_in`]).
    Remote(Remote),
    /// Files that were brought in.
    Source(SourceOp),
    /// What further steps make.
    Steps(Steps),
    /// The same for each platform of the request, in their order.
    EachSteps(Vec<Steps>),
    /// What another build makes, whose steps become part of this one ([`crate::Build::plan`]).
    Build(Box<BuildRequest>),
}

/// Steps of which no Dockerfile tells, as a context.
#[derive(Debug, Clone, Default)]
pub struct Steps {
    /// The steps.
    pub definition: Definition,
    /// Directories of this machine, by the names of the local sources in it. No such name is that
    /// of a further context.
    pub directories: BTreeMap<String, PathBuf>,
    /// What is said of the result as an image, for stages that start from it.
    pub config: Option<Box<ImageConfig>>,
}

impl BuildRequest {
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

/// An image in an OCI layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayoutImage {
    /// The directory of the layout.
    pub path: PathBuf,
    /// The name that its index has for the image; `latest`, or the only one, when none.
    pub tag: Option<String>,
    /// What it must be.
    pub digest: Option<oci::Digest>,
}

/// Where the files of a context come from.
#[derive(Debug, Clone)]
pub enum Remote {
    /// A tar, compressed or not, that the client sends.
    Stream(ByteStream),
    /// A tar at a URL, or else a Dockerfile.
    Url(String),
    /// A repository.
    Git(GitSource),
}

/// A Dockerfile in a context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DockerfileIn {
    /// `Dockerfile`, or else `dockerfile`.
    Default,
    /// At this path.
    Path(PathBuf),
}

/// Bytes that the client sends, once.
#[derive(Clone)]
pub struct ByteStream(Arc<Mutex<Option<Box<dyn Read + Send>>>>);

impl ByteStream {
    /// Of what `read` gives.
    #[must_use]
    pub fn new(read: impl Read + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Some(Box::new(read)))))
    }

    /// The bytes; nothing the second time.
    #[must_use]
    pub fn take(&self) -> Box<dyn Read + Send> {
        let mut bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bytes.take().unwrap_or_else(|| Box::new(std::io::empty()))
    }
}

impl fmt::Debug for ByteStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ByteStream(…)")
    }
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

/// A secret that steps may ask for.
#[derive(Debug, Clone)]
pub struct OfferedSecret {
    /// Its bytes.
    pub source: SecretSource,
    /// Whether steps that see it run again when its bytes change.
    pub keyed: bool,
}

/// Where a secret comes from.
#[derive(Debug, Clone)]
pub enum SecretSource {
    /// Read when a step asks for it.
    File(PathBuf),
    /// Already at hand.
    Value(Secret),
}

/// Has secrets that are not known before steps ask for them.
pub trait SecretStore: fmt::Debug + Send + Sync {
    /// The secret under `id`; none when there is none. May block.
    ///
    /// # Errors
    /// Why it cannot be had.
    fn get(&self, id: &str) -> Result<Option<Secret>, String>;
}

impl SecretSource {
    /// The bytes.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(&self) -> Result<Secret, EngineError> {
        match self {
            Self::Value(secret) => Ok(secret.clone()),
            Self::File(path) => match std::fs::read(path) {
                Ok(bytes) => Ok(Secret::new(bytes)),
                Err(source) => Err(EngineError::Read {
                    path: path.clone(),
                    source,
                }),
            },
        }
    }
}

/// Bytes that are never shown, and wiped when nobody needs them any more.
#[derive(Clone)]
pub struct Secret(Arc<Zeroizing<Vec<u8>>>);

impl Secret {
    /// Keeps `bytes` from being shown.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Zeroizing::new(bytes)))
    }

    /// The bytes, for the one place that hands them to a step.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What becomes of the result.
#[derive(Debug, Clone)]
pub enum Export {
    /// An image in the store, pushed too when asked.
    Image(ImageExport),
    /// An archive that other tools load.
    Archive(ArchiveExport),
    /// The files of the result, without being an image.
    Files(FilesExport),
}

/// An image in the store.
#[derive(Debug, Clone)]
pub struct ImageExport {
    /// Names beside the request's tags.
    pub names: Vec<Reference>,
    /// Push it under all its names.
    pub push: bool,
    /// Keep it in the store under its names.
    pub store: bool,
    /// How its layers are written for a push.
    pub layers: LayerFormat,
    /// How what is stated about it is written.
    pub attestations: AttestationFormat,
}

/// An archive that other tools load.
#[derive(Debug, Clone)]
pub struct ArchiveExport {
    /// What it looks like inside.
    pub kind: ArchiveKind,
    /// Names beside the request's tags.
    pub names: Vec<Reference>,
    /// Where it goes.
    pub destination: Destination,
    /// How its layers are written.
    pub layers: LayerFormat,
    /// How what is stated about the image is written.
    pub attestations: AttestationFormat,
}

/// What an archive looks like inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArchiveKind {
    /// An OCI layout (`skopeo … oci-archive:`).
    Oci,
    /// What `docker load` reads, which is an OCI layout too.
    Docker,
}

/// Files without an image.
#[derive(Debug, Clone)]
pub enum FilesExport {
    /// Into a directory of this machine.
    Directory {
        /// Where it is.
        path: PathBuf,
        /// Whether each platform has a directory in it; when there are several, if nothing is said.
        split: Option<bool>,
    },
    /// As one tar. Of several platforms each has a directory in it.
    Tar(Destination),
}

/// Where an archive goes.
#[derive(Debug, Clone)]
pub enum Destination {
    /// A file of this machine.
    File(PathBuf),
    /// Standard output of the client.
    Stdout,
    /// A directory of this machine that becomes an OCI layout (`tar=false`).
    Directory(PathBuf),
    /// To a client, once.
    Stream(ClientStream),
}

/// Where bytes go that a client takes, once.
#[derive(Clone)]
pub struct ClientStream(Arc<Mutex<Option<Box<dyn Sink>>>>);

/// Takes bytes on a thread that may block.
pub trait Sink: Write + Send {
    /// All was written; returns when it has arrived. A sink that is dropped without this tells
    /// that something is missing.
    ///
    /// # Errors
    /// It did not arrive.
    fn finish(self: Box<Self>) -> std::io::Result<()>;
}

impl ClientStream {
    /// Of what `sink` takes.
    #[must_use]
    pub fn new(sink: impl Sink + 'static) -> Self {
        Self(Arc::new(Mutex::new(Some(Box::new(sink)))))
    }

    /// The sink; none the second time.
    pub(crate) fn take(&self) -> Option<Box<dyn Sink>> {
        let mut sink = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sink.take()
    }
}

impl fmt::Debug for ClientStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientStream(…)")
    }
}

/// How layers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerFormat {
    /// Compression of layers that have no blob yet.
    pub compression: Compression,
    /// The format's own level; its default when none.
    pub level: Option<i32>,
    /// Compress layers again that have a blob in another format.
    pub force: bool,
    /// OCI's media types; Docker's otherwise.
    pub oci_media_types: bool,
}

/// How attestations are written, which are what is stated about images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttestationFormat {
    /// Those too that are only for images with an index, which a single image has for them then.
    pub inline: bool,
    /// As artifacts that refer to their image; otherwise as images of no platform.
    pub artifact: bool,
}

impl AttestationFormat {
    /// What images have that are stored or pushed.
    pub const IMAGE: Self = Self {
        inline: true,
        artifact: true,
    };
    /// What archives have.
    pub const ARCHIVE: Self = Self {
        inline: false,
        artifact: true,
    };
}

impl Default for LayerFormat {
    fn default() -> Self {
        Self {
            compression: Compression::Gzip,
            level: None,
            force: false,
            oci_media_types: true,
        }
    }
}
