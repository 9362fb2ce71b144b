//! Files of a client in a copy of its directory.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;

use bollard_buildkit_proto::fsutil::types::Stat;
use engine::{ClientAttributes, ClientFile, ClientFileKind, Incoming, Receiving};
use filesync::mode;

use super::{Target, not_asked};

/// Bytes of the extended attributes of files whose content has not come: a few for each of as many
/// files as there may be.
pub(super) const MAX_HELD: usize = 256 << 20;
/// Bytes of a path; the kernel takes no longer one.
pub(super) const MAX_PATH: usize = 4096;

/// Keeps files in a copy.
pub(super) struct Disk {
    receiving: Receiving,
    /// Files whose content is wanted.
    known: HashMap<u32, ClientFile>,
    /// Those whose content is on its way, each with the bytes of its extended attributes.
    open: HashMap<u32, (Incoming, usize)>,
    /// Bytes of the extended attributes of all these.
    pub(super) held: usize,
}

impl Disk {
    pub(super) fn new(receiving: Receiving) -> Self {
        Self {
            receiving,
            known: HashMap::new(),
            open: HashMap::new(),
            held: 0,
        }
    }

    /// What was there before and has not come is gone.
    ///
    /// # Errors
    /// As for [`Receiving::end`].
    pub(super) fn end(self) -> io::Result<()> {
        self.receiving.end()
    }
}

impl Target for Disk {
    fn modified(&mut self, modified: i64) {
        self.receiving.modified(modified);
    }

    fn entry(&mut self, id: u32, stat: Stat) -> io::Result<bool> {
        let Some(file) = file(stat)? else {
            return Ok(false);
        };
        let wanted = self.receiving.entry(&file)?;
        if wanted {
            self.held += size(&file.attributes);
            if self.held > MAX_HELD {
                let path = file.path.display();
                let text = format!("with {path} all extended attributes are over 256 MiB");
                return Err(io::Error::other(text));
            }
            self.known.insert(id, file);
        }
        Ok(wanted)
    }

    fn open(&mut self, id: u32) -> io::Result<()> {
        let file = self.known.remove(&id).ok_or_else(not_asked)?;
        let incoming = self.receiving.open(&file)?;
        self.open.insert(id, (incoming, size(&file.attributes)));
        Ok(())
    }

    fn write(&mut self, id: u32, bytes: &[u8]) -> io::Result<()> {
        let (incoming, _) = self.open.get_mut(&id).ok_or_else(not_asked)?;
        incoming.write(bytes)
    }

    fn close(&mut self, id: u32) -> io::Result<()> {
        let (incoming, held) = self.open.remove(&id).ok_or_else(not_asked)?;
        self.held -= held;
        incoming.end()
    }
}

fn size(attributes: &ClientAttributes) -> usize {
    let sizes = attributes.iter();
    sizes.map(|(name, value)| name.len() + value.len()).sum()
}

/// What a client tells of a file; none of a socket, which is no part of a context.
pub(super) fn file(stat: Stat) -> io::Result<Option<ClientFile>> {
    if stat.path.len().max(stat.linkname.len()) > MAX_PATH {
        let text = "the client has a path of more than 4096 bytes";
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    let is = |bit| stat.mode & bit != 0;
    let number = |number: i64| u32::try_from(number).unwrap_or_default();
    let numbers = (number(stat.devmajor), number(stat.devminor));
    let kind = if is(mode::SOCKET) || is(mode::IRREGULAR) {
        return Ok(None);
    } else if is(mode::DIRECTORY) {
        ClientFileKind::Directory
    } else if is(mode::SYMLINK) {
        ClientFileKind::Symlink(stat.linkname.into())
    } else if is(mode::FIFO) {
        ClientFileKind::Fifo
    } else if is(mode::CHAR_DEVICE) {
        ClientFileKind::CharDevice(numbers.0, numbers.1)
    } else if is(mode::DEVICE) {
        ClientFileKind::BlockDevice(numbers.0, numbers.1)
    } else if stat.linkname.is_empty() {
        ClientFileKind::File(u64::try_from(stat.size).unwrap_or_default())
    } else {
        ClientFileKind::Link(stat.linkname.into())
    };
    let attributes = stat.xattrs.into_iter();
    let attributes = attributes.map(|(name, value)| (name.into_bytes(), value));
    let path = PathBuf::from(stat.path);
    Ok(Some(ClientFile {
        attributes: engine::content_attributes(&path, attributes)?,
        path,
        kind,
        mode: mode::to_permissions(stat.mode),
        modified: stat.mod_time,
    }))
}
