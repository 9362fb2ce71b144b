//! The files that a checksum covers, to be compared with those of another one.

use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::record;
use super::walk::{self, Detail, Found, Node};

/// Files by path, each with what counts of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    files: Vec<Listed>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Listed {
    path: PathBuf,
    kind: u8,
    mode: u32,
    uid: u32,
    gid: u32,
    /// The beginning of the checksum of the rest: content, target, attributes.
    rest: [u8; 16],
}

/// A file that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which.
    pub path: PathBuf,
    /// What happened to it.
    pub what: What,
}

/// What happened to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// It was not there.
    Added,
    /// It is not there any more.
    Removed,
    /// It is a file of another kind.
    Kind,
    /// Its content, target or attributes are others.
    Content,
    /// Its permissions are others.
    Mode {
        /// What they were.
        before: u32,
        /// What they are.
        now: u32,
    },
    /// Its owner or group is another one; each by number.
    Owner {
        /// Who they were.
        before: (u32, u32),
        /// Who they are.
        now: (u32, u32),
    },
}

impl Listing {
    pub(super) fn of(found: &[Found]) -> Self {
        let mut files = Vec::new();
        for found in found {
            let listed = walk::each(found, &mut |path, node| {
                files.push(Listed::of(path, node));
                Ok::<(), std::convert::Infallible>(())
            });
            match listed {
                Ok(()) => {}
                Err(never) => match never {},
            }
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Self { files }
    }

    /// How many files there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// What is not as in `earlier`, by path.
    #[must_use]
    pub fn changes(&self, earlier: &Self) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut tell = |file: &Listed, what| {
            changes.push(Change {
                path: file.path.clone(),
                what,
            });
        };
        let mut before = earlier.files.iter().peekable();
        for file in &self.files {
            while let Some(gone) = before.next_if(|gone| gone.path < file.path) {
                tell(gone, What::Removed);
            }
            match before.next_if(|before| before.path == file.path) {
                None => tell(file, What::Added),
                Some(before) => {
                    if let Some(what) = file.change(before) {
                        tell(file, what);
                    }
                }
            }
        }
        before.for_each(|gone| tell(gone, What::Removed));
        changes
    }

    /// As bytes that [`Listing::from_bytes`] reads.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.files.len() * 64);
        for file in &self.files {
            let path = file.path.as_os_str().as_bytes();
            let length = u32::try_from(path.len()).unwrap_or(u32::MAX);
            for number in [length, file.mode, file.uid, file.gid] {
                bytes.extend_from_slice(&number.to_le_bytes());
            }
            bytes.push(file.kind);
            bytes.extend_from_slice(&file.rest);
            bytes.extend_from_slice(path);
        }
        bytes
    }

    /// Reads what [`Listing::to_bytes`] wrote; none for anything else.
    #[must_use]
    pub fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        let mut files = Vec::new();
        while !bytes.is_empty() {
            let mut number = || -> Option<u32> {
                let (number, rest) = bytes.split_first_chunk()?;
                bytes = rest;
                Some(u32::from_le_bytes(*number))
            };
            let (length, mode, uid, gid) = (number()?, number()?, number()?, number()?);
            let (kind, rest) = bytes.split_first()?;
            let (checksum, rest) = rest.split_first_chunk()?;
            let (path, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
            bytes = rest;
            files.push(Listed {
                path: PathBuf::from(std::ffi::OsString::from_vec(path.to_vec())),
                kind: *kind,
                mode,
                uid,
                gid,
                rest: *checksum,
            });
        }
        Some(Self { files })
    }
}

impl Listed {
    fn of(path: &Path, node: &Node) -> Self {
        let mut hasher = blake3::Hasher::new();
        match &node.detail {
            Detail::Content(checksum) => {
                hasher.update(&checksum.unwrap_or_default());
            }
            Detail::Target(target) => {
                hasher.update(target.as_os_str().as_bytes());
            }
            Detail::Node(xattrs) => {
                hasher.update(&node.device.major.to_le_bytes());
                hasher.update(&node.device.minor.to_le_bytes());
                record::xattrs(&mut hasher, xattrs);
            }
            Detail::Directory(xattrs, _) => record::xattrs(&mut hasher, xattrs),
        }
        let mut rest = [0; 16];
        hasher.finalize_xof().fill(&mut rest);
        Self {
            path: path.to_owned(),
            kind: record::kind(node.kind),
            mode: node.mode,
            uid: node.uid,
            gid: node.gid,
            rest,
        }
    }

    fn change(&self, before: &Self) -> Option<What> {
        if self.kind != before.kind {
            Some(What::Kind)
        } else if self.rest != before.rest {
            Some(What::Content)
        } else if self.mode != before.mode {
            Some(What::Mode {
                before: before.mode,
                now: self.mode,
            })
        } else if (self.uid, self.gid) != (before.uid, before.gid) {
            Some(What::Owner {
                before: (before.uid, before.gid),
                now: (self.uid, self.gid),
            })
        } else {
            None
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_os_str().is_empty() {
            true => f.write_str("/")?,
            false => write!(f, "{}", self.path.display())?,
        }
        match self.what {
            What::Added => f.write_str(" is new"),
            What::Removed => f.write_str(" is gone"),
            What::Kind => f.write_str(" is a file of another kind"),
            What::Content => f.write_str(" has other content"),
            What::Mode { before, now } => write!(f, " has mode {now:04o}, not {before:04o}"),
            What::Owner { before, now } => {
                let ((uid, gid), (new_uid, new_gid)) = (before, now);
                write!(f, " has owner {new_uid}:{new_gid}, not {uid}:{gid}")
            }
        }
    }
}
