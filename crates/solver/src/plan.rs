//! What a build has to look at: the vertices that its targets reach, and what is known of them
//! before anything is asked.
//!
//! Vertices are named by their place in the graph, in which inputs come first. Nothing here
//! recurses, so a chain may be as long as memory allows.

use std::sync::Arc;

use graph::{Edge, Graph, InputKey, Vertex, VertexDigest, VertexId};
use oci::Digest;

use crate::keys::{Portion, op_digest};
use crate::progress::PlannedVertex;

/// A place in the graph.
pub(crate) type Place = usize;

/// The vertices of a build; one entry per place up to the last that is reached.
pub(crate) struct Plan {
    entries: Vec<Option<Planned>>,
}

/// A vertex that the build may come to.
pub(crate) struct Planned {
    pub(crate) id: VertexId,
    pub(crate) digest: VertexDigest,
    pub(crate) op: Digest,
    pub(crate) source: bool,
    pub(crate) inputs: Vec<Input>,
    /// Vertices that have it as an input, once per input.
    pub(crate) dependents: Vec<Place>,
    /// Its result is made anew, whatever is recorded: it ignores the cache, or it depends on all
    /// of one that does.
    pub(crate) fresh: bool,
}

/// An input of a vertex.
pub(crate) struct Input {
    pub(crate) place: Place,
    pub(crate) output: u32,
    /// What is read of it by content; none when it enters by its key, if it has one.
    pub(crate) portion: Option<Arc<Portion>>,
}

impl Plan {
    /// The plan of a graph, or the target that is not in it.
    pub(crate) fn new(graph: &Graph, targets: &[Edge]) -> Result<Self, Edge> {
        let reached = reached(graph, targets)?;
        let mut entries: Vec<Option<Planned>> = Vec::with_capacity(reached.len());
        for ((id, vertex), reached) in graph.iter().zip(reached) {
            let planned = reached.then(|| planned(id, vertex, &entries));
            for input in planned.iter().flat_map(|planned| &planned.inputs) {
                if let Some(input) = &mut entries[input.place] {
                    input.dependents.push(id.index());
                }
            }
            entries.push(planned);
        }
        Ok(Self { entries })
    }

    /// The number of places.
    pub(crate) const fn len(&self) -> usize {
        self.entries.len()
    }

    /// The vertex at a place, if a target reaches it.
    pub(crate) fn get(&self, place: Place) -> Option<&Planned> {
        self.entries.get(place)?.as_ref()
    }

    /// The inputs of the vertex at a place.
    pub(crate) fn inputs(&self, place: Place) -> &[Input] {
        self.get(place).map_or(&[], |planned| &planned.inputs)
    }

    /// All vertices that are reached, inputs first.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (Place, &Planned)> {
        let entries = self.entries.iter().enumerate();
        entries.filter_map(|(place, entry)| Some((place, entry.as_ref()?)))
    }

    /// As progress tells it.
    pub(crate) fn announcement(&self, graph: &Graph) -> Vec<PlannedVertex> {
        let digest = |input: &Input| self.get(input.place).map(|planned| planned.digest);
        self.iter()
            .map(|(_, planned)| PlannedVertex {
                vertex: planned.digest,
                name: graph
                    .get(planned.id)
                    .map_or_else(String::new, |vertex| vertex.meta.name.clone()),
                inputs: planned.inputs.iter().filter_map(digest).collect(),
            })
            .collect()
    }
}

fn reached(graph: &Graph, targets: &[Edge]) -> Result<Vec<bool>, Edge> {
    let last = targets.iter().map(|target| target.vertex.index()).max();
    let mut reached = vec![false; last.map_or(0, |last| last + 1).min(graph.len())];
    let vertices: Vec<_> = graph.iter().take(reached.len()).collect();
    for target in targets {
        match reached.get_mut(target.vertex.index()) {
            Some(reached) => *reached = true,
            None => return Err(*target),
        }
    }
    for (id, vertex) in vertices.into_iter().rev() {
        if reached[id.index()] {
            for input in &vertex.inputs {
                reached[input.vertex.index()] = true;
            }
        }
    }
    Ok(reached)
}

fn planned(id: VertexId, vertex: &Vertex, entries: &[Option<Planned>]) -> Planned {
    let keys = vertex.op.input_keys(vertex.inputs.len());
    let inputs: Vec<_> = vertex
        .inputs
        .iter()
        .zip(keys)
        .map(|(edge, key)| Input {
            place: edge.vertex.index(),
            output: edge.output,
            portion: match key {
                InputKey::Whole => None,
                InputKey::Content(selection) => Some(Arc::new(Portion::Paths(selection))),
            },
        })
        .collect();
    let is_fresh = |place: Place| entries[place].as_ref().is_some_and(|input| input.fresh);
    let stale_input = |input: &Input| input.portion.is_none() && is_fresh(input.place);
    Planned {
        id,
        digest: vertex.digest,
        op: op_digest(&vertex.op),
        source: matches!(vertex.op, graph::Op::Source(_)),
        fresh: vertex.meta.ignore_cache || inputs.iter().any(stale_input),
        inputs,
        dependents: Vec::new(),
    }
}
