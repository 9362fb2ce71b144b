//! Makes a copy what the client has, one file after another in the order of their paths.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata};
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, symlink,
};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, makedev, mknodat, utimensat};

use super::attributes::{Attributes, agree};

/// Bits of a mode that are kept.
const MODE: u32 = 0o7777;

/// What a client tells of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFile {
    /// Its path in the directory.
    pub path: PathBuf,
    /// What it is.
    pub kind: ClientFileKind,
    /// Permissions, with the set-user-ID, set-group-ID and sticky bits.
    pub mode: u32,
    /// When it was last changed, in nanoseconds since 1970.
    pub modified: i64,
    /// Its extended attributes.
    pub attributes: Attributes,
}

/// What a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientFileKind {
    /// With so many bytes.
    File(u64),
    /// The same file as that at an earlier path.
    Link(PathBuf),
    /// What comes next may be in it.
    Directory,
    /// With what it leads to.
    Symlink(PathBuf),
    /// A named pipe.
    Fifo,
    /// With its major and minor numbers.
    CharDevice(u32, u32),
    /// With its major and minor numbers.
    BlockDevice(u32, u32),
}

/// A transfer under way. May block.
#[derive(Debug)]
pub struct Receiving {
    root: PathBuf,
    /// The directories that lead to what came last.
    levels: Vec<Level>,
    /// Directories with their modes and times, which are set when all is in them.
    directories: Vec<(PathBuf, u32, i64)>,
    /// That of the whole directory, if it is told.
    modified: Option<i64>,
    /// Hard links with what they lead to, which may not be there yet.
    links: Vec<(PathBuf, PathBuf)>,
}

#[derive(Debug)]
struct Level {
    path: PathBuf,
    /// What was there before and was not told of yet.
    left: BTreeSet<OsString>,
    last: Option<OsString>,
}

/// The content of a file on its way.
#[derive(Debug)]
pub struct Incoming {
    file: File,
    /// Its path in the directory.
    path: PathBuf,
    mode: u32,
    modified: i64,
    attributes: Attributes,
}

impl Receiving {
    /// Into the directory at `root`.
    #[must_use]
    pub fn begin(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            levels: Vec::new(),
            directories: Vec::new(),
            modified: None,
            links: Vec::new(),
        }
    }

    /// When the directory itself was last changed, in nanoseconds since 1970.
    pub const fn modified(&mut self, modified: i64) {
        self.modified = Some(modified);
    }

    /// The client has this; whether its content is wanted.
    ///
    /// # Errors
    /// The path is not one in the directory, does not come in order, or cannot be written.
    pub fn entry(&mut self, entry: &ClientFile) -> io::Result<bool> {
        if self.levels.is_empty() {
            self.enter(PathBuf::new())?;
        }
        self.turn_to(&entry.path)?;
        let path = self.root.join(&entry.path);
        let found = found(&path)?;
        match &entry.kind {
            ClientFileKind::Directory => self.directory(entry, found)?,
            ClientFileKind::File(size) => {
                let same = found.is_some_and(|found| is_same(&found, entry, *size));
                if same {
                    agree((&*path).into(), &entry.path, &entry.attributes)?;
                }
                return Ok(!same);
            }
            ClientFileKind::Link(target) => {
                self.links.push((entry.path.clone(), target.clone()));
            }
            ClientFileKind::Symlink(target) => {
                if found.is_none_or(|_| fs::read_link(&path).ok().as_ref() != Some(target)) {
                    remove(&path)?;
                    symlink(target, &path)?;
                }
                agree((&*path).into(), &entry.path, &entry.attributes)?;
                set_time(&path, entry.modified)?;
            }
            ClientFileKind::Fifo
            | ClientFileKind::CharDevice(..)
            | ClientFileKind::BlockDevice(..) => node(&path, entry)?,
        }
        Ok(false)
    }

    /// Takes the content of a file that was told of and is wanted.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn open(&self, entry: &ClientFile) -> io::Result<Incoming> {
        let path = self.root.join(&entry.path);
        remove(&path)?;
        let file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        Ok(Incoming {
            file,
            path: entry.path.clone(),
            mode: entry.mode & MODE,
            modified: entry.modified,
            attributes: entry.attributes.clone(),
        })
    }

    /// All came. What was not told of goes.
    ///
    /// # Errors
    /// Something cannot be written or removed.
    pub fn end(mut self) -> io::Result<()> {
        if self.levels.is_empty() {
            self.enter(PathBuf::new())?;
        }
        while let Some(level) = self.levels.pop() {
            self.leave(&level)?;
        }
        for (path, target) in &self.links {
            let (path, target) = (self.root.join(path), self.target(target)?);
            remove(&path)?;
            fs::hard_link(target, path)?;
        }
        for (path, mode, modified) in self.directories.iter().rev() {
            let path = self.root.join(path);
            fs::set_permissions(&path, fs::Permissions::from_mode(*mode))?;
            set_time(&path, *modified)?;
        }
        self.modified
            .map_or(Ok(()), |modified| set_time(&self.root, modified))
    }

    fn directory(&mut self, entry: &ClientFile, found: Option<Metadata>) -> io::Result<()> {
        let path = self.root.join(&entry.path);
        if !found.as_ref().is_some_and(Metadata::is_dir) {
            remove(&path)?;
            fs::DirBuilder::new().mode(0o700).create(&path)?;
        }
        // Until all is in it kiln itself has to get in.
        let mode = entry.mode & MODE;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode | 0o700))?;
        agree((&*path).into(), &entry.path, &entry.attributes)?;
        let directory = (entry.path.clone(), mode, entry.modified);
        self.directories.push(directory);
        self.enter(entry.path.clone())
    }

    fn enter(&mut self, path: PathBuf) -> io::Result<()> {
        let names = fs::read_dir(self.root.join(&path))?;
        let names = names.map(|entry| entry.map(|entry| entry.file_name()));
        self.levels.push(Level {
            path,
            left: names.collect::<io::Result<_>>()?,
            last: None,
        });
        Ok(())
    }

    /// Leaves the directories that `path` is not in, and notes that it is there.
    fn turn_to(&mut self, path: &Path) -> io::Result<()> {
        let name = name(path)?;
        let parent = path.parent().unwrap_or(Path::new(""));
        while let Some(level) = self.levels.pop_if(|level| level.path != parent) {
            self.leave(&level)?;
        }
        let refuse = |why| Err(invalid(path, why));
        let Some(level) = self.levels.last_mut() else {
            return refuse("is in no directory that was told of");
        };
        if level.last.as_deref().is_some_and(|last| last >= name) {
            return refuse("does not come in order");
        }
        level.left.remove(name);
        level.last = Some(name.to_owned());
        Ok(())
    }

    fn leave(&self, level: &Level) -> io::Result<()> {
        let directory = self.root.join(&level.path);
        level
            .left
            .iter()
            .try_for_each(|name| remove(&directory.join(name)))
    }

    /// What a hard link leads to: a file that is there, on a path without symlinks.
    fn target(&self, target: &Path) -> io::Result<PathBuf> {
        name(target)?;
        let mut path = self.root.clone();
        for component in target.components() {
            let leads_astray = fs::symlink_metadata(&path)?.is_symlink();
            if leads_astray {
                return Err(invalid(target, "leads through a symlink"));
            }
            path.push(component);
        }
        match fs::symlink_metadata(&path)?.is_file() {
            true => Ok(path),
            false => Err(invalid(target, "is linked to and no file")),
        }
    }
}

