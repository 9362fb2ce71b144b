//! One member: what it replaces, its content, its metadata.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Bound;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use sys::node::Device;

use super::parents::{Name, clean};
use super::{ExtractError, Extractor, Overwrite, Whiteouts};
use crate::file::{FileError, failed};
use crate::marks::is_content;
use crate::tar::{EntryKind, Header, Reader};
use crate::{Attributes, Kind, Made, UpperDir, UpperError};

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
/// What AUFS kept for itself.
const RESERVED: &[u8] = b".wh..wh.";

impl Extractor {
    pub(super) fn member<R: Read>(
        &mut self,
        header: Header,
        content: &mut Reader<R>,
    ) -> Result<(), ExtractError> {
        let Some(name) = clean(&header.path, &self.rules.limits)? else {
            // Nothing but the time of the top is the archive's to change.
            if self.rules.whiteouts != Whiteouts::Names {
                self.times.insert(PathBuf::new(), Some(header.modified));
            }
            return Ok(());
        };
        if self.rules.whiteouts != Whiteouts::Names {
            check_parents(&name.parent)?;
            if name.name.as_bytes().starts_with(WHITEOUT) {
                return self.mark(&name);
            }
        }
        let dir = self.directory(&name.parent)?;
        let path = self.shown(&dir, &name.name);
        if header.kind == EntryKind::Character(Device::default())
            && self.rules.whiteouts != Whiteouts::Names
        {
            // Overlay would take it for a whiteout in any case.
            return self.hide(&dir, &name.name);
        }
        self.make_room(&dir, &name.name, &header.kind, &path)?;
        self.create(&dir, &name.name, header, content)
    }

    /// Applies a `.wh.` name.
    fn mark(&mut self, name: &Name) -> Result<(), ExtractError> {
        let bytes = name.name.as_bytes();
        let hidden = &bytes[WHITEOUT.len()..];
        if bytes == OPAQUE {
            if self.rules.whiteouts == Whiteouts::Marks {
                self.directory(&name.parent)?.set_opaque()?;
            }
            return Ok(());
        }
        if bytes.starts_with(RESERVED) {
            return Ok(());
        }
        if matches!(hidden, b"" | b"." | b"..") {
            return Err(ExtractError::Whiteout(name.path()));
        }
        let dir = self.directory(&name.parent)?;
        self.hide(&dir, OsStr::from_bytes(hidden))
    }

    /// Hides what is below, but nothing that this archive itself has.
    fn hide(&mut self, dir: &UpperDir, name: &OsStr) -> Result<(), ExtractError> {
        if self.rules.whiteouts != Whiteouts::Marks {
            return Ok(());
        }
        let path = self.shown(dir, name);
        match dir.own(name)? {
            Some(stat) if stat.kind == Kind::Directory => match dir.create_dir(name)? {
                Made::Existed(own) | Made::New(own) => own.set_opaque()?,
            },
            Some(_) => {}
            None => sys::node::create_whiteout(dir.fd(), name).map_err(failed("mknod", path))?,
        }
        Ok(())
    }

    /// Removes what the archive has there already, unless a directory meets a directory.
    fn make_room(
        &mut self,
        dir: &UpperDir,
        name: &OsStr,
        kind: &EntryKind,
        path: &Path,
    ) -> Result<(), ExtractError> {
        self.done.links.remove(path);
        let Some(stat) = dir.find(name)? else {
            return Ok(());
        };
        let same_kind = self.rules.overwrite == Overwrite::SameKind;
        match (stat.kind, kind) {
            (Kind::Directory, EntryKind::Directory) => return Ok(()),
            (Kind::Directory, _) if same_kind => {
                return Err(ExtractError::OverDirectory { path: path.into() });
            }
            (_, EntryKind::Directory) if same_kind => {
                return Err(ExtractError::OverFile { path: path.into() });
            }
            (Kind::Directory | Kind::Symlink, _) => self.forget(path),
            _ => {}
        }
        dir.remove(name)?;
        Ok(())
    }

