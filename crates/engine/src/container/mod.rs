//! Containers: created from images, copied to and from, run, removed. The builder pattern of the
//! time before multi-stage builds lives on them.
//!
//! A container's own layer is a directory of its own in the store and lies on its image's layers.

mod archive;
mod create;
mod local;
mod run;

pub use archive::PathStat;
pub use create::{ContainerSummary, CreateContainer};
pub use local::{pack_files, unpack_files};
pub use run::{RunOutcome, Terminal};
