//! The side that does things: what the solver asks of it, and what it tells with each question.

use std::error::Error;
use std::future::Future;
use std::sync::Arc;

use graph::{Vertex, VertexDigest, VertexId};
use tokio_util::sync::CancellationToken;

use crate::keys::{CacheKey, Checksum, DefinitionKey, KeyParts, Portion};
use crate::progress::StepProgress;

/// Does the ops of one build. Each build brings its own, which knows the build's files, secrets
/// and credentials; work that several builds share is done by the worker of the one that
/// started it.
///
/// A question is withdrawn by dropping its future, at any point; the step's token is cancelled
/// then, for work that a future cannot take with it. The futures of a build are polled on one
/// task, so what keeps a processor busy belongs on another thread.
pub trait Worker: Send + Sync + 'static {
    /// One output of a vertex. It keeps alive what it refers to, also after its build has ended.
    type Output: Clone + Send + Sync + 'static;
    /// Why a step failed.
    type Error: Error + Send + Sync + 'static;

    /// What a source stands for now: a key that changes whenever its content does, or none when
    /// it can only be known by reading it. Asked of sources alone.
    fn pin(
        &self,
        step: &Step,
    ) -> impl Future<Output = Result<Option<CacheKey>, Self::Error>> + Send;

    /// The content of a portion of an input of the step.
    fn checksum(
        &self,
        step: &Step,
        input: &Self::Output,
        portion: &Portion,
    ) -> impl Future<Output = Result<Checksum, Self::Error>> + Send;

    /// Waits until there is room for the step beside those of other builds, when a permit of its own
    /// build is there. What comes is dropped when the step has ended.
    fn admit(
        &self,
        step: &Step,
    ) -> impl Future<Output = Result<Option<Admission>, Self::Error>> + Send {
        let _ = step;
        std::future::ready(Ok(None))
    }

    /// Does the op, with one value per input of the vertex, and returns one per output.
    fn execute(
        &self,
        step: &Step,
        inputs: Vec<Self::Output>,
    ) -> impl Future<Output = Result<Vec<Self::Output>, Self::Error>> + Send;

    /// Whether the build has records beside those of the storage, to be asked by
    /// [`canonical`](Self::canonical) and [`recall`](Self::recall).
    fn recalls(&self) -> bool {
        false
    }

    /// What else a definition key leads to, when the storage does not know. Such a key is a guess,
    /// as an alias is.
    fn canonical(
        &self,
        step: &Step,
        definition: DefinitionKey,
    ) -> impl Future<Output = Option<CacheKey>> + Send {
        let _ = (step, definition);
        std::future::ready(None)
    }

    /// What else is recorded under a key, when the storage has nothing; `definition` is what led to
    /// the key, if it was made of contents. What is given is not saved by the solver.
    fn recall(
        &self,
        step: &Step,
        key: CacheKey,
        definition: Option<DefinitionKey>,
    ) -> impl Future<Output = Option<Vec<Self::Output>>> + Send {
        let _ = (step, key, definition);
        std::future::ready(None)
    }
}

/// The right to run a step, whatever keeps it.
pub type Admission = Box<dyn std::any::Any + Send + Sync>;

/// The vertex that a question is about.
#[derive(Debug, Clone)]
pub struct Step {
    pub(crate) id: VertexId,
    pub(crate) vertex: Arc<Vertex>,
    pub(crate) identity: Option<Identity>,
    pub(crate) cancelled: CancellationToken,
    pub(crate) progress: StepProgress,
}

/// What a step that runs is recorded as.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) key: CacheKey,
    pub(crate) parts: Arc<KeyParts>,
}

impl Step {
    /// Its place in the graph of the build that started the work.
    #[must_use]
    pub const fn id(&self) -> VertexId {
        self.id
    }

    /// What is to be done.
    #[must_use]
    pub fn vertex(&self) -> &Vertex {
        &self.vertex
    }

    /// The identity of its definition.
    #[must_use]
    pub fn digest(&self) -> VertexDigest {
        self.vertex.digest
    }

    /// Its canonical key, once it runs; a source that was pinned to nothing has none.
    #[must_use]
    pub fn key(&self) -> Option<CacheKey> {
        self.identity.as_ref().map(|identity| identity.key)
    }

    /// What that key was made of.
    #[must_use]
    pub fn parts(&self) -> Option<&KeyParts> {
        self.identity.as_ref().map(|identity| &*identity.parts)
    }

    /// Cancelled when nobody wants the answer any more, and after the answer was given.
    #[must_use]
    pub const fn cancelled(&self) -> &CancellationToken {
        &self.cancelled
    }

    /// Where the step tells how it gets on; reaches every build that waits for it.
    #[must_use]
    pub const fn progress(&self) -> &StepProgress {
        &self.progress
    }
}
