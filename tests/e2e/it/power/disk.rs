//! A model of a disk under a file system like ext4: what was written, and what of that is there after
//! a power cut.
//!
//! Bytes of a file are certain after `fsync` of the file, names in a directory after `fsync` of the
//! directory. Before that each may be there or not, also a name whose file is still empty.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

/// A directory and all beneath, as it is for processes and as it is on the disk.
#[derive(Debug)]
pub(super) struct Disk {
    top: PathBuf,
    nodes: Vec<Node>,
    /// What is in directories, for processes.
    now: Names,
    /// What of that is certain.
    certain: Names,
    /// Changes of names that are not certain yet, in order.
    pending: Vec<Change>,
}

/// What is in each directory.
type Names = BTreeMap<usize, BTreeMap<String, usize>>;

#[derive(Debug)]
enum Node {
    Directory,
    File { now: Vec<u8>, certain: Vec<u8> },
    Symlink(PathBuf),
}

/// Names that come and go together: a rename is both.
#[derive(Debug, Clone)]
struct Change {
    /// Directory, name, and which file came.
    added: Option<(usize, String, usize)>,
    removed: Option<(usize, String, usize)>,
}

/// What was certain when somebody began to wait for it.
#[derive(Debug)]
pub(super) enum Awaited {
    Bytes(usize, Vec<u8>),
    Names(usize, usize),
    All(Vec<(usize, Vec<u8>)>, usize),
    Nothing,
}

/// What of the uncertain survives a power cut.
#[derive(Debug, Clone, Copy)]
pub(super) struct Survives {
    /// So many of the changes of names.
    pub(super) names: usize,
    /// Bytes of the database.
    pub(super) database: bool,
    /// Bytes of other files.
    pub(super) files: bool,
}

/// Files as they are found after a power cut, by path. A directory has no content.
pub(super) type Found = BTreeMap<PathBuf, Option<Content>>;

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Content {
    Bytes(Vec<u8>),
    Symlink(PathBuf),
}

const DATABASE: &str = "kiln.db";
/// Memory that processes share; it has no meaning after them.
const SHARED: &str = "kiln.db-shm";

impl Disk {
    /// An empty directory at `top`.
    pub(super) fn new(top: &Path) -> Self {
        Self {
            top: top.to_owned(),
            nodes: vec![Node::Directory],
            now: Names::from([(0, BTreeMap::new())]),
            certain: Names::from([(0, BTreeMap::new())]),
            pending: Vec::new(),
        }
    }

    /// A file is opened to be written.
    pub(super) fn open(&mut self, path: &Path, truncate: bool) {
        match self.find(path) {
            Some(file) if truncate => self.bytes(file).clear(),
            Some(_) => {}
            None => self.add(path, Node::file()),
        }
    }

    pub(super) fn make_directory(&mut self, path: &Path) {
        let number = self.nodes.len();
        self.now.insert(number, BTreeMap::new());
        self.certain.insert(number, BTreeMap::new());
        self.add(path, Node::Directory);
    }

    pub(super) fn make_symlink(&mut self, path: &Path, target: PathBuf) {
        self.add(path, Node::Symlink(target));
    }

    pub(super) fn link(&mut self, from: &Path, to: &Path) {
        let file = self.find(from).unwrap();
        self.change(Some((to, file)), None);
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) {
        let file = self.find(from).unwrap();
        self.change(Some((to, file)), Some((from, file)));
    }

    pub(super) fn remove(&mut self, path: &Path) {
        let file = self.find(path).unwrap();
        self.change(None, Some((path, file)));
    }

    /// Writes at a place, or at the end.
    pub(super) fn write(&mut self, path: &Path, at: Option<usize>, bytes: &[u8]) {
        // Of a file without a name nothing is left.
        let Some(file) = self.find(path) else {
            return;
        };
        let content = self.bytes(file);
        let at = at.unwrap_or(content.len());
        content.resize(content.len().max(at + bytes.len()), 0);
        content[at..at + bytes.len()].copy_from_slice(bytes);
    }

    pub(super) fn resize(&mut self, path: &Path, size: usize) {
        if let Some(file) = self.find(path) {
            self.bytes(file).resize(size, 0);
        }
    }

    /// The bytes of a file as processes see them.
    pub(super) fn read(&self, path: &Path) -> &[u8] {
        match self.find(path).map(|file| &self.nodes[file]) {
            Some(Node::File { now, .. }) => now,
            other => panic!("{path:?} is {other:?}"),
        }
    }

    /// Somebody begins to wait for a file or directory.
    pub(super) fn begin_sync(&self, path: &Path) -> Awaited {
        match self.find(path).map(|node| (node, &self.nodes[node])) {
            Some((file, Node::File { now, .. })) => Awaited::Bytes(file, now.clone()),
            Some((directory, Node::Directory)) => Awaited::Names(directory, self.pending.len()),
            _ => Awaited::Nothing,
        }
    }

    /// Somebody begins to wait for everything.
    pub(super) fn begin_sync_all(&self) -> Awaited {
        let files = self.nodes.iter().enumerate();
        let files = files.filter_map(|(number, node)| match node {
            Node::File { now, .. } => Some((number, now.clone())),
            _ => None,
        });
        Awaited::All(files.collect(), self.pending.len())
    }

    /// The wait is over.
    pub(super) fn end_sync(&mut self, awaited: Awaited) {
        match awaited {
            Awaited::Bytes(file, bytes) => self.settle_bytes(file, bytes),
            Awaited::Names(directory, until) => self.settle_names(until, Some(directory)),
            Awaited::All(files, until) => {
                for (file, bytes) in files {
                    self.settle_bytes(file, bytes);
                }
                self.settle_names(until, None);
            }
            Awaited::Nothing => {}
        }
    }

