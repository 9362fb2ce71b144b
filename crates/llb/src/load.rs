//! The ops of a definition, one after the other, inputs first.

use std::collections::HashMap;
use std::sync::Arc;

use bollard_buildkit_proto::pb;
use graph::{Edge, Graph, Meta, VertexId};
use oci::Digest;
use pb::op::Op;

use crate::error::{LoadError, Problem};
use crate::frame::{Done, Frame, Outputs, question};
use crate::options::{KnownResult, Options};
use crate::vertex::{Loaded, LoadedVertex, ProgressGroup};
use crate::wire::{RawOp, decode};
use crate::{checks, exec, file, limits, simple, source};

/// A definition on its way to a graph.
#[derive(Debug)]
pub struct Loading {
    options: Options,
    loaded: Loaded,
    /// The definition, and those that build ops of the one before led to.
    frames: Vec<Frame>,
    /// What somebody decided about sources.
    decided: HashMap<Digest, pb::SourceOp>,
    ops: usize,
    parts: usize,
}

/// What a definition needs.
#[derive(Debug)]
pub enum Step {
    /// Nothing more.
    Done(Box<Loaded>),
    /// A file of what is in the graph so far; [`Loading::answer`] goes on with it.
    NeedFile(FileQuestion),
    /// What is to be had of sources; [`Loading::decide`] goes on with each.
    NeedSources(Vec<SourceQuestion>),
}

/// A file that holds a definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileQuestion {
    /// The file system that it is in.
    pub edge: Edge,
    /// Its path there.
    pub path: String,
}

/// A source that somebody is to decide about.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceQuestion {
    /// The op that it is of.
    pub digest: Digest,
    /// The source.
    pub source: pb::SourceOp,
    /// What the op says that it is for.
    pub platform: Option<pb::Platform>,
}

/// An op as a vertex.
#[derive(Debug)]
pub(crate) struct Converted {
    pub(crate) op: graph::Op,
    pub(crate) inputs: Vec<Edge>,
    /// Its outputs.
    pub(crate) outputs: Vec<u32>,
    /// Outputs that are inputs as they were.
    pub(crate) unchanged: Outputs,
}

/// What an op comes to.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// A vertex.
    Vertex(Box<Converted>),
    /// Nothing that has to be done: its outputs are inputs.
    Same {
        outputs: Outputs,
        required: Vec<Edge>,
    },
    /// The steps of another build.
    Graft(Arc<KnownResult>),
    /// A definition that is not known yet.
    Ask(FileQuestion),
}

/// What an op is converted with.
pub(crate) struct Given<'a> {
    pub(crate) options: &'a Options,
    pub(crate) graph: &'a Graph,
    pub(crate) platform: Option<&'a pb::Platform>,
    /// None for an empty file system.
    pub(crate) inputs: &'a [Option<Edge>],
}

impl Given<'_> {
    /// An input by its index; -1 is an empty file system.
    pub(crate) fn input(&self, what: &'static str, index: i64) -> Result<Option<Edge>, Problem> {
        if index == -1 {
            return Ok(None);
        }
        let found = usize::try_from(index).ok().and_then(|i| self.inputs.get(i));
        found.copied().ok_or(Problem::Index { what, index })
    }
}

impl Loading {
    /// Begins with `definition`.
    ///
    /// # Errors
    /// It is malformed, or too large.
    pub fn new(definition: &pb::Definition, options: Options) -> Result<Self, LoadError> {
        let mut loading = Self {
            options,
            loaded: Loaded::default(),
            frames: Vec::new(),
            decided: HashMap::new(),
            ops: 0,
            parts: 0,
        };
        loading.enter(definition)?;
        Ok(loading)
    }

    /// Goes on until something is needed, or until the end. After the end there is nothing.
    ///
    /// # Errors
    /// An op is wrong, or is one that kiln does not have.
    pub fn step(&mut self) -> Result<Step, LoadError> {
        while let Some(frame) = self.frames.last_mut() {
            if self.options.ask_sources && !std::mem::replace(&mut frame.is_asked, true) {
                let questions = frame.sources();
                if !questions.is_empty() {
                    return Ok(Step::NeedSources(questions));
                }
            }
            let Some(digest) = frame.ahead.last().copied() else {
                self.leave()?;
                continue;
            };
            if let Some(question) = self.vertex(digest)? {
                return Ok(Step::NeedFile(question));
            }
        }
        Ok(Step::Done(Box::new(std::mem::take(&mut self.loaded))))
    }

