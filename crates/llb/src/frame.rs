//! One definition, and how far it is done.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bollard_buildkit_proto::pb;
use graph::{Edge, Location};
use oci::Digest;

use crate::error::{LoadError, Problem};
use crate::limits;
use crate::load::SourceQuestion;
use crate::name;
use crate::places::places;
use crate::source::is_result;
use crate::vertex::{Place, SourceFile};
use crate::wire::RawOp;

/// One definition.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) ops: HashMap<Digest, RawOp>,
    pub(crate) metadata: BTreeMap<String, pb::OpMetadata>,
    pub(crate) places: BTreeMap<String, Vec<Place>>,
    /// The files that they are in, and how many of others there were before them.
    files: Vec<Arc<graph::SourceFile>>,
    others: usize,
    /// What is still to be done, the next one last.
    pub(crate) ahead: Vec<Digest>,
    pub(crate) done: HashMap<Digest, Done>,
    pub(crate) result: (Digest, i64),
    /// Its sources have been asked about.
    pub(crate) is_asked: bool,
}

/// By output what an op came to; an empty file system is no edge.
pub(crate) type Outputs = BTreeMap<i64, Option<Edge>>;

#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) outputs: Outputs,
    pub(crate) name: String,
}

impl Frame {
    pub(crate) fn new(
        definition: &pb::Definition,
        sources: &mut Vec<SourceFile>,
    ) -> Result<Self, LoadError> {
        let mut ops = HashMap::with_capacity(definition.def.len());
        let mut last = None;
        for bytes in &definition.def {
            let raw = RawOp::decode(bytes).map_err(|problem| LoadError {
                vertex: Some((Digest::of(bytes), String::new())),
                problem,
            })?;
            last = Some(raw.digest);
            ops.insert(raw.digest, raw);
        }
        let last = last.ok_or(Problem::Empty)?;
        let result = ops.remove(&last);
        let result = result.as_ref().and_then(|raw| raw.op.inputs.first());
        let input = result.ok_or(Problem::NoResult)?;
        let mut frame = Self {
            ops,
            others: sources.len(),
            files: files(definition),
            metadata: definition.metadata.clone(),
            places: places(definition, sources)?,
            ahead: Vec::new(),
            done: HashMap::new(),
            result: (last, input.index),
            is_asked: false,
        };
        frame.result.0 = frame.op(&input.digest)?.digest;
        frame.ahead.push(frame.result.0);
        Ok(frame)
    }

    pub(crate) fn op(&self, digest: &str) -> Result<&RawOp, Problem> {
        let parsed: Option<Digest> = digest.parse().ok();
        let op = parsed.and_then(|digest| self.ops.get(&digest));
        op.ok_or_else(|| Problem::MissingInput(digest.to_owned()))
    }

    /// What is to be decided about, in the order of identifiers.
    pub(crate) fn sources(&self) -> Vec<SourceQuestion> {
        let questions = self.ops.values().filter_map(question);
        let mut questions: Vec<SourceQuestion> = questions.collect();
        questions.sort_by(|one, other| {
            let by = |question: &SourceQuestion| question.source.identifier.clone();
            by(one).cmp(&by(other)).then(one.digest.cmp(&other.digest))
        });
        questions
    }

    /// The ops that `digest` works on and that are not done, the first one last.
    pub(crate) fn missing(&self, digest: Digest) -> Result<Vec<Digest>, LoadError> {
        let mut missing = Vec::new();
        let op = self.op(&digest.to_string())?;
        Problem::check("inputs of one op", op.op.inputs.len(), limits::PARTS)?;
        for input in op.op.inputs.iter().rev() {
            let input = self.op(&input.digest)?.digest;
            if !self.done.contains_key(&input) {
                missing.push(input);
            }
        }
        Ok(missing)
    }

    /// What the inputs of an op came to, which are done.
    pub(crate) fn inputs(&self, raw: &RawOp) -> Result<Vec<Option<Edge>>, Problem> {
        let inputs = raw.op.inputs.iter();
        inputs
            .map(|input| self.output(&input.digest, input.index))
            .collect()
    }

    pub(crate) fn output(&self, digest: &str, index: i64) -> Result<Option<Edge>, Problem> {
        let op = self.op(digest)?.digest;
        let found = self.done.get(&op).and_then(|done| done.outputs.get(&index));
        found.copied().ok_or_else(|| Problem::MissingOutput {
            digest: digest.to_owned(),
            index,
        })
    }

    pub(crate) fn name(&self, raw: &RawOp) -> String {
        let done = |input: &pb::Input| self.done.get(&input.digest.parse().ok()?);
        let inputs: Vec<&str> = raw
            .op
            .inputs
            .iter()
            .map(|input| done(input).map_or("", |done| done.name.as_str()))
            .collect();
        name::of(raw, self.metadata.get(&raw.digest.to_string()), &inputs)
    }

    /// The lines of an op.
    pub(crate) fn locations(&self, raw: &RawOp) -> Vec<Location> {
        let places = self.places.get(&raw.digest.to_string());
        let number = |number: i32| u32::try_from(number).unwrap_or_default();
        let location = |place: &Place| {
            let file = place.source.checked_sub(self.others)?;
            Some(Location {
                first_line: number(place.start.0),
                last_line: number(place.end.0),
                characters: (number(place.start.1), number(place.end.1)),
                file: Some(Arc::clone(self.files.get(file)?)),
            })
        };
        let places = places.into_iter().flatten();
        places.filter_map(location).collect()
    }
}

/// The files of a definition, in its order.
fn files(definition: &pb::Definition) -> Vec<Arc<graph::SourceFile>> {
    let infos = definition.source.iter().flat_map(|source| &source.infos);
    let file = |info: &pb::SourceInfo| {
        let definition = info.definition.as_ref();
        Arc::new(graph::SourceFile {
            name: info.filename.clone(),
            language: info.language.clone(),
            data: info.data.clone(),
            definition: definition
                .map(prost::Message::encode_to_vec)
                .unwrap_or_default(),
        })
    };
    infos.map(file).collect()
}

/// The source that an op is, unless it is a result of another build, whose own sources were asked
/// about there.
pub(crate) fn question(raw: &RawOp) -> Option<SourceQuestion> {
    match &raw.op.op {
        Some(pb::op::Op::Source(source)) if !is_result(source) => Some(SourceQuestion {
            digest: raw.digest,
            source: source.clone(),
            platform: raw.op.platform.clone(),
        }),
        _ => None,
    }
}
