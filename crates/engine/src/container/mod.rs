//! Containers: created from images, copied to and from, run, joined, removed. The builder pattern of
//! the time before multi-stage builds lives on them.
//!
//! A container's own layer is a directory of its own in the store and lies on its image's layers.
//! Who runs a container holds its lock; one that is noted as running and whose lock is free ended
//! with whoever ran it.

mod archive;
mod changes;
mod commit;
mod create;
mod join;
mod life;
mod list;
mod local;
mod log;
mod root;
mod run;
mod settings;
mod spec;
mod volume;

pub use archive::PathStat;
pub use changes::{FileChange, FileChangeKind};
pub use commit::CommitContainer;
pub use create::{CreateContainer, new_id};
pub use join::{JoinContainer, Joined};
pub use life::ContainerLife;
pub use list::ContainerSummary;
pub use local::{pack_files, unpack_files};
pub use log::{LogEntry, LogReader, LogWriter, OutputStream};
pub(crate) use root::ContainerRoot;
pub use run::{ContainerRun, RunOutcome, Terminal};
pub use settings::{ContainerMount, ContainerSettings, MoreSettings, MountSource, PublishedPort};
pub use volume::Volume;
