//! Ops that bring something in. Every attribute is read, or refused by its name.

mod git;
mod http;
pub(crate) mod image;
pub(crate) mod layout;
mod local;
pub(crate) mod result;

use bollard_buildkit_proto::pb;
use graph::Op;

use crate::error::Problem;
use crate::load::{Converted, Given, Outcome};

pub(crate) fn convert(op: &pb::SourceOp, given: &Given<'_>) -> Result<Outcome, Problem> {
    if !given.inputs.is_empty() {
        return Err(Problem::Invalid("source op with inputs".to_owned()));
    }
    let parts = op.identifier.split_once("://");
    let (scheme, rest) =
        parts.ok_or_else(|| Problem::Invalid(format!("source {:?}", op.identifier)))?;
    let source = match scheme {
        "docker-image" => image::convert(rest, &op.attrs, given)?,
        "local" => local::convert(rest, &op.attrs, given)?,
        "git" => git::convert(rest, &op.attrs)?,
        "http" | "https" => http::convert(&op.identifier, &op.attrs)?,
        result::SCHEME => return result::convert(op, given),
        layout::SCHEME => layout::convert(rest, &op.attrs, given)?,
        "docker-image+blob" | "oci-layout+blob" => {
            return Err(Problem::unsupported(
                format!("source {}", op.identifier),
                "use https:// with a checksum",
            ));
        }
        _ => return Err(Problem::Invalid(format!("source: unknown scheme {scheme}"))),
    };
    Ok(Converted::one(Op::Source(source), Vec::new()).into())
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
