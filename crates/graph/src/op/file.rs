//! Ops that copy, make and remove files without running a process.
//!
//! Actions run in order. Each works on a file system (`input`: an input of the vertex, what an
//! earlier action made, or nothing) and may read from a second one. Paths are absolute in the
//! file system that they name; symbolic links never lead out of it.

use crate::content_hash::{ContentHash, ContentHasher, content_hash_struct};

/// Copies, makes and removes files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileOp {
    /// In the order in which they run.
    pub actions: Vec<FileAction>,
}

/// One change of a file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileAction {
    /// What is changed.
    pub input: FileInput,
    /// What is done to it.
    pub kind: FileActionKind,
    /// The output that the result becomes; none when only later actions use it.
    pub output: Option<u32>,
}

/// A file system that an action works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileInput {
    /// Nothing.
    Scratch,
    /// Input of the vertex with this index.
    Input(u32),
    /// What the action with this index made.
    Action(u32),
}

/// What is done to a file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileActionKind {
    /// Copies files from another one.
    Copy(Copy),
    /// Writes a file.
    Mkfile(Mkfile),
    /// Makes a directory.
    Mkdir(Mkdir),
    /// Removes files.
    Remove(Remove),
    /// Makes a symbolic link.
    Symlink(Symlink),
}

/// Copies files from `from`. One `COPY` with several sources is several of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// Where the files are.
    pub from: FileInput,
    /// Absolute path or wildcard there.
    pub source: String,
    /// Absolute path; a trailing slash makes it a directory.
    pub destination: String,
    /// Owner of the copies and of directories made on the way; as in the source when none.
    pub owner: Option<Owner>,
    /// Permission bits of the copies; as in the source when none.
    pub mode: Option<Chmod>,
    /// A symbolic link named by `source` is followed, not copied.
    pub follow_links: bool,
    /// A source directory stands for its content.
    pub directory_contents: bool,
    /// `source` is a pattern (`*`, `?`, `[…]`).
    pub wildcard: bool,
    /// A pattern without a match is no error.
    pub allow_empty_wildcard: bool,
    /// Make missing directories of `destination`.
    pub create_destination: bool,
    /// Unpack an archive instead of copying it (`ADD`).
    pub unpack: bool,
    /// Keep the directories of `source` beneath `destination` (`--parents`), from the part after
    /// `/./` on when there is one.
    pub parents: bool,
    /// Patterns, relative to the copied directory, of what alone is copied, with the directories on
    /// the way; everything when there are none.
    pub include: Vec<String>,
    /// Patterns, relative to the copied directory, of what is left out.
    pub exclude: Vec<String>,
    /// The time of what is made; that of the source when none, or of now for what has no source.
    pub created: Option<Timestamp>,
}

impl Copy {
    /// Copies what is at `source`, as it is, into a directory that is made when it is missing.
    #[must_use]
    pub const fn plain(from: FileInput, source: String, destination: String) -> Self {
        Self {
            from,
            source,
            destination,
            owner: None,
            mode: None,
            follow_links: false,
            directory_contents: false,
            wildcard: false,
            allow_empty_wildcard: false,
            create_destination: true,
            unpack: false,
            parents: false,
            include: Vec::new(),
            exclude: Vec::new(),
            created: None,
        }
    }
}

/// Writes a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mkfile {
    /// Absolute path.
    pub path: String,
    /// What it holds.
    pub data: Vec<u8>,
    /// Permission bits.
    pub mode: u32,
    /// Owner; root when none.
    pub owner: Option<Owner>,
    /// Its time; that of making it when none.
    pub created: Option<Timestamp>,
}

/// Makes a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mkdir {
    /// Absolute path.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// Missing parents are made too and an existing directory is no error.
    pub parents: bool,
    /// Owner; root when none.
    pub owner: Option<Owner>,
    /// Its time, and that of parents that are made; that of making them when none.
    pub created: Option<Timestamp>,
}

