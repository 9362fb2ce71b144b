//! The solver that lives as long as the process, and what a build asks of it.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::SystemTime;

use graph::{Edge, Graph, VertexId};
use tokio_util::sync::CancellationToken;

use crate::build::Build;
use crate::cache_storage::CacheStorage;
use crate::error::SolveError;
use crate::in_flight::InFlight;
use crate::keys::{CacheKey, DefinitionKey};
use crate::progress::ProgressSender;
use crate::worker::Worker;

/// Says what time it is.
pub type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// Runs graphs. Builds that run at the same time share what they have in common.
pub struct Solver<W: Worker, S: CacheStorage<Output = W::Output>> {
    shared: Arc<Shared<W, S>>,
}

/// How a build runs.
#[derive(Debug, Clone)]
pub struct BuildOptions {
    /// How many of its steps run at a time.
    pub jobs: NonZeroUsize,
    /// Ends it.
    pub cancel: CancellationToken,
    /// Is told what happens.
    pub progress: ProgressSender,
}

/// What a build came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Solution<O> {
    /// One per target, in the order in which they were asked for.
    pub targets: Vec<Solved<O>>,
    /// Every vertex that the targets reach, inputs first.
    pub vertices: Vec<SolvedVertex<O>>,
}

/// A target's result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Solved<O> {
    /// The result.
    pub output: O,
    /// The canonical key of its vertex; none for a source that has no key.
    pub cache_key: Option<CacheKey>,
    /// It was known before.
    pub was_cached: bool,
}

/// What became of a vertex.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SolvedVertex<O> {
    /// Its place in the graph.
    pub id: VertexId,
    /// Its canonical key; none for a source that has no key.
    pub cache_key: Option<CacheKey>,
    /// What leads to that key, when it was made of contents.
    pub definition: Option<DefinitionKey>,
    /// How its result came about.
    pub how: How<O>,
}

/// How a result came about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How<O> {
    /// Nobody needed it: what uses it was known before.
    Untouched,
    /// It was recorded.
    Cached(Arc<[O]>),
    /// It was made, for this build or for one that ran at the same time.
    Executed(Arc<[O]>),
}

/// What all builds of a solver have in common.
pub(crate) struct Shared<W: Worker, S: CacheStorage<Output = W::Output>> {
    pub(crate) storage: Arc<S>,
    pub(crate) clock: Clock,
    pub(crate) in_flight: Arc<InFlight<W, S>>,
}

impl<W: Worker, S: CacheStorage<Output = W::Output>> Solver<W, S> {
    /// A solver over the records of `storage`.
    #[must_use]
    pub fn new(storage: Arc<S>, clock: Clock) -> Self {
        Self {
            shared: Arc::new(Shared {
                storage,
                clock,
                in_flight: Arc::default(),
            }),
        }
    }

    /// Makes the targets, and of the graph only what they need. Dropping the future cancels the
    /// build; so does the first step that fails.
    ///
    /// # Errors
    /// A step or the storage failed, the build was cancelled, or a target is not in the graph.
    pub async fn build(
        &self,
        worker: Arc<W>,
        graph: Arc<Graph>,
        targets: &[Edge],
        options: BuildOptions,
    ) -> Result<Solution<W::Output>, SolveError<W::Error, S::Error>> {
        let shared = Arc::clone(&self.shared);
        let build = Build::new(shared, worker, graph, targets, &options)?;
        build.run(targets, &options.cancel).await
    }

    /// The number of keys that builds work on now, or wait for another process to be done with.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.shared.in_flight.len()
    }

    /// Where the records are.
    #[must_use]
    pub fn storage(&self) -> &Arc<S> {
        &self.shared.storage
    }
}

impl<W: Worker, S: CacheStorage<Output = W::Output>> Clone for Solver<W, S> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<W: Worker, S: CacheStorage<Output = W::Output>> fmt::Debug for Solver<W, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Solver")
    }
}
