//! Writes an archive whose bytes follow from the headers and contents alone.
//!
//! Ustar where it can say everything. Otherwise a PAX header before the member, with records in the
//! order of their keys, and in the ustar fields zero or as much as fits.

use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use sys::node::Device;

use super::block::{self, BLOCK, Block, put_checksum, put_octal, put_text};
use super::{EntryKind, Header, TarError, pax};

/// Writes an archive: [`entry`](Self::entry) begins a member, [`Write`] gives its content, and
/// [`finish`](Self::finish) ends the archive.
///
/// The stream gets many small writes; wrap it if that is dear.
#[derive(Debug)]
pub struct Writer<W> {
    output: W,
    path: PathBuf,
    size: u64,
    written: u64,
}

/// Records of a PAX header, in order.
type Records = std::collections::BTreeMap<Vec<u8>, Vec<u8>>;

impl<W: Write> Writer<W> {
    /// Writes to `output`.
    pub fn new(output: W) -> Self {
        Self {
            output,
            path: PathBuf::new(),
            size: 0,
            written: 0,
        }
    }

    /// Begins a member. `header.size` bytes must follow if it is a file; others have none.
    ///
    /// # Errors
    /// The one before is not complete, the format cannot hold the header, or writing fails.
    pub fn entry(&mut self, header: &Header) -> Result<(), TarError> {
        self.end_member()?;
        let name = name(header);
        let mut records = Records::new();
        let mut block = [0; BLOCK];
        let size = match header.kind {
            EntryKind::File => header.size,
            _ => 0,
        };
        put_fields(&mut block, &mut records, header, size);
        for xattr in &header.xattrs {
            if xattr.name.is_empty() || xattr.name.contains(&b'=') || xattr.name.contains(&0) {
                return Err(unwritable(header, "an extended attribute's name has a `=`"));
            }
            records.insert([pax::XATTR, &xattr.name].concat(), xattr.value.clone());
        }
        put_names(&mut block, &mut records, header, &name)?;
        if !records.is_empty() {
            self.extended_header(&name, &records)?;
        }
        put_checksum(&mut block);
        self.output.write_all(&block)?;
        self.path.clone_from(&header.path);
        self.size = size;
        self.written = 0;
        Ok(())
    }

    /// Ends the archive and gives the stream back.
    ///
    /// # Errors
    /// The last member is not complete, or writing fails.
    pub fn finish(mut self) -> Result<W, TarError> {
        self.end_member()?;
        self.output.write_all(&[0; 2 * BLOCK])?;
        self.output.flush()?;
        Ok(self.output)
    }

    fn end_member(&mut self) -> Result<(), TarError> {
        if self.written != self.size {
            return Err(TarError::ContentSize {
                path: self.path.clone(),
                size: self.size,
                written: self.written,
            });
        }
        let padding = self.size.wrapping_neg() % BLOCK as u64;
        self.output.write_all(&[0; BLOCK][..padding as usize])?;
        (self.size, self.written) = (0, 0);
        Ok(())
    }

    fn extended_header(&mut self, name: &[u8], records: &Records) -> Result<(), TarError> {
        let mut data = Vec::new();
        for (key, value) in records {
            pax::put(&mut data, key, value);
        }
        let mut block = [0; BLOCK];
        let name = ascii(&extended_name(name));
        let name = &name[..name.len().min(block::NAME.len())];
        put_text(&mut block[block::NAME], trim_slashes(name));
        for field in [block::MODE, block::UID, block::GID, block::MTIME] {
            put_octal(&mut block[field], 0);
        }
        put_octal(&mut block[block::SIZE], data.len() as u64);
        block[block::TYPE] = b'x';
        block[block::MAGIC].copy_from_slice(block::USTAR_MAGIC);
        put_checksum(&mut block);
        self.output.write_all(&block)?;
        data.resize(data.len().next_multiple_of(BLOCK), 0);
        Ok(self.output.write_all(&data)?)
    }
}

/// The content of the member begun last.
impl<W: Write> Write for Writer<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if data.len() as u64 > self.size - self.written {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                TarError::ContentSize {
                    path: self.path.clone(),
                    size: self.size,
                    written: self.written.saturating_add(data.len() as u64),
                },
            ));
        }
        let length = self.output.write(data)?;
        self.written += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

/// The name with a directory's slash.
fn name(header: &Header) -> Vec<u8> {
    let mut name = header.path.as_os_str().as_bytes().to_vec();
    if header.kind == EntryKind::Directory && !name.ends_with(b"/") {
        name.push(b'/');
    }
    name
}

