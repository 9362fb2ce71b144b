//! Where a vertex is on its way.

use crate::in_flight::Made;
use crate::keys::{CacheKey, DefinitionKey};
use crate::plan::Place;

/// What a build knows of a vertex.
pub(super) struct VertexState<O> {
    pub(super) phase: Phase<O>,
    /// None before it is known, and for sources that have none.
    pub(super) key: Option<CacheKey>,
    /// Somebody needs the result.
    pub(super) wanted: bool,
    /// Progress was told that nobody needs to run it.
    pub(super) told: bool,
    /// What it reads was asked for ahead of its turn.
    pub(super) seen_ahead: bool,
    /// Vertices that wait for the result, with the number of their input.
    pub(super) waiting: Vec<(Place, usize)>,
}

/// Where a vertex is on its way. Downwards, except that a key that changed when it was settled
/// is loaded once more.
pub(super) enum Phase<O> {
    /// Some inputs have no key yet.
    AwaitsKeys {
        /// How many.
        missing: usize,
    },
    /// The worker was asked what the source stands for.
    Pinning,
    /// The storage was asked what the definition key led to.
    Resolving,
    /// Inputs are realised and their contents looked at, since the key depends on them.
    Reading {
        /// How many contents are not known.
        missing: usize,
        /// What follows.
        then: Then,
    },
    /// The key is known, if there is one; nobody needs the result.
    Keyed,
    /// The storage was asked for the record of the key.
    Loading {
        /// The inputs are there and the key is certain.
        settled: bool,
    },
    /// It has to run, and inputs are not there yet.
    AwaitsInputs {
        /// How many.
        missing: usize,
    },
    /// It waits for its turn, or runs.
    Running,
    /// Its result is there.
    Done(Made<O>),
}

/// What follows when contents are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// The vertex has its key.
    Keyed,
    /// The key is settled, and the vertex runs.
    Run,
}

/// The keys of a vertex.
pub(super) struct Keys {
    pub(super) canonical: CacheKey,
    /// To be noted as what leads to the canonical key.
    pub(super) alias: Option<DefinitionKey>,
}

impl<O> VertexState<O> {
    pub(super) const fn new() -> Self {
        Self {
            phase: Phase::AwaitsKeys { missing: 0 },
            key: None,
            wanted: false,
            told: false,
            seen_ahead: false,
            waiting: Vec::new(),
        }
    }

    pub(super) const fn made(&self) -> Option<&Made<O>> {
        match &self.phase {
            Phase::Done(made) => Some(made),
            _ => None,
        }
    }
}
