//! `kiln rmi`.

use engine::{EngineError, Removed};

use super::session::Session;
use crate::args::image::Rm;
use crate::error::{Error, FAILURE};

/// Removes names, and images that have none any more. One that cannot be removed does not keep
/// the others.
pub(super) fn run(session: &mut Session<'_, '_>, args: &Rm) -> Result<(), Error> {
    let engine = session.engine()?;
    let mut failed = false;
    for name in &args.images {
        match engine.remove_image(name, args.force) {
            Ok(removed) => {
                for removed in removed {
                    session.ui.line(&line(&removed))?;
                }
            }
            Err(error) => {
                let is_missing = matches!(error, EngineError::NoSuchImage(_));
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

fn line(removed: &Removed) -> String {
    match removed {
        Removed::Untagged(reference) => format!("Untagged: {}", reference.familiar()),
        Removed::Deleted(digest) => format!("Deleted: {digest}"),
    }
}
