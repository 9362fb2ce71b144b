//! `kiln load`.

use engine::is_untagged;

use super::archives;
use super::session::{Session, block_on};
use crate::args::image::Load;
use crate::error::Error;

/// Takes over the images of an archive.
pub(super) fn run(session: &mut Session<'_, '_>, args: &Load) -> Result<(), Error> {
    let input = archives::read(session, args.input.as_deref(), "load")?;
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
