//! The header of one file, as Docker's tar sums have always had it.

use oci::Hasher;

use super::{FileKind, Meta};

/// Adds the header to a digest.
pub(super) fn feed(meta: &Meta, hasher: &mut Hasher) {
    let (kind, size, link) = match &meta.kind {
        FileKind::Regular => ('0', meta.size, ""),
        FileKind::Symlink(target) => ('2', 0, target.as_str()),
        FileKind::Character => ('3', 0, ""),
        FileKind::Block => ('4', 0, ""),
        FileKind::Directory => ('5', 0, ""),
        FileKind::Fifo => ('6', 0, ""),
    };
    let text = format!(
        "namemode{}uid{}gid{}size{size}typeflag{kind}linkname{link}unamegnamedevmajor{}devminor{}",
        meta.mode, meta.uid, meta.gid, meta.device.0, meta.device.1
    );
    hasher.update(text.as_bytes());
    let counts = |name: &&(Vec<u8>, Vec<u8>)| {
        let name = name.0.as_slice();
        name == b"security.capability"
            || !(name.starts_with(b"security.") || name.starts_with(b"system."))
    };
    let mut attributes: Vec<_> = meta.attributes.iter().filter(counts).collect();
    attributes.sort();
    for (name, value) in attributes {
        hasher.update(name);
        hasher.update(value);
    }
}
