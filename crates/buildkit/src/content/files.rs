//! Files by path, in BuildKit's order.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use oci::Digest;

/// What kind of file one is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    Regular,
    /// A symbolic link to this path.
    Symlink(String),
    /// A directory.
    Directory,
    /// A character device.
    Character,
    /// A block device.
    Block,
    /// A named pipe.
    Fifo,
}

/// What is known of a file without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// Its kind.
    pub kind: FileKind,
    /// The bits that `chmod(2)` sets.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes of a regular file.
    pub size: u64,
    /// Major and minor number of a device.
    pub device: (u32, u32),
    /// Extended attributes.
    pub attributes: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Files by path.
#[derive(Debug)]
pub struct Files {
    /// Paths have `\0` for `/`; a directory's own header is at its path and one more `\0`.
    pub(super) nodes: BTreeMap<Vec<u8>, Node>,
}

/// What is at a path.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) what: What,
    pub(super) digest: OnceCell<Digest>,
}

#[derive(Debug)]
pub(super) enum What {
    /// A directory as what is in it.
    Directory,
    /// A directory's own header; that of the root of a context is empty.
    Header(Option<Meta>),
    /// Any other file.
    File(Meta),
}

impl Node {
    fn new(what: What) -> Self {
        Self {
            what,
            digest: OnceCell::new(),
        }
    }
}

impl Files {
    /// No files but the root, which has this header. The root of a client's directory has none.
    #[must_use]
    pub fn new(root: Option<Meta>) -> Self {
        let nodes = [
            (Vec::new(), Node::new(What::Directory)),
            (vec![0], Node::new(What::Header(root))),
        ];
        Self {
            nodes: BTreeMap::from(nodes),
        }
    }

    /// Adds the file at `path`, which starts with a slash.
    pub fn add(&mut self, path: &str, meta: Meta) {
        let mut key = key_of(path);
        if meta.kind == FileKind::Directory {
            self.nodes.insert(key.clone(), Node::new(What::Directory));
            key.push(0);
            self.nodes.insert(key, Node::new(What::Header(Some(meta))));
        } else {
            self.nodes.insert(key, Node::new(What::File(meta)));
        }
    }
}

/// The key of a path; the root's is empty.
pub(super) fn key_of(path: &str) -> Vec<u8> {
    let path = if path == "/" { "" } else { path };
    let zero = |byte| if byte == b'/' { 0 } else { byte };
    path.bytes().map(zero).collect()
}

/// The path of a key.
pub(super) fn path_of(key: &[u8]) -> String {
    let slash = |byte: &u8| if *byte == 0 { b'/' } else { *byte };
    String::from_utf8_lossy(&key.iter().map(slash).collect::<Vec<_>>()).into_owned()
}
