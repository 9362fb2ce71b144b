//! Cache mounts that begin anew: those of steps that are to run as if nothing were known.
//!
//! Which mount a step gets does not depend on whether it is to use what is known, so what is there is
//! let go before the first step runs, and steps of one build share what they begin.

use std::collections::BTreeSet;
use std::sync::Arc;

use graph::{Edge, Graph, MountSource, Op};

use super::CacheMountIdentity;
use crate::engine::Inner;
use crate::error::EngineError;

impl Inner {
    /// Lets go the mounts of those steps beneath `edges` that are to run in any case. What somebody
    /// has at the moment stays, and the steps have it too.
    pub(crate) async fn renew_cache_mounts(
        self: &Arc<Self>,
        graph: &Graph,
        edges: &[Edge],
    ) -> Result<(), EngineError> {
        let ids = ids(graph, edges);
        if ids.is_empty() {
            return Ok(());
        }
        let engine = Arc::clone(self);
        crate::blocking(move || {
            let mounts = engine.store.cache_mounts();
            for row in mounts.list()? {
                if ids.contains(&CacheMountIdentity::of_key(&row.key).id) {
                    mounts.remove(&engine.lease, row.id)?;
                }
            }
            Ok(())
        })
        .await?
    }
}

/// Ids of the mounts that such steps have.
fn ids(graph: &Graph, edges: &[Edge]) -> BTreeSet<String> {
    let reached = graph.reached(edges);
    let steps = graph.iter().zip(reached);
    let steps = steps.filter(|((_, step), reached)| *reached && step.meta.ignore_cache);
    let mounts = steps.filter_map(|((_, step), _)| match &step.op {
        Op::Exec(exec) => Some(&exec.mounts),
        _ => None,
    });
    let ids = mounts.flatten().filter_map(|mount| match &mount.source {
        MountSource::Cache { id, .. } => Some(id.clone()),
        _ => None,
    });
    ids.collect()
}
