//! `kiln load`.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use engine::is_untagged;

use super::session::{Session, block_on};
use crate::args::image::Load;
use crate::error::{Error, io_text};
use crate::ui;

/// Takes over the images of an archive.
pub(super) fn run(session: &mut Session<'_, '_>, args: &Load) -> Result<(), Error> {
    let input: Box<dyn Read + Send> = match args.input.as_deref() {
        Some(path) if path != "-" => {
            let file = File::open(session.environment.absolute(Path::new(path)));
            let file =
                file.map_err(|error| Error::new(format!("open {path}: {}", io_text(&error))))?;
            Box::new(file)
        }
        _ if session.environment.terminals.stdin => {
            return Err(Error::new("requested load from stdin, but stdin is empty"));
        }
        _ => Box::new(ui::input()),
    };
    let engine = session.engine()?;
    let loaded = block_on(engine.load(input))??;
    if args.quiet {
        return Ok(());
    }
    for name in loaded {
        let line = match name.digest() {
            Some(digest) if is_untagged(&name) => format!("Loaded image ID: {digest}"),
            _ => format!("Loaded image: {}", name.familiar()),
        };
        session.ui.line(&line)?;
    }
    Ok(())
}
