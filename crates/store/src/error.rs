//! What can go wrong in the store. Each variant carries what a person needs to act on it.

use std::path::{Path, PathBuf};

use oci::Digest;

use crate::LayerId;

/// A result of the store.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Why the store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The operating system refused.
    #[error("cannot {action} {path:?}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The database refused.
    #[error("the store's database failed")]
    Database(#[from] rusqlite::Error),
    /// The directory holds something else.
    #[error("{path:?} is not a kiln store: it holds {found:?}")]
    NotAStore {
        /// The directory.
        path: PathBuf,
        /// Something in it that no store has.
        found: String,
    },
    /// The format file cannot be read as one.
    #[error("{path:?} does not say which format the store has")]
    VersionFile {
        /// The file.
        path: PathBuf,
        /// What the parser says.
        #[source]
        source: serde_json::Error,
    },
    /// The file of the private key holds something else.
    #[error("{0:?} is no private key: remove it")]
    PrivateKey(PathBuf),
    /// The store was made by a newer kiln whose format this one does not know.
    #[error("store {path:?} has format {found}; this kiln knows up to {known}: use a newer kiln")]
    Format {
        /// The store.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format known here.
        known: u32,
    },
    /// The database was changed by a newer kiln.
    #[error(
        "the store's database has schema {found}; this kiln knows up to {known}: use a newer kiln"
    )]
    Schema {
        /// Its schema.
        found: u32,
        /// The newest schema known here.
        known: u32,
    },
    /// The store uses features without which it cannot be read.
    #[error("store {path:?} needs features that this kiln lacks: {}", features.join(", "))]
    Features {
        /// The store.
        path: PathBuf,
        /// Their names.
        features: Vec<String>,
    },
    /// The store uses features without which it cannot be changed.
    #[error("store {path:?} can only be read: this kiln lacks {}", features.join(", "))]
    ReadOnly {
        /// The store.
        path: PathBuf,
        /// Their names.
        features: Vec<String>,
    },
    /// The store lies on a file system on which a shared database would be corrupted.
    #[error(
        "store {path:?} is on {kind}, where several machines can write: use a local file system"
    )]
    FileSystem {
        /// The store.
        path: PathBuf,
        /// The kind of file system.
        kind: &'static str,
    },
    /// A live process holds a lease.
    #[error("store {0:?} is in use")]
    InUse(PathBuf),
    /// Bytes are not those that the digest names.
    #[error("digest mismatch: expected {expected}, found {found}")]
    DigestMismatch {
        /// The digest that was expected.
        expected: Digest,
        /// That of the bytes.
        found: Digest,
    },
    /// There are fewer or more bytes than were announced.
    #[error("size mismatch of {digest}: expected {expected} bytes, found {found}")]
    SizeMismatch {
        /// The blob.
        digest: Digest,
        /// The size that was expected.
        expected: u64,
        /// The size found; at least this many when writing was stopped.
        found: u64,
    },
    /// A blob is larger than the caller is ready to hold in memory.
    #[error("blob {digest} of {size} bytes is over the limit of {limit}")]
    TooLarge {
        /// The blob.
        digest: Digest,
        /// Its size.
        size: u64,
        /// The caller's limit.
        limit: u64,
    },
    /// The blob is not in the store.
    #[error("blob {0} is not in the store")]
    MissingBlob(Digest),
    /// The layer is not in the store.
    #[error("layer {0} is not in the store")]
    MissingLayer(LayerId),
    /// No container has this ID or name.
    #[error("no such container: {0}")]
    MissingContainer(String),
    /// The container name belongs to another container.
    #[error("the container name {name:?} is already in use by container {id:?}")]
    ContainerName {
        /// The name.
        name: String,
        /// Who has it.
        id: String,
    },
    /// The container ID is taken or cannot name a directory.
    #[error("invalid or used container id {0:?}")]
    ContainerId(String),
    /// A row of the database does not have the form that kiln writes.
    #[error("corrupt {table} row: {detail}")]
    CorruptRow {
        /// The table.
        table: &'static str,
        /// What is wrong.
        detail: String,
    },
    /// A document in the store cannot be read, so what it keeps alive is unknown.
    #[error("cannot read document {digest} that image {reference:?} needs")]
    Document {
        /// The blob.
        digest: Digest,
        /// The image.
        reference: String,
        /// What the parser says.
        #[source]
        source: oci::DocumentError,
    },
    /// A document to be written cannot be expressed in JSON.
    #[error("cannot write a document as JSON")]
    Json(#[from] serde_json::Error),
}

/// Says what was tried on `path` when it fails.
pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> StoreError {
    move |source| StoreError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}
