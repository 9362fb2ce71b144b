//! What a client offers to its build: traits that are implemented by whoever has it.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use zeroize::Zeroizing;

/// What is offered.
#[derive(Debug, Default)]
pub struct Offers {
    /// What the directories are known by from one build to the next; whoever knows it may see what
    /// was sent. Nothing if they are not.
    pub shared_key: String,
    /// Directories by the names that the request has for them.
    pub directories: HashMap<String, Arc<dyn Directory>>,
    /// Secrets, if there are any.
    pub secrets: Option<Arc<dyn Secrets>>,
    /// SSH agents by their names.
    pub agents: HashMap<String, Arc<dyn Agent>>,
    /// Credentials of registries.
    pub credentials: Option<Arc<dyn Credentials>>,
    /// Where what is exported goes, by the places of the exporters in the request.
    pub outputs: HashMap<usize, Arc<dyn Output>>,
    /// Bytes that the daemon takes from a URL, by its path.
    pub uploads: HashMap<String, Bytes>,
    /// Stores of blobs by what the daemon calls them.
    pub stores: HashMap<String, Arc<dyn Store>>,
}

/// Which files of a directory are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// The directory's name.
    pub directory: String,
    /// Patterns of what alone is wanted; all when there are none.
    pub include: Vec<String>,
    /// Only these, and what they lead to when they are symlinks; all when there are none.
    pub follow: Vec<String>,
    /// Patterns of what is left out.
    pub exclude: Vec<String>,
}

/// Has files.
pub trait Directory: Debug + Send + Sync {
    /// The files that are wanted: a directory before what is in it, and that by name. May block.
    ///
    /// # Errors
    /// They cannot be read.
    fn files(&self, selection: &Selection) -> io::Result<Files>;

    /// Where it is, for a daemon that sees the same directory there and may read it; nothing if it
    /// is on no disk. May block.
    fn located(&self) -> Option<Located> {
        None
    }
}

/// A directory of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// Where this process has it.
    pub path: PathBuf,
    /// What the daemon knows it by, if that is kiln.
    pub mark: String,
}

/// Files of a directory.
pub struct Files {
    /// In order.
    pub all: Box<dyn Iterator<Item = io::Result<Offered>> + Send>,
    /// When the directory itself was last changed, in nanoseconds since 1970.
    pub modified: i64,
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// Its path in the directory.
    pub path: PathBuf,
    /// What it is.
    pub kind: Kind,
    /// Permissions, with the set-user-ID, set-group-ID and sticky bits.
    pub mode: u32,
    /// When it was last changed, in nanoseconds since 1970.
    pub modified: i64,
    /// Its extended attributes.
    pub attributes: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// What a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A file of so many bytes, and where they are.
    File(u64, Content),
    /// The same file as that at an earlier path.
    Link(PathBuf),
    /// What comes next may be in it.
    Directory,
    /// With what it leads to.
    Symlink(PathBuf),
    /// A named pipe.
    Fifo,
    /// With its major and minor numbers.
    CharDevice(u32, u32),
    /// With its major and minor numbers.
    BlockDevice(u32, u32),
}

/// Where the bytes of a file are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// In this file.
    File(PathBuf),
    /// Here.
    Bytes(Arc<[u8]>),
}

/// Has secrets.
pub trait Secrets: Debug + Send + Sync {
    /// The secret under `id`; none when there is none. May block.
    ///
    /// # Errors
    /// It cannot be read.
    fn get(&self, id: &str) -> io::Result<Option<Secret>>;
}

/// Bytes that are wiped when nobody needs them any more.
pub type Secret = Zeroizing<Vec<u8>>;

/// An SSH agent.
pub trait Agent: Debug + Send + Sync {
    /// A connection to it.
    ///
    /// # Errors
    /// It does not answer.
    fn connect(&self) -> io::Result<UnixStream>;
}

/// Has credentials of registries.
pub trait Credentials: Debug + Send + Sync {
    /// Those for `host`; empty ones when there are none.
    fn lookup(&self, host: String) -> BoxFuture<'_, Result<Login, String>>;
}

/// What a registry is told.
#[derive(Default)]
pub struct Login {
    /// The user; nobody when the secret is a token.
    pub username: String,
    /// The password or token.
    pub secret: Zeroizing<String>,
}

/// A place for what is exported.
pub trait Output: Debug + Send + Sync {
    /// Begins to take it.
    ///
    /// # Errors
    /// The place cannot be written.
    fn begin(&self) -> io::Result<Box<dyn Sink>>;
}

/// Has blobs by their digests, and takes more.
pub trait Store: Debug + Send + Sync {
    /// A blob; none when it is not there.
    ///
    /// # Errors
    /// It is no digest, or cannot be read.
    fn open(&self, digest: &str) -> io::Result<Option<File>>;

    /// Begins to take a blob, whose bytes are to have this digest.
    ///
    /// # Errors
    /// It is no digest, or there is no place for it.
    fn begin(&self, digest: &str) -> io::Result<Box<dyn Sink>>;
}

/// Takes what is exported. Dropped without [`Sink::finish`], something is missing. May block.
pub trait Sink: Write + Send {
    /// All was written.
    ///
    /// # Errors
    /// It is not what it should be, or cannot be kept.
    fn finish(self: Box<Self>) -> io::Result<()>;
}

/// Bytes that are sent once.
pub struct Bytes(Mutex<Option<Box<dyn Read + Send>>>);

impl Bytes {
    /// What `read` gives.
    pub fn new(read: impl Read + Send + 'static) -> Self {
        Self(Mutex::new(Some(Box::new(read))))
    }

    /// The bytes; none the second time.
    pub(crate) fn take(&self) -> Option<Box<dyn Read + Send>> {
        let mut bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bytes.take()
    }
}

impl filesync::Content for Content {
    fn open(self) -> io::Result<Box<dyn Read + Send>> {
        Ok(match self {
            Self::File(path) => Box::new(File::open(path)?),
            Self::Bytes(bytes) => Box::new(io::Cursor::new(bytes)),
        })
    }
}

impl Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Login(…)")
    }
}

impl Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Files(…)")
    }
}

impl Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bytes(…)")
    }
}