    /// The graph so far.
    #[must_use]
    pub const fn graph(&self) -> &Graph {
        &self.loaded.graph
    }

    /// Goes on with what takes the place of a source, which may be the source itself.
    pub fn decide(&mut self, question: &SourceQuestion, source: pb::SourceOp) {
        self.decided.insert(question.digest, source);
    }

    /// Goes on with the file that was asked for.
    ///
    /// # Errors
    /// It holds no definition, or one that is too large.
    pub fn answer(&mut self, file: &[u8]) -> Result<(), LoadError> {
        let definition = decode(file).map_err(|problem| self.blame(problem))?;
        self.enter(&definition)
    }

    fn enter(&mut self, definition: &pb::Definition) -> Result<(), LoadError> {
        let depth = self.frames.len() + 1;
        Problem::check("definitions within one another", depth, limits::DEPTH)?;
        self.ops += definition.def.len();
        Problem::check("ops", self.ops, limits::OPS)?;
        let bytes = definition.def.iter().map(Vec::len).sum();
        Problem::check("bytes", bytes, limits::BYTES)?;
        let frame = Frame::new(definition, &mut self.loaded.sources)?;
        self.frames.push(frame);
        Ok(())
    }

    /// The result of a definition is that of the build op that led to it.
    fn leave(&mut self) -> Result<(), LoadError> {
        let Some(frame) = self.frames.pop() else {
            return Ok(());
        };
        let (digest, index) = frame.result;
        let result = frame.output(&digest.to_string(), index)?;
        match self.frames.last_mut() {
            None => self.loaded.root = result,
            Some(outer) => {
                let Some(build) = outer.ahead.last().copied() else {
                    return Ok(());
                };
                let outputs = Outputs::from([(0, result)]);
                self.finish(build, None, outputs);
            }
        }
        Ok(())
    }

    /// Does one op, or first those that it needs.
    fn vertex(&mut self, digest: Digest) -> Result<Option<FileQuestion>, LoadError> {
        let Some(frame) = self.frames.last_mut() else {
            return Ok(None);
        };
        if frame.done.contains_key(&digest) {
            frame.ahead.pop();
            return Ok(None);
        }
        let missing = frame.missing(digest)?;
        if !missing.is_empty() {
            frame.ahead.extend(missing);
            return Ok(None);
        }
        self.convert(digest).map_err(|problem| self.blame(problem))
    }

    fn convert(&mut self, digest: Digest) -> Result<Option<FileQuestion>, Problem> {
        let Some(frame) = self.frames.last() else {
            return Ok(None);
        };
        let raw = frame.op(&digest.to_string())?;
        let metadata = frame.metadata.get(&digest.to_string());
        checks::metadata(metadata)?;
        checks::constraints(raw)?;
        let parts = checks::parts(raw);
        Problem::check("parts of one op", parts, limits::PARTS)?;
        self.parts += parts;
        Problem::check("parts of ops", self.parts, limits::ALL_PARTS)?;
        let inputs = frame.inputs(raw)?;
        let given = Given {
            options: &self.options,
            graph: &self.loaded.graph,
            platform: raw.op.platform.as_ref(),
            inputs: &inputs,
        };
        let outcome = match self.decided.get(&digest) {
            Some(source) => source::convert(source, &given)?,
            None => {
                let question = self.options.ask_sources.then(|| question(raw)).flatten();
                if let Some(question) = question {
                    return Err(Problem::Undecided(question.source.identifier));
                }
                outcome(raw, &given)?
            }
        };
        match outcome {
            Outcome::Ask(question) => return Ok(Some(question)),
            Outcome::Same { outputs, required } => {
                self.loaded.required.extend(required);
                self.finish(digest, None, outputs);
            }
            Outcome::Graft(result) => {
                let root = self.graft(&result)?;
                self.finish(digest, None, Outputs::from([(0, root)]));
            }
            Outcome::Vertex(converted) => {
                let meta = Meta {
                    name: frame.name(raw),
                    ignore_cache: metadata.is_some_and(|metadata| metadata.ignore_cache),
                    unexported: metadata
                        .and_then(|metadata| metadata.export_cache.as_ref())
                        .is_some_and(|export| !export.value),
                    written: None,
                    locations: frame.locations(raw),
                };
                self.add(digest, *converted, meta)?;
            }
        }
        Ok(None)
    }

