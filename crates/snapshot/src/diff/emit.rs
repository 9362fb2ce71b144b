//! Writes members from what was loaded.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use super::DiffError;
use super::load::{Content, Loaded};
use crate::Time;
use crate::file::{Kind, Stat, failed};
use crate::tar::{EntryKind, Header, TarError, Writer, Xattr};

/// What is read of a large file, and written, at once.
const BUFFER: usize = 512 * 1024;

pub(super) const WHITEOUT: &str = ".wh.";
pub(super) const OPAQUE: &str = ".wh..wh..opq";

/// Turns loaded files into members.
#[derive(Debug)]
pub(super) struct Emitter<W: Write> {
    writer: Writer<BufWriter<W>>,
    clamp: Option<i64>,
    /// The first name of each file that has several, by layer, device and inode: two layers may
    /// have the same inode for two files.
    names: HashMap<(Option<usize>, u64, u64), PathBuf>,
    buffer: Vec<u8>,
}

impl<W: Write> Emitter<W> {
    pub(super) fn new(output: W) -> Self {
        Self {
            writer: Writer::new(BufWriter::with_capacity(BUFFER, output)),
            clamp: None,
            names: HashMap::new(),
            buffer: Vec::new(),
        }
    }

    /// What follows is of another file system: it has no links to what was before.
    pub(super) fn begin(&mut self, clamp: Option<i64>) {
        self.clamp = clamp;
        self.names.clear();
    }

    /// A directory that no file system has.
    pub(super) fn directory(&mut self, name: &OsStr) -> Result<(), TarError> {
        self.writer.entry(&Header {
            path: name.into(),
            kind: EntryKind::Directory,
            mode: 0o755,
            uid: 0,
            gid: 0,
            size: 0,
            modified: Time::from_seconds(self.clamp.unwrap_or_default()),
            xattrs: Vec::new(),
        })
    }

    /// A file that no file system has.
    pub(super) fn file(&mut self, path: PathBuf, bytes: &[u8]) -> Result<(), TarError> {
        self.writer.entry(&Header {
            path,
            kind: EntryKind::File,
            mode: 0o600,
            uid: 0,
            gid: 0,
            size: bytes.len() as u64,
            modified: Time::from_seconds(self.clamp.unwrap_or_default()),
            xattrs: Vec::new(),
        })?;
        self.writer.write_all(bytes).map_err(TarError::Io)
    }

    pub(super) fn all(&mut self, files: Vec<Loaded>) -> Result<(), DiffError> {
        files.into_iter().try_for_each(|file| self.one(file))
    }

    pub(super) fn finish(self) -> Result<W, TarError> {
        let output = self.writer.finish()?;
        output
            .into_inner()
            .map_err(|error| TarError::Io(error.into_error()))
    }

    fn one(&mut self, file: Loaded) -> Result<(), DiffError> {
        let Loaded {
            path,
            layer,
            stat,
            xattrs,
            content,
        } = file;
        if matches!(content, Content::Whiteout) {
            return self.mark(&hiding(&path));
        }
        if stat.links > 1 && stat.kind != Kind::Directory {
            let file = (layer, stat.device, stat.inode);
            if let Some(first) = self.names.get(&file) {
                let kind = EntryKind::Link(first.clone());
                let header = self.header(path, kind, &stat, xattrs);
                return Ok(self.writer.entry(&header)?);
            }
            self.names.insert(file, path.clone());
        }
        let kind = match (stat.kind, &content) {
            (Kind::Socket, _) => return Ok(()),
            (Kind::Symlink, Content::Target(target)) => EntryKind::Symlink(target.clone()),
            (Kind::Symlink | Kind::File, _) => EntryKind::File,
            (Kind::Directory, _) => EntryKind::Directory,
            (Kind::Character, _) => EntryKind::Character(stat.node),
            (Kind::Block, _) => EntryKind::Block(stat.node),
            (Kind::Fifo, _) => EntryKind::Fifo,
        };
        let header = self.header(path, kind, &stat, xattrs);
        self.writer.entry(&header)?;
        match content {
            Content::Bytes(bytes) if bytes.len() as u64 == stat.size => {
                Ok(self.writer.write_all(&bytes).map_err(TarError::Io)?)
            }
            Content::Bytes(_) => Err(DiffError::Changed(header.path)),
            Content::File(file) => self.stream(file, &header),
            Content::Opaque => self.mark(&header.path.join(OPAQUE)),
            Content::None | Content::Target(_) | Content::Whiteout => Ok(()),
        }
    }

    fn header(&self, path: PathBuf, kind: EntryKind, stat: &Stat, xattrs: Vec<Xattr>) -> Header {
        let seconds = match self.clamp {
            Some(clamp) => stat.modified.seconds.min(clamp),
            None => stat.modified.seconds,
        };
        Header {
            path,
            kind,
            mode: stat.mode,
            uid: stat.uid,
            gid: stat.gid,
            size: stat.size,
            modified: Time::from_seconds(seconds),
            xattrs,
        }
    }

    /// An empty file that stands for a change.
    fn mark(&mut self, path: &Path) -> Result<(), DiffError> {
        let header = Header {
            path: path.to_owned(),
            kind: EntryKind::File,
            mode: 0,
            uid: 0,
            gid: 0,
            size: 0,
            modified: Time::default(),
            xattrs: Vec::new(),
        };
        Ok(self.writer.entry(&header)?)
    }

    fn stream(&mut self, mut file: File, header: &Header) -> Result<(), DiffError> {
        self.buffer.resize(BUFFER, 0);
        let mut left = header.size;
        while left > 0 {
            let wanted = usize::try_from(left).unwrap_or(BUFFER).min(BUFFER);
            let length = file
                .read(&mut self.buffer[..wanted])
                .map_err(failed("read", &header.path))?;
            if length == 0 {
                return Err(DiffError::Changed(header.path.clone()));
            }
            self.writer
                .write_all(&self.buffer[..length])
                .map_err(TarError::Io)?;
            left -= length as u64;
        }
        Ok(())
    }
}

/// The name that marks `path` as gone.
fn hiding(path: &Path) -> PathBuf {
    let mut name = OsString::from(WHITEOUT);
    name.push(path.file_name().unwrap_or_default());
    path.with_file_name(name)
}
