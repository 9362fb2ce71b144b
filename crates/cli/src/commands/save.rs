//! `kiln save`.

use super::archives;
use super::session::Session;
use crate::args::image::Save;
use crate::error::Error;

/// Writes images as an archive.
pub(super) fn run(session: &mut Session<'_, '_>, args: &Save) -> Result<(), Error> {
    let keeper = session.keeper()?;
    let output = args.output.as_deref();
    archives::write(session, output, "save image", |output| {
        keeper.save(&args.images, output)
    })
}
