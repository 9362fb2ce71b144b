//! Tar archives: a reader for what others wrote, and a writer whose bytes are always the same.
//!
//! The reader takes V7, ustar, PAX and GNU archives with long names, large numbers and sparse files.
//! Its input is hostile: every size is checked before it is used, names and extended headers are
//! bounded, and where formats disagree the meaning is the one that Go's `archive/tar` (and with it
//! the container tools) gives, so that nobody sees another file than we do.
//!
//! The writer writes ustar, and PAX records only for what ustar cannot say. Equal headers give equal
//! bytes, which are those that Go's writer makes of the same header.

mod block;
mod pax;
mod reader;
mod sparse;
mod writer;

use std::io;
use std::path::PathBuf;

use sys::node::Device;

use crate::Time;

pub use reader::{Chunk, Reader};
pub use writer::Writer;

/// One member of an archive, without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Its name as written; the writer ends a directory's with `/`.
    pub path: PathBuf,
    /// What it is.
    pub kind: EntryKind,
    /// The permission bits, set-user-ID and the like included.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// Bytes of content, holes included.
    pub size: u64,
    /// Last change of the content.
    pub modified: Time,
    /// Extended attributes, by name.
    pub xattrs: Vec<Xattr>,
}

/// An extended attribute.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Xattr {
    /// Its name with the namespace, such as `user.mime_type`.
    pub name: Vec<u8>,
    /// Its value.
    pub value: Vec<u8>,
}

/// What a member is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link to this.
    Symlink(PathBuf),
    /// Another name of an earlier member.
    Link(PathBuf),
    /// A character device.
    Character(Device),
    /// A block device.
    Block(Device),
    /// A named pipe.
    Fifo,
}

/// Why an archive cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TarError {
    /// Reading or writing failed.
    #[error("tar stream")]
    Io(#[from] io::Error),
    /// The archive ends inside a member or before its end mark.
    #[error("tar archive ends early")]
    Truncated,
    /// A header block whose checksum is wrong: no tar archive, or one out of step.
    #[error("invalid tar header: wrong checksum")]
    Checksum,
    /// A zero block with something other than the end behind it.
    #[error("invalid tar archive: data after a lone zero block")]
    LoneZeroBlock,
    /// A number that is malformed, negative or too large.
    #[error("invalid tar header: {field} {value:?}")]
    Number {
        /// Of what.
        field: &'static str,
        /// The bytes, as text.
        value: String,
    },
    /// A malformed record of an extended header.
    #[error("invalid tar extended header: {0}")]
    Pax(&'static str),
    /// A malformed map of a sparse file.
    #[error("invalid tar sparse map: {0}")]
    Sparse(&'static str),
    /// Something is longer than is accepted.
    #[error("tar {what} of {size} bytes: at most {limit} are accepted")]
    TooLong {
        /// What.
        what: &'static str,
        /// How long.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// A kind of member that has no meaning in a file system.
    #[error("unsupported tar entry type {flag:?} of {path}")]
    Type {
        /// The type flag.
        flag: char,
        /// The member.
        path: PathBuf,
    },
    /// Something that the format cannot hold.
    #[error("cannot write {path} to a tar archive: {what}")]
    Unwritable {
        /// The member.
        path: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
    /// More or fewer bytes were written than the header announced.
    #[error("tar member {path}: {written} bytes instead of {size}")]
    ContentSize {
        /// The member.
        path: PathBuf,
        /// What the header says.
        size: u64,
        /// What came.
        written: u64,
    },
}