    /// How many changes of names are not certain.
    pub(super) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// What is found after a power cut.
    pub(super) fn after(&self, survives: Survives) -> Found {
        let mut names = self.certain.clone();
        for change in &self.pending[..survives.names] {
            change.apply(&mut names);
        }
        let mut found = Found::new();
        self.collect(&names, survives, (0, PathBuf::new()), &mut found);
        found
    }

    /// As processes see it.
    pub(super) fn now(&self) -> Found {
        self.after(Survives {
            names: self.pending.len(),
            database: true,
            files: true,
        })
    }

    fn collect(
        &self,
        names: &Names,
        survives: Survives,
        (directory, path): (usize, PathBuf),
        found: &mut Found,
    ) {
        for (name, number) in &names[&directory] {
            let path = path.join(name);
            let content = match &self.nodes[*number] {
                Node::Directory => None,
                Node::Symlink(target) => Some(Content::Symlink(target.clone())),
                Node::File { .. } if name == SHARED => continue,
                Node::File { now, certain } => {
                    let is_database = name.starts_with(DATABASE);
                    let survives = if is_database {
                        survives.database
                    } else {
                        survives.files
                    };
                    let bytes = if survives { now } else { certain };
                    Some(Content::Bytes(bytes.clone()))
                }
            };
            let is_directory = content.is_none();
            found.insert(path.clone(), content);
            if is_directory {
                self.collect(names, survives, (*number, path), found);
            }
        }
    }

    fn settle_bytes(&mut self, file: usize, bytes: Vec<u8>) {
        if let Node::File { certain, .. } = &mut self.nodes[file] {
            *certain = bytes;
        }
    }

    /// Makes changes before `until` certain that concern a directory, or all; with what came before of
    /// the same files, such as the first name of one that has another by now.
    fn settle_names(&mut self, until: usize, directory: Option<usize>) {
        let until = until.min(self.pending.len());
        let mut rest = self.pending.split_off(until);
        let mut files = HashSet::new();
        let mut settled = Vec::new();
        for change in std::mem::take(&mut self.pending).into_iter().rev() {
            let is_concerned = directory.is_none_or(|directory| change.concerns(directory));
            if is_concerned || change.files().any(|file| files.contains(&file)) {
                files.extend(change.files());
                settled.push(change);
            } else {
                rest.insert(0, change);
            }
        }
        for change in settled.iter().rev() {
            change.apply(&mut self.certain);
        }
        self.pending = rest;
    }

    fn add(&mut self, path: &Path, node: Node) {
        let number = self.nodes.len();
        self.nodes.push(node);
        self.change(Some((path, number)), None);
    }

    fn change(&mut self, added: Option<(&Path, usize)>, removed: Option<(&Path, usize)>) {
        let place = |(path, file): (&Path, usize)| {
            let directory = self.find(path.parent().unwrap());
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (directory.unwrap(), name, file)
        };
        let change = Change {
            added: added.map(place),
            removed: removed.map(place),
        };
        change.apply(&mut self.now);
        self.pending.push(change);
    }

    fn find(&self, path: &Path) -> Option<usize> {
        let below = path.strip_prefix(&self.top).ok()?;
        below.components().try_fold(0, |directory, part| {
            let Component::Normal(name) = part else {
                return None;
            };
            self.now.get(&directory)?.get(name.to_str()?).copied()
        })
    }

    fn bytes(&mut self, file: usize) -> &mut Vec<u8> {
        match &mut self.nodes[file] {
            Node::File { now, .. } => now,
            other => panic!("{other:?} is no file"),
        }
    }
}

impl Node {
    fn file() -> Self {
        Self::File {
            now: Vec::new(),
            certain: Vec::new(),
        }
    }
}

impl Change {
    fn concerns(&self, directory: usize) -> bool {
        let mut places = self.added.iter().chain(&self.removed);
        places.any(|(place, ..)| *place == directory)
    }

    fn files(&self) -> impl Iterator<Item = usize> {
        let places = self.added.iter().chain(&self.removed);
        places.map(|(.., file)| *file)
    }

    fn apply(&self, names: &mut Names) {
        if let Some((directory, name, file)) = &self.removed {
            let names = names.get_mut(directory).unwrap();
            // An earlier change may not have survived.
            if names.get(name) == Some(file) {
                names.remove(name);
            }
        }
        if let Some((directory, name, file)) = &self.added {
            let names = names.get_mut(directory).unwrap();
            names.insert(name.clone(), *file);
        }
    }
}

/// Puts what was found into a directory.
pub(super) fn put(found: &Found, top: &Path) {
    for (path, content) in found {
        let path = top.join(path);
        match content {
            None => fs::create_dir_all(path).unwrap(),
            Some(Content::Bytes(bytes)) => fs::write(path, bytes).unwrap(),
            Some(Content::Symlink(target)) => std::os::unix::fs::symlink(target, path).unwrap(),
        }
    }
}

/// What is in a directory.
pub(super) fn read(top: &Path) -> Found {
    fn visit(top: &Path, below: &Path, found: &mut Found) {
        for entry in fs::read_dir(top.join(below)).unwrap() {
            let entry = entry.unwrap();
            let path = below.join(entry.file_name());
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                found.insert(path.clone(), None);
                visit(top, &path, found);
            } else if kind.is_symlink() {
                let target = fs::read_link(entry.path()).unwrap();
                found.insert(path, Some(Content::Symlink(target)));
            } else if entry.file_name() != SHARED {
                let bytes = fs::read(entry.path()).unwrap();
                found.insert(path, Some(Content::Bytes(bytes)));
            }
        }
    }
    let mut found = Found::new();
    visit(top, Path::new(""), &mut found);
    found
}
