//! Ops that bring something in.

use std::collections::BTreeMap;

use oci::{Digest, Platform, Reference};
use serde::{Deserialize, Serialize};

use crate::content_hash::{
    ContentHash, ContentHasher, content_hash_plain_enum, content_hash_struct,
};

/// Brings something in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceOp {
    /// The file system of an image.
    Image(ImageSource),
    /// Files that the client offers.
    Local(LocalSource),
    /// A git repository's tree.
    Git(GitSource),
    /// One file from a URL.
    Http(HttpSource),
    /// The files of an archive.
    Archive(ArchiveSource),
}

/// The file system of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageSource {
    /// Its name; with a digest once it was resolved.
    pub reference: Reference,
    /// Which of the images under that name.
    pub platform: Platform,
    /// Whether the registry is asked for a newer one.
    pub pull: PullPolicy,
}

/// When a registry is asked about an image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum PullPolicy {
    /// Only when the image is not in the store.
    #[default]
    Missing,
    /// Every time.
    Always,
    /// Every time, but the image in the store serves when the registry cannot be reached.
    Newer,
    /// Not at all.
    Never,
}

/// Files that the client offers under a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalSource {
    /// `context`, `dockerfile`, or the name of a further context.
    pub name: String,
    /// Patterns of what alone is part of the source, with the directories on the way; everything
    /// when there are none.
    pub include: Vec<String>,
    /// Patterns of `.dockerignore`, in order; what they exclude is not part of the source.
    pub exclude: Vec<String>,
    /// Paths that alone are part of the source, with what symbolic links on the way lead to;
    /// everything when there are none.
    pub follow: Vec<String>,
}

/// A git repository's tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitSource {
    /// Where it is.
    pub url: String,
    /// Branch, tag, commit or full ref; the default branch when none.
    pub reference: Option<String>,
    /// The directory within it that is wanted.
    pub subdirectory: Option<String>,
    /// Keep `.git`.
    pub keep_git_directory: bool,
    /// The commit that must be found; its beginning suffices.
    pub checksum: Option<String>,
    /// With the trees of its submodules.
    pub submodules: bool,
    /// Keys of hosts that are reached by SSH, in the form of `known_hosts`, which alone are spoken to
    /// then. They say who is asked and not what is found, so they are in no digest.
    pub known_hosts: Option<String>,
}

/// One file from a URL.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HttpSource {
    /// Where it is.
    pub url: String,
    /// What it must be.
    pub checksum: Option<Digest>,
    /// The name that the file gets.
    pub file_name: String,
    /// Permission bits of the file; `0600` when none.
    pub mode: Option<u32>,
    /// Owner of the file; root when none.
    pub uid: Option<u32>,
    /// Group of the file; root when none.
    pub gid: Option<u32>,
    /// Header fields that the server is asked with, by their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The client's secret that is the value of `Authorization`; those for the host when none.
    pub secret: Option<String>,
}

/// The files of a tar, compressed or not, that the builder has as a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveSource {
    /// The blob.
    pub digest: Digest,
}

impl ContentHash for SourceOp {
    fn feed(&self, hasher: &mut ContentHasher) {
        match self {
            Self::Image(source) => {
                hasher.number(0);
                source.feed(hasher);
            }
            Self::Local(source) => {
                hasher.number(1);
                source.feed(hasher);
            }
            Self::Git(source) => {
                hasher.number(2);
                source.feed(hasher);
            }
            Self::Http(source) => {
                hasher.number(3);
                source.feed(hasher);
            }
            Self::Archive(source) => {
                hasher.number(4);
                source.feed(hasher);
            }
        }
    }
}

content_hash_plain_enum!(PullPolicy);
content_hash_struct!(ImageSource {
    reference,
    platform,
    pull
});
content_hash_struct!(LocalSource {
    name,
    include,
    exclude,
    follow
});
impl ContentHash for GitSource {
    fn feed(&self, hasher: &mut ContentHasher) {
        let Self {
            url,
            reference,
            subdirectory,
            keep_git_directory,
            checksum,
            submodules,
            known_hosts: _,
        } = self;
        url.feed(hasher);
        reference.feed(hasher);
        subdirectory.feed(hasher);
        keep_git_directory.feed(hasher);
        checksum.feed(hasher);
        submodules.feed(hasher);
    }
}
content_hash_struct!(ArchiveSource { digest });
content_hash_struct!(HttpSource {
    url,
    checksum,
    file_name,
    mode,
    uid,
    gid,
    headers,
    secret
});
