//! Vertices, the edges between them, and the graph that holds them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::Arc;

use oci::Digest;

use crate::content_hash::{ContentHash, ContentHasher};
use crate::{FileInput, MountSource, Op};

/// A vertex of one graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VertexId(u32);

impl VertexId {
    /// Its place in the graph; inputs come before the vertices that use them.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// One output of a vertex.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Edge {
    /// The vertex.
    pub vertex: VertexId,
    /// Which of its outputs.
    pub output: u32,
}

impl From<VertexId> for Edge {
    fn from(vertex: VertexId) -> Self {
        Self { vertex, output: 0 }
    }
}

/// Identity of a definition: the op and all that leads to it. Not a cache key, since what a
/// source resolves to is not in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VertexDigest(pub Digest);

impl fmt::Display for VertexDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An op, its inputs, and what people are told about it.
#[derive(Debug, Clone)]
pub struct Vertex {
    /// What it does.
    pub op: Op,
    /// What it works on.
    pub inputs: Vec<Edge>,
    /// What does not change the result.
    pub meta: Meta,
    /// Its identity.
    pub digest: VertexDigest,
}

/// What is known of a vertex that does not change its result.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Meta {
    /// As progress shows it, such as `[build 2/4] RUN make`.
    pub name: String,
    /// Run it even when its result is known.
    pub ignore_cache: bool,
    /// Leave its result out of caches that are exported.
    pub unexported: bool,
    /// The instruction without its variables put in, when it names some that are set.
    pub written: Option<Box<Written>>,
    /// Where in a Dockerfile it was written; several places when equal vertices were merged.
    pub locations: Vec<Location>,
}

/// An instruction as it was written.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Written {
    /// Its text.
    pub text: String,
    /// The variables that it names, with their values.
    pub variables: Vec<(String, String)>,
}

impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values may be secrets.
        let names = self.variables.iter().map(|(name, _)| name);
        f.debug_struct("Written")
            .field("text", &self.text)
            .field("variables", &names.collect::<Vec<_>>())
            .finish()
    }
}

/// Lines of a source file, counted from 1, both ends included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Location {
    /// First line.
    pub first_line: u32,
    /// Last line.
    pub last_line: u32,
    /// The characters of those lines at which it begins and ends, where a client said so.
    pub characters: (u32, u32),
    /// The file, as a client gave it; none is the Dockerfile of the build.
    pub file: Option<Arc<SourceFile>>,
}

/// A file that steps were written in.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SourceFile {
    /// Its name.
    pub name: String,
    /// The language that it is in.
    pub language: String,
    /// Its text.
    pub data: Vec<u8>,
    /// The steps that make it, as the client encoded them; empty when nobody says.
    pub definition: Vec<u8>,
}

impl fmt::Debug for SourceFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SourceFile").field(&self.name).finish()
    }
}

/// Vertices in an order in which inputs come first; equal ones are one.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    vertices: Vec<Vertex>,
    by_digest: HashMap<VertexDigest, VertexId>,
}

/// Why a vertex cannot be added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// An input names a vertex that is not in the graph.
    #[error("vertex {name:?} uses vertex {input}, which was not added before it")]
    UnknownVertex {
        /// The vertex that was to be added.
        name: String,
        /// The place of the missing one.
        input: usize,
    },
    /// An action or a mount names an input or an action that does not exist.
    #[error("vertex {name:?} names {what} {index}, which it does not have")]
    UnknownInput {
        /// The vertex that was to be added.
        name: String,
        /// `input` or `action`.
        what: &'static str,
        /// Its index.
        index: u32,
    },
    /// There is no room for another vertex.
    #[error("the graph has more than {} vertices", u32::MAX)]
    TooLarge,
}

impl Graph {
    /// An empty one with room for so many vertices.
    #[must_use]
    pub fn with_capacity(vertices: usize) -> Self {
        Self {
            vertices: Vec::with_capacity(vertices),
            by_digest: HashMap::with_capacity(vertices),
        }
    }

    /// Adds a vertex, or finds the equal one that is there.
    ///
    /// # Errors
    /// The vertex names something that does not exist.
    pub fn add(&mut self, op: Op, inputs: Vec<Edge>, meta: Meta) -> Result<VertexId, GraphError> {
        self.check(&op, &inputs, &meta)?;
        let digest = self.digest(&op, &inputs);
        let vacant = match self.by_digest.entry(digest) {
            Entry::Vacant(vacant) => vacant,
            Entry::Occupied(existing) => {
                let existing = *existing.get();
                let known = &mut self.vertices[existing.index()].meta;
                known.ignore_cache |= meta.ignore_cache;
                known.unexported &= meta.unexported;
                for location in meta.locations {
                    if !known.locations.contains(&location) {
                        known.locations.push(location);
                    }
                }
                return Ok(existing);
            }
        };
        let id = VertexId(u32::try_from(self.vertices.len()).map_err(|_| GraphError::TooLarge)?);
        vacant.insert(id);
        self.vertices.push(Vertex {
            op,
            inputs,
            meta,
            digest,
        });
        Ok(id)
    }

