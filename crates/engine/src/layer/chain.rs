//! The snapshots of all layers of an image: fetched and unpacked side by side, published bottom first.

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::{TryStreamExt as _, stream};
use snapshot::snapshotter::layer_directory;
use solver::StepProgress;
use store::LayerRow;
use tokio::sync::watch;

use crate::engine::Inner;
use crate::error::EngineError;
use crate::output::Stack;

/// Layers of one image that are fetched and unpacked at once.
const AT_ONCE: usize = 4;

/// The layers of an image, while snapshots of them are made.
struct Chain {
    /// Of all of them, bottom first, those that are not made yet included.
    directories: Arc<[PathBuf]>,
    /// How many are there, from the bottom on.
    made: watch::Sender<usize>,
}

/// A layer in its chain.
struct Link<'a> {
    row: &'a LayerRow,
    /// How many are below it.
    rank: usize,
    /// It may be unpacked, under its lock, before those below are there: all of them have lower
    /// numbers. So who holds a lock waits for lower ones only, and two chains with the same layers
    /// in another order never wait for each other.
    is_early: bool,
}

impl Inner {
    /// The directories of the snapshots of `stack`, bottom first; they are made when missing.
    pub(crate) async fn snapshots(
        self: &Arc<Self>,
        stack: &Stack,
        progress: Option<&StepProgress>,
    ) -> Result<Vec<PathBuf>, EngineError> {
        let rows = self.store.layers().take(&self.lease, stack.layers())?;
        let directories: Arc<[PathBuf]> = rows
            .iter()
            .map(|row| match &row.snapshot {
                Some(snapshot) => layer_directory(snapshot),
                None => layer_directory(&self.store.snapshots().path(row.id)),
            })
            .collect();
        if rows.iter().any(|row| row.snapshot.is_none()) {
            let chain = Chain {
                directories: Arc::clone(&directories),
                made: watch::Sender::new(0),
            };
            stream::iter(links(&rows).map(Ok))
                .try_for_each_concurrent(AT_ONCE, |link| self.make_snapshot(&chain, link, progress))
                .await?;
        }
        Ok(directories.to_vec())
    }

    /// Makes the snapshot of one layer of a chain, and returns when all below it are there too.
    async fn make_snapshot(
        self: &Arc<Self>,
        chain: &Chain,
        link: Link<'_>,
        progress: Option<&StepProgress>,
    ) -> Result<(), EngineError> {
        let Link {
            row,
            rank,
            is_early,
        } = link;
        if row.snapshot.is_none() {
            self.fetch_layer(row, progress).await?;
            if !is_early {
                chain.until(rank).await;
            }
            let (engine, id) = (Arc::clone(self), row.id);
            let unpacked = crate::blocking(move || engine.unpack(id, rank == 0)).await??;
            chain.until(rank).await;
            if let Some(unpacked) = unpacked {
                let (engine, directories) = (Arc::clone(self), Arc::clone(&chain.directories));
                let finish = move || engine.finish(unpacked, &directories[..rank]);
                crate::blocking(finish).await??;
            }
        }
        chain.until(rank).await;
        chain.made.send_replace(rank + 1);
        Ok(())
    }
}

fn links(rows: &[LayerRow]) -> impl Iterator<Item = Link<'_>> {
    rows.iter().enumerate().scan(None, |highest, (rank, row)| {
        let is_early = *highest < Some(row.id);
        *highest = (*highest).max(Some(row.id));
        Some(Link {
            row,
            rank,
            is_early,
        })
    })
}

impl Chain {
    /// Returns when the lowest `count` layers are there.
    async fn until(&self, count: usize) {
        // The sender is ours, so it is there.
        let _ = self.made.subscribe().wait_for(|made| *made >= count).await;
    }
}
