//! BuildKit's policy verifier, written against the protocol: what a client says of the sources of its
//! build, and its messages.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use bollard_buildkit_proto::moby::buildkit::v1::frontend as gateway;
use bollard_buildkit_proto::pb;
use futures_util::future::BoxFuture;
use prost::Message;
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use super::client::Received;

/// `CheckPolicyRequest`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Question {
    #[prost(message, optional, tag = "1")]
    pub(super) platform: Option<pb::Platform>,
    #[prost(message, optional, tag = "2")]
    pub(super) known: Option<gateway::ResolveSourceMetaResponse>,
}

/// `CheckPolicyResponse`, of which one field is there.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Answer {
    #[prost(message, optional, tag = "1")]
    decision: Option<Decision>,
    #[prost(message, optional, tag = "2")]
    request: Option<gateway::ResolveSourceMetaRequest>,
}

/// `DecisionResponse`.
#[derive(Clone, PartialEq, Message)]
struct Decision {
    #[prost(int32, tag = "1")]
    action: i32,
    #[prost(message, repeated, tag = "2")]
    messages: Vec<Words>,
    #[prost(message, optional, tag = "3")]
    update: Option<pb::SourceOp>,
}

/// `DenyMessage`.
#[derive(Clone, PartialEq, Message)]
struct Words {
    #[prost(string, tag = "1")]
    message: String,
}

/// What is said of a source.
pub(super) enum Said {
    Allow,
    Deny(&'static str),
    Convert(&'static str),
    /// The image has to be looked at first, or the repository and its objects.
    Look,
    /// Something that nobody knows.
    Unknown,
}

type Decides = dyn Fn(&str, &gateway::ResolveSourceMetaResponse) -> Said + Send + Sync;

/// Whoever decides, and the identifiers that it was asked about, each with its platform.
#[derive(Clone)]
pub(super) struct Verifier {
    decide: Arc<Decides>,
    pub(super) asked: Received<Vec<String>>,
}

impl Verifier {
    pub(super) const METHOD: &'static str =
        "/moby.buildkit.v1.sourcepolicy.policysession.PolicyVerifier/CheckPolicy";

    pub(super) fn new(
        decide: impl Fn(&str, &gateway::ResolveSourceMetaResponse) -> Said + Send + Sync + 'static,
    ) -> Self {
        Self {
            decide: Arc::new(decide),
            asked: Received::default(),
        }
    }

    fn answer(&self, question: Question) -> Answer {
        let known = question.known.unwrap();
        let source = known.source.clone().unwrap();
        let platform = question.platform.as_ref();
        let os = platform.map_or("", |platform| platform.os.as_str());
        let asked = format!("{} {os}", source.identifier);
        self.asked.lock().unwrap().push(asked.trim().to_owned());
        let decision = |action, messages: &[&str], update| Answer {
            decision: Some(Decision {
                action,
                messages: messages
                    .iter()
                    .map(|message| Words {
                        message: (*message).to_owned(),
                    })
                    .collect(),
                update,
            }),
            request: None,
        };
        match (self.decide)(&source.identifier, &known) {
            Said::Allow => decision(0, &[], None),
            Said::Deny(message) => decision(1, &[message], None),
            Said::Convert(identifier) => {
                let update = pb::SourceOp {
                    identifier: identifier.to_owned(),
                    ..pb::SourceOp::default()
                };
                decision(2, &[], Some(update))
            }
            Said::Unknown => decision(7, &[], None),
            Said::Look => Answer {
                decision: None,
                request: Some(gateway::ResolveSourceMetaRequest {
                    source: Some(source),
                    platform: question.platform,
                    git: Some(gateway::ResolveSourceGitRequest {
                        return_object: true,
                    }),
                    ..gateway::ResolveSourceMetaRequest::default()
                }),
            },
        }
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier")
    }
}

impl NamedService for Verifier {
    const NAME: &'static str = "moby.buildkit.v1.sourcepolicy.policysession.PolicyVerifier";
}

impl Service<http::Request<Body>> for Verifier {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let verifier = self.clone();
        Box::pin(async move {
            let codec = ProstCodec::<Answer, Question>::default();
            Ok(Grpc::new(codec).unary(verifier, request).await)
        })
    }
}

impl UnaryService<Question> for Verifier {
    type Response = Answer;
    type Future = BoxFuture<'static, Result<Response<Answer>, Status>>;

    fn call(&mut self, request: Request<Question>) -> Self::Future {
        let answer = self.answer(request.into_inner());
        Box::pin(async { Ok(Response::new(answer)) })
    }
}