    /// Adds all vertices of another graph; where each of them is now, by its place there.
    ///
    /// # Errors
    /// There is no room for them.
    pub fn absorb(&mut self, other: Self) -> Result<Vec<VertexId>, GraphError> {
        let mut moved: Vec<VertexId> = Vec::with_capacity(other.len());
        for Vertex {
            op,
            mut inputs,
            meta,
            ..
        } in other.vertices
        {
            for input in &mut inputs {
                input.vertex = moved[input.vertex.index()];
            }
            moved.push(self.add(op, inputs, meta)?);
        }
        Ok(moved)
    }

    /// The vertex with this identity in this graph; none when it is of another graph.
    #[must_use]
    pub fn get(&self, id: VertexId) -> Option<&Vertex> {
        self.vertices.get(id.index())
    }

    /// All vertices, inputs first.
    pub fn iter(&self) -> impl Iterator<Item = (VertexId, &Vertex)> {
        (0u32..).map(VertexId).zip(&self.vertices)
    }

    /// By vertex, whether one of `edges` needs it.
    #[must_use]
    pub fn reached(&self, edges: &[Edge]) -> Vec<bool> {
        let mut reached = vec![false; self.vertices.len()];
        for edge in edges {
            reached[edge.vertex.index()] = true;
        }
        for (place, vertex) in self.vertices.iter().enumerate().rev() {
            if reached[place] {
                for input in &vertex.inputs {
                    reached[input.vertex.index()] = true;
                }
            }
        }
        reached
    }

    /// Adds what `edges` of another graph need; where they are here.
    ///
    /// # Errors
    /// There is no room.
    pub fn graft(&mut self, other: &Self, edges: &[Edge]) -> Result<Vec<Edge>, GraphError> {
        let reached = other.reached(edges);
        let mut here: Vec<Option<VertexId>> = vec![None; reached.len()];
        let find = |here: &[Option<VertexId>], edges: &[Edge]| -> Vec<Edge> {
            let edges = edges.iter();
            let found = edges.filter_map(|edge| {
                let vertex = here[edge.vertex.index()]?;
                Some(Edge { vertex, ..*edge })
            });
            found.collect()
        };
        for (id, vertex) in other.iter().filter(|(id, _)| reached[id.index()]) {
            let inputs = find(&here, &vertex.inputs);
            here[id.index()] = Some(self.add(vertex.op.clone(), inputs, vertex.meta.clone())?);
        }
        Ok(find(&here, edges))
    }

    /// The number of vertices.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.vertices.len()
    }

    /// There is no vertex.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.vertices.is_empty()
    }

    fn digest(&self, op: &Op, inputs: &[Edge]) -> VertexDigest {
        let mut hasher = ContentHasher::new("vertex");
        op.feed(&mut hasher);
        hasher.number(inputs.len() as u64);
        for input in inputs {
            self.vertices[input.vertex.index()]
                .digest
                .0
                .feed(&mut hasher);
            input.output.feed(&mut hasher);
        }
        VertexDigest(hasher.finish())
    }

    fn check(&self, op: &Op, inputs: &[Edge], meta: &Meta) -> Result<(), GraphError> {
        let name = || meta.name.clone();
        if let Some(edge) = inputs
            .iter()
            .find(|edge| edge.vertex.index() >= self.vertices.len())
        {
            return Err(GraphError::UnknownVertex {
                name: name(),
                input: edge.vertex.index(),
            });
        }
        let unknown = |what, index| GraphError::UnknownInput {
            name: name(),
            what,
            index,
        };
        if let Some(index) = input_missing(op, inputs.len()) {
            return Err(unknown("input", index));
        }
        match earlier_action_missing(op) {
            Some(index) => Err(unknown("action", index)),
            None => Ok(()),
        }
    }
}

fn input_missing(op: &Op, inputs: usize) -> Option<u32> {
    let is_missing = |index: &u32| *index as usize >= inputs;
    match op {
        Op::Exec(exec) => exec
            .mounts
            .iter()
            .filter_map(|mount| match mount.source {
                MountSource::Bind { input, .. } | MountSource::Cache { input, .. } => input,
                _ => None,
            })
            .find(is_missing),
        Op::File(file) => file
            .actions
            .iter()
            .flat_map(crate::FileAction::file_inputs)
            .filter_map(|input| match input {
                FileInput::Input(index) => Some(*index),
                FileInput::Scratch | FileInput::Action(_) => None,
            })
            .find(is_missing),
        Op::Source(_) | Op::Merge(_) | Op::Diff(_) => None,
    }
}

