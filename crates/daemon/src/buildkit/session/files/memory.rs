//! Small files of a client, in memory, where symbolic links are followed.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;

use bollard_buildkit_proto::fsutil::types::Stat;
use filesync::mode;

use super::{Target, not_asked};

/// Bytes of all files, with their names.
const MAX_MEMORY: usize = 16 << 20;
/// Links that are followed for one path; the kernel follows as many.
const MAX_LINKS: usize = 40;

/// Keeps files in memory.
#[derive(Default)]
pub(super) struct Memory {
    names: HashMap<u32, String>,
    files: BTreeMap<String, Vec<u8>>,
    /// What symbolic links lead to.
    links: HashMap<String, String>,
    bytes: usize,
}

impl Memory {
    /// Those of `paths` that lead to a file, each with its content.
    pub(super) fn found(&self, paths: &[String]) -> BTreeMap<String, Vec<u8>> {
        let paths = paths.iter();
        let found = paths.filter_map(|path| Some((path.clone(), self.file(path)?.clone())));
        found.collect()
    }

    /// The file that a path leads to. The directory is the root of what links say.
    fn file(&self, path: &str) -> Option<&Vec<u8>> {
        let mut left: VecDeque<&str> = path.split('/').collect();
        let mut reached: Vec<&str> = Vec::new();
        let mut followed = 0;
        while let Some(name) = left.pop_front() {
            match name {
                "" | "." => {}
                ".." => drop(reached.pop()),
                name => reached.push(name),
            }
            let Some(target) = self.links.get(&reached.join("/")) else {
                continue;
            };
            followed += 1;
            if followed > MAX_LINKS {
                return None;
            }
            match target.starts_with('/') {
                true => reached.clear(),
                false => drop(reached.pop()),
            }
            for name in target.split('/').rev() {
                left.push_front(name);
            }
        }
        self.files.get(&reached.join("/"))
    }

    fn hold(&mut self, bytes: usize) -> io::Result<()> {
        self.bytes += bytes;
        match self.bytes > MAX_MEMORY {
            true => Err(io::Error::other("more than 16 MiB")),
            false => Ok(()),
        }
    }
}

impl Target for Memory {
    fn entry(&mut self, id: u32, stat: Stat) -> io::Result<bool> {
        if stat.mode & mode::TYPE == mode::SYMLINK {
            self.hold(stat.path.len() + stat.linkname.len())?;
            self.links.insert(stat.path, stat.linkname);
            return Ok(false);
        }
        if stat.mode & mode::TYPE != 0 {
            return Ok(false);
        }
        self.hold(stat.path.len())?;
        self.names.insert(id, stat.path);
        Ok(true)
    }

    fn open(&mut self, id: u32) -> io::Result<()> {
        self.write(id, &[])
    }

    fn write(&mut self, id: u32, bytes: &[u8]) -> io::Result<()> {
        self.hold(bytes.len())?;
        let name = self.names.get(&id).ok_or_else(not_asked)?;
        let content = self.files.entry(name.clone()).or_default();
        content.extend_from_slice(bytes);
        Ok(())
    }

    fn close(&mut self, id: u32) -> io::Result<()> {
        self.names.remove(&id).map(drop).ok_or_else(not_asked)
    }
}