/// All fields but those that hold names.
fn put_fields(block: &mut Block, records: &mut Records, header: &Header, size: u64) {
    let (flag, device) = match &header.kind {
        EntryKind::File => (b'0', Device::default()),
        EntryKind::Link(_) => (b'1', Device::default()),
        EntryKind::Symlink(_) => (b'2', Device::default()),
        EntryKind::Character(device) => (b'3', *device),
        EntryKind::Block(device) => (b'4', *device),
        EntryKind::Directory => (b'5', Device::default()),
        EntryKind::Fifo => (b'6', Device::default()),
    };
    block[block::TYPE] = flag;
    put_octal(&mut block[block::MODE], u64::from(header.mode));
    let mut number = |field, value: u64, key: &str| {
        if !put_octal(&mut block[field], value) {
            records.insert(key.as_bytes().to_vec(), value.to_string().into_bytes());
        }
    };
    number(block::UID, u64::from(header.uid), "uid");
    number(block::GID, u64::from(header.gid), "gid");
    number(block::SIZE, size, "size");
    // Whole seconds: no reader of layers agrees with another about fractions.
    let seconds = header.modified.seconds;
    match u64::try_from(seconds) {
        Ok(seconds) => number(block::MTIME, seconds, "mtime"),
        Err(_) => {
            records.insert(b"mtime".to_vec(), seconds.to_string().into_bytes());
        }
    }
    for (key, field) in [
        ("uid", block::UID),
        ("gid", block::GID),
        ("size", block::SIZE),
        ("mtime", block::MTIME),
    ] {
        if records.contains_key(key.as_bytes()) {
            put_octal(&mut block[field], 0);
        }
    }
    block[block::MAGIC].copy_from_slice(block::USTAR_MAGIC);
    // Linux's numbers have 12 and 20 bits, which always fit.
    put_octal(&mut block[block::DEV_MAJOR], u64::from(device.major));
    put_octal(&mut block[block::DEV_MINOR], u64::from(device.minor));
}

/// The name and link fields. Must come last: a name is split only if no record is needed.
fn put_names(
    block: &mut Block,
    records: &mut Records,
    header: &Header,
    name: &[u8],
) -> Result<(), TarError> {
    if let EntryKind::Link(link) | EntryKind::Symlink(link) = &header.kind {
        let link = link.as_os_str().as_bytes();
        if link.contains(&0) {
            return Err(unwritable(header, "its target has a NUL byte"));
        }
        if !link.is_ascii() || link.len() > block::LINK.len() {
            records.insert(b"linkpath".to_vec(), link.to_vec());
        }
        put_text(&mut block[block::LINK], &ascii(link));
    }
    if name.contains(&0) {
        return Err(unwritable(header, "its name has a NUL byte"));
    }
    let is_long = name.len() > block::NAME.len();
    if records.is_empty()
        && let Some((prefix, rest)) = split_name(name)
    {
        put_text(&mut block[block::PREFIX], prefix);
        put_text(&mut block[block::NAME], rest);
        return Ok(());
    }
    if is_long || !name.is_ascii() {
        records.insert(b"path".to_vec(), name.to_vec());
    }
    let short = ascii(name);
    put_text(&mut block[block::NAME], &short);
    let field = &mut block[block::NAME];
    if short.len() > field.len() && field.ends_with(b"/") {
        // A cut name that ends in a slash looks like a directory to some.
        let kept = trim_slashes(field).len();
        field[kept..].fill(0);
    }
    Ok(())
}

/// Splits a name at a slash so that both parts fit their fields.
fn split_name(name: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut length = name.len();
    if length <= block::NAME.len() || !name.is_ascii() {
        return None;
    }
    if length > block::PREFIX.len() + 1 {
        length = block::PREFIX.len() + 1;
    } else if name.ends_with(b"/") {
        length -= 1;
    }
    let at = name[..length].iter().rposition(|byte| *byte == b'/')?;
    let (prefix, rest) = (&name[..at], &name[at + 1..]);
    (at > 0 && !rest.is_empty() && rest.len() <= block::NAME.len()).then_some((prefix, rest))
}

/// The name of a PAX header: that of the member in a directory which no reader makes.
fn extended_name(name: &[u8]) -> Vec<u8> {
    let at = name
        .iter()
        .rposition(|byte| *byte == b'/')
        .map_or(0, |at| at + 1);
    clean(&[&name[..at], b"PaxHeaders.0/", &name[at..]].concat())
}

/// The shortest equal of a path, by its text.
fn clean(path: &[u8]) -> Vec<u8> {
    let is_absolute = path.starts_with(b"/");
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." if parts.last().is_some_and(|last| last != b"..") => {
                parts.pop();
            }
            b".." if is_absolute => {}
            part => parts.push(part),
        }
    }
    let path = parts.join(&b"/"[..]);
    if is_absolute {
        [b"/", &path[..]].concat()
    } else {
        path
    }
}

/// Without what is not ASCII.
fn ascii(text: &[u8]) -> Vec<u8> {
    text.iter().copied().filter(u8::is_ascii).collect()
}

fn trim_slashes(mut name: &[u8]) -> &[u8] {
    while let Some(shorter) = name.strip_suffix(b"/") {
        name = shorter;
    }
    name
}

fn unwritable(header: &Header, what: &'static str) -> TarError {
    TarError::Unwritable {
        path: header.path.clone(),
        what,
    }
}
