//! `kiln load`.

use super::archives;
use super::session::Session;
use crate::args::image::Load;
use crate::error::Error;

/// Takes over the images of an archive.
pub(super) fn run(session: &mut Session<'_, '_>, args: &Load) -> Result<(), Error> {
    let input = archives::read(session, args.input.as_deref(), "load")?;
    let keeper = session.keeper()?;
    keeper.load(input, |line| match args.quiet {
        true => Ok(()),
        false => session.ui.line(line),
    })
}
