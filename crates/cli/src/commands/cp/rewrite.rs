//! A tar on its way: its root member gets another name, or goes away and leaves what is in it; and
//! all members may get another owner.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use engine::tar::{EntryKind, Reader, TarError, Writer};

/// What is changed.
#[derive(Debug, Clone)]
pub(super) struct Rewrite {
    /// What the root member is called; without a name, what is in it stands at the top.
    pub(super) name: Option<String>,
    /// The archive has a root member; without one, the name goes before all.
    pub(super) strip: bool,
    /// Whose the files are.
    pub(super) owner: Owner,
}

/// Whose files are.
#[derive(Debug, Clone, Copy)]
pub(super) enum Owner {
    /// As before.
    Kept,
    /// This user's and group's.
    Of(u32, u32),
}

/// Writes the archive `input` with `plan`'s changes; the bytes of content. All of `input` is read
/// in any case: whoever writes it shall not fail because of what happens here.
pub(super) fn rewrite(
    mut input: impl Read,
    output: impl Write,
    plan: &Rewrite,
) -> Result<u64, TarError> {
    let rewritten = members(&mut input, output, plan);
    // What was wrong with the stream was found already, or does not matter.
    let _ = io::copy(&mut input, &mut io::sink());
    rewritten
}

fn members(input: impl Read, output: impl Write, plan: &Rewrite) -> Result<u64, TarError> {
    let mut reader = Reader::new(io::BufReader::with_capacity(64 << 10, input));
    let mut writer = Writer::new(io::BufWriter::with_capacity(64 << 10, output));
    let mut bytes = 0;
    while let Some(mut header) = reader.next_entry()? {
        let Some(path) = renamed(&header.path, plan) else {
            continue;
        };
        header.path = path;
        if let EntryKind::Link(target) = &mut header.kind {
            // The root member that went away is a directory, of which there are no other names.
            *target = renamed(target, plan).unwrap_or_default();
        }
        if let Owner::Of(uid, gid) = plan.owner {
            (header.uid, header.gid) = (uid, gid);
        }
        writer.entry(&header)?;
        bytes += io::copy(&mut reader, &mut writer)?;
    }
    writer.finish()?.flush()?;
    Ok(bytes)
}

/// The new path of a member; none when it goes away.
fn renamed(path: &Path, plan: &Rewrite) -> Option<PathBuf> {
    let mut components = path.components();
    if plan.strip {
        components.next();
    }
    let below = components.as_path();
    match &plan.name {
        Some(name) if below.as_os_str().is_empty() => Some(PathBuf::from(name)),
        Some(name) => Some(Path::new(name).join(below)),
        None if below.as_os_str().is_empty() => None,
        None => Some(below.to_path_buf()),
    }
}
