//! What a vertex is known by across builds.
//!
//! - The *canonical key* ([`CacheKey`]) is what records are stored under and what dependents use.
//! - The *definition key* is the digest of the op and of the canonical keys of its inputs. It is
//!   known without I/O, and it is the canonical key when no input is read by content.
//! - When inputs are read by content the canonical key is the digest of the op and, per input, of
//!   its key or of the checksum of what is read. The storage remembers which definition key led
//!   to which canonical key (an *alias*), so that the next build need not read anything.
//! - What a source resolves to is its key. A source that resolves to nothing lasting (a local
//!   directory) has none and enters the keys of its dependents by content alone.

use std::fmt;

use graph::{ContentHash, ContentHasher, Op, Selection, Written};
use oci::Digest;

/// What a vertex is known by before anything is read: its op and the keys of its inputs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DefinitionKey(pub [u8; 32]);

/// What a record is stored under.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CacheKey(pub [u8; 32]);

/// The content of a part of a file system.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Checksum(pub [u8; 32]);

/// What of an input is read by content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Portion {
    /// All of it: the input has no key of its own and the op may depend on everything.
    All,
    /// These paths.
    Paths(Selection),
}

/// What a key was made of, so that a miss can be explained by comparing with an older record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyParts {
    /// The name of the vertex, which is in no key.
    pub name: String,
    /// The instruction as it was written, where the name is not that; in no key either.
    pub written: Option<Box<Written>>,
    /// What it does.
    pub op: Op,
    /// How each input entered.
    pub inputs: Vec<InputPart>,
}

/// How an input entered a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InputPart {
    /// By its own key.
    Whole {
        /// The canonical key of the vertex.
        key: CacheKey,
        /// Which of its outputs.
        output: u32,
    },
    /// By what is read from it.
    Content {
        /// What is read.
        portion: Portion,
        /// What was there.
        checksum: Checksum,
    },
}

impl From<DefinitionKey> for CacheKey {
    /// The canonical key of a vertex that reads nothing by content.
    fn from(definition: DefinitionKey) -> Self {
        Self(definition.0)
    }
}

/// The digest of what a vertex does, which both of its keys start from.
pub(crate) fn op_digest(op: &Op) -> Digest {
    let mut hasher = ContentHasher::new("op");
    op.feed(&mut hasher);
    hasher.finish()
}

/// The key of an op whose inputs all have keys.
pub(crate) fn definition_key(op: &Digest, inputs: &[(CacheKey, u32)]) -> DefinitionKey {
    let mut hasher = ContentHasher::new("definition key");
    op.feed(&mut hasher);
    hasher.number(inputs.len() as u64);
    for (key, output) in inputs {
        hasher.bytes(&key.0);
        output.feed(&mut hasher);
    }
    DefinitionKey(*hasher.finish().as_bytes())
}

/// The key of an op of which at least one input is read by content.
pub(crate) fn content_key(op: &Digest, inputs: &[InputPart]) -> CacheKey {
    let mut hasher = ContentHasher::new("content key");
    op.feed(&mut hasher);
    hasher.number(inputs.len() as u64);
    for input in inputs {
        match input {
            InputPart::Whole { key, output } => {
                hasher.number(0);
                hasher.bytes(&key.0);
                output.feed(&mut hasher);
            }
            // Which paths are read is part of the op.
            InputPart::Content { checksum, .. } => {
                hasher.number(1);
                hasher.bytes(&checksum.0);
            }
        }
    }
    CacheKey(*hasher.finish().as_bytes())
}

impl Portion {
    pub(crate) fn digest(&self) -> Digest {
        let mut hasher = ContentHasher::new("portion");
        match self {
            Self::All => hasher.number(0),
            Self::Paths(selection) => {
                hasher.number(1);
                selection.feed(&mut hasher);
            }
        }
        hasher.finish()
    }
}

macro_rules! shown_as_hex {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    )*};
}

shown_as_hex!(DefinitionKey, CacheKey, Checksum);
