//! `ADD` of a local archive: its content goes into the destination, which is a directory then.
//!
//! Whether a file is an archive is seen by its content alone: some compression around something whose
//! first block is a tar header, or that without compression. All else is copied.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek};

use super::engine::Engine;
use super::{CopyError, CopyOwner};
use crate::archive::Compression;
use crate::extract::{ExtractError, Extractor, Overwrite, Rules, Whiteouts};
use crate::file::failed;
use crate::select::{Selected, Target, clean};
use crate::tar::Reader;
use crate::{Kind, NewDirectory};

/// Unpacks the source if it is an archive.
pub(super) fn archive(engine: &Engine<'_>, source: &Selected) -> Result<bool, CopyError> {
    let Target::File(dir, entry, stat) = &source.target else {
        return Ok(false);
    };
    if stat.kind != Kind::File {
        return Ok(false);
    }
    let mut file = dir.open(entry)?;
    let read = |error: io::Error| failed("read", &source.path)(error);
    let compression = detect(&mut file).map_err(read)?;
    // What does not decompress to an archive is just a file.
    let limits = engine.limits;
    let Ok(stream) = compression.decode(buffered(&file), &limits) else {
        return Ok(false);
    };
    if !matches!(Reader::new(stream).next_entry(), Ok(Some(_))) {
        return Ok(false);
    }
    file.rewind().map_err(read)?;
    let stream = compression.decode(buffered(&file), &limits).map_err(read)?;
    unpack(engine, stream, source)?;
    Ok(true)
}

fn detect(file: &mut File) -> io::Result<Compression> {
    let mut start = Vec::new();
    file.by_ref().take(8).read_to_end(&mut start)?;
    file.rewind()?;
    Ok(Compression::of(&start))
}

fn buffered(file: &File) -> BufReader<&File> {
    BufReader::with_capacity(128 * 1024, file)
}

fn unpack(engine: &Engine<'_>, stream: impl Read, source: &Selected) -> Result<(), CopyError> {
    let copy = engine.copy;
    let wanted = clean(&copy.destination);
    let path = engine.to.tree()?.lookup(&wanted, true)?.path;
    // The mode is for what is copied.
    let new = NewDirectory {
        mode: NewDirectory::default().mode,
        ..copy.new_directory()
    };
    let top = engine.to.create_dir_all(&path, &new)?;
    let rules = Rules {
        whiteouts: Whiteouts::Names,
        owner: match copy.owner {
            CopyOwner::Source | CopyOwner::Client => None,
            CopyOwner::Fixed(uid, gid) => Some((uid, gid)),
            CopyOwner::Process => Some(engine.process),
        },
        only_user_attributes: false,
        limits: engine.limits,
        overwrite: Overwrite::Anything,
        may_skip_devices: false,
    };
    // Only now is the directory in the upper one, where look-ups must see it.
    let view = engine.to.tree()?.lookup(&path, false)?.dir;
    let mut extractor = Extractor::new(top.clone(), view, rules);
    let wrap = |error: ExtractError| CopyError::Unpack {
        path: source.path.clone(),
        source: error,
    };
    extractor.archive(stream).map_err(wrap)?;
    extractor.settle().map_err(wrap)?;
    Ok(top.restore_times()?)
}
