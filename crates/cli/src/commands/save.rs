//! `kiln save`.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::session::{Session, block_on};
use crate::args::image::Save;
use crate::error::{CliError, Error};
use crate::ui;

/// Writes images as an archive.
pub(super) fn run(session: &mut Session<'_, '_>, args: &Save) -> Result<(), Error> {
    let engine = session.engine()?;
    let Some(output) = args.output.as_deref().filter(|output| *output != "-") else {
        if session.environment.terminals.stdout {
            return Err(Error::new(
                "cowardly refusing to save to a terminal. Use the -o flag or redirect",
            ));
        }
        return Ok(block_on(engine.save(&args.images, ui::stream()))??);
    };
    let target = session.environment.absolute(Path::new(output));
    let directory = target.parent().unwrap_or(&target);
    if !directory.is_dir() {
        let shown = Path::new(output).parent().unwrap_or(directory).display();
        return Err(Error::new(format!(
            "failed to save image: invalid output path: directory \"{shown}\" does not exist"
        )));
    }
    if target.is_dir() {
        return Err(Error::new(format!(
            "failed to save image: \"{output}\" is a directory"
        )));
    }
    // A device or a pipe is written to; a file is there only when it is whole.
    if target.exists() && !target.is_file() {
        let file = File::options().write(true).open(&target);
        let file = file.map_err(|source| failed("open", &target, source))?;
        return Ok(block_on(engine.save(&args.images, file))??);
    }
    let mut beside = target.clone().into_os_string();
    beside.push(".kiln-new");
    let beside = PathBuf::from(beside);
    let file = File::create(&beside).map_err(|source| failed("create", &beside, source))?;
    let saved = block_on(engine.save(&args.images, file))?
        .map_err(Error::from)
        .and_then(|()| {
            let renamed = fs::rename(&beside, &target);
            renamed.map_err(|source| failed("write", &target, source).into())
        });
    if saved.is_err() {
        // The error that is shown is the one that led here.
        let _ = fs::remove_file(&beside);
    }
    saved
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> CliError {
    let path = path.to_path_buf();
    CliError::File {
        action,
        path,
        source,
    }
}
