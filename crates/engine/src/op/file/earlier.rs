//! Finds the layer that an earlier copy of nearly the same files made, to share its inodes.
//!
//! Of a large context most files are what they were at the last build. What a step read is kept with
//! its record (see [`crate::explain`]); what is unchanged since need not be written again.

use graph::{FileActionKind, FileOp};
use snapshot::copy::Earlier;
use solver::Step;

use crate::engine::Inner;
use crate::error::EngineError;
use crate::explain::{Facts, lineage};
use crate::op::content::{Look, MANY};

/// Earlier records that are looked at.
const ANCESTORS: u32 = 8;

impl Inner {
    /// The layer of the latest record of the same copy, if it pays to look into it. What the step
    /// reads is what `look` covered.
    pub(crate) fn earlier_copy(
        &self,
        step: &Step,
        op: &FileOp,
        look: &Look,
    ) -> Result<Option<Earlier>, EngineError> {
        let (Some(parts), true) = (step.parts(), is_one_copy(op)) else {
            return Ok(None);
        };
        if look.covered.files() < MANY {
            return Ok(None);
        }
        let own = Facts::of(parts);
        for ancestor in self.store.records().ancestors(&lineage(parts), ANCESTORS)? {
            let facts = Facts::read(&ancestor.parts).filter(|facts| facts.does_what(&own));
            let Some(before) = facts.and_then(|facts| facts.files()) else {
                continue;
            };
            let Some(before) = self.listing(&before)? else {
                continue;
            };
            let now = look.listing();
            let changes = now.changes(&before);
            if changes.len() > now.len() / 2 {
                continue;
            }
            if let Some(layer) = self.top_layer(&ancestor.key)? {
                return Ok(Some(Earlier::new(layer, changes)?));
            }
        }
        Ok(None)
    }

    /// The directory of the layer that the step with this record made. Held by the lease.
    fn top_layer(&self, key: &store::Key) -> Result<Option<std::path::PathBuf>, EngineError> {
        let record = self.store.records().take(&self.lease, key)?;
        let Some(layer) = record.and_then(|record| crate::cache::top_layer(&record.value)) else {
            return Ok(None);
        };
        let row = self.store.layers().get(layer)?;
        let snapshot = row.and_then(|row| row.snapshot);
        Ok(snapshot.map(|path| snapshot::snapshotter::layer_directory(&path)))
    }
}

/// With a pattern several files may go to one place, and then it is not known whose copy is there.
fn is_one_copy(op: &FileOp) -> bool {
    let mut actions = op.actions.iter();
    match (actions.next().map(|action| &action.kind), actions.next()) {
        (Some(FileActionKind::Copy(copy)), None) => !copy.unpack && !copy.wildcard,
        _ => false,
    }
}
