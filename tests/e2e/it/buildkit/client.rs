//! A client of BuildKit's API, written against the protocol: it offers files, secrets and exporters
//! in a session, and makes its build on the bridge as buildx and buildctl do.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bollard_buildkit_proto::moby::buildkit::v1 as api;
use bollard_buildkit_proto::moby::buildkit::v1::control_client::ControlClient;
use bollard_buildkit_proto::moby::buildkit::v1::frontend as gateway;
use bollard_buildkit_proto::moby::buildkit::v1::frontend::llb_bridge_client::LlbBridgeClient;
use bollard_buildkit_proto::moby::buildkit::v1::sourcepolicy as rules;
use bollard_buildkit_proto::pb;
use futures_util::{StreamExt as _, stream};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tonic::codegen::Service;
use tonic::codegen::http::Uri;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use super::offers::Offers;

/// A connection to a daemon.
#[derive(Clone)]
pub(crate) struct Client {
    channel: Channel,
    socket: PathBuf,
}

/// What a build came to.
#[derive(Debug)]
pub(crate) struct Built {
    pub(crate) response: Result<HashMap<String, String>, Status>,
    pub(crate) told: Vec<api::StatusResponse>,
    /// What the front end said of the result.
    pub(crate) metadata: HashMap<String, Vec<u8>>,
}

/// What is asked for.
#[derive(Default)]
pub(crate) struct Wanted {
    /// Run by the daemon; the client is its own when there is none.
    pub(crate) frontend: &'static str,
    pub(crate) options: Vec<(&'static str, &'static str)>,
    pub(crate) exporters: Vec<(&'static str, Vec<(&'static str, String)>)>,
    pub(crate) entitlements: Vec<String>,
    /// Rules about sources.
    pub(crate) policy: Option<rules::Policy>,
    /// The client is asked about sources.
    pub(crate) asks_client: bool,
    pub(crate) cache_to: Vec<(&'static str, Vec<(&'static str, &'static str)>)>,
}

#[derive(Clone)]
struct Connector(PathBuf);

impl Service<Uri> for Connector {
    type Response = TokioIo<UnixStream>;
    type Error = std::io::Error;
    type Future = futures_util::future::BoxFuture<'static, std::io::Result<TokioIo<UnixStream>>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let path = self.0.clone();
        Box::pin(async move { Ok(TokioIo::new(UnixStream::connect(path).await?)) })
    }
}

impl Client {
    pub(crate) async fn connect(socket: &Path) -> Self {
        let endpoint = Endpoint::from_static("http://kiln");
        let channel = endpoint.connect_with_connector(Connector(socket.to_owned()));
        Self {
            channel: channel.await.unwrap(),
            socket: socket.to_owned(),
        }
    }

    /// One more connection.
    pub(crate) async fn again(&self) -> Self {
        Self::connect(&self.socket).await
    }

    pub(crate) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    pub(crate) fn control(&self) -> ControlClient<Channel> {
        ControlClient::new(self.channel.clone())
    }

    /// Offers what a build may ask for, for as long as what is returned is there.
    pub(crate) async fn session(&self, id: &str, shared_key: &str, offers: Offers) -> JoinSet<()> {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let methods = offers.methods();
        let mut tasks = JoinSet::new();
        tasks.spawn(offers.serve(theirs));
        let (mut reader, mut writer) = tokio::io::split(ours);
        let (sender, receiver) = mpsc::channel(4);
        tasks.spawn(async move {
            let mut bytes = vec![0; 1 << 15];
            while let Ok(length @ 1..) = reader.read(&mut bytes).await {
                let data = bytes[..length].to_vec();
                if sender.send(api::BytesMessage { data }).await.is_err() {
                    break;
                }
            }
        });
        let outgoing = stream::unfold(receiver, |mut receiver| async move {
            Some((receiver.recv().await?, receiver))
        });
        let mut request = Request::new(outgoing);
        let metadata = request.metadata_mut();
        metadata.insert("x-docker-expose-session-uuid", id.parse().unwrap());
        metadata.insert(
            "x-docker-expose-session-sharedkey",
            shared_key.parse().unwrap(),
        );
        for method in methods {
            let name = "x-docker-expose-session-grpc-method";
            metadata.append(name, method.parse().unwrap());
        }
        let mut control = self.control();
        tasks.spawn(async move {
            let Ok(answer) = control.session(request).await else {
                return;
            };
            let mut incoming = answer.into_inner();
            while let Ok(Some(message)) = incoming.message().await {
                if writer.write_all(&message.data).await.is_err() {
                    break;
                }
            }
        });
        tasks
    }

    /// Builds with the front end `dockerfile.v0`, as buildx does.
    pub(crate) async fn build(&self, id: &str, wanted: &Wanted) -> Built {
        let following = self.follow(id, wanted);
        let (built, metadata) = self.during(id, wanted, None, following).await;
        Built { metadata, ..built }
    }

    /// Builds what is defined step by step, as `buildctl build` does.
    pub(crate) async fn define(&self, id: &str, wanted: &Wanted, steps: pb::Definition) -> Built {
        self.during(id, wanted, Some(steps), async {}).await.0
    }

    pub(crate) fn bridge(&self) -> LlbBridgeClient<Channel> {
        LlbBridgeClient::new(self.channel.clone())
    }

