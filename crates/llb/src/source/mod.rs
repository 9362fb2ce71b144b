//! Ops that bring something in. Every attribute is read, or refused by its name.

mod git;
mod http;
pub(crate) mod image;
pub(crate) mod layout;
mod local;
pub(crate) mod named;
pub(crate) mod result;

use bollard_buildkit_proto::pb;
use graph::{Op, SourceOp};

use crate::error::Problem;
use crate::load::{Converted, Given, Outcome};

pub(crate) fn convert(op: &pb::SourceOp, given: &Given<'_>) -> Result<Outcome, Problem> {
    if !given.inputs.is_empty() {
        return Err(Problem::Invalid("source op with inputs".to_owned()));
    }
    if scheme(op)?.0 == result::SCHEME {
        return result::convert(op, given);
    }
    let source = source(op, given)?;
    Ok(Converted::one(Op::Source(source), Vec::new()).into())
}

/// What brings something in that is no result of another build.
fn source(op: &pb::SourceOp, given: &Given<'_>) -> Result<SourceOp, Problem> {
    let (scheme, rest) = scheme(op)?;
    match scheme {
        "docker-image" => image::convert(rest, &op.attrs, given),
        "local" => local::convert(rest, &op.attrs, given),
        "git" => git::convert(rest, &op.attrs),
        "http" | "https" => http::convert(&op.identifier, &op.attrs),
        layout::SCHEME => layout::convert(rest, &op.attrs, given),
        "docker-image+blob" | "oci-layout+blob" => Err(Problem::unsupported(
            format!("source {}", op.identifier),
            "use https:// with a checksum",
        )),
        _ => Err(Problem::Invalid(format!("source: unknown scheme {scheme}"))),
    }
}

/// What comes before `://`, and what after it.
fn scheme(op: &pb::SourceOp) -> Result<(&str, &str), Problem> {
    let parts = op.identifier.split_once("://");
    parts.ok_or_else(|| Problem::Invalid(format!("source {:?}", op.identifier)))
}

/// Whether it stands for steps of another build, whose own sources were looked at there.
pub(crate) fn is_result(op: &pb::SourceOp) -> bool {
    scheme(op).is_ok_and(|(scheme, _)| scheme == result::SCHEME)
}

/// The error for an attribute that is not there.
fn unknown(key: &str) -> Problem {
    Problem::unsupported(format!("source attribute {key:?}"), "leave it out")
}

/// What a switch says; BuildKit takes anything else for no.
fn is_true(key: &str, value: &str) -> Result<bool, Problem> {
    match value {
        "true" => Ok(true),
        "false" | "" => Ok(false),
        _ => Err(Problem::value(key, value, "expected true or false")),
    }
}