fn earlier_action_missing(op: &Op) -> Option<u32> {
    let Op::File(file) = op else { return None };
    file.actions.iter().enumerate().find_map(|(place, action)| {
        action.file_inputs().find_map(|input| match input {
            FileInput::Action(index) if *index as usize >= place => Some(*index),
            _ => None,
        })
    })
}

impl crate::FileAction {
    fn file_inputs(&self) -> impl Iterator<Item = &FileInput> {
        let copied = match &self.kind {
            crate::FileActionKind::Copy(copy) => Some(&copy.from),
            _ => None,
        };
        [&self.input].into_iter().chain(copied)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LocalSource, MergeOp, SourceOp};

    fn local(name: &str) -> Op {
        Op::Source(SourceOp::Local(LocalSource {
            name: name.to_owned(),
            include: Vec::new(),
            exclude: Vec::new(),
            follow: Vec::new(),
        }))
    }

    fn at(line: u32) -> Meta {
        let location = Location {
            first_line: line,
            last_line: line,
            ..Location::default()
        };
        Meta {
            locations: vec![location],
            ..Meta::default()
        }
    }

    #[test]
    fn equal_vertices_are_one_and_keep_every_place() {
        let mut graph = Graph::default();
        let first = graph.add(local("context"), Vec::new(), at(1)).unwrap();
        let other = graph.add(local("other"), Vec::new(), at(2)).unwrap();
        let again = graph.add(local("context"), Vec::new(), at(3)).unwrap();
        assert_eq!((first, graph.len()), (again, 2));
        assert_ne!(first, other);
        assert_eq!(graph.get(first).unwrap().meta.locations.len(), 2);
    }

    #[test]
    fn what_is_absorbed_is_there_once() {
        let of = |names: [&str; 2]| {
            let mut graph = Graph::default();
            let all = names.map(|name| graph.add(local(name), Vec::new(), at(1)).unwrap());
            let top = graph.add(Op::Merge(MergeOp), all.map(Edge::from).to_vec(), at(2));
            (graph, top.unwrap())
        };
        let (mut graph, top) = of(["a", "b"]);
        let digest = graph.get(top).unwrap().digest;
        let (other, other_top) = of(["b", "c"]);
        let other_digest = other.get(other_top).unwrap().digest;
        let moved = graph.absorb(other).unwrap();
        assert_eq!(
            moved.iter().map(|id| id.index()).collect::<Vec<_>>(),
            [1, 3, 4]
        );
        assert_eq!(graph.get(top).unwrap().digest, digest);
        assert_eq!(graph.get(moved[2]).unwrap().digest, other_digest);
        let (again, _) = of(["a", "b"]);
        graph.absorb(again).unwrap();
        assert_eq!(graph.len(), 5);
    }

    #[test]
    fn the_order_of_inputs_is_part_of_the_identity() {
        let mut graph = Graph::default();
        let a = graph.add(local("a"), Vec::new(), at(1)).unwrap();
        let b = graph.add(local("b"), Vec::new(), at(1)).unwrap();
        let ab = graph
            .add(Op::Merge(MergeOp), vec![a.into(), b.into()], at(2))
            .unwrap();
        let ba = graph
            .add(Op::Merge(MergeOp), vec![b.into(), a.into()], at(2))
            .unwrap();
        assert_ne!(graph.get(ab).unwrap().digest, graph.get(ba).unwrap().digest);
    }

    #[test]
    fn what_is_grafted_is_what_is_needed_and_not_there() {
        let mut other = Graph::default();
        let unused = other.add(local("unused"), Vec::new(), at(1)).unwrap();
        let a = other.add(local("a"), Vec::new(), at(2)).unwrap();
        let b = other.add(local("b"), Vec::new(), at(3)).unwrap();
        let both = vec![b.into(), a.into()];
        let merged = other.add(Op::Merge(MergeOp), both, at(4)).unwrap();
        assert_eq!(other.reached(&[unused.into()]), [true, false, false, false]);

        let mut graph = Graph::default();
        let known = graph.add(local("b"), Vec::new(), at(9)).unwrap();
        let wanted = Edge {
            vertex: merged,
            output: 0,
        };
        let grafted = graph.graft(&other, &[wanted]).unwrap();
        let (here, there) = (grafted[0].vertex, other.get(merged).unwrap());
        let here = graph.get(here).unwrap();
        assert_eq!((graph.len(), here.digest), (3, there.digest));
        assert_eq!(here.inputs[0], known.into());
    }

    #[test]
    fn an_input_must_be_there_first() {
        let mut graph = Graph::default();
        let missing = Edge {
            vertex: VertexId(4),
            output: 0,
        };
        let error = graph
            .add(Op::Merge(MergeOp), vec![missing], Meta::default())
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "vertex \"\" uses vertex 4, which was not added before it"
        );
    }
}
