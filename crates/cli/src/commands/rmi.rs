//! `kiln rmi`.

use api::docker::DeletedImage;

use super::session::Session;
use crate::args::image::Rm;
use crate::error::{Error, FAILURE};

/// Removes names, and images that have none any more. One that cannot be removed does not keep
/// the others.
pub(super) fn run(session: &mut Session<'_, '_>, args: &Rm) -> Result<(), Error> {
    let keeper = session.keeper()?;
    let mut failed = false;
    for name in &args.images {
        match keeper.remove_image(name, args.force)? {
            Ok(removed) => {
                for removed in removed {
                    session.ui.line(&line(&removed))?;
                }
            }
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

fn line(removed: &DeletedImage) -> String {
    match removed {
        DeletedImage::Untagged(name) => format!("Untagged: {name}"),
        DeletedImage::Deleted(digest) => format!("Deleted: {digest}"),
    }
}
