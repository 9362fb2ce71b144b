//! What a vertex does.

pub(crate) mod exec;
pub(crate) mod file;
pub(crate) mod source;

use crate::content_hash::{ContentHash, ContentHasher};
use crate::{ExecOp, FileOp, SourceOp};

/// What a vertex does with its inputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Brings something in; has no inputs.
    Source(SourceOp),
    /// Runs a process.
    Exec(ExecOp),
    /// Copies, makes and removes files.
    File(FileOp),
    /// Stacks its inputs, first at the bottom, without copying.
    Merge(MergeOp),
    /// What its second input changed of its first.
    Diff(DiffOp),
}

/// Stacks all inputs of the vertex.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MergeOp;

/// The changes from input 0 to input 1. A vertex with one input has an empty lower side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiffOp;

impl ContentHash for Op {
    fn feed(&self, hasher: &mut ContentHasher) {
        match self {
            Self::Source(op) => {
                hasher.number(0);
                op.feed(hasher);
            }
            Self::Exec(op) => {
                hasher.number(1);
                op.feed(hasher);
            }
            Self::File(op) => {
                hasher.number(2);
                op.feed(hasher);
            }
            Self::Merge(MergeOp) => hasher.number(3),
            Self::Diff(DiffOp) => hasher.number(4),
        }
    }
}
