//! Files of a file system, looked at without mounting it: what front ends read of results.
//!
//! Paths resolve inside the file system, links included, as BuildKit's bridge has it.

use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use snapshot::{Dir, Entry, Filter as _, Found, Include, Kind, Stat, Tree, Verdict};

use crate::error::EngineError;

/// Bytes of a file that are read at once: what a message of BuildKit's takes.
const MAX_READ: u64 = 16 << 20;
/// Entries of a directory that are told.
const MAX_ENTRIES: usize = 100_000;

/// A file system whose files can be looked at.
#[derive(Debug, Clone)]
pub struct Files(Tree);

/// What a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileStat {
    /// Its name in its directory; `/` for the root.
    pub name: String,
    /// What kind it is.
    pub kind: Kind,
    /// Permission bits, set-user-ID and the like included.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes of content.
    pub size: u64,
    /// Nanoseconds since 1970.
    pub modified: i64,
    /// Where a symbolic link leads.
    pub link: Option<PathBuf>,
    /// Major and minor number of a device.
    pub device: (u32, u32),
}

/// Why a file cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// There is none.
    #[error("{what} {}: no such file or directory", .path.display())]
    Missing {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: PathBuf,
    },
    /// It is something else.
    #[error("{}: not a {expected}", .path.display())]
    Kind {
        /// The path.
        path: PathBuf,
        /// What it should be.
        expected: &'static str,
    },
    /// There is too much of it.
    #[error("{} is too large: more than {limit} {unit}", .path.display())]
    TooLarge {
        /// The path.
        path: PathBuf,
        /// How much there may be.
        limit: u64,
        /// Of what.
        unit: &'static str,
    },
    /// It cannot be read.
    #[error("read {}", .path.display())]
    Read {
        /// The path.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl Files {
    pub(crate) const fn new(tree: Tree) -> Self {
        Self(tree)
    }

    /// The bytes of a file, or those of them in `range`, which is an offset and a length. May
    /// block.
    ///
    /// # Errors
    /// There is no such file, or it is too large.
    pub fn read(&self, path: &str, range: Option<(u64, u64)>) -> Result<Vec<u8>, EngineError> {
        let path = Path::new(path);
        let resolved = self.0.lookup(path, true)?;
        let entry = match resolved.found {
            Found::File(entry, stat) if stat.kind == Kind::File => entry,
            Found::File(..) | Found::Directory => {
                return Err(kind(path, "regular file").into());
            }
            Found::Missing(_) | Found::NotDirectory(_) => return Err(missing("open", path).into()),
        };
        let mut file = resolved.dir.open(&entry)?;
        let failed = |source| FilesError::Read {
            path: path.to_owned(),
            source,
        };
        let (offset, length) = range.unwrap_or((0, u64::MAX));
        if offset > 0 {
            file.seek(SeekFrom::Start(offset)).map_err(failed)?;
        }
        let mut bytes = Vec::new();
        let most = length.min(MAX_READ + 1);
        file.take(most).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > MAX_READ {
            return Err(too_large(path, MAX_READ, "bytes").into());
        }
        Ok(bytes)
    }

    /// What is at a path. May block.
    ///
    /// # Errors
    /// There is nothing.
    pub fn stat(&self, path: &str) -> Result<FileStat, EngineError> {
        let path = Path::new(path);
        let resolved = self.0.lookup(path, true)?;
        let name = resolved.path.file_name();
        let name = name.map_or("/".into(), |name| name.to_string_lossy().into_owned());
        match resolved.found {
            Found::Directory => {
                let stat = resolved.dir.own_stat()?;
                Ok(FileStat::new(name, &stat, None))
            }
            Found::File(_, stat) => Ok(FileStat::new(name, &stat, None)),
            Found::Missing(_) | Found::NotDirectory(_) => Err(missing("lstat", path).into()),
        }
    }

    /// What is in a directory, by name; only what `pattern` matches, if there is one. May block.
    ///
    /// # Errors
    /// There is no such directory, or too much in it.
    pub fn list(&self, path: &str, pattern: Option<&str>) -> Result<Vec<FileStat>, EngineError> {
        let path = Path::new(path);
        let resolved = self.0.lookup(path, true)?;
        match resolved.found {
            Found::Directory => {}
            Found::File(..) => return Err(kind(path, "directory").into()),
            Found::Missing(_) | Found::NotDirectory(_) => return Err(missing("open", path).into()),
        }
        let include = pattern.and_then(|pattern| Include::new(&[pattern.to_owned()]));
        let mut found = Vec::new();
        for entry in resolved.dir.entries()? {
            let is_dir = entry.kind == Kind::Directory;
            let verdict = include.as_ref().map(|i| i.verdict(&entry.name, is_dir));
            if verdict.is_some_and(|verdict| verdict == Verdict::Drop) {
                continue;
            }
            if found.len() == MAX_ENTRIES {
                return Err(too_large(path, MAX_ENTRIES as u64, "entries").into());
            }
            found.push(stat_of(&resolved.dir, &entry)?);
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }
}

impl FileStat {
    fn new(name: String, stat: &Stat, link: Option<PathBuf>) -> Self {
        Self {
            name,
            kind: stat.kind,
            mode: stat.mode,
            uid: stat.uid,
            gid: stat.gid,
            size: link
                .as_ref()
                .map_or(stat.size, |link| link.as_os_str().len() as u64),
            modified: stat
                .modified
                .seconds
                .saturating_mul(1_000_000_000)
                .saturating_add(i64::from(stat.modified.nanos)),
            link,
            device: (stat.node.major, stat.node.minor),
        }
    }
}

fn stat_of(dir: &Dir, entry: &Entry) -> Result<FileStat, EngineError> {
    let stat = dir.stat(entry)?;
    let link = match stat.kind {
        Kind::Symlink => Some(dir.read_link(entry)?),
        _ => None,
    };
    let name = entry.name.to_string_lossy().into_owned();
    Ok(FileStat::new(name, &stat, link))
}

fn missing(what: &'static str, path: &Path) -> FilesError {
    FilesError::Missing {
        what,
        path: path.to_owned(),
    }
}

fn kind(path: &Path, expected: &'static str) -> FilesError {
    FilesError::Kind {
        path: path.to_owned(),
        expected,
    }
}

fn too_large(path: &Path, limit: u64, unit: &'static str) -> FilesError {
    FilesError::TooLarge {
        path: path.to_owned(),
        limit,
        unit,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn shown(found: Result<FileStat, EngineError>) -> String {
        match found {
            Ok(stat) => {
                let link = stat.link.map(|link| format!(" -> {}", link.display()));
                let link = link.unwrap_or_default();
                format!("{} {:?} {}{link}", stat.name, stat.kind, stat.size)
            }
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn what_front_ends_read() {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path();
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::fs::write(root.join("a/file"), "0123456789").unwrap();
        std::fs::write(root.join("a/x.md"), "").unwrap();
        symlink("/a/file", root.join("link")).unwrap();
        symlink("../../../..", root.join("a/up")).unwrap();
        let files = Files::new(Tree::directory(root).unwrap());
        let read = |path: &str, range| match files.read(path, range) {
            Ok(bytes) => String::from_utf8(bytes).unwrap(),
            Err(error) => error.to_string(),
        };
        assert_eq!(read("/link", None), "0123456789");
        assert_eq!(read("a/file", Some((2, 3))), "234");
        assert_eq!(read("a/up/a/file", Some((8, 30))), "89");
        assert_eq!(read("a/file", Some((30, 1))), "");
        assert_eq!(read("a", None), "a: not a regular file");
        assert_eq!(read("b/c", None), "open b/c: no such file or directory");
        assert_eq!(shown(files.stat("link")), "file File 10");
        assert!(shown(files.stat("a/up")).starts_with("/ Directory "));
        assert_eq!(shown(files.stat("x")), "lstat x: no such file or directory");
        let list = |path: &str, pattern| match files.list(path, pattern) {
            Ok(found) => {
                let names = found.into_iter().map(|stat| match stat.kind {
                    Kind::Directory => format!("{}/", stat.name),
                    _ => shown(Ok(stat)),
                });
                names.collect::<Vec<_>>().join(", ")
            }
            Err(error) => error.to_string(),
        };
        let all = "b/, file File 10, up Symlink 11 -> ../../../.., x.md File 0";
        assert_eq!(list("/a", None), all);
        assert_eq!(list("/a", Some("*.md")), "x.md File 0");
        assert_eq!(list("/a", Some("b/c")), "b/");
        assert_eq!(list("/link", None), "/link: not a directory");
        assert_eq!(list("/b", None), "open /b: no such file or directory");
    }
}
