//! The control service: builds, sessions, and what the daemon says of itself.

use std::collections::HashMap;
use std::sync::Arc;

use bollard_buildkit_proto::moby::buildkit::v1::control_server;
use bollard_buildkit_proto::moby::buildkit::v1::types::{BuildkitVersion, WorkerRecord};
use bollard_buildkit_proto::moby::buildkit::v1::{
    BuildHistoryEvent, BuildHistoryRequest, BytesMessage, DiskUsageRequest, DiskUsageResponse,
    InfoRequest, InfoResponse, ListWorkersRequest, ListWorkersResponse, PruneRequest, SolveRequest,
    SolveResponse, StatusRequest, StatusResponse, UpdateBuildHistoryRequest,
    UpdateBuildHistoryResponse, UsageRecord,
};
use bollard_buildkit_proto::pb;
use futures_util::{StreamExt as _, stream};
use tokio::sync::mpsc;
use tonic::codegen::async_trait;
use tonic::{Request, Response, Status, Streaming};

use super::session::Introduction;
use super::solve::solve;
use super::{Messages, history, usage};
use crate::docker::Daemon;
use crate::grpc::not_provided;
use crate::peer::Peer;

/// The version of BuildKit that kiln stands in for; clients choose by it what they ask for.
pub const BUILDKIT: &str = "v0.26.0";
/// What traces call a build.
const CALL: &str = "moby.buildkit.v1.Control/Solve";
/// The prefix of labels that BuildKit's workers have.
const LABEL: &str = "org.mobyproject.buildkit.worker.";

/// The metadata by which clients tell how long a build has gone on.
const NOW: &str = "buildkit-current-timestamp";
/// Messages of a session that may wait to be taken.
const WAITING: usize = 16;

/// Answers for the daemon.
#[derive(Debug)]
pub(super) struct Control(Arc<Daemon>);

impl Control {
    pub(super) fn new(daemon: &Arc<Daemon>) -> Self {
        Self(Arc::clone(daemon))
    }
}

/// What there is one of: this machine.
pub(super) fn worker(daemon: &Daemon) -> WorkerRecord {
    let labels = [("executor", "kiln"), ("snapshotter", "overlay")];
    let labels: HashMap<String, String> = labels
        .into_iter()
        .map(|(name, value)| (format!("{LABEL}{name}"), value.to_owned()))
        .collect();
    let emulated = engine::emulators().unwrap_or_default().into_iter();
    let emulated = emulated.map(|emulator| emulator.platform);
    let platforms = std::iter::once(oci::Platform::host()).chain(emulated);
    WorkerRecord {
        id: daemon.identity().root.display().to_string(),
        labels,
        platforms: platforms.map(|one| platform(&one)).collect(),
        gc_policy: Vec::new(),
        buildkit_version: Some(version(daemon)),
        cdi_devices: Vec::new(),
    }
}

fn version(daemon: &Daemon) -> BuildkitVersion {
    let own = daemon.identity().version;
    BuildkitVersion {
        package: "kiln".to_owned(),
        version: format!("{BUILDKIT}+kiln.{own}"),
        revision: own.to_owned(),
    }
}

fn platform(platform: &oci::Platform) -> pb::Platform {
    pb::Platform {
        architecture: platform.architecture.clone(),
        os: platform.os.clone(),
        variant: platform.variant.clone(),
        ..pb::Platform::default()
    }
}

#[async_trait]
impl control_server::Control for Control {
    type PruneStream = Messages<UsageRecord>;
    type StatusStream = Messages<StatusResponse>;
    type SessionStream = Messages<BytesMessage>;
    type ListenBuildHistoryStream = Messages<BuildHistoryEvent>;

    async fn info(&self, _: Request<InfoRequest>) -> Result<Response<InfoResponse>, Status> {
        Ok(Response::new(InfoResponse {
            buildkit_version: Some(version(&self.0)),
        }))
    }

