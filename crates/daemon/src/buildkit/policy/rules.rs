//! Rules that are known before there is a build: those of a file.

use std::sync::Arc;

use bollard_buildkit_proto::moby::buildkit::v1::sourcepolicy::Policy;
use engine::{BoxFuture, Refusal, SourceJudge};
use graph::SourceOp;
use llb::{PolicyError, SourcePolicy, parse_policy};

/// Rules about sources, for an engine of this process or for a builder.
#[derive(Debug, Clone)]
pub struct SourceRules {
    message: Policy,
    rules: SourcePolicy,
}

impl SourceRules {
    /// Those that a file holds: JSON, or the message itself.
    ///
    /// # Errors
    /// It holds none, or one makes no sense.
    pub fn parse(bytes: &[u8]) -> Result<Self, PolicyError> {
        let message = parse_policy(bytes)?;
        let rules = SourcePolicy::read(&message)?;
        Ok(Self { message, rules })
    }

    /// As BuildKit's API has them.
    #[must_use]
    pub fn into_message(self) -> Policy {
        self.message
    }
}

impl SourceJudge for SourceRules {
    fn judge<'a>(&'a self, source: &'a SourceOp) -> BoxFuture<'a, Result<SourceOp, Refusal>> {
        Box::pin(std::future::ready(self.decide(source)))
    }
}

impl SourceRules {
    fn decide(&self, source: &SourceOp) -> Result<SourceOp, Refusal> {
        let Some(mut named) = llb::name_source(source) else {
            return Ok(source.clone());
        };
        let applied = self.rules.apply(&mut named);
        if !applied.map_err(|error| Arc::new(error) as Refusal)? {
            return Ok(source.clone());
        }
        let read = llb::read_source(&named, source);
        read.map_err(|problem| Arc::new(problem) as Refusal)
    }
}
