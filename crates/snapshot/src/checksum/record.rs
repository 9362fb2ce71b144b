//! The bytes that a checksum is of. Every part says how long it is, so that no two trees give the
//! same bytes.

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;

use super::walk::{Detail, Found, Node};
use super::{Checksum, Selection};
use crate::Kind;
use crate::tar::Xattr;

/// Changes when what is covered, or how, changes.
const VERSION: &[u8] = b"kiln content 1\n";

/// Puts what was found into one checksum.
#[derive(Debug)]
pub(super) struct Recorder {
    hasher: blake3::Hasher,
    /// Bytes on their way to the hasher, which likes them in large pieces.
    buffer: Vec<u8>,
    /// Files with several names, by the order in which they were first met.
    names: HashMap<(u64, u64), u64>,
}

impl Recorder {
    pub(super) fn new() -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(VERSION);
        Self {
            hasher,
            buffer: Vec::with_capacity(64 * 1024),
            names: HashMap::new(),
        }
    }

    pub(super) fn selection(&mut self, found: &Found, selection: &Selection) {
        let has_names = selection.selector.is_pattern();
        self.number(found.roots.len() as u64);
        for root in &found.roots {
            if has_names {
                self.bytes(root.path.as_os_str().as_bytes());
            }
            let is_directory = root.node.kind == Kind::Directory;
            self.node(&root.node, !(is_directory && selection.directory_contents));
        }
    }

    pub(super) fn finish(mut self) -> Checksum {
        self.hasher.update(&self.buffer);
        Checksum(*self.hasher.finalize().as_bytes())
    }

    fn node(&mut self, node: &Node, has_own: bool) {
        self.buffer.push(kind(node.kind));
        if has_own {
            for number in [node.mode, node.uid, node.gid] {
                self.number(u64::from(number));
            }
        }
        match &node.detail {
            Detail::Content(checksum) => {
                self.buffer.extend_from_slice(&checksum.unwrap_or_default());
                self.name_of(node);
            }
            Detail::Target(target) => {
                self.bytes(target.as_os_str().as_bytes());
                self.name_of(node);
            }
            Detail::Node(xattrs) => {
                self.number(u64::from(node.device.major));
                self.number(u64::from(node.device.minor));
                self.xattrs(xattrs);
                self.name_of(node);
            }
            Detail::Directory(xattrs, nodes) => {
                if has_own {
                    self.xattrs(xattrs);
                }
                self.number(nodes.len() as u64);
                for node in nodes {
                    let name = node.entry.as_ref().map(|entry| entry.name.as_bytes());
                    self.bytes(name.unwrap_or_default());
                    self.node(node, true);
                }
            }
        }
        if self.buffer.len() > 60 * 1024 {
            self.hasher.update(&self.buffer);
            self.buffer.clear();
        }
    }

    /// Which of the names met before is the same file. Files that have further names only elsewhere
    /// are like those with one.
    fn name_of(&mut self, node: &Node) {
        let mut first = None;
        if node.links > 1 {
            let next = self.names.len() as u64 + 1;
            match self.names.entry((node.file.device, node.file.inode)) {
                std::collections::hash_map::Entry::Occupied(known) => first = Some(*known.get()),
                std::collections::hash_map::Entry::Vacant(new) => {
                    new.insert(next);
                }
            }
        }
        self.number(first.unwrap_or(0));
    }

    fn xattrs(&mut self, list: &[Xattr]) {
        let mut own = blake3::Hasher::new();
        xattrs(&mut own, list);
        self.buffer.extend_from_slice(own.finalize().as_bytes());
    }

    fn number(&mut self, number: u64) {
        self.buffer.extend_from_slice(&number.to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.buffer.extend_from_slice(bytes);
    }
}

/// Adds extended attributes to a hasher.
pub(super) fn xattrs(hasher: &mut blake3::Hasher, xattrs: &[Xattr]) {
    hasher.update(&(xattrs.len() as u64).to_le_bytes());
    for xattr in xattrs {
        for part in [&xattr.name, &xattr.value] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
    }
}

/// The letter of a kind.
pub(super) const fn kind(kind: Kind) -> u8 {
    match kind {
        Kind::File => b'f',
        Kind::Directory => b'd',
        Kind::Symlink => b'l',
        Kind::Character => b'c',
        Kind::Block => b'b',
        Kind::Fifo => b'p',
        Kind::Socket => b's',
    }
}
