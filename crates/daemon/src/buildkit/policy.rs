//! Source policies: rules that came with a build, and its client, which may want to be asked about
//! each source. The messages by which it is asked are those of BuildKit's `policysession.proto`.
//!
//! Rules come first, and the client is asked about what they leave. What the client puts in the place
//! of a source is looked at like the source before it.

mod rules;

use std::error::Error;
use std::fmt;
use std::sync::{Arc, Weak};

use bollard_buildkit_proto::moby::buildkit::v1::SolveRequest;
use bollard_buildkit_proto::moby::buildkit::v1::frontend::{
    ResolveSourceMetaRequest, ResolveSourceMetaResponse,
};
use bollard_buildkit_proto::moby::buildkit::v1::sourcepolicy::PolicyAction;
use bollard_buildkit_proto::pb;
use engine::{BoxFuture, Refusal, SourceJudge};
use futures_util::future::try_join_all;
use graph::SourceOp;
use llb::{SourcePolicy, SourceQuestion};
use tonic::Status;
use tonic::client::Grpc;
use tonic_prost::ProstCodec;
use wire::MAX_MESSAGE;

use super::builds::Job;
use super::session::Session;
use super::{errors, resolve};
use crate::docker::Daemon;

pub use rules::SourceRules;

/// The method by which a client is asked.
const METHOD: &str = "/moby.buildkit.v1.sourcepolicy.policysession.PolicyVerifier/CheckPolicy";
/// How often a client is asked about one source; BuildKit's.
const MAX_QUESTIONS: usize = 10;
/// What images are named by that registries have.
const REGISTRY: &str = "docker-image://";
/// What repositories are named by.
const GIT: &str = "git://";

#[derive(Clone, PartialEq, prost::Message)]
struct CheckPolicyRequest {
    #[prost(message, optional, tag = "1")]
    platform: Option<pb::Platform>,
    #[prost(message, optional, tag = "2")]
    source: Option<ResolveSourceMetaResponse>,
}

/// One of the two.
#[derive(Clone, PartialEq, prost::Message)]
struct CheckPolicyResponse {
    #[prost(message, optional, tag = "1")]
    decision: Option<Decision>,
    /// The client has to know more of the source first.
    #[prost(message, optional, tag = "2")]
    request: Option<ResolveSourceMetaRequest>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Decision {
    #[prost(enumeration = "PolicyAction", tag = "1")]
    action: i32,
    #[prost(message, repeated, tag = "2")]
    deny_messages: Vec<DenyMessage>,
    #[prost(message, optional, tag = "3")]
    update: Option<pb::SourceOp>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct DenyMessage {
    #[prost(string, tag = "1")]
    message: String,
}

/// Which sources a build may have.
#[derive(Debug)]
pub(super) struct Policy {
    rules: SourcePolicy,
    /// Whoever is asked.
    client: Option<Arc<Session>>,
}

/// What became of a question.
enum Answer {
    /// The build may have it.
    Allowed,
    /// The build has this in its place.
    Replaced(pb::SourceOp),
}

/// A source that was refused, as the engine carries it.
#[derive(Debug)]
pub(super) struct Refused(pub(super) Status);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.message())
    }
}

impl Error for Refused {}

/// Decides for the engine.
#[derive(Debug)]
struct Judge(Weak<Job>);

impl Policy {
    /// What a request for a build says about sources.
    ///
    /// # Errors
    /// A rule makes no sense, or the client is not there that is to be asked.
    pub(super) async fn of(
        daemon: &Daemon,
        request: &mut SolveRequest,
    ) -> Result<Option<Self>, Status> {
        let rules = request.source_policy.take();
        let session = std::mem::take(&mut request.source_policy_session);
        if rules.is_none() && session.is_empty() {
            return Ok(None);
        }
        let rules = SourcePolicy::read(&rules.unwrap_or_default());
        let rules = rules.map_err(|error| Status::invalid_argument(error.to_string()))?;
        let client = match session.as_str() {
            "" => None,
            id => Some(daemon.buildkit.sessions.get(id).await?),
        };
        if client.as_ref().is_some_and(|client| !client.has(METHOD)) {
            let message = format!("the session {session:?} has no source policy");
            return Err(Status::failed_precondition(message));
        }
        Ok(Some(Self { rules, client }))
    }
}

/// Has the engine keep to the policy of the build, if it has one.
pub(super) fn hold(job: &Arc<Job>) {
    if job.terms.policy.is_some() {
        job.engine.use_judge(Arc::new(Judge(Arc::downgrade(job))));
    }
}

/// What the build has in place of all of these.
///
/// # Errors
/// It may not have one.
pub(super) async fn decide_all(
    job: &Arc<Job>,
    questions: &[SourceQuestion],
) -> Result<Vec<pb::SourceOp>, Status> {
    let decide = |question: &SourceQuestion| {
        let (source, platform) = (question.source.clone(), question.platform.clone());
        async move { decide(job, source, platform.as_ref()).await }
    };
    try_join_all(questions.iter().map(decide)).await
}

/// What the build has in place of `source`, which may be the same.
///
/// # Errors
/// It may not have it.
pub(super) async fn decide(
    job: &Arc<Job>,
    mut source: pb::SourceOp,
    platform: Option<&pb::Platform>,
) -> Result<pb::SourceOp, Status> {
    let Some(policy) = &job.terms.policy else {
        return Ok(source);
    };
    let mut questions = MAX_QUESTIONS;
    loop {
        normalise(&mut source);
        let applied = policy.rules.apply(&mut source);
        applied.map_err(|error| errors::denied(error.to_string(), &[]))?;
        let Some(client) = &policy.client else {
            return Ok(source);
        };
        match ask(job, client, (&source, platform), &mut questions).await? {
            Answer::Allowed => return Ok(source),
            Answer::Replaced(other) => source = other,
        }
    }
}

