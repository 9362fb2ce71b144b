//! `kiln rm`.

use engine::EngineError;

use super::session::Session;
use crate::args::container::Rm;
use crate::error::{Error, FAILURE};

/// Removes containers. One that cannot be removed does not keep the others.
pub(super) fn run(session: &mut Session<'_, '_>, args: &Rm) -> Result<(), Error> {
    let engine = session.engine()?;
    let mut failed = false;
    for name in &args.containers {
        match engine.remove_container(name, args.force) {
            Ok(_) => session.ui.line(name)?,
            Err(error) => {
                let is_missing = matches!(error, EngineError::NoSuchContainer(_));
                failed |= !(args.force && is_missing);
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