/// Makes a symbolic link where there is nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Symlink {
    /// Absolute path of the link.
    pub path: String,
    /// What it says, as it is.
    pub target: String,
    /// Owner; root when none.
    pub owner: Option<Owner>,
    /// Its time; that of making it when none.
    pub created: Option<Timestamp>,
}

/// A time of a file: nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub i64);

/// Removes files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remove {
    /// Absolute path or wildcard.
    pub path: String,
    /// A missing path is no error.
    pub allow_missing: bool,
    /// `path` is a pattern.
    pub wildcard: bool,
}

/// New permission bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chmod {
    /// These bits.
    Octal(u32),
    /// Changes such as `u=rwX,go=rX` (chmod(1)).
    Symbolic(String),
}

/// Owner and group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Owner; root when none.
    pub user: Option<OwnerName>,
    /// Group; the user's own number when none, as Docker has it.
    pub group: Option<OwnerName>,
}

/// A user or group by number, or by a name to be looked up in the changed file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnerName {
    /// By number.
    Id(u32),
    /// By name, looked up in `/etc/passwd` or `/etc/group`.
    Name(String),
}

impl ContentHash for FileInput {
    fn feed(&self, hasher: &mut ContentHasher) {
        let (variant, index) = match self {
            Self::Scratch => (0, 0),
            Self::Input(index) => (1, *index),
            Self::Action(index) => (2, *index),
        };
        hasher.number(variant);
        hasher.number(u64::from(index));
    }
}

impl ContentHash for FileActionKind {
    fn feed(&self, hasher: &mut ContentHasher) {
        match self {
            Self::Copy(copy) => {
                hasher.number(0);
                copy.feed(hasher);
            }
            Self::Mkfile(file) => {
                hasher.number(1);
                file.feed(hasher);
            }
            Self::Mkdir(directory) => {
                hasher.number(2);
                directory.feed(hasher);
            }
            Self::Remove(remove) => {
                hasher.number(3);
                remove.feed(hasher);
            }
            Self::Symlink(link) => {
                hasher.number(4);
                link.feed(hasher);
            }
        }
    }
}

impl ContentHash for Mkfile {
    fn feed(&self, hasher: &mut ContentHasher) {
        let Self {
            path,
            data,
            mode,
            owner,
            created,
        } = self;
        path.feed(hasher);
        hasher.bytes(data);
        mode.feed(hasher);
        owner.feed(hasher);
        created.feed(hasher);
    }
}

impl ContentHash for Timestamp {
    fn feed(&self, hasher: &mut ContentHasher) {
        self.0.feed(hasher);
    }
}

impl ContentHash for Chmod {
    fn feed(&self, hasher: &mut ContentHasher) {
        match self {
            Self::Octal(bits) => {
                hasher.number(0);
                bits.feed(hasher);
            }
            Self::Symbolic(changes) => {
                hasher.number(1);
                changes.feed(hasher);
            }
        }
    }
}

impl ContentHash for OwnerName {
    fn feed(&self, hasher: &mut ContentHasher) {
        match self {
            Self::Id(id) => {
                hasher.number(0);
                id.feed(hasher);
            }
            Self::Name(name) => {
                hasher.number(1);
                name.feed(hasher);
            }
        }
    }
}

content_hash_struct!(FileOp { actions });
content_hash_struct!(FileAction {
    input,
    kind,
    output
});
content_hash_struct!(Copy {
    from,
    source,
    destination,
    owner,
    mode,
    follow_links,
    directory_contents,
    wildcard,
    allow_empty_wildcard,
    create_destination,
    unpack,
    parents,
    include,
    exclude,
    created,
});
content_hash_struct!(Mkdir {
    path,
    mode,
    parents,
    owner,
    created
});
content_hash_struct!(Symlink {
    path,
    target,
    owner,
    created
});
content_hash_struct!(Remove {
    path,
    allow_missing,
    wildcard
});
content_hash_struct!(Owner { user, group });
