//! Why a definition cannot be loaded. Where BuildKit has words for it, they are its.

use graph::GraphError;
use oci::Digest;

/// Why a definition cannot be loaded.
#[derive(Debug, thiserror::Error)]
#[error("{}{problem}", at(.vertex.as_ref()))]
pub struct LoadError {
    /// The op that is at fault, with what it is called; none when it is the definition itself.
    pub vertex: Option<(Digest, String)>,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a definition.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// There is no op.
    #[error("invalid empty definition")]
    Empty,
    /// The last op has to name the result.
    #[error("invalid LLB with no inputs on last vertex")]
    NoResult,
    /// It is no message, or no such message.
    #[error("failed to parse llb proto op: {0}")]
    Malformed(String),
    /// It has something that this version does not know.
    #[error("field {number} of {message} is not known to kiln: it may be of a newer BuildKit")]
    UnknownField {
        /// The message that has it.
        message: &'static str,
        /// Its number.
        number: u32,
    },
    /// Something is larger than it may be.
    #[error("a definition with {found} {what}, more than {limit}, is refused")]
    TooLarge {
        /// Of what there is too much.
        what: &'static str,
        /// How much there is.
        found: usize,
        /// How much there may be.
        limit: usize,
    },
    /// An input is not among the ops.
    #[error("invalid missing input digest {0}")]
    MissingInput(String),
    /// An input is an output that its op does not have.
    #[error("invalid input: {digest} has no output {index}")]
    MissingOutput {
        /// The op.
        digest: String,
        /// The output.
        index: i64,
    },
    /// Something names an input, or another part of the op, that is not there.
    #[error("invalid {what} index {index}")]
    Index {
        /// What names it.
        what: &'static str,
        /// What it names.
        index: i64,
    },
    /// A message lacks what it must have, or says two things at once.
    #[error("invalid {0}")]
    Invalid(String),
    /// A value cannot be read.
    #[error("invalid value {value:?} of {key}: {reason}")]
    Value {
        /// What it is the value of.
        key: String,
        /// The value.
        value: String,
        /// Why not.
        reason: String,
    },
    /// The client asked for rights that the build does not have.
    #[error("{0} is not allowed: the build needs that entitlement")]
    NotAllowed(&'static str),
    /// A device cannot be had.
    #[error("{0}")]
    Device(String),
    /// The op relies on something that kiln does not do.
    #[error("capability {0} is not supported by kiln: the client has to do without it")]
    Capability(String),
    /// Kiln cannot do it.
    #[error("{what} is not supported by kiln: {instead}")]
    Unsupported {
        /// What.
        what: String,
        /// What to do instead.
        instead: &'static str,
    },
    /// The result of another build is not there.
    #[error("{0}: no such result: the build that it is of has to be under way")]
    Result(String),
    /// Nobody has decided about a source that somebody is to decide about.
    #[error("nobody has decided about the source {0}")]
    Undecided(String),
    /// The graph refuses the vertex.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

impl Problem {
    pub(crate) fn unsupported(what: impl Into<String>, instead: &'static str) -> Self {
        Self::Unsupported {
            what: what.into(),
            instead,
        }
    }

    pub(crate) fn value(key: &str, value: &str, reason: impl ToString) -> Self {
        Self::Value {
            key: key.to_owned(),
            value: value.to_owned(),
            reason: reason.to_string(),
        }
    }

    pub(crate) fn check(what: &'static str, found: usize, limit: usize) -> Result<(), Self> {
        if found > limit {
            return Err(Self::TooLarge { what, found, limit });
        }
        Ok(())
    }
}

impl From<Problem> for LoadError {
    fn from(problem: Problem) -> Self {
        Self {
            vertex: None,
            problem,
        }
    }
}

fn at(vertex: Option<&(Digest, String)>) -> String {
    vertex.map_or(String::new(), |(digest, name)| match name.as_str() {
        "" => format!("{digest}: "),
        name => format!("{name} ({digest}): "),
    })
}
