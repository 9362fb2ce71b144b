//! What comes out.

use graph::{Edge, Graph, VertexId};
use oci::Digest;

/// What a definition came to.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// All that has to be done.
    pub graph: Graph,
    /// The result; none when it is empty.
    pub root: Option<Edge>,
    /// What must be done beside it.
    pub required: Vec<Edge>,
    /// The ops, inputs first, as the client knows them.
    pub vertices: Vec<LoadedVertex>,
    /// The files that places are in.
    pub sources: Vec<SourceFile>,
}

/// An op, as the client knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedVertex {
    /// Of the op's bytes.
    pub digest: Digest,
    /// What it is in the graph; none when nothing has to be done for it. Equal vertices are one.
    pub vertex: Option<VertexId>,
    /// As people are told it.
    pub name: String,
    /// The ops that it works on.
    pub inputs: Vec<Digest>,
    /// Where it was written.
    pub places: Vec<Place>,
    /// What it is shown as a part of.
    pub group: Option<ProgressGroup>,
}

/// Ops that are shown as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgressGroup {
    /// Its identity.
    pub id: String,
    /// Its name.
    pub name: String,
    /// It is named after another op of the group.
    pub weak: bool,
}

/// Where an op was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, by its place among the sources.
    pub source: usize,
    /// Line and column at which it begins, as the client counts them.
    pub start: (i32, i32),
    /// Line and column of its end.
    pub end: (i32, i32),
}

/// A file that ops were written in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Its name.
    pub name: String,
    /// Its text.
    pub data: Vec<u8>,
    /// The language that it is in.
    pub language: String,
}
