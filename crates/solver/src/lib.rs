//! Runs a build graph: every vertex once, what is known not at all.
//!
//! Pure of disk and network: ops are done by a [`Worker`], records are kept by a
//! [`CacheStorage`]. Reading order: [`keys`](CacheKey) says what a vertex is known by,
//! `plan` what a build has to look at, `build` the event loop that looks up and realises,
//! `in_flight` how builds share running work, `limits` how many steps run at a time.
//!
//! What always holds:
//! - a step runs when its inputs are there, and never twice at once for one key in this process;
//! - nothing is recorded of a step that failed or was cancelled;
//! - a lock or a permit is held by a future that somebody owns, never while waiting for inputs;
//! - work goes on while one build wants it, and is dropped when none does. Nothing is spawned.

mod build;
mod cache_storage;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod error;
mod in_flight;
mod keys;
mod limits;
mod plan;
pub mod progress;
mod solver;
mod worker;

pub use cache_storage::CacheStorage;
pub use cache_storage::memory::{MemoryStorage, MemoryStorageGuard};
pub use error::{Doing, FailedStep, SolveError};
pub use keys::{CacheKey, Checksum, DefinitionKey, InputPart, KeyParts, Portion};
pub use progress::{Progress, ProgressReceiver, ProgressSender, StepProgress};
pub use solver::{BuildOptions, Clock, How, Solution, Solved, SolvedVertex, Solver};
pub use worker::{Admission, Step, Worker};
