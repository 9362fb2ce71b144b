//! Ops that say little: merges, diffs, what is passed through, definitions in files.

use bollard_buildkit_proto::pb;
use graph::{DiffOp, MergeOp, Op};

use crate::error::Problem;
use crate::frame::Outputs;
use crate::load::{Converted, FileQuestion, Given, Outcome};
use crate::wire::Passthrough;

pub(crate) fn merge(op: &pb::MergeOp, given: &Given<'_>) -> Result<Outcome, Problem> {
    let mut inputs = Vec::with_capacity(op.inputs.len());
    for input in &op.inputs {
        inputs.extend(given.input("merge input", input.input)?);
    }
    if inputs.is_empty() {
        return Ok(Outcome::same(None));
    }
    Ok(Converted::one(Op::Merge(MergeOp), inputs).into())
}

/// A diff, or what it is without one.
pub(crate) fn diff(op: &pb::DiffOp, given: &Given<'_>) -> Result<Outcome, Problem> {
    let (Some(lower), Some(upper)) = (&op.lower, &op.upper) else {
        let what = "diff op with nil lower or upper input".to_owned();
        return Err(Problem::Invalid(what));
    };
    let lower = given.input("diff input", lower.input)?;
    let upper = given.input("diff input", upper.input)?;
    match (lower, upper) {
        (None, upper) => Ok(Outcome::same(upper)),
        (Some(lower), Some(upper)) if lower == upper => Ok(Outcome::same(None)),
        (Some(lower), Some(upper)) => {
            let converted = Converted::one(Op::Diff(DiffOp), vec![lower, upper]);
            Ok(converted.into())
        }
        (Some(_), None) => Err(Problem::unsupported(
            "a diff to an empty file system, which removes everything",
            "begin with an empty file system instead",
        )),
    }
}

/// The file that the definition is in.
pub(crate) fn build(op: &pb::BuildOp, given: &Given<'_>) -> Result<FileQuestion, Problem> {
    const DEFINITION: &str = "buildkit.llb.definition";
    const FILE_NAME: &str = "llbbuild.filename";
    if op.builder != -1 {
        let what = "a build op with a builder other than LLB";
        return Err(Problem::unsupported(what, "have the definition as a file"));
    }
    if op.def.is_some() {
        let what = "a definition inside a build op";
        return Err(Problem::unsupported(what, "have the definition as a file"));
    }
    if let Some(other) = op.attrs.keys().find(|key| *key != FILE_NAME) {
        let what = format!("attribute {other:?} of a build op");
        return Err(Problem::unsupported(what, "leave it out"));
    }
    let input = op.inputs.get(DEFINITION).ok_or_else(|| {
        Problem::Invalid(format!(
            "build op: no llb definition input {DEFINITION} found"
        ))
    })?;
    let path = op.attrs.get(FILE_NAME).map_or(DEFINITION, String::as_str);
    let edge = given.input("build input", input.input)?;
    Ok(FileQuestion {
        edge: edge.ok_or_else(|| Problem::Invalid("build op: its input is empty".to_owned()))?,
        path: crate::path::clean(path),
    })
}

/// Some of the inputs as they are; the others must be there too.
pub(crate) fn passthrough(op: &Passthrough, given: &Given<'_>) -> Result<Outcome, Problem> {
    if op.id.is_empty() {
        return Err(Problem::Invalid("passthrough op with no id".to_owned()));
    }
    if op.outputs.is_empty() {
        return Err(Problem::Invalid(
            "passthrough op with no outputs".to_owned(),
        ));
    }
    let mut outputs = Outputs::new();
    for (output, index) in (0i64..).zip(&op.outputs) {
        let what = "passthrough output input";
        if *index < 0 {
            return Err(Problem::Index {
                what,
                index: *index,
            });
        }
        outputs.insert(output, given.input(what, *index)?);
    }
    Ok(Outcome::Same {
        outputs,
        required: given.inputs.iter().flatten().copied().collect(),
    })
}
