//! Identities of layers: the diff ID of one, the chain ID of several applied in order
//! (image-spec, config.md, "Layer DiffID" and "Layer ChainID").

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Digest;

/// The digest of an uncompressed layer tar.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DiffId(pub Digest);

/// The identity of applying layers in order, bottom first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChainId(Digest);

impl ChainId {
    /// The identity of `layers`, bottom first; none for no layers.
    #[must_use]
    pub fn of(layers: &[DiffId]) -> Option<Self> {
        layers
            .iter()
            .fold(None, |below, layer| Some(Self::on(below, *layer)))
    }

    /// The identity of `layer` on top of what `below` names.
    #[must_use]
    pub fn on(below: Option<Self>, layer: DiffId) -> Self {
        match below {
            None => Self(layer.0),
            Some(below) => Self(Digest::of(format!("{} {}", below.0, layer.0).as_bytes())),
        }
    }

    /// The digest that is this identity.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.0
    }
}

impl fmt::Display for DiffId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for DiffId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