/// Decides about an image in a store of the client's that is a context.
///
/// # Errors
/// The build may not have it, or is to have something else in its place.
pub(super) async fn admit_layout(job: &Arc<Job>, layout: &llb::Layout) -> Result<(), Status> {
    let llb::Layout { store, digest } = layout;
    let source = pb::SourceOp {
        identifier: format!("oci-layout://{store}@{digest}"),
        attrs: [("oci.store".to_owned(), store.clone())].into(),
    };
    match decide(job, source.clone(), None).await? == source {
        true => Ok(()),
        false => Err(Status::unimplemented(
            "a source policy that puts something in the place of a context in an OCI layout is not \
             provided by kiln",
        )),
    }
}

/// Asks the client, and tells it what it wants to know before it answers.
async fn ask(
    job: &Arc<Job>,
    client: &Session,
    (source, platform): (&pb::SourceOp, Option<&pb::Platform>),
    questions: &mut usize,
) -> Result<Answer, Status> {
    let mut known = ResolveSourceMetaResponse {
        source: Some(source.clone()),
        ..ResolveSourceMetaResponse::default()
    };
    loop {
        let left = questions.checked_sub(1);
        *questions = left.ok_or_else(|| Status::unknown("too many policy requests"))?;
        let request = CheckPolicyRequest {
            platform: platform.cloned(),
            source: Some(known),
        };
        let answered = check(client, request).await?;
        match (answered.decision, answered.request) {
            (None, Some(wanted)) => known = tell(job, source, wanted).await?,
            (Some(decision), None) => return answer(source, decision),
            _ => return Err(Status::unknown("no decision in policy response")),
        }
    }
}

async fn check(
    client: &Session,
    request: CheckPolicyRequest,
) -> Result<CheckPolicyResponse, Status> {
    let (caller, origin) = client.caller();
    let mut grpc = Grpc::with_origin(caller, origin).max_decoding_message_size(MAX_MESSAGE);
    grpc.ready()
        .await
        .map_err(|error| Status::unavailable(error.to_string()))?;
    let codec = ProstCodec::<CheckPolicyRequest, CheckPolicyResponse>::default();
    let path = hyper::http::uri::PathAndQuery::from_static(METHOD);
    let answered = grpc
        .unary(tonic::Request::new(request), path, codec)
        .await?;
    Ok(answered.into_inner())
}

fn answer(source: &pb::SourceOp, decision: Decision) -> Result<Answer, Status> {
    let unknown = |_| Status::unknown(format!("unknown policy action {}", decision.action));
    match PolicyAction::try_from(decision.action).map_err(unknown)? {
        PolicyAction::Allow => Ok(Answer::Allowed),
        PolicyAction::Convert => {
            let none = || Status::unknown("convert action requires updated source");
            Ok(Answer::Replaced(decision.update.ok_or_else(none)?))
        }
        PolicyAction::Deny => {
            let message = format!(
                "source {:?} not allowed by policy: action DENY",
                source.identifier
            );
            let words = decision.deny_messages.into_iter().map(|one| one.message);
            Err(errors::denied(message, &words.collect::<Vec<_>>()))
        }
    }
}

/// What the client wants to know of the source, which has to be the one that it was asked about.
async fn tell(
    job: &Arc<Job>,
    source: &pb::SourceOp,
    wanted: ResolveSourceMetaRequest,
) -> Result<ResolveSourceMetaResponse, Status> {
    let named = wanted.source.clone().unwrap_or_default();
    if named.identifier != source.identifier {
        return Err(Status::unknown(format!(
            "policy requested different source identifier: {:?} != {:?}",
            named.identifier, source.identifier
        )));
    }
    if named.attrs != source.attrs {
        return Err(Status::unknown("policy requested different source attrs"));
    }
    let told = resolve::meta_of(job, named, wanted).await;
    told.map_err(|status| {
        let message = status.message();
        let message = format!("error resolving source metadata from policy request: {message}");
        Status::new(status.code(), message)
    })
}

/// Names the source as rules do, whoever named it.
fn normalise(source: &mut pb::SourceOp) {
    let name = source.identifier.strip_prefix(REGISTRY);
    let reference = name.and_then(|name| name.parse::<oci::Reference>().ok());
    if let Some(reference) = reference {
        source.identifier = format!("{REGISTRY}{reference}");
    }
    if source.identifier.starts_with(GIT) {
        let read = llb::read_remote(source).ok();
        if let Some(named) = read.as_ref().and_then(llb::name_source) {
            source.identifier = named.identifier;
        }
    }
}

impl SourceJudge for Judge {
    fn judge<'a>(&'a self, source: &'a SourceOp) -> BoxFuture<'a, Result<SourceOp, Refusal>> {
        Box::pin(async move {
            let decided = self.decide(source).await;
            decided.map_err(|status| Arc::new(Refused(status)) as Refusal)
        })
    }
}

impl Judge {
    async fn decide(&self, source: &SourceOp) -> Result<SourceOp, Status> {
        let job = self.0.upgrade();
        let job = job.ok_or_else(|| Status::cancelled("the build has ended"))?;
        let Some(named) = llb::name_source(source) else {
            return Ok(source.clone());
        };
        let platform = llb::source_platform(source);
        let decided = decide(&job, named.clone(), platform.as_ref()).await?;
        if decided == named {
            return Ok(source.clone());
        }
        let read = llb::read_source(&decided, source);
        read.map_err(|problem| Status::invalid_argument(problem.to_string()))
    }
}
