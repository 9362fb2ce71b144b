//! `kiln pull`.

use oci::Reference;

use super::session::Session;
use crate::args::image::Pull;
use crate::build::plan::asked_platform;
use crate::error::Error;

/// Brings an image into the store.
pub(super) fn run(session: &mut Session<'_, '_>, args: &Pull) -> Result<(), Error> {
    let reference: Reference = args
        .name
        .parse()
        .map_err(|error: oci::ReferenceError| Error::new(error.to_string()))?;
    let implied = reference.tag().is_none() && reference.digest().is_none();
    let reference = reference.with_default_tag();
    let platform = asked_platform(args.platform.as_ref(), session.environment)?;
    if implied && !args.quiet {
        session.ui.line("Using default tag: latest")?;
    }
    let keeper = session.keeper()?;
    let familiar = reference.familiar();
    let asked = reference.clone();
    let pulled = session.transfer(args.quiet, |progress| async move {
        keeper.pull(&asked, platform.as_ref(), progress).await
    })?;
    if !args.quiet {
        session.ui.line(&format!("Digest: {}", pulled.digest))?;
        session.ui.line(&match pulled.is_new {
            false => format!("Status: Image is up to date for {familiar}"),
            true => format!("Status: Downloaded newer image for {familiar}"),
        })?;
    }
    session.ui.line(&reference.to_string())
}
