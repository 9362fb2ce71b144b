//! From the graph's words for copying to those of `snapshot`.

use std::path::Path;
use std::sync::Arc;

use dockerfile::ignore::Patterns;
use graph::Chmod;
use snapshot::copy::{self, CopyOwner, Earlier, ModeChange};
use snapshot::{Filter, Include, Selector, Tree, Upper};

use crate::engine::Inner;
use crate::error::EngineError;
use crate::output::IgnoreFilter;

/// What is known of the copies beside what the graph says.
#[derive(Debug)]
pub(super) struct Made<'a> {
    /// Whose they are, by number.
    pub(super) owner: CopyOwner,
    /// What an earlier copy made.
    pub(super) earlier: Option<&'a Earlier>,
}

/// Copies what `copy` says from `tree` into `upper`.
pub(super) fn copy(
    engine: &Inner,
    tree: &Tree,
    upper: &Upper,
    copy: &graph::Copy,
    made: &Made<'_>,
) -> Result<(), EngineError> {
    let mode = match &copy.mode {
        None => None,
        Some(Chmod::Octal(bits)) => Some(ModeChange::Octal(*bits)),
        Some(Chmod::Symbolic(text)) => Some(text.parse()?),
    };
    let wanted = copy::Copy {
        source: Selector {
            path: copy.source.clone().into(),
            wildcard: copy.wildcard,
            follow_links: copy.follow_links,
            parents: copy.parents,
            include: include(&copy.include),
            exclude: exclude(&copy.exclude)?,
        },
        destination: copy.destination.clone().into(),
        owner: made.owner,
        mode,
        directory_contents: copy.directory_contents,
        allow_empty_wildcard: copy.allow_empty_wildcard,
        create_destination: copy.create_destination,
        unpack: copy.unpack,
        created: copy.created.map(super::time),
        modified: copy.created.map(super::time),
        latest: None,
    };
    let options = copy::Options {
        share: true,
        pool: Some(engine.pool()?),
        earlier: made.earlier,
        limits: engine.config.limits.archive(),
    };
    copy::copy(tree, upper, &wanted, &options)?;
    Ok(())
}

/// Copies all of `tree`.
pub(crate) fn copy_all(engine: &Inner, tree: &Tree, upper: &Upper) -> Result<(), EngineError> {
    let options = copy::Options {
        share: true,
        pool: Some(engine.pool()?),
        earlier: None,
        limits: engine.config.limits.archive(),
    };
    copy::whole(tree, upper, &options)?;
    Ok(())
}

/// Copies what is in one directory of `tree`, to be written to later: nothing is shared.
pub(crate) fn copy_contents(
    engine: &Inner,
    tree: &Tree,
    directory: &str,
    upper: &Upper,
) -> Result<(), EngineError> {
    let wanted = copy::Copy {
        source: Selector {
            path: Path::new("/").join(directory.trim_start_matches('/')),
            follow_links: true,
            ..Selector::default()
        },
        destination: "/".into(),
        directory_contents: true,
        create_destination: true,
        ..copy::Copy::default()
    };
    let options = copy::Options {
        share: false,
        pool: Some(engine.pool()?),
        earlier: None,
        limits: engine.config.limits.archive(),
    };
    copy::copy(tree, upper, &wanted, &options)?;
    Ok(())
}

/// What patterns alone take, if there are any.
pub(crate) fn include(patterns: &[String]) -> Option<Arc<dyn Filter>> {
    Include::new(patterns).map(|include| -> Arc<dyn Filter> { Arc::new(include) })
}

/// What patterns leave out, if there are any.
pub(crate) fn exclude(patterns: &[String]) -> Result<Option<Arc<dyn Filter>>, EngineError> {
    if patterns.is_empty() {
        return Ok(None);
    }
    Ok(Some(Arc::new(IgnoreFilter::new(&Patterns::new(patterns)?))))
}
