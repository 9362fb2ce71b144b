//! What can go wrong in the engine. Each variant carries what a person needs to act on it; the
//! clients dress it.
//!
//! It is one long enum, since clients match on all that an engine may answer; only what is wrong with
//! images, on which nobody does, is one of its own.

mod chain;
mod image;
mod step;

use std::path::PathBuf;

use oci::{Platform, Reference};

pub use chain::chain;
pub use image::ImageError;
use step::after;
pub use step::{ProcessExit, StepFailure};

/// Why the engine did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::StoreError),
    /// The store keeps owners of files as is done elsewhere.
    #[error("the store {} was made where there are {made}, and here there are {here}", path.display())]
    OtherOwners {
        /// Its directory.
        path: PathBuf,
        /// Which users there were.
        made: &'static str,
        /// Which there are.
        here: &'static str,
    },
    /// A snapshot could not be made.
    #[error(transparent)]
    Snapshot(#[from] snapshot::snapshotter::SnapshotError),
    /// A file could not be read or changed.
    #[error(transparent)]
    File(#[from] snapshot::FileError),
    /// A change is impossible.
    #[error(transparent)]
    Upper(#[from] snapshot::UpperError),
    /// A change without a process is impossible.
    #[error(transparent)]
    Edit(#[from] snapshot::EditError),
    /// Files could not be copied.
    #[error(transparent)]
    Copy(#[from] snapshot::copy::CopyError),
    /// A layer could not be written as a tar.
    #[error(transparent)]
    Diff(#[from] snapshot::diff::DiffError),
    /// A tar could not be unpacked.
    #[error(transparent)]
    Extract(#[from] snapshot::ExtractError),
    /// A tar could not be read or written.
    #[error(transparent)]
    Tar(#[from] snapshot::tar::TarError),
    /// A step's process could not be run.
    #[error(transparent)]
    Sandbox(#[from] sandbox::SandboxError),
    /// The registries' part of the configuration is wrong.
    #[error("invalid registry configuration")]
    RegistryConfig(#[from] registry::ConfigError),
    /// The client's `config.json` is wrong.
    #[error(transparent)]
    DockerConfig(#[from] registry::docker_config::DockerConfigError),
    /// The Dockerfile is wrong, or asks for what cannot be had.
    #[error("{}", .0.first().map_or("invalid Dockerfile", |first| first.message.as_str()))]
    Dockerfile(Vec<dockerfile::Diagnostic>),
    /// The request is for several platforms, and for one image.
    #[error(
        "conflicting config: BUILDKIT_MULTI_PLATFORM is false, and there are several platforms"
    )]
    NotIndexed,
    /// A build that is a context makes nothing for a platform that it is needed for.
    #[error("context {name} is not built for {platform}")]
    ContextPlatform {
        /// The context's name.
        name: String,
        /// For what it is needed.
        platform: String,
    },
    /// A build that is a context asks for something else by a name that the build has too that needs
    /// it.
    #[error("{what} {id:?} is another one in the context {name}: give one of them another id")]
    ContextOffer {
        /// The context's name.
        name: String,
        /// What is asked for.
        what: &'static str,
        /// By which name.
        id: String,
    },
    /// The build may not have a source.
    #[error(transparent)]
    Policy(#[from] crate::policy::PolicyError),
    /// A step failed.
    #[error("{}", step.error)]
    Step {
        /// What is known of it.
        step: Box<StepFailure>,
    },
    /// A step's process ended with a code other than 0.
    #[error("process {command:?} did not complete successfully: {exit}{}", after(.disconnected.as_ref()))]
    Process {
        /// The process.
        command: String,
        /// How it ended.
        exit: ProcessExit,
        /// What its network was cut off by before it ended.
        disconnected: Option<sandbox::Disconnected>,
    },
    /// A step's process took more than it may.
    #[error("process {command:?} did not complete within its limits: it {exceeded}")]
    Exceeded {
        /// The process.
        command: String,
        /// Which limit that was.
        exceeded: crate::resources::Exceeded,
    },
    /// The client was asked for a secret and did not answer.
    #[error("cannot get secret {id}: {reason}")]
    SecretStore {
        /// Which one.
        id: String,
        /// Why.
        reason: String,
    },
    /// A device is not as it was when the step's key was made.
    #[error("device {0} is no longer registered")]
    LostDevice(String),
    /// A device node is registered without saying what it is, and is not there to be looked at.
    #[error("device node {}", path.display())]
    DeviceNode {
        /// The node.
        path: PathBuf,
        /// Why nothing is known of it.
        source: std::io::Error,
    },
    /// The history has no such build.
    #[error("no such build: {0}")]
    NoBuild(String),
    /// The IDs of several builds begin so.
    #[error("the IDs of several builds begin with {0}")]
    SeveralBuilds(String),
    /// No failed step was kept.
    #[error("no failed step is kept{}", .0.as_ref().map(|build| format!(" of {build}")).unwrap_or_default())]
    NotKept(Option<String>),
    /// Somebody is in a kept step.
    #[error("another process is in the kept step {0}")]
    KeptIsEntered(String),
    /// A build goes on.
    #[error("build {0} is running")]
    BuildRuns(String),
    /// A file of a result cannot be looked at.
    #[error(transparent)]
    Files(#[from] crate::files::FilesError),
    /// Links lead in a circle, or nearly.
    #[error("too many symbolic links at {}", .0.display())]
    TooManyLinks(PathBuf),
    /// The build was cancelled.
    #[error("build cancelled")]
    Cancelled,
    /// The solver failed without a step.
    #[error("{0}")]
    Solve(String),
    /// A graph was put together wrongly.
    #[error(transparent)]
    Graph(#[from] graph::GraphError),
    /// An image's name does not lead to an image.
    #[error("failed to resolve source metadata for {reference}")]
    Resolve {
        /// The image.
        reference: Reference,
        /// Why.
        #[source]
        source: registry::Error,
    },
    /// A registry does not answer, or not as it should.
    #[error("ask {domain}")]
    AskRegistry {
        /// Whose.
        domain: String,
        /// Why.
        #[source]
        source: registry::Error,
    },
    /// A blob could not be had.
    #[error("failed to fetch from {reference}")]
    Fetch {
        /// The repository.
        reference: Reference,
        /// Why.
        #[source]
        source: registry::Error,
    },
    /// A push failed.
    #[error("failed to push {reference}")]
    Push {
        /// The image.
        reference: Reference,
        /// Why.
        #[source]
        source: registry::Error,
    },
    /// The image is not in the store, and nobody may be asked for it.
    #[error("{reference} is not in the store, and --pull=never forbids to pull it")]
    NotPulled {
        /// The image.
        reference: Reference,
    },
    /// An image is not what it has to be, or not all there.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// Sources of an image make none.
    #[error(transparent)]
    ImageTools(#[from] crate::imagetools::ImageToolsError),
    /// What an image is to say of itself cannot be said there.
    #[error(transparent)]
    Annotation(#[from] crate::annotation::AnnotationError),
    /// What is in an image could not be stated.
    #[error(transparent)]
    Sbom(#[from] crate::sbom::SbomError),
    /// Two statements are to lie beside the files under one name.
    #[error("two attestations have the name {0}")]
    StatementName(String),
    /// A document could not be written as JSON.
    #[error("cannot write JSON")]
    Serialize(#[source] serde_json::Error),
    /// A local file could not be read.
    #[error("cannot read {path:?}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Something could not be written.
    #[error("cannot write")]
    Write {
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A local file could not be written.
    #[error("cannot write {path:?}")]
    WriteFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The machine refused something.
    #[error("cannot {action}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// Two platforms have something at one path, and there is to be one directory for both.
    #[error(
        "cannot overwrite {} from {first} with {second} when split option is disabled",
        path.display()
    )]
    Overwrites {
        /// The path in the result.
        path: PathBuf,
        /// What was written first.
        first: Platform,
        /// What would be in its place.
        second: Platform,
    },
    /// Worker threads could not be started.
    #[error("cannot start threads")]
    Threads(#[source] rayon::ThreadPoolBuildError),
    /// A thread ended before its work was done.
    #[error("a worker thread ended early")]
    LostThread,
    /// A secret is required that the client does not offer.
    #[error("secret {0}: not found")]
    MissingSecret(String),
    /// An SSH agent is required that the client does not offer.
    #[error("no SSH key {0:?} forwarded from the client")]
    MissingAgent(String),
    /// A step wants the machine's network where others have their own.
    #[error("network.host is not allowed")]
    HostNetwork,
    /// A step wants all rights that its build was not given.
    #[error("security.insecure is not allowed")]
    Insecure,
    /// No program connects networks of steps.
    #[error("a network of a step's own takes {programs}, which is not installed")]
    NoConnector {
        /// What would do.
        programs: String,
        /// Where distributions have it.
        packages: String,
    },
    /// Nothing says which network plugins set up.
    #[error("networks of CNI are not configured")]
    NoCni,
    /// Something that Docker has and kiln has not.
    #[error("{what} is not supported by kiln: {instead}")]
    Unsupported {
        /// What was asked for.
        what: String,
        /// What to do instead.
        instead: &'static str,
    },
    /// What a target takes is asked for, and it depends on the platform.
    #[error("the target takes other things on each of the platforms: name one of them")]
    OutlineOfPlatforms,
    /// A pattern of an ignore file is malformed.
    #[error(transparent)]
    Ignore(#[from] dockerfile::ignore::IgnoreError),
    /// A mount could not be made.
    #[error(transparent)]
    Mount(sys::mount::MountError),
    /// A cache could not be written.
    #[error("cannot write {to}")]
    CacheExport {
        /// Which one, as people are told.
        to: String,
        /// Why.
        #[source]
        source: Box<EngineError>,
    },
    /// A cache could not be read.
    #[error(transparent)]
    Cache(#[from] crate::remote_cache::CacheError),
    /// A user is not in the image.
    #[error(transparent)]
    User(#[from] sandbox::user::UserError),
    /// A push without a name.
    #[error("tag is needed when pushing to registry")]
    NoTag,
    /// The files that a step reads cannot be read.
    #[error(transparent)]
    Checksum(#[from] snapshot::checksum::ChecksumError),
    /// The same, before it is known whether the step has to run.
    #[error("failed to compute cache key: failed to calculate checksum of ref {of}: {source}")]
    CacheKey {
        /// What they are files of.
        of: String,
        /// Why.
        #[source]
        source: snapshot::checksum::ChecksumError,
    },
    /// A `--chmod` that is none.
    #[error(transparent)]
    Mode(#[from] snapshot::copy::ModeError),
    /// A file could not be had from the web.
    #[error("failed to download {url}")]
    Download {
        /// Where it is.
        url: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// A server does not give a file.
    #[error("failed to download {url}: invalid response status {status}")]
    DownloadStatus {
        /// Where it is.
        url: String,
        /// What the server says.
        status: reqwest::StatusCode,
    },
    /// The client for the web could not be made.
    #[error("cannot prepare downloads")]
    Web(#[source] reqwest::Error),
    /// A running container is removed only by force.
    #[error(
        "cannot remove container \"{0}\": container is running: stop the container before removing or force remove"
    )]
    ContainerRuns(String),
    /// A registry does not take credentials, or cannot be asked.
    #[error("login attempt to {domain} failed")]
    LogIn {
        /// The registry.
        domain: String,
        /// Why.
        #[source]
        source: registry::Error,
    },
    /// A container runs already.
    #[error("container {0} is already running")]
    AlreadyRuns(String),
    /// A container does not run.
    #[error("container {0} is not running")]
    NotRunning(String),
    /// What is to be mounted is not there.
    #[error(
        "invalid mount config for type \"bind\": bind source path does not exist: {}", .0.display()
    )]
    NoMountSource(PathBuf),
    /// There is no such volume.
    #[error("get {0}: no such volume")]
    NoSuchVolume(String),
    /// A volume is a container's.
    #[error("remove {name}: volume is in use - [{}]", users.join(", "))]
    VolumeInUse {
        /// The volume.
        name: String,
        /// The containers.
        users: Vec<String>,
    },
    /// A name that no volume can have.
    #[error(
        "{0:?} includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path"
    )]
    VolumeName(String),
    /// A container's stored configuration cannot be read.
    #[error("invalid configuration of container {id}")]
    ContainerConfig {
        /// Whose.
        id: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A context that the client does not offer.
    #[error("there is no context {0:?}")]
    NoContext(String),
    /// There is no such cache mount.
    #[error("No such cache mount: {0}")]
    NoSuchCacheMount(String),
    /// No limit was set for that id.
    #[error("cache mount {0} has no limit")]
    NoSuchCacheMountLimit(String),
    /// A step, or another command, has it.
    #[error("cache mount {0} is in use")]
    CacheMountInUse(String),
    /// There is one already.
    #[error("cache mount {0} exists already")]
    CacheMountExists(String),
    /// There is no such image.
    #[error("No such image: {0}")]
    NoSuchImage(String),
    /// Several images have IDs that begin so.
    #[error("ambiguous image ID {0:?}: more than one image begins with it")]
    AmbiguousId(String),
    /// A name is none.
    #[error(transparent)]
    Reference(#[from] oci::ReferenceError),
    /// There is no such container.
    #[error("No such container: {0}")]
    NoSuchContainer(String),
    /// A container of that name exists.
    #[error(
        "Conflict. The container name \"/{name}\" is already in use by container \"{id}\". You have to remove (or rename) that container to be able to reuse that name."
    )]
    ContainerName {
        /// The name.
        name: String,
        /// Whose it is.
        id: String,
    },
    /// An image without anything to run.
    #[error("no command specified")]
    NoCommand,
    /// There is no such file in a container.
    #[error("Could not find the file {path} in container {container}")]
    NoSuchFile {
        /// The path.
        path: String,
        /// The container.
        container: String,
    },
    /// An image is used by a container, or has several names.
    #[error("conflict: unable to delete {image} (must be forced) - {why}")]
    ImageInUse {
        /// The image.
        image: String,
        /// Why it is not removed.
        why: String,
    },
    /// A request with contexts that were not brought in.
    #[error("a context was not brought in before the build")]
    NotOpened,
    /// A context without the Dockerfile.
    #[error("failed to read dockerfile: open {name}: {why}")]
    NoDockerfile {
        /// Its name.
        name: String,
        /// Why it cannot be read.
        why: &'static str,
    },
    /// A repository cannot be had.
    #[error(transparent)]
    Git(#[from] crate::source::GitError),
    /// An OCI layout is none, or has no such image.
    #[error(transparent)]
    Layout(#[from] crate::source::LayoutError),
    /// An archive is not one that kiln loads.
    #[error("invalid image archive: {0}")]
    Archive(String),
}
