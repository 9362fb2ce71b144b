//! Replays a recording on a model of the disk: what would be found if the power was cut then.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use super::calls::{Call, Moment, moments};
use super::disk::{self, Awaited, Disk, Found, Survives};

/// What somebody was told, so that it has to stay so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Known {
    /// The image has its name.
    Built,
    /// There is a container.
    Created,
}

/// What is found after a power cut.
#[derive(Debug)]
pub(super) struct State {
    /// When, and with what.
    pub(super) name: String,
    pub(super) found: Found,
    pub(super) known: BTreeSet<Known>,
}

/// Each state in which the store at `root` may be found. The power is cut before each wait for the disk
/// is over: until the next one, less cannot be missing.
pub(super) fn states(recording: &str, root: &Path) -> Vec<State> {
    let mut replay = Replay {
        disk: Disk::new(root.parent().unwrap()),
        root,
        waiting: HashMap::new(),
        known: BTreeSet::new(),
        outputs: 0,
        states: Vec::new(),
    };
    for (number, moment) in moments(recording).iter().enumerate() {
        replay.see(number, moment);
    }
    replay.cut("the end");
    let mut real = disk::read(root.parent().unwrap());
    let mut model = replay.disk.now();
    real.retain(|path, _| path.starts_with("store"));
    model.retain(|path, _| path.starts_with("store"));
    let paths: BTreeSet<_> = real.keys().chain(model.keys()).collect();
    let differ = paths
        .iter()
        .filter(|path| real.get(**path) != model.get(**path));
    let differ: Vec<_> = differ.collect();
    assert!(differ.is_empty(), "the model has otherwise: {differ:?}");
    replay.states
}

struct Replay<'a> {
    disk: Disk,
    root: &'a Path,
    /// By thread.
    waiting: HashMap<u32, Awaited>,
    known: BTreeSet<Known>,
    /// IDs that were printed.
    outputs: usize,
    states: Vec<State>,
}

