//! From the graph's words for copying and reading to those of `snapshot`.

use std::path::Path;
use std::sync::Arc;

use dockerfile::ignore::Patterns;
use graph::Chmod;
use snapshot::checksum::{self, StoreCache};
use snapshot::copy::{self, CopyOwner, ModeChange};
use snapshot::{Filter, Selector, Tree, Upper};
use solver::{Checksum, Portion, Step};

use crate::engine::Inner;
use crate::error::EngineError;
use crate::op::InputTree;
use crate::output::{IgnoreFilter, Output};

/// Copies what `copy` says from `tree` into `upper`.
pub(super) fn copy(
    engine: &Inner,
    tree: &Tree,
    upper: &Upper,
    copy: &graph::Copy,
    owner: Option<(u32, u32)>,
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
            exclude: exclude(&copy.exclude)?,
        },
        destination: copy.destination.clone().into(),
        owner: owner.map_or(CopyOwner::Source, |(uid, gid)| CopyOwner::Fixed(uid, gid)),
        mode,
        directory_contents: copy.directory_contents,
        allow_empty_wildcard: copy.allow_empty_wildcard,
        create_destination: copy.create_destination,
        unpack: copy.unpack,
        created: None,
    };
    let options = copy::Options {
        share: true,
        pool: Some(engine.pool()?),
    };
    copy::copy(tree, upper, &wanted, &options)?;
    Ok(())
}

/// Copies all of `tree`.
pub(crate) fn copy_all(engine: &Inner, tree: &Tree, upper: &Upper) -> Result<(), EngineError> {
    let options = copy::Options {
        share: true,
        pool: Some(engine.pool()?),
    };
    copy::whole(tree, upper, &options)?;
    Ok(())
}

/// Fills a new cache mount, which is written to later and so shares nothing.
pub(crate) fn seed(
    engine: &Inner,
    tree: &Tree,
    selector: &str,
    directory: &Path,
) -> Result<(), EngineError> {
    let upper = Upper::open(directory, &[], engine.marks)?;
    let wanted = copy::Copy {
        source: Selector {
            path: Path::new("/").join(selector.trim_start_matches('/')),
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
    };
    copy::copy(tree, &upper, &wanted, &options)?;
    Ok(())
}

impl Inner {
    /// The checksum of a portion of `input`.
    pub(crate) async fn checksum(
        self: &Arc<Self>,
        step: &Step,
        input: &Output,
        portion: &Portion,
    ) -> Result<Checksum, EngineError> {
        let tree = self.trees(step, vec![input.clone()]).await?.pop();
        let Some(tree) = tree else {
            return Err(EngineError::LostThread);
        };
        let (engine, portion) = (Arc::clone(self), portion.clone());
        crate::blocking(move || engine.checksum_of(&tree, &portion)).await?
    }

    fn checksum_of(&self, input: &InputTree, portion: &Portion) -> Result<Checksum, EngineError> {
        let tree = self.tree(input)?;
        let selections = match portion {
            Portion::All => vec![checksum::Selection {
                selector: Selector {
                    path: "/".into(),
                    ..Selector::default()
                },
                directory_contents: false,
            }],
            Portion::Paths(selection) => selection
                .paths
                .iter()
                .map(selected)
                .collect::<Result<_, _>>()?,
        };
        let cache = StoreCache {
            cache: self.store.stat_cache(),
            read_since: self.clock.now(),
        };
        let options = checksum::Options {
            cache: Some(&cache),
            pool: Some(self.pool()?),
        };
        let outcome = checksum::checksum(&tree, &selections, &options)?;
        Ok(Checksum(outcome.checksum.0))
    }
}

fn selected(path: &graph::SelectedPath) -> Result<checksum::Selection, EngineError> {
    Ok(checksum::Selection {
        selector: Selector {
            path: path.path.clone().into(),
            wildcard: path.wildcard,
            follow_links: path.follow_links,
            parents: path.parents,
            exclude: exclude(&path.exclude)?,
        },
        directory_contents: path.directory_contents,
    })
}

fn exclude(patterns: &[String]) -> Result<Option<Arc<dyn Filter>>, EngineError> {
    if patterns.is_empty() {
        return Ok(None);
    }
    Ok(Some(Arc::new(IgnoreFilter(Patterns::new(patterns)?))))
}
