//! Finds what a checksum covers, and reads what is not known of it yet.
//!
//! No directory stays open longer than it is read: on the way back to the files whose content is
//! needed it is opened again.

use std::io::Read;
use std::path::{Path, PathBuf};

use rayon::ThreadPool;
use rayon::prelude::*;
use store::FileStat;
use sys::node::Device;

use super::{ChecksumError, Selection};
use crate::file::{FileError, failed};
use crate::select::{Selected, Target};
use crate::tar::Xattr;
use crate::{Dir, Entry, Kind, Stat, Tree, marks};

/// What is read of a file at once.
const BUFFER: usize = 64 * 1024;

/// Names of one directory that are worth a task of their own.
const GRAIN: usize = 64;

/// What one selection found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) roots: Vec<Root>,
}

/// A selected file, or a directory with all that is in it.
#[derive(Debug)]
pub(super) struct Root {
    pub(super) path: PathBuf,
    pub(super) node: Node,
    /// Where it is: the directory itself, or the one that it is in.
    dir: Dir,
}

/// A file.
#[derive(Debug)]
pub(super) struct Node {
    /// In its directory; none for a selected directory.
    pub(super) entry: Option<Entry>,
    pub(super) kind: Kind,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) links: u32,
    pub(super) device: Device,
    pub(super) file: FileStat,
    pub(super) detail: Detail,
}

/// What else there is to a file.
#[derive(Debug)]
pub(super) enum Detail {
    /// The checksum of a regular file's attributes and content, once it is known.
    Content(Option<[u8; 32]>),
    /// Where a link leads.
    Target(PathBuf),
    /// A directory's attributes and what is in it, by name.
    Directory(Vec<Xattr>, Vec<Node>),
    /// The attributes of a device or pipe.
    Node(Vec<Xattr>),
}

/// Walks over a tree.
#[derive(Debug, Clone, Copy)]
pub(super) struct Walker<'a> {
    tree: &'a Tree,
    pool: Option<&'a ThreadPool>,
}

impl<'a> Walker<'a> {
    pub(super) const fn new(tree: &'a Tree, pool: Option<&'a ThreadPool>) -> Self {
        Self { tree, pool }
    }

    pub(super) fn find(&self, selection: &Selection) -> Result<Found, ChecksumError> {
        let selected = selection.selector.select(self.tree)?;
        let roots = selected
            .into_iter()
            .map(|Selected { path, target }| {
                let (node, dir) = match target {
                    Target::Directory(dir) => (self.directory(&dir, None)?, dir),
                    Target::File(dir, entry, _) => (self.node(&dir, entry)?, dir),
                };
                Ok(Root { path, node, dir })
            })
            .collect::<Result<_, FileError>>()?;
        Ok(Found { roots })
    }

    /// Reads the content of all files whose checksum is not known.
    pub(super) fn hash(&self, found: &mut [Found]) -> Result<(), FileError> {
        for root in found.iter_mut().flat_map(|found| &mut found.roots) {
            if !root.node.is_unknown() {
                continue;
            }
            match (&mut root.node.detail, root.node.kind) {
                (Detail::Directory(_, nodes), _) => self.hash_all(&root.dir, nodes)?,
                _ => hash_one(&root.dir, &mut root.node)?,
            }
        }
        Ok(())
    }

    fn node(&self, dir: &Dir, entry: Entry) -> Result<Node, FileError> {
        if entry.kind == Kind::Directory {
            let dir = dir.enter(&entry)?;
            return self.directory(&dir, Some(entry));
        }
        let stat = dir.stat(&entry)?;
        let detail = match stat.kind {
            Kind::File => Detail::Content(None),
            Kind::Symlink => Detail::Target(dir.read_link(&entry)?),
            _ => Detail::Node(dir.xattrs(&entry)?),
        };
        Ok(self.new_node(Some(entry), &stat, detail))
    }

    fn directory(&self, dir: &Dir, entry: Option<Entry>) -> Result<Node, FileError> {
        let mut entries = dir.entries()?;
        // Nobody copies them.
        entries.retain(|entry| entry.kind != Kind::Socket);
        let nodes = match self.pool {
            Some(pool) if entries.len() > GRAIN || entries.iter().any(is_dir) => {
                let grain = if entries.iter().any(is_dir) { 1 } else { GRAIN };
                pool.install(|| {
                    entries
                        .into_par_iter()
                        .with_min_len(grain)
                        .map(|entry| self.node(dir, entry))
                        .collect::<Result<_, _>>()
                })?
            }
            _ => entries
                .into_iter()
                .map(|entry| self.node(dir, entry))
                .collect::<Result<_, _>>()?,
        };
        let stat = dir.own_stat()?;
        let detail = Detail::Directory(dir.own_xattrs()?, nodes);
        Ok(self.new_node(entry, &stat, detail))
    }

