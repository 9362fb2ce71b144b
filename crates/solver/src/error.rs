//! Why a build ended without a result.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use graph::{Edge, Location, VertexDigest, VertexId};

/// Why a build ended without a result. `W` is the worker's error, `S` the storage's.
#[derive(Debug, thiserror::Error)]
pub enum SolveError<W: Error + 'static, S: Error + 'static> {
    /// A step failed; the rest of the build was cancelled.
    #[error("cannot {doing} {:?}", step.name)]
    Step {
        /// Which one.
        step: Box<FailedStep>,
        /// What of it.
        doing: Doing,
        /// Why.
        source: Arc<W>,
    },
    /// The cache storage failed.
    #[error("cannot use the build cache for {:?}", step.name)]
    Storage {
        /// The step that it was used for.
        step: Box<FailedStep>,
        /// Why.
        source: Arc<S>,
    },
    /// The build was cancelled.
    #[error("the build was cancelled")]
    Cancelled,
    /// A target is not in the graph.
    #[error("vertex {} is not in the graph", .0.vertex.index())]
    UnknownTarget(Edge),
    /// An output is used that the step does not have.
    #[error("{:?} has {outputs} outputs, and number {output} of them is used", step.name)]
    UnknownOutput {
        /// The step.
        step: Box<FailedStep>,
        /// The index of the output.
        output: u32,
        /// How many there are.
        outputs: usize,
    },
    /// Nothing is under way and the targets are not done: a defect of the solver, which ends
    /// this build alone.
    #[error("the build stands still with {unfinished} unfinished targets")]
    Stalled {
        /// How many of its targets are not done.
        unfinished: usize,
    },
}

/// The step that an error is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedStep {
    /// Its place in the build's graph.
    pub id: VertexId,
    /// The identity of its definition.
    pub digest: VertexDigest,
    /// Its name.
    pub name: String,
    /// Where it was written.
    pub locations: Vec<Location>,
}

/// What of a step was being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// A source was resolved.
    Resolve,
    /// What it reads of an input was looked at.
    Read,
    /// It ran.
    Run,
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "resolve",
            Self::Read => "read the inputs of",
            Self::Run => "run",
        })
    }
}

/// What went wrong with shared work; each build makes its own error of it.
#[derive(Debug)]
pub(crate) enum Failure<W, S> {
    Worker(Doing, Arc<W>),
    Storage(Arc<S>),
}

impl<W, S> Clone for Failure<W, S> {
    fn clone(&self) -> Self {
        match self {
            Self::Worker(doing, error) => Self::Worker(*doing, Arc::clone(error)),
            Self::Storage(error) => Self::Storage(Arc::clone(error)),
        }
    }
}

impl<W: Error, S: Error> Failure<W, S> {
    pub(crate) fn worker(doing: Doing) -> impl FnOnce(W) -> Self {
        move |error| Self::Worker(doing, Arc::new(error))
    }

    pub(crate) fn storage(error: S) -> Self {
        Self::Storage(Arc::new(error))
    }

    /// The error and what caused it, as people read it.
    pub(crate) fn text(&self) -> String {
        let error: &dyn Error = match self {
            Self::Worker(_, error) => error,
            Self::Storage(error) => error,
        };
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}