impl Replay<'_> {
    fn see(&mut self, number: usize, moment: &Moment) {
        match moment {
            Moment::Begins { thread, call } => {
                if let Some(awaited) = self.begins(call) {
                    self.waiting.insert(*thread, awaited);
                }
            }
            Moment::Ended {
                thread,
                call,
                result,
            } => {
                if let Some(awaited) = self.waiting.remove(thread) {
                    let path = call.file(0);
                    self.cut(&format!("{number}: {} {}", call.name, path.display()));
                    self.disk.end_sync(awaited);
                } else {
                    self.ended(call, usize::try_from(*result).unwrap());
                }
            }
        }
    }

    fn begins(&self, call: &Call) -> Option<Awaited> {
        match call.name.as_str() {
            "fsync" | "fdatasync" if self.is_ours(&call.file(0)) => {
                Some(self.disk.begin_sync(&call.file(0)))
            }
            "syncfs" if self.is_ours(&call.file(0)) => Some(self.disk.begin_sync_all()),
            _ => None,
        }
    }

    /// Notes what would be found now.
    fn cut(&mut self, when: &str) {
        let pending = self.disk.pending();
        for names in BTreeSet::from([0, pending]) {
            for (database, files) in [(false, false), (false, true), (true, false), (true, true)] {
                let survives = Survives {
                    names,
                    database,
                    files,
                };
                let mut found = self.disk.after(survives);
                // Locks and leases say nothing when nobody holds them.
                found.retain(|path, content| {
                    let is_lock = ["store/locks", "store/leases"].map(|all| path.starts_with(all));
                    path.starts_with("store") && (content.is_none() || is_lock == [false; 2])
                });
                self.states.push(State {
                    name: format!("{when} {survives:?} of {pending}"),
                    found,
                    known: self.known.clone(),
                });
            }
        }
    }

    fn is_ours(&self, path: &Path) -> bool {
        path.starts_with(self.root) || Some(path) == self.root.parent()
    }

    /// A call has done what it was to do.
    fn ended(&mut self, call: &Call, result: usize) {
        let root = self.root;
        let is_ours = |path: &Path| path.starts_with(root);
        match call.name.as_str() {
            "open" | "openat" => {
                let at = usize::from(call.name == "openat");
                let path = if at == 1 {
                    call.path_at(0)
                } else {
                    call.path(0)
                };
                let flags = call.text(at + 1);
                if is_ours(&path) && (flags.contains("O_CREAT") || flags.contains("O_TRUNC")) {
                    self.disk.open(&path, flags.contains("O_TRUNC"));
                }
            }
            "mkdir" if is_ours(&call.path(0)) => self.disk.make_directory(&call.path(0)),
            "mkdirat" if is_ours(&call.path_at(0)) => self.disk.make_directory(&call.path_at(0)),
            "unlink" | "rmdir" if is_ours(&call.path(0)) => self.disk.remove(&call.path(0)),
            "unlinkat" if is_ours(&call.path_at(0)) => self.disk.remove(&call.path_at(0)),
            "rename" | "link" => self.moved(call, &call.path(0), &call.path(1)),
            "renameat" | "renameat2" | "linkat" => {
                self.moved(call, &call.path_at(0), &call.path_at(2));
            }
            "symlink" if is_ours(&call.path(1)) => {
                self.disk.make_symlink(&call.path(1), call.path(0));
            }
            "symlinkat" if is_ours(&call.path_at(1)) => {
                self.disk.make_symlink(&call.path_at(1), call.path(0));
            }
            "write" | "writev" | "pwrite64" | "ftruncate" | "fallocate" => {
                self.written(call, result);
            }
            "copy_file_range" | "sendfile" => self.copied(call, result),
            "ioctl" => assert!(!call.text(1).contains("CLONE") || !is_ours(&call.file(0))),
            _ => {
                let is_ours = call.touches(self.root);
                assert!(!is_ours, "the model knows nothing of {call:?}");
            }
        }
    }

    fn moved(&mut self, call: &Call, from: &Path, to: &Path) {
        if !self.is_ours(from) && !self.is_ours(to) {
            return;
        }
        assert!(self.is_ours(from) && self.is_ours(to), "{call:?}");
        if call.name.starts_with("link") {
            self.disk.link(from, to);
        } else {
            self.disk.rename(from, to);
        }
    }

    fn written(&mut self, call: &Call, result: usize) {
        let path = call.file(0);
        if call.name == "write" && call.text(0).starts_with("1<") {
            return self.said(&call.bytes(1));
        }
        if !self.is_ours(&path) {
            return;
        }
        match call.name.as_str() {
            "ftruncate" => self.disk.resize(&path, call.number(1)),
            "fallocate" => panic!("the model knows nothing of {call:?}"),
            name => {
                let at = (name == "pwrite64").then(|| call.number(3));
                self.disk.write(&path, at, &call.bytes(1)[..result]);
            }
        }
    }

    /// A file was copied by the kernel, from its beginning on.
    fn copied(&mut self, call: &Call, result: usize) {
        let (from, to) = match call.name.as_str() {
            "sendfile" => (call.file(1), call.file(0)),
            _ => (call.file(0), call.file(2)),
        };
        if !self.is_ours(&to) {
            return;
        }
        let bytes = if self.is_ours(&from) {
            self.disk.read(&from).to_vec()
        } else {
            std::fs::read(&from).unwrap()
        };
        let begin = self.disk.read(&to).len();
        self.disk.write(&to, None, &bytes[begin..begin + result]);
    }

    /// Builds and what makes containers print an ID when all is done.
    fn said(&mut self, text: &[u8]) {
        let text = String::from_utf8_lossy(text);
        let lines = text.lines().filter(|line| line.len() >= 64);
        self.outputs += lines.count();
        if self.outputs >= 1 {
            self.known.insert(Known::Built);
        }
        if self.outputs == 3 {
            self.known.insert(Known::Created);
        }
        // What follows removes it.
        if text.contains("Total reclaimed space") {
            self.known.remove(&Known::Created);
        }
    }
}
