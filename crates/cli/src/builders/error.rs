//! Why there is no such builder.

use std::io;
use std::path::PathBuf;

use crate::error::{Error, io_text};

/// Why there is no such builder, or it is not changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BuildersError {
    /// A name that is none.
    #[error(
        "invalid name {0}, name needs to start with a letter and may not contain symbols, except ._-"
    )]
    Name(String),
    /// A name that nobody has.
    #[error("no builder {0:?} found")]
    Missing(String),
    /// A file that cannot be read or written.
    #[error("{action} {}: {}", path.display(), io_text(source))]
    File {
        /// Such as `open`.
        action: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file with more bytes than a builder takes.
    #[error("{}: more than {most} bytes", path.display())]
    Large {
        /// Which.
        path: PathBuf,
        /// How many it may have.
        most: u64,
    },
    /// A directory with more builders than anybody has, or one of them with more nodes.
    #[error("{}: more than {most} {what}", path.display())]
    Many {
        /// Which.
        path: PathBuf,
        /// How many there may be.
        most: usize,
        /// Of what.
        what: &'static str,
    },
    /// A file that says something else.
    #[error("{}: {source}", path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// A file of one builder that says it is another.
    #[error("{}: it is of the builder {name:?}", path.display())]
    Renamed {
        /// Which.
        path: PathBuf,
        /// What it says.
        name: String,
    },
    /// Names that were tried are taken.
    #[error("failed to generate random name")]
    NoName,
    /// There is nowhere to keep builders.
    #[error("there is no home directory to keep builders in: set BUILDX_CONFIG")]
    Homeless,
    /// A node that is not there.
    #[error("node {node:?} not found for {builder}")]
    NoNode {
        /// Whose.
        builder: String,
        /// Which.
        node: String,
    },
    /// A node that is not there and was not to be added.
    #[error("node {0} not found, did you mean to append?")]
    NotAppended(String),
    /// The only node.
    #[error("can not leave last node, do you want to rm instance instead?")]
    LastNode,
    /// Nodes change by themselves.
    #[error("the nodes of the builder {0} are made by its driver and cannot be changed")]
    Dynamic(String),
    /// Two nodes that are one.
    #[error("invalid duplicate endpoint {0}")]
    Duplicate(String),
}

impl From<BuildersError> for Error {
    fn from(error: BuildersError) -> Self {
        Self::new(error.to_string())
    }
}
