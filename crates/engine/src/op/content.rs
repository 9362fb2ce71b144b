//! What steps read by content: checksums, and a second look at what may change meanwhile.
//!
//! A directory of the client's is read in place, first for the key and later by the step. In between
//! anybody can write to it. So what a checksum covered is kept, and compared once the step has
//! read: a result is recorded only if the files were those that its key was made of.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use graph::{ContentHash as _, ContentHasher, InputKey};
use snapshot::Selector;
use snapshot::checksum::{self, Covered, Listing, Selection, StoreCache};
use solver::{Checksum, Portion, Step};
use store::{Key, NewRecord, RecordKind};

use super::InputTree;
use super::file::{exclude, include};
use crate::clock::Moment;
use crate::engine::Inner;
use crate::error::EngineError;
use crate::output::{LocalTree, Output, Stack};

/// Files that are worth some thought.
pub(crate) const MANY: u64 = 128;

/// What the checksums of one build covered of directories of the client's.
#[derive(Debug, Default)]
pub(crate) struct Looks(Mutex<Vec<Arc<Look>>>);

/// One checksum of a directory of the client's.
#[derive(Debug)]
pub(crate) struct Look {
    tree: LocalTree,
    portion: Portion,
    checksum: Checksum,
    pub(crate) covered: Covered,
    listing: OnceLock<Listing>,
}

impl Look {
    /// The files that it covered, put together once.
    pub(crate) fn listing(&self) -> &Listing {
        self.listing.get_or_init(|| self.covered.listing())
    }
}

impl Looks {
    fn keep(&self, look: Look) {
        let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        looks.push(Arc::new(look));
    }

    /// Those at what a step reads of its inputs.
    pub(crate) fn of(&self, step: &Step, inputs: &[Output]) -> Vec<Arc<Look>> {
        let keys = step.vertex().op.input_keys(inputs.len());
        let looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let read = |look: &&Arc<Look>| {
            inputs.iter().zip(&keys).any(|(input, key)| {
                let is_same = match (key, &look.portion) {
                    (InputKey::Whole, Portion::All) => true,
                    (InputKey::Content(paths), Portion::Paths(looked)) => paths == looked,
                    _ => false,
                };
                is_same && matches!(input, Output::Local(tree) if *tree == look.tree)
            })
        };
        looks.iter().filter(read).map(Arc::clone).collect()
    }

    /// Does `work` with each of those, where it may block.
    async fn each(
        &self,
        step: &Step,
        inputs: &[Output],
        work: impl Fn(&Look) -> Result<(), EngineError> + Send + 'static,
    ) -> Result<(), EngineError> {
        let looks = self.of(step, inputs);
        if looks.is_empty() {
            return Ok(());
        }
        crate::blocking(move || looks.iter().try_for_each(|look| work(look))).await?
    }
}

impl Inner {
    /// The checksum of a portion of `input`.
    pub(crate) async fn checksum(
        self: &Arc<Self>,
        step: &Step,
        input: &Output,
        portion: &Portion,
        looks: &Looks,
    ) -> Result<Checksum, EngineError> {
        let checksum = self.look(step, input, portion, looks).await;
        checksum.map_err(|error| match error {
            EngineError::Checksum(source) => EngineError::CacheKey {
                of: input.told(),
                source,
            },
            other => other,
        })
    }

    async fn look(
        self: &Arc<Self>,
        step: &Step,
        input: &Output,
        portion: &Portion,
        looks: &Looks,
    ) -> Result<Checksum, EngineError> {
        let tree = self.trees(step, vec![input.clone()]).await?.pop();
        let Some(tree) = tree else {
            return Err(EngineError::LostThread);
        };
        let (engine, looked) = (Arc::clone(self), portion.clone());
        if let Output::Stack(stack) = input {
            let key = known_key(stack, portion);
            return crate::blocking(move || engine.look_once(&key, &tree, &looked)).await?;
        }
        let outcome = crate::blocking(move || engine.look_at(&tree, &looked)).await??;
        let checksum = Checksum(outcome.checksum.0);
        if let Output::Local(tree) = input {
            looks.keep(Look {
                tree: tree.clone(),
                portion: portion.clone(),
                checksum,
                covered: outcome.covered,
                listing: OnceLock::new(),
            });
        }
        Ok(checksum)
    }

