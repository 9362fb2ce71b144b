//! `kiln save`.

use super::archives;
use super::session::{Session, block_on};
use crate::args::image::Save;
use crate::error::Error;

/// Writes images as an archive.
pub(super) fn run(session: &mut Session<'_, '_>, args: &Save) -> Result<(), Error> {
    let engine = session.engine()?;
    let output = args.output.as_deref();
    archives::write(session, output, "save image", |output| {
        Ok(block_on(engine.save(&args.images, output))??)
    })
}
