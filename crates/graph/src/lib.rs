//! The build graph in values: what a frontend makes and the solver runs.
//!
//! Pure: no I/O, no protobuf. A graph is ordered by construction, since a vertex can only name
//! vertices that were added before it, so there are no cycles. Equal vertices are one vertex.
//! What does not change a result (names, places in a Dockerfile) never enters a digest.

mod content_hash;
mod op;
mod pattern;
mod selection;
mod vertex;

pub use content_hash::{ContentHash, ContentHasher};
pub use op::exec::{
    CacheSharing, Device, Environment, ExecOp, ExtraHost, FileOwner, Mount, MountSource,
    NetworkMode, Process, SecretTarget, SecurityMode, Ulimit,
};
pub use op::file::{
    Chmod, Copy, FileAction, FileActionKind, FileInput, FileOp, Mkdir, Mkfile, Owner, OwnerName,
    Remove, Symlink, Timestamp,
};
pub use op::source::{
    ArchiveSource, GitSource, HttpSource, ImageSource, LocalSource, PullPolicy, SourceOp,
};
pub use op::{DiffOp, MergeOp, Op};
pub use pattern::{has_wildcards, matches_pattern};
pub use selection::{InputKey, SelectedPath, Selection};
pub use vertex::{
    Edge, Graph, GraphError, Location, Meta, SourceFile, Vertex, VertexDigest, VertexId, Written,
};