    /// Adds the steps of another build; its result.
    fn graft(&mut self, result: &KnownResult) -> Result<Option<Edge>, Problem> {
        let Some(root) = result.root else {
            return Ok(None);
        };
        let edges = [&[root], &result.required[..]].concat();
        let mut edges = self.loaded.graph.graft(&result.graph, &edges)?.into_iter();
        let root = edges.next();
        self.loaded.required.extend(edges);
        Ok(root)
    }

    /// Adds the vertex that an op came to.
    fn add(&mut self, digest: Digest, converted: Converted, meta: Meta) -> Result<(), Problem> {
        let Converted {
            op,
            inputs,
            outputs,
            unchanged,
        } = converted;
        let vertex = self.loaded.graph.add(op, inputs, meta)?;
        if !unchanged.is_empty() {
            // Who takes what went in wants that the process has run all the same.
            self.loaded.required.push(vertex.into());
        }
        let mut all = unchanged;
        all.extend(outputs.into_iter().map(|output| {
            let edge = Edge { vertex, output };
            (i64::from(output), Some(edge))
        }));
        self.finish(digest, Some(vertex), all);
        Ok(())
    }

    /// Notes what an op came to, and that it is behind.
    fn finish(&mut self, digest: Digest, vertex: Option<VertexId>, outputs: Outputs) {
        let Some(frame) = self.frames.last_mut() else {
            return;
        };
        frame.ahead.pop();
        let Some(raw) = frame.ops.get(&digest) else {
            return;
        };
        let name = frame.name(raw);
        let metadata = frame.metadata.get(&digest.to_string());
        let group = metadata.and_then(|metadata| metadata.progress_group.as_ref());
        let inputs = raw.op.inputs.iter();
        self.loaded.vertices.push(LoadedVertex {
            digest,
            vertex,
            name: name.clone(),
            inputs: inputs
                .filter_map(|input| input.digest.parse().ok())
                .collect(),
            places: frame.places.remove(&digest.to_string()).unwrap_or_default(),
            group: group.map(|group| ProgressGroup {
                id: group.id.clone(),
                name: group.name.clone(),
                weak: group.weak,
            }),
        });
        frame.done.insert(digest, Done { outputs, name });
    }

    /// Says which op is at fault.
    fn blame(&self, problem: Problem) -> LoadError {
        let frame = self.frames.last();
        let vertex = frame.and_then(|frame| {
            let digest = frame.ahead.last()?;
            Some((*digest, frame.name(frame.ops.get(digest)?)))
        });
        LoadError { vertex, problem }
    }
}

/// What an op comes to.
fn outcome(raw: &RawOp, given: &Given<'_>) -> Result<Outcome, Problem> {
    Ok(match (&raw.op.op, &raw.passthrough) {
        (Some(Op::Source(op)), _) => source::convert(op, given)?,
        (Some(Op::Exec(op)), _) => exec::convert(op, given)?.into(),
        (Some(Op::File(op)), _) => file::convert(op, given)?.into(),
        (Some(Op::Merge(op)), _) => simple::merge(op, given)?,
        (Some(Op::Diff(op)), _) => simple::diff(op, given)?,
        (Some(Op::Build(op)), _) => Outcome::Ask(simple::build(op, given)?),
        (None, Some(op)) => simple::passthrough(op, given)?,
        (None, None) => return Err(Problem::Invalid("op of no kind".to_owned())),
    })
}

impl Outcome {
    /// One output, which is an input.
    pub(crate) fn same(edge: Option<Edge>) -> Self {
        Self::Same {
            outputs: Outputs::from([(0, edge)]),
            required: Vec::new(),
        }
    }
}

impl From<Converted> for Outcome {
    fn from(converted: Converted) -> Self {
        Self::Vertex(Box::new(converted))
    }
}

impl Converted {
    /// A vertex with one output.
    pub(crate) fn one(op: graph::Op, inputs: Vec<Edge>) -> Self {
        Self {
            op,
            inputs,
            outputs: vec![0],
            unchanged: Outputs::new(),
        }
    }
}
