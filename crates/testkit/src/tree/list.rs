//! Listing a tree in the form in which it is written.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{lgetxattr, llistxattr, major, minor};
use rustix::process::{getegid, geteuid};

use super::text::escape;

/// Contents up to this long are shown; of longer ones size and digest.
const SHOWN: u64 = 128;

/// Which attributes a listing has.
#[derive(Debug, Clone, Copy)]
pub struct Show {
    /// `uid:gid`.
    pub owners: bool,
    /// Modes.
    pub modes: bool,
    /// `mtime=`.
    pub times: bool,
    /// Extended attributes.
    pub xattrs: bool,
}

impl Default for Show {
    /// Everything but times.
    fn default() -> Self {
        Self {
            owners: true,
            modes: true,
            times: false,
            xattrs: true,
        }
    }
}

/// What is in `dir`, sorted by the bytes of the path, without `dir` itself.
///
/// # Panics
/// Something in it cannot be read.
#[must_use]
pub fn list(dir: &Path) -> String {
    list_with(dir, Show::default())
}

/// What is in `dir`, with the attributes that `show` names.
///
/// # Panics
/// Something in it cannot be read.
#[must_use]
pub fn list_with(dir: &Path, show: Show) -> String {
    list_owned(dir, show, &BTreeMap::new())
}

/// What is in `dir`, as if its files belonged to the users and groups in `owners`, by the path
/// beneath `dir`.
///
/// # Panics
/// Something in it cannot be read.
#[must_use]
pub fn list_owned(dir: &Path, show: Show, owners: &BTreeMap<PathBuf, (u32, u32)>) -> String {
    let mut paths = Vec::new();
    walk(dir, &mut paths);
    paths.sort();
    let mut lines = String::new();
    let mut links = BTreeMap::new();
    for path in paths {
        let owner = owners.get(path.strip_prefix(dir).unwrap_or(&path)).copied();
        let line = line(dir, &path, show, owner, &mut links)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        lines.push_str(line.trim_end());
        lines.push('\n');
    }
    lines
}

fn walk(dir: &Path, paths: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    for entry in entries {
        let entry = entry.expect("read a directory");
        let path = entry.path();
        if entry.file_type().expect("read a directory").is_dir() {
            walk(&path, paths);
        }
        paths.push(path);
    }
}

fn line(
    dir: &Path,
    path: &Path,
    show: Show,
    owner: Option<(u32, u32)>,
    links: &mut BTreeMap<(u64, u64), String>,
) -> std::io::Result<String> {
    let meta = fs::symlink_metadata(path)?;
    let relative = path.strip_prefix(dir).unwrap_or(path);
    let name = escape(relative.as_os_str().as_bytes(), true);
    if meta.nlink() > 1 && !meta.is_dir() {
        let first = links.entry((meta.dev(), meta.ino()));
        if let std::collections::btree_map::Entry::Occupied(first) = first {
            return Ok(format!("{name} == {}", first.get()));
        }
        first.or_insert_with(|| name.clone());
    }
    let slash = if meta.is_dir() { "/" } else { "" };
    let mut line = format!("{name}{slash} ");
    if show.modes && !meta.is_symlink() {
        line += &format!("{:04o} ", meta.mode() & 0o7777);
    }
    if show.owners {
        let (user, group) = owner.unwrap_or_else(|| owner_of(&meta));
        line += &format!("{user}:{group} ");
    }
    if show.times {
        line += &format!("mtime={} ", meta.mtime());
    }
    if show.xattrs {
        for (name, value) in xattrs(path)? {
            line += &format!("{name}={} ", escape(&value, true));
        }
    }
    Ok(line + &content(path, &meta)?)
}

/// What belongs to whoever runs the test counts as root's.
fn owner_of(meta: &Metadata) -> (u32, u32) {
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    let seen = |id: u32, own: u32| if id == own { 0 } else { id };
    (seen(meta.uid(), user), seen(meta.gid(), group))
}

fn content(path: &Path, meta: &Metadata) -> std::io::Result<String> {
    let kind = meta.file_type();
    let device = || format!("{}:{}", major(meta.rdev()), minor(meta.rdev()));
    Ok(if kind.is_dir() {
        String::new()
    } else if kind.is_symlink() {
        let target = fs::read_link(path)?;
        format!("-> {}", escape(target.as_os_str().as_bytes(), false))
    } else if kind.is_fifo() {
        "fifo".to_owned()
    } else if kind.is_socket() {
        "socket".to_owned()
    } else if kind.is_char_device() {
        format!("char {}", device())
    } else if kind.is_block_device() {
        format!("block {}", device())
    } else if meta.len() > SHOWN {
        let bytes = fs::read(path)?;
        if bytes.iter().all(|&byte| byte == 0) {
            format!("zeros {}", bytes.len())
        } else {
            format!("size {} {}", bytes.len(), oci::Digest::of(&bytes))
        }
    } else {
        format!("= {}", escape(&fs::read(path)?, false))
    })
}

fn xattrs(path: &Path) -> std::io::Result<Vec<(String, Vec<u8>)>> {
    let mut names = vec![0; 64 << 10];
    let length = match llistxattr(path, &mut names[..]) {
        Ok(length) => length,
        Err(rustix::io::Errno::OPNOTSUPP) => 0,
        Err(error) => return Err(error.into()),
    };
    let mut found = Vec::new();
    for name in names[..length].split(|&b| b == 0).filter(|n| !n.is_empty()) {
        let mut value = vec![0; 64 << 10];
        let length = lgetxattr(path, name, &mut value[..])?;
        value.truncate(length);
        found.push((String::from_utf8_lossy(name).into_owned(), value));
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scratch;

    #[test]
    fn a_tree_is_listed_as_it_was_written() {
        let scratch = Scratch::new();
        let text = "\
a/ 0700
a/b\\sc 4711 mtime=7 = x y\\n\\x00\\\\
a/d == a/b\\sc
a/e 0600 mtime=8 fifo
big 0640 mtime=9 zeros 5000
link mtime=10 -> a/b c
";
        crate::tree::write(scratch.path(), text);
        let show = Show {
            owners: false,
            times: true,
            ..Show::default()
        };
        let listed = list_with(scratch.path(), show);
        let times_of_dirs = format!("a/ 0700 mtime={}", mtime(&scratch.join("a")));
        assert_eq!(listed.replace(&times_of_dirs, "a/ 0700"), text);
    }

    fn mtime(path: &Path) -> i64 {
        fs::symlink_metadata(path).unwrap().mtime()
    }
}
