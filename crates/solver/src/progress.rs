//! What is told about a build while it runs: one closed enum for every reader, whether it draws
//! on a terminal or speaks to a client of the daemon.

mod channel;
mod ear;
pub(crate) mod step;

use std::time::SystemTime;

use bytes::Bytes;
use graph::{Location, VertexDigest};

pub use channel::{ProgressReceiver, ProgressSender, Recorder, channel};
pub use step::StepProgress;

/// Something that happened in a build.
///
/// A vertex is planned, then started and ended (completed, failed or cancelled), or cached. The
/// last word holds: one told as cached is started after all when its record is gone and a later
/// step needs it, and one that failed in a build that has left is started anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Vertices that the build may come to, inputs first.
    Planned(Vec<PlannedVertex>),
    /// A step runs.
    Started {
        /// Which one.
        vertex: VertexDigest,
        /// Since when.
        at: SystemTime,
    },
    /// The result is known: it was recorded, or only steps whose results are recorded use it.
    Cached {
        /// Whose.
        vertex: VertexDigest,
        /// When that was found out.
        at: SystemTime,
        /// Where it was.
        origin: Origin,
    },
    /// Another build of this process runs the step, and this one waits for the same result: what
    /// is told of it from here on is told to both.
    Shared {
        /// Which one.
        vertex: VertexDigest,
    },
    /// A step ended well.
    Completed {
        /// Which one.
        vertex: VertexDigest,
        /// When.
        at: SystemTime,
    },
    /// A step failed.
    Failed {
        /// Which one.
        vertex: VertexDigest,
        /// When.
        at: SystemTime,
        /// Why: the error and its causes.
        error: String,
    },
    /// A step that had started is not wanted by this build any more.
    Cancelled {
        /// Which one.
        vertex: VertexDigest,
        /// When.
        at: SystemTime,
    },
    /// A result was found beside the records of the storage. Told before it is told as cached.
    Recalled {
        /// Whose.
        vertex: VertexDigest,
        /// Where.
        from: String,
    },
    /// A step ran because something differs from an earlier build.
    Explained {
        /// Which one.
        vertex: VertexDigest,
        /// What differs.
        reason: String,
    },
    /// A step wrote something.
    Log {
        /// Which one.
        vertex: VertexDigest,
        /// When.
        at: SystemTime,
        /// Where to.
        stream: LogStream,
        /// What.
        bytes: Bytes,
    },
    /// How far a part of a step has come.
    Status {
        /// Of which step.
        vertex: VertexDigest,
        /// When.
        at: SystemTime,
        /// How far.
        status: Status,
    },
    /// Something that people should know and that does not stop the build.
    Warning(Warning),
}

impl Progress {
    /// The step that it is about alone, if it is about one.
    pub const fn vertex_mut(&mut self) -> Option<&mut VertexDigest> {
        match self {
            Self::Started { vertex, .. }
            | Self::Cached { vertex, .. }
            | Self::Shared { vertex }
            | Self::Completed { vertex, .. }
            | Self::Failed { vertex, .. }
            | Self::Cancelled { vertex, .. }
            | Self::Recalled { vertex, .. }
            | Self::Explained { vertex, .. }
            | Self::Log { vertex, .. }
            | Self::Status { vertex, .. } => Some(vertex),
            Self::Planned(_) | Self::Warning(_) => None,
        }
    }
}

/// Where a result was that nobody had to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// In the storage.
    Recorded,
    /// In a cache that is none of the storage's.
    Imported,
    /// Another build made it while this one waited for it.
    MadeMeanwhile,
    /// This build made it, for a step that is the same.
    MadeBefore,
    /// Nowhere: only steps whose results are recorded use it, so that nobody looked.
    NotNeeded,
}

/// A vertex that a build may come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedVertex {
    /// The identity of its definition, by which everything else names it.
    pub vertex: VertexDigest,
    /// Its name.
    pub name: String,
    /// What it works on.
    pub inputs: Vec<VertexDigest>,
}

/// Where a step writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// How far a part of a step has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The part: a layer, a file, `transferring context`.
    pub id: String,
    /// What is done, mostly in bytes.
    pub current: u64,
    /// What there is to do, when that is known.
    pub total: Option<u64>,
    /// It is done; no more is told of it.
    pub done: bool,
}

/// Something that people should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The step that it is about, if it is about one.
    pub vertex: Option<VertexDigest>,
    /// What is the matter, in one line.
    pub message: String,
    /// More about it.
    pub detail: Vec<String>,
    /// Where it is explained.
    pub url: Option<String>,
    /// Where it was found.
    pub locations: Vec<Location>,
}
