//! `kiln push`.

use oci::Reference;

use super::session::Session;
use crate::args::image::Push;
use crate::error::Error;

/// Sends an image to the registry that its name leads to.
pub(super) fn run(session: &mut Session<'_, '_>, args: &Push) -> Result<(), Error> {
    let reference: Reference = args
        .name
        .parse()
        .map_err(|error: oci::ReferenceError| Error::new(error.to_string()))?;
    if reference.digest().is_some() {
        return Err(Error::new("cannot push a digest reference"));
    }
    let implied = reference.tag().is_none();
    let reference = reference.with_default_tag();
    if !args.quiet {
        if implied {
            session.ui.line("Using default tag: latest")?;
        }
        let repository = reference.without_tag();
        session
            .ui
            .line(&format!("The push refers to repository [{repository}]"))?;
    }
    let keeper = session.keeper()?;
    let asked = reference.clone();
    let pushed = session.transfer(args.quiet, |progress| async move {
        keeper.push(&asked, progress).await
    })?;
    if args.quiet {
        return session.ui.line(&reference.to_string());
    }
    let (tag, digest, size) = (
        reference.tag().unwrap_or("latest"),
        pushed.digest,
        pushed.size,
    );
    session
        .ui
        .line(&format!("{tag}: digest: {digest} size: {size}"))
}