    /// The checksum of files that never change, which is found again if it took work.
    fn look_once(
        &self,
        key: &Key,
        input: &InputTree,
        portion: &Portion,
    ) -> Result<Checksum, EngineError> {
        let records = self.store.records();
        if let Some(known) = records.take(&self.lease, key)?
            && let Ok(checksum) = <[u8; 32]>::try_from(known.value.as_slice())
        {
            return Ok(Checksum(checksum));
        }
        let outcome = self.look_at(input, portion)?;
        if outcome.files >= MANY {
            let record = NewRecord {
                kind: RecordKind::Internal,
                value: &outcome.checksum.0,
                ..NewRecord::default()
            };
            records.put(&self.lease, key, record)?;
        }
        let checksum = Checksum(outcome.checksum.0);
        self.keep_listing(&checksum, &outcome.covered.listing())?;
        Ok(checksum)
    }

    /// Keeps which files the step reads of directories of the client's.
    pub(crate) async fn keep_listings(
        self: &Arc<Self>,
        step: &Step,
        inputs: &[Output],
        looks: &Looks,
    ) -> Result<(), EngineError> {
        let engine = Arc::clone(self);
        let keep = move |look: &Look| engine.keep_listing(&look.checksum, look.listing());
        looks.each(step, inputs, keep).await
    }

    /// Makes sure that what the step has read is what its key was made of.
    pub(crate) async fn look_again(
        self: &Arc<Self>,
        step: &Step,
        inputs: &[Output],
        looks: &Looks,
    ) -> Result<(), EngineError> {
        let engine = Arc::clone(self);
        let verify = move |look: &Look| {
            let (tree, selections) = (look.tree.tree()?, selections(&look.portion)?);
            let pool = engine.pool()?;
            Ok(look.covered.verify(&tree, &selections, Some(pool))?)
        };
        looks.each(step, inputs, verify).await
    }

    fn look_at(
        &self,
        input: &InputTree,
        portion: &Portion,
    ) -> Result<checksum::Outcome, EngineError> {
        let tree = self.tree(input)?;
        let begun = Moment::now(self.clock.as_ref());
        let read_since = || begun.earliest();
        let cache = StoreCache {
            cache: self.store.stat_cache(),
            read_since: &read_since,
        };
        let options = checksum::Options {
            cache: Some(&cache),
            pool: Some(self.pool()?),
        };
        let selections = selections(portion)?;
        Ok(checksum::checksum(&tree, &selections, &options)?)
    }
}

/// Layers are what they are for ever, and no number is given twice.
fn known_key(stack: &Stack, portion: &Portion) -> Key {
    let mut hasher = ContentHasher::new("checksum of layers");
    hasher.number(stack.layers().len() as u64);
    for layer in stack.layers() {
        hasher.number(layer.0.cast_unsigned());
    }
    match portion {
        Portion::All => hasher.number(0),
        Portion::Paths(selection) => {
            hasher.number(1);
            selection.feed(&mut hasher);
        }
    }
    *hasher.finish().as_bytes()
}

fn selections(portion: &Portion) -> Result<Vec<Selection>, EngineError> {
    match portion {
        Portion::All => Ok(vec![Selection {
            selector: Selector {
                path: "/".into(),
                ..Selector::default()
            },
            directory_contents: false,
        }]),
        Portion::Paths(selection) => selection.paths.iter().map(selected).collect(),
    }
}

fn selected(path: &graph::SelectedPath) -> Result<Selection, EngineError> {
    Ok(Selection {
        selector: Selector {
            path: path.path.clone().into(),
            wildcard: path.wildcard,
            follow_links: path.follow_links,
            parents: path.parents,
            include: include(&path.include),
            exclude: exclude(&path.exclude)?,
        },
        directory_contents: path.directory_contents,
    })
}
