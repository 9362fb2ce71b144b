//! Joins the crates below it into [`Engine`]: sources, ops, exporters, images and containers.
//!
//! The only crate that knows the store, the registry, the sandbox and the solver at once. Every
//! client ends in the same [`BuildRequest`]. No terminal, no environment, no HTTP server.
//!
//! Reading order: `build` follows one build; `worker` is what the solver asks; `op` does the
//! steps; `layer` turns layers from snapshots into blobs and back; `export` makes images of them.

mod blocking;
mod build;
mod cache;
mod cache_mount;
mod clock;
pub mod compress;
mod config;
mod container;
mod context;
mod device;
mod engine;
mod error;
mod explain;
mod export;
mod gc;
mod history;
mod house;
mod image;
mod layer;
mod limits;
mod op;
mod output;
mod progress;
mod remote_cache;
mod request;
mod session;
mod source;
mod ssh;
mod units;
mod worker;

pub(crate) use blocking::blocking;
pub use build::{BuildOutcome, check, explain_missing, fix, outline, targets};
pub use cache::StoredRecords;
pub use cache_mount::{CacheMountIdentity, CacheMountImport, CacheMountSummary, CacheMountsTo};
pub use clock::{Clock, SystemClock, rfc3339};
pub use config::{
    BuildConfig, CdiConfig, Config, ConfigError, GcConfig, HistoryConfig, LimitsConfig, PolicyRule,
    RegistryConfig, Space,
};
pub use container::{
    ContainerSummary, CreateContainer, PathStat, RunOutcome, Terminal, pack_files, unpack_files,
};
pub use context::{ContextFile, ContextFiles, ExcludedFile, context_files};
pub use device::UnusableDevice;
pub use dockerfile::{
    AllowedDevices, Change, Diagnostic, GitError, Outline, OutlineArg, OutlineMount, Place, Rule,
    Severity, Source, Span, Target, git_context, rule,
};
pub use engine::{Engine, EngineOptions};
pub use error::{EngineError, ProcessExit, StepFailure};
pub use export::ExportedImage;
pub use graph::{ExtraHost, GitSource, Location, NetworkMode, PullPolicy, Ulimit, VertexDigest};
pub use history::{
    About, BuildStatus, HistoryBuild, HistoryImage, HistoryStep, StepCounts, StepState,
};
pub use image::{HistoryRow, ImageDetails, ImageSummary, Removed, is_untagged};
pub use output::{LocalTree, Output, Stack};
pub use remote_cache::{CacheError, CacheExport, CacheFrom, CacheMode, CacheTo, LayoutCache};
pub use request::{
    ArchiveExport, ArchiveKind, BuildRequest, ByteStream, Context, Destination, Dockerfile,
    DockerfileIn, Export, FilesExport, ImageExport, LayerFormat, LayoutImage, MoreTarget,
    NamedContext, NoCache, OfferedSecret, Remote, Secret, SecretSource,
};
pub use snapshot::{Kind as FileKind, Overwrite, archive, tar};
pub use source::{GitError as GitSourceError, LayoutError};
pub use ssh::{SshAgent, SshKeyError, SshKeys};
pub use units::{parse_duration, parse_size};
pub use worker::BuildWorker;

/// What is told about work while it goes on.
pub mod events {
    pub use solver::progress::{
        LogStream, Origin, PlannedVertex, Progress, ProgressReceiver, ProgressSender, Status,
        Warning, channel,
    };
}
pub use store::{
    Collection, ContainerState, Depth, Filter as PruneFilter, FilterError as PruneFilterError,
    Keep, Kind as UsageKind, MountEviction, MountLimit, MountSize, Problem, PruneRequest, Pruned,
    Removed as RemovedItem, Rule as PruneRule, Told, Usage, UsageItem,
};
