//! `kiln imagetools`: images in registries, worked on where they are. No store is opened.

mod create;
mod filled;
mod inspect;
mod json;
mod text;

use engine::ImageTools;
use oci::{Reference, ReferenceError};

use super::session::Session;
use crate::args::imagetools;
use crate::error::Error;

/// Does what `command` asks for.
pub(super) fn run(
    session: &mut Session<'_, '_>,
    command: &imagetools::ImageTools,
) -> Result<(), Error> {
    match command {
        imagetools::ImageTools::Create(args) => create::run(session, args),
        imagetools::ImageTools::Inspect(args) => inspect::run(session, args),
    }
}

fn tools(session: &Session<'_, '_>) -> Result<ImageTools, Error> {
    Ok(ImageTools::new(&session.engine_options()?)?)
}

fn reference(name: &str) -> Result<Reference, Error> {
    let parsed = name.parse::<Reference>();
    let parsed = parsed.map_err(|error: ReferenceError| Error::new(error.to_string()));
    parsed.map(Reference::with_default_tag)
}