impl Incoming {
    /// The next bytes.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    /// All bytes were written.
    ///
    /// # Errors
    /// The file's mode or time cannot be set.
    pub fn end(self) -> io::Result<()> {
        let mode = Mode::from_raw_mode(self.mode);
        rustix::fs::fchmod(&self.file, mode)?;
        agree(self.file.as_fd().into(), &self.path, &self.attributes)?;
        rustix::fs::futimens(&self.file, &times(self.modified))?;
        Ok(())
    }
}

/// The last part of a path that names something in the directory.
fn name(path: &Path) -> io::Result<&OsStr> {
    let mut components = path.components();
    let is_plain = components.all(|component| matches!(component, Component::Normal(_)));
    let is_clean = path.as_os_str() == path.components().as_path().as_os_str();
    match path.file_name() {
        Some(name) if is_plain && is_clean => Ok(name),
        _ => Err(invalid(path, "is no path in the directory")),
    }
}

fn is_same(found: &Metadata, entry: &ClientFile, size: u64) -> bool {
    let seconds = found.mtime().saturating_mul(1_000_000_000);
    let modified = seconds.saturating_add(found.mtime_nsec());
    found.is_file()
        && found.size() == size
        && found.mode() & MODE == entry.mode & MODE
        && modified == entry.modified
}

fn node(path: &Path, entry: &ClientFile) -> io::Result<()> {
    let (kind, device) = match entry.kind {
        ClientFileKind::CharDevice(major, minor) => {
            (FileType::CharacterDevice, makedev(major, minor))
        }
        ClientFileKind::BlockDevice(major, minor) => (FileType::BlockDevice, makedev(major, minor)),
        _ => (FileType::Fifo, 0),
    };
    remove(path)?;
    mknodat(CWD, path, kind, Mode::from_raw_mode(0o600), device)?;
    fs::set_permissions(path, fs::Permissions::from_mode(entry.mode & MODE))?;
    agree(path.into(), &entry.path, &entry.attributes)?;
    set_time(path, entry.modified)
}

fn found(path: &Path) -> io::Result<Option<Metadata>> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Removes whatever is there.
fn remove(path: &Path) -> io::Result<()> {
    match found(path)? {
        None => Ok(()),
        Some(found) if found.is_dir() => fs::remove_dir_all(path),
        Some(_) => fs::remove_file(path),
    }
}

fn set_time(path: &Path, modified: i64) -> io::Result<()> {
    utimensat(CWD, path, &times(modified), AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(())
}

fn times(modified: i64) -> Timestamps {
    let time = Timespec {
        tv_sec: modified.div_euclid(1_000_000_000),
        tv_nsec: modified.rem_euclid(1_000_000_000),
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}

fn invalid(path: &Path, why: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("the client's path {} {why}", path.display()),
    )
}

#[cfg(test)]
mod tests;