    async fn list_workers(
        &self,
        request: Request<ListWorkersRequest>,
    ) -> Result<Response<ListWorkersResponse>, Status> {
        if !request.get_ref().filter.is_empty() {
            return not_provided("a filter of workers");
        }
        Ok(Response::new(ListWorkersResponse {
            record: vec![worker(&self.0)],
        }))
    }

    async fn session(
        &self,
        request: Request<Streaming<BytesMessage>>,
    ) -> Result<Response<Messages<BytesMessage>>, Status> {
        let (metadata, extensions, incoming) = request.into_parts();
        let peer = extensions.get::<Peer>().copied();
        let introduction = Introduction::read(&metadata.into_headers(), peer)?;
        let (sender, receiver) = mpsc::channel(WAITING);
        let io = wire::tunnel(incoming, sender);
        let outgoing = stream::unfold(receiver, |mut receiver| async move {
            let message: BytesMessage = receiver.recv().await?;
            Some((Ok::<_, Status>(message), receiver))
        });
        let daemon = Arc::clone(&self.0);
        self.0.go_on_beside(async move {
            // A session that does not begin is noticed by the builds that need it.
            drop(daemon.buildkit.sessions.keep(introduction, io).await);
        });
        Ok(Response::new(outgoing.boxed()))
    }

    async fn solve(
        &self,
        request: Request<SolveRequest>,
    ) -> Result<Response<SolveResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let trace = self.0.begin_trace(CALL, &metadata.into_headers());
        let id = request.r#ref.clone();
        let build = solve(&self.0, request, trace.as_deref());
        let solved = self.0.watch_build(&id, build).await;
        if let Some(trace) = trace {
            let failure = solved.as_ref().err().map(Status::message);
            self.0.end_trace(&trace, failure);
        }
        Ok(Response::new(solved?))
    }

    async fn status(
        &self,
        request: Request<StatusRequest>,
    ) -> Result<Response<Messages<StatusResponse>>, Status> {
        let id = &request.get_ref().r#ref;
        let builds = &self.0.buildkit.builds;
        let log = match builds.known_log(id) {
            Some(log) => log,
            None => {
                let past = history::replay(&self.0, id).await?;
                // It may have begun, and so be in the history, while that was read.
                match (builds.known_log(id), past) {
                    (Some(log), _) => log,
                    (None, Some(told)) => return Ok(Response::new(told)),
                    // Clients ask before their build has begun.
                    (None, None) => builds.log(id).await?,
                }
            }
        };
        Ok(Response::new(log.follow()))
    }

    async fn disk_usage(
        &self,
        request: Request<DiskUsageRequest>,
    ) -> Result<Response<DiskUsageResponse>, Status> {
        let record = usage::usage(&self.0, request.into_inner()).await?;
        Ok(Response::new(DiskUsageResponse { record }))
    }

    async fn prune(
        &self,
        request: Request<PruneRequest>,
    ) -> Result<Response<Messages<UsageRecord>>, Status> {
        let gone = usage::prune(&self.0, request.into_inner()).await?;
        let gone = stream::iter(gone.into_iter().map(Ok::<_, Status>));
        Ok(Response::new(gone.boxed()))
    }

    async fn listen_build_history(
        &self,
        request: Request<BuildHistoryRequest>,
    ) -> Result<Response<Messages<BuildHistoryEvent>>, Status> {
        let events = history::listen(&self.0, request.into_inner()).await?;
        let mut response = Response::new(events);
        let now = engine::rfc3339(self.0.identity().clock.now());
        if let Ok(now) = now.parse() {
            response.metadata_mut().insert(NOW, now);
        }
        Ok(response)
    }

    async fn update_build_history(
        &self,
        request: Request<UpdateBuildHistoryRequest>,
    ) -> Result<Response<UpdateBuildHistoryResponse>, Status> {
        history::update(&self.0, request.into_inner()).await?;
        Ok(Response::new(UpdateBuildHistoryResponse {}))
    }
}
