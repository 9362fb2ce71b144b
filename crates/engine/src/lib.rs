//! Joins the crates below it into [`Engine`]: sources, ops, exporters, images and containers.
//!
//! The only crate that knows the store, the registry, the sandbox and the solver at once. Every
//! client ends in the same [`BuildRequest`]. No terminal, no environment, no HTTP server.
//!
//! Reading order: `build` follows one build; `worker` is what the solver asks; `op` does the
//! steps; `layer` turns layers from snapshots into blobs and back; `export` makes images of them.

mod annotation;
mod blocking;
mod build;
mod cache;
mod cache_mount;
mod clock;
pub mod compress;
mod config;
mod container;
mod content;
mod context;
mod debug;
mod device;
mod engine;
mod error;
mod explain;
mod export;
mod files;
mod gc;
mod history;
mod house;
mod image;
mod imagetools;
mod isolation;
mod kept;
mod landmark;
mod layer;
mod limits;
mod offered;
mod op;
mod output;
mod policy;
mod progress;
mod provenance;
mod purl;
mod registries;
mod remote_cache;
mod request;
mod resources;
mod sbom;
mod session;
mod source;
mod ssh;
mod surroundings;
mod units;
mod worker;

pub use annotation::{Annotation, AnnotationError, AnnotationPlace, Annotations};
pub(crate) use blocking::blocking;
pub use build::{
    Build, BuildOutcome, Definition, Delivery, Evaluated, FoundCommit, FoundFile, FoundImage,
    FoundSource, Planned, Reads, check, explain_missing, fix, outline, targets,
};
pub use cache::StoredRecords;
pub use cache_mount::{CacheMountIdentity, CacheMountImport, CacheMountSummary, CacheMountsTo};
pub use clock::{Clock, SystemClock, rfc3339};
pub use config::{
    BuildConfig, CdiConfig, CniConfig, Config, ConfigError, DnsConfig, Entitlement, GcConfig,
    HistoryConfig, Isolation, LimitsConfig, LogFormat, LogLevel, PolicyRule, RegistryConfig,
    ServeConfig, Space, StepNetwork, TlsConfig, UnknownIsolation, UnknownName,
};
pub use container::{
    CommitContainer, ContainerLife, ContainerMount, ContainerRun, ContainerSettings,
    ContainerSummary, CreateContainer, FileChange, FileChangeKind, JoinContainer, Joined, LogEntry,
    LogReader, LogWriter, MoreSettings, MountSource, OutputStream, PathStat, PublishedPort,
    RunOutcome, Terminal, Volume, new_id, pack_files, unpack_files,
};
pub use context::{ContextFile, ContextFiles, ExcludedFile, context_files, ignore_lines};
pub use debug::{EnterKept, KeepFailed, KeptStep};
pub use device::UnusableDevice;
pub use dockerfile::{
    AllowedDevices, Change, Checks, Diagnostic, GitError, Outline, OutlineArg, OutlineMount, Place,
    Rule, Severity, Source, Span, Target, detect_syntax, git_context, rule,
};
pub use engine::{Engine, EngineOptions, docker_credentials};
pub use error::{EngineError, ImageError, ProcessExit, StepFailure, chain};
pub use export::ExportedImage;
pub use files::{FileStat, Files, FilesError};
pub use graph::{
    ExtraHost, GitSource, LocalSource, Location, NetworkMode, PullPolicy, SecurityMode, Ulimit,
    VertexDigest, matches_pattern,
};
pub use history::{
    About, Attachment, BuildStatus, HistoryBuild, HistoryImage, HistoryStep, PastBuild, StepCounts,
    StepState, Steps as HistorySteps, meant as meant_build,
};
pub use image::{HistoryRow, ImageDetails, ImageSummary, Removed, is_untagged};
pub use imagetools::{
    Combined, Combining, Given, ImageSource, ImageTools, ImageToolsError, IndexAnnotation,
    Inspected, InspectedImage, SourceError, Statements,
};
pub use kept::{
    Attributes as ClientAttributes, ClientFile, ClientFileKind, Incoming, KeptCopy, Receiving,
    content_attributes,
};
pub use landmark::Landmark;
pub use limits::limit_key;
pub use offered::{OfferedFiles, offered_files};
pub use op::{ContainerProcess, FrontEnd, NewContainer, Speaks, StepContainer, StepProcess};
pub use output::{LocalTree, Output, Stack};
pub use policy::{PolicyError, Refusal, SourceJudge};
pub use progress::Task;
pub use provenance::{Asked, Provenance, ProvenanceError, ProvenanceMode, ProvenanceVersion};
pub use registry::{
    BoxFuture, Credential, Credentials, CredentialsError, GivenToken, Secret as Password,
    WantedToken,
};
pub use remote_cache::{
    CacheError, CacheExport, CacheFrom, CacheMode, CacheTo, HeldLayout, LayoutCache,
};
pub use request::{
    ArchiveExport, ArchiveKind, AttestationFormat, BuildRequest, ByteStream, ClientStream, Context,
    Destination, Dockerfile, DockerfileIn, Export, FilesExport, ImageExport, Latest, LayerFormat,
    LayoutImage, MoreTarget, NamedContext, NoCache, OfferedSecret, Remote, Secret, SecretSource,
    SecretStore, Sink, Steps, Times, is_name_prefix,
};
pub use resources::{Exceeded, ResourceError, Resources};
pub use sandbox::{Place as ContainerPlace, PlaceStdio, Terminal as OwnTerminal};
pub use sbom::{Sbom, SbomError};
pub use snapshot::{Kind as FileKind, Overwrite, Owners, archive, tar};
pub use source::{GitError as GitSourceError, LayoutError};
pub use ssh::{SshAgent, SshKeyError, SshKeys};
pub use surroundings::{Emulator, emulators};
pub use units::{parse_duration, parse_size};
pub use worker::BuildWorker;

/// What is told about work while it goes on.
pub mod events {
    pub use solver::StepProgress;
    pub use solver::progress::{
        LogStream, Origin, PlannedVertex, Progress, ProgressReceiver, ProgressSender, Status,
        Warning, channel,
    };
}
#[cfg(debug_assertions)]
pub use store::fail;
pub use store::{
    Collection, ContainerState, Depth, Filter as PruneFilter, FilterError as PruneFilterError,
    Keep, Kind as UsageKind, MountEviction, MountLimit, MountSize, Need, Problem, PruneRequest,
    Pruned, Removed as RemovedItem, Rule as PruneRule, Told, Usage, UsageItem,
};
