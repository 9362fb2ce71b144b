//! `kiln rm`.

use super::session::Session;
use crate::args::container::Rm;
use crate::error::{Error, FAILURE};

/// Removes containers. One that cannot be removed does not keep the others.
pub(super) fn run(session: &mut Session<'_, '_>, args: &Rm) -> Result<(), Error> {
    let keeper = session.keeper()?;
    let mut failed = false;
    for name in &args.containers {
        match keeper.remove_container(name, args.force, args.volumes)? {
            Ok(()) => session.ui.line(name)?,
            Err(error) => {
                failed |= !(args.force && error.is_missing());
                session.ui.error(&error.into());
            }
        }
    }
    if failed {
        Err(Error::silent(FAILURE))
    } else {
        Ok(())
    }
}