    /// Builds, and does `work` on the bridge meanwhile.
    pub(crate) async fn during<T>(
        &self,
        id: &str,
        wanted: &Wanted,
        definition: Option<pb::Definition>,
        work: impl Future<Output = T>,
    ) -> (Built, T) {
        let solve = api::SolveRequest {
            r#ref: id.to_owned(),
            session: id.to_owned(),
            exporters: wanted
                .exporters
                .iter()
                .map(|(kind, attrs)| api::Exporter {
                    r#type: (*kind).to_owned(),
                    attrs: owned(attrs),
                })
                .collect(),
            entitlements: wanted.entitlements.clone(),
            source_policy: wanted.policy.clone(),
            source_policy_session: match wanted.asks_client {
                true => id.to_owned(),
                false => String::new(),
            },
            cache: Some(api::CacheOptions {
                exports: wanted
                    .cache_to
                    .iter()
                    .map(|(kind, attrs)| api::CacheOptionsEntry {
                        r#type: (*kind).to_owned(),
                        attrs: owned(attrs),
                    })
                    .collect(),
                ..api::CacheOptions::default()
            }),
            definition,
            frontend: wanted.frontend.to_owned(),
            frontend_attrs: {
                // The daemon is told of attestations when the client is its own front end too.
                let mut options = owned(&wanted.options);
                options
                    .retain(|name, _| !wanted.frontend.is_empty() || name.starts_with("attest:"));
                options
            },
            ..api::SolveRequest::default()
        };
        let (mut control, mut status) = (self.control(), self.control());
        let solved = async { control.solve(solve).await };
        let told = async {
            let request = api::StatusRequest {
                r#ref: id.to_owned(),
            };
            match status.status(request).await {
                Ok(answer) => {
                    answer
                        .into_inner()
                        .filter_map(|one| async { one.ok() })
                        .collect()
                        .await
                }
                Err(_) => Vec::new(),
            }
        };
        let (solved, told, worked) = tokio::join!(solved, told, work);
        let built = Built {
            response: solved.map(|answer| answer.into_inner().exporter_response),
            told,
            metadata: HashMap::new(),
        };
        (built, worked)
    }

    /// The client's side of a build: what it does on the bridge.
    async fn follow(&self, id: &str, wanted: &Wanted) -> HashMap<String, Vec<u8>> {
        let mut bridge = self.bridge();
        if bridge.ping(of(id, gateway::PingRequest {})).await.is_err() {
            return HashMap::new();
        }
        let solve = gateway::SolveRequest {
            frontend: "dockerfile.v0".to_owned(),
            frontend_opt: owned(&wanted.options),
            allow_result_return: true,
            allow_result_array_ref: true,
            ..gateway::SolveRequest::default()
        };
        let returned = match bridge.solve(of(id, solve)).await {
            Ok(answer) => gateway::ReturnRequest {
                result: answer.into_inner().result,
                error: None,
            },
            Err(status) => gateway::ReturnRequest {
                result: None,
                error: Some(error(&status)),
            },
        };
        let metadata = returned.result.clone().unwrap_or_default().metadata;
        // The build may have ended without.
        drop(bridge.r#return(of(id, returned)).await);
        metadata
    }
}

impl Built {
    pub(crate) fn ok(&self) -> &HashMap<String, String> {
        match &self.response {
            Ok(response) => response,
            Err(status) => panic!("{status:?}"),
        }
    }

    pub(crate) fn error(&self) -> &Status {
        self.response.as_ref().unwrap_err()
    }

    /// Names of the steps that came to an end, each with whether it was known.
    pub(crate) fn steps(&self) -> BTreeMap<String, bool> {
        let vertices = self.told.iter().flat_map(|told| &told.vertexes);
        let ended = vertices.filter(|vertex| vertex.completed.is_some());
        ended
            .map(|vertex| (vertex.name.clone(), vertex.cached))
            .collect()
    }

    /// What the step of this name is known by.
    pub(crate) fn vertex(&self, name: &str) -> String {
        let mut vertices = self.told.iter().flat_map(|told| &told.vertexes);
        vertices
            .find(|vertex| vertex.name == name)
            .unwrap()
            .digest
            .clone()
    }

    /// What steps wrote.
    pub(crate) fn logs(&self) -> String {
        let logs = self.told.iter().flat_map(|told| &told.logs);
        logs.map(|log| String::from_utf8_lossy(&log.msg).into_owned())
            .collect()
    }

    /// Bytes of the context that were sent.
    pub(crate) fn transferred(&self) -> i64 {
        let statuses = self.told.iter().flat_map(|told| &told.statuses);
        let of_context = statuses.filter(|status| status.id == "transferring context:");
        of_context.map(|status| status.current).max().unwrap_or(0)
    }
}

/// A call about the build of this ID.
pub(crate) fn of<T>(id: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let metadata = request.metadata_mut();
    metadata.insert("buildkit-controlapi-buildid", id.parse().unwrap());
    request
}

/// The details of a failure: JSON documents by their types.
pub(crate) fn details(status: &Status) -> BTreeMap<String, serde_json::Value> {
    let details = error(status).details.into_iter();
    details
        .map(|any| {
            let value = serde_json::from_slice(&any.value).unwrap();
            (any.type_url, value)
        })
        .collect()
}

fn error(status: &Status) -> bollard_buildkit_proto::google::rpc::Status {
    use prost::Message as _;
    bollard_buildkit_proto::google::rpc::Status::decode(status.details())
        .ok()
        .filter(|decoded| decoded.code != 0)
        .unwrap_or(bollard_buildkit_proto::google::rpc::Status {
            code: status.code().into(),
            message: status.message().to_owned(),
            details: Vec::new(),
        })
}

fn owned(pairs: &[(&'static str, impl ToString)]) -> HashMap<String, String> {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| ((*name).to_owned(), value.to_string()))
        .collect()
}

/// What was received, shared with whoever looks at it.
pub(crate) type Received<T> = Arc<Mutex<T>>;
