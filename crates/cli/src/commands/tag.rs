//! `kiln tag`.

use super::session::Session;
use crate::args::image::Tag;
use crate::error::Error;
use crate::values::output;

/// Gives an image a further name.
pub(super) fn run(session: &mut Session<'_, '_>, args: &Tag) -> Result<(), Error> {
    let target = output::tag(&args.target)?;
    session.keeper()?.tag(&args.source, &target)
}