    fn new_node(&self, entry: Option<Entry>, stat: &Stat, detail: Detail) -> Node {
        let changed = match stat.born {
            Some(born) if self.tree.is_immutable() => born,
            _ => stat.changed,
        };
        Node {
            entry,
            kind: stat.kind,
            mode: stat.mode,
            uid: stat.uid,
            gid: stat.gid,
            links: stat.links,
            device: stat.node,
            file: FileStat {
                device: stat.device,
                inode: stat.inode,
                size: stat.size,
                modified: stat.modified.as_nanos(),
                changed: changed.as_nanos(),
            },
            detail,
        }
    }

    fn hash_all(&self, dir: &Dir, nodes: &mut [Node]) -> Result<(), FileError> {
        let one = |node: &mut Node| -> Result<(), FileError> {
            match (&mut node.detail, &node.entry) {
                (Detail::Directory(_, nodes), Some(entry)) => {
                    self.hash_all(&dir.enter(entry)?, nodes)
                }
                _ => hash_one(dir, node),
            }
        };
        let mut unknown: Vec<&mut Node> =
            nodes.iter_mut().filter(|node| node.is_unknown()).collect();
        match self.pool {
            Some(pool) if unknown.len() > 1 => {
                pool.install(|| unknown.into_par_iter().try_for_each(one))
            }
            _ => unknown.iter_mut().try_for_each(|node| one(node)),
        }
    }
}

impl Node {
    /// Whether the content of a file in it is not known.
    fn is_unknown(&self) -> bool {
        match &self.detail {
            Detail::Content(checksum) => checksum.is_none(),
            Detail::Directory(_, nodes) => nodes.iter().any(Self::is_unknown),
            Detail::Target(_) | Detail::Node(_) => false,
        }
    }
}

fn hash_one(dir: &Dir, node: &mut Node) -> Result<(), FileError> {
    let (Detail::Content(checksum), Some(entry)) = (&mut node.detail, &node.entry) else {
        return Ok(());
    };
    let path = || dir.join(&entry.name);
    let mut file = dir.open(entry)?;
    let mut hasher = blake3::Hasher::new();
    let xattrs = marks::xattrs_of(&file).map_err(failed("getxattr", path()))?;
    super::record::xattrs(&mut hasher, &xattrs);
    let mut buffer = Vec::with_capacity(BUFFER);
    // Read into fresh memory as long as all fits in one go, which most files do.
    loop {
        buffer.clear();
        let length = rustix::io::read(&file, rustix::buffer::spare_capacity(&mut buffer))
            .map_err(failed("read", path()))?;
        hasher.update(&buffer);
        if length == 0 || node.file.size < BUFFER as u64 && length as u64 == node.file.size {
            break;
        }
        if length >= BUFFER {
            large(&mut file, &mut hasher).map_err(failed("read", path()))?;
            break;
        }
    }
    *checksum = Some(*hasher.finalize().as_bytes());
    Ok(())
}

/// The rest of a large file.
fn large(file: &mut std::fs::File, hasher: &mut blake3::Hasher) -> std::io::Result<()> {
    let mut buffer = vec![0; 8 * BUFFER];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(()),
            length => hasher.update(&buffer[..length]),
        };
    }
}

/// Calls `visit` for all files in the order of their paths.
pub(super) fn each<'a, E>(
    found: &'a Found,
    visit: &mut impl FnMut(&Path, &'a Node) -> Result<(), E>,
) -> Result<(), E> {
    for root in &found.roots {
        below(&root.path, &root.node, visit)?;
    }
    Ok(())
}

fn below<'a, E>(
    path: &Path,
    node: &'a Node,
    visit: &mut impl FnMut(&Path, &'a Node) -> Result<(), E>,
) -> Result<(), E> {
    visit(path, node)?;
    if let Detail::Directory(_, nodes) = &node.detail {
        for node in nodes {
            let name = node.entry.as_ref().map(|entry| entry.name.as_os_str());
            below(&path.join(name.unwrap_or_default()), node, visit)?;
        }
    }
    Ok(())
}

/// What `stat` says of all files.
pub(super) fn stats(found: &[Found]) -> Vec<FileStat> {
    fn collect(node: &Node, stats: &mut Vec<FileStat>) {
        stats.push(node.file);
        if let Detail::Directory(_, nodes) = &node.detail {
            nodes.iter().for_each(|node| collect(node, stats));
        }
    }
    let mut stats = Vec::new();
    for root in found.iter().flat_map(|found| &found.roots) {
        collect(&root.node, &mut stats);
    }
    stats
}

fn is_dir(entry: &Entry) -> bool {
    entry.kind == Kind::Directory
}
