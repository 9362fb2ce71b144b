//! `kiln pull`.

use oci::Reference;

use super::session::Session;
use crate::args::image::Pull;
use crate::build::plan::platform;
use crate::error::Error;

/// Brings an image into the store.
pub(super) fn run(session: &mut Session<'_, '_>, args: &Pull) -> Result<(), Error> {
    let reference: Reference = args
        .name
        .parse()
        .map_err(|error: oci::ReferenceError| Error::new(error.to_string()))?;
    let implied = reference.tag().is_none() && reference.digest().is_none();
    let reference = reference.with_default_tag();
    let platform = platform(args.platform.as_ref(), session.environment)?;
    if implied && !args.quiet {
        session.ui.line("Using default tag: latest")?;
    }
    let engine = session.engine()?;
    let familiar = reference.familiar();
    let before = engine
        .inspect_image(&familiar)
        .ok()
        .map(|known| known.summary.digest);
    let asked = reference.clone();
    let digest = session.transfer(args.quiet, |progress| async move {
        engine.pull(&asked, &platform, &progress).await
    })?;
    if !args.quiet {
        session.ui.line(&format!("Digest: {digest}"))?;
        session.ui.line(&if before == Some(digest) {
            format!("Status: Image is up to date for {familiar}")
        } else {
            format!("Status: Downloaded newer image for {familiar}")
        })?;
    }
    session.ui.line(&reference.to_string())
}