    /// Drops what is known of a directory or link that is replaced.
    fn forget(&mut self, path: &Path) {
        self.dirs.clear();
        let below: Vec<PathBuf> = self
            .times
            .range::<Path, _>((Bound::Included(path), Bound::Unbounded))
            .map(|(below, _)| below.clone())
            .take_while(|below| below.starts_with(path))
            .collect();
        for path in below {
            self.times.remove(&path);
            self.done.implied.remove(&path);
        }
    }

    fn create<R: Read>(
        &mut self,
        dir: &UpperDir,
        name: &OsStr,
        header: Header,
        content: &mut Reader<R>,
    ) -> Result<(), ExtractError> {
        let path = self.shown(dir, name);
        let attributes = self.attributes(&header);
        match header.kind {
            EntryKind::File => {
                let file = dir.create_file(name)?;
                self.fill(&file, header.size, content, &path)?;
                Ok(attributes.apply_to(file.as_fd(), &path)?)
            }
            EntryKind::Directory => {
                let (Made::Existed(made) | Made::New(made)) = dir.create_dir(name)?;
                made.set_attributes(&attributes)?;
                self.done.implied.remove(&path);
                self.keep_name(&path)?;
                self.times.insert(path.clone(), Some(header.modified));
                self.dirs.keep(&path, &made.settled()?);
                Ok(())
            }
            EntryKind::Symlink(target) => {
                dir.create_symlink(name, &target)?;
                Ok(attributes.apply_at(dir.fd(), name, Kind::Symlink, &path)?)
            }
            EntryKind::Link(target) => self.link(dir, name, &target, &attributes),
            EntryKind::Character(device) => {
                self.node(dir, name, (Kind::Character, device), &attributes)
            }
            EntryKind::Block(device) => self.node(dir, name, (Kind::Block, device), &attributes),
            EntryKind::Fifo => self.node(dir, name, (Kind::Fifo, Device::default()), &attributes),
        }
    }

    fn attributes(&self, header: &Header) -> Attributes {
        let (uid, gid) = self.rules.owner.unwrap_or((header.uid, header.gid));
        Attributes {
            uid,
            gid,
            mode: header.mode,
            modified: Some(header.modified),
            xattrs: header
                .xattrs
                .iter()
                .filter(|xattr| is_content(&xattr.name))
                .filter(|xattr| {
                    !self.rules.only_user_attributes || xattr.name.starts_with(b"user.")
                })
                .cloned()
                .collect(),
        }
    }

    fn node(
        &mut self,
        dir: &UpperDir,
        name: &OsStr,
        (kind, device): (Kind, Device),
        attributes: &Attributes,
    ) -> Result<(), ExtractError> {
        match dir.create_node(name, kind, device) {
            Err(UpperError::File(FileError { source, .. }))
                if self.rules.may_skip_devices
                    && kind != Kind::Fifo
                    && source.kind() == io::ErrorKind::PermissionDenied =>
            {
                self.done.skipped_devices += 1;
                return Ok(());
            }
            result => result?,
        }
        Ok(attributes.apply_at(dir.fd(), name, kind, dir.at(name))?)
    }

    /// Writes a file's content; holes are not written.
    fn fill<R: Read>(
        &mut self,
        file: &File,
        size: u64,
        content: &mut Reader<R>,
        path: &Path,
    ) -> Result<(), ExtractError> {
        let mut end = 0;
        while let Some(chunk) = content.chunk(&mut self.buffer)? {
            store::fail::point("unpack a file")
                .and_then(|()| file.write_all_at(&self.buffer[..chunk.length], chunk.offset))
                .map_err(failed("write", path))?;
            end = chunk.offset + chunk.length as u64;
        }
        if end < size {
            file.set_len(size).map_err(failed("truncate", path))?;
        }
        Ok(())
    }
}

/// A mark with something in it would be a file like others to us, and a mark to whom we give it.
fn check_parents(parent: &Path) -> Result<(), ExtractError> {
    let is_mark = |path: &&Path| {
        let name = path.file_name();
        name.is_some_and(|name| name.as_bytes().starts_with(WHITEOUT))
    };
    match parent.ancestors().find(is_mark) {
        Some(mark) => Err(ExtractError::Whiteout(mark.to_owned())),
        None => Ok(()),
    }
}
