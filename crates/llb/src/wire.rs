//! From bytes to messages. What `bollard-buildkit-proto` does not have yet is here.

use bollard_buildkit_proto::pb;
use oci::Digest;
use prost::Message as _;

use crate::error::Problem;
use crate::limits;
use crate::schema;

/// Reads a definition.
///
/// # Errors
/// It is none, or too large.
pub fn decode(bytes: &[u8]) -> Result<pb::Definition, Problem> {
    Problem::check("bytes", bytes.len(), limits::BYTES)?;
    pb::Definition::decode(bytes).map_err(|error| Problem::Malformed(error.to_string()))
}

/// An op with the digest by which others name it.
#[derive(Debug)]
pub(crate) struct RawOp {
    pub(crate) digest: Digest,
    pub(crate) op: pb::Op,
    /// It gives out some of its inputs, and needs the others.
    pub(crate) passthrough: Option<Passthrough>,
}

/// Ops that are newer than the messages of the crate.
#[derive(Clone, PartialEq, prost::Message)]
struct NewerOp {
    #[prost(message, optional, tag = "8")]
    passthrough: Option<Passthrough>,
}

/// By output, the input that it is.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct Passthrough {
    #[prost(string, tag = "1")]
    pub(crate) id: String,
    #[prost(int64, repeated, tag = "2")]
    pub(crate) outputs: Vec<i64>,
}

impl RawOp {
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Problem> {
        let malformed = |error: prost::DecodeError| Problem::Malformed(error.to_string());
        let op = pb::Op::decode(bytes).map_err(malformed)?;
        schema::OP.check(bytes)?;
        let newer = NewerOp::decode(bytes).map_err(malformed)?;
        Ok(Self {
            digest: Digest::of(bytes),
            op,
            passthrough: newer.passthrough,
        })
    }
}
