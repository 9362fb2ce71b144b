//! Calls to a daemon: builds, and questions about what it keeps.

use std::collections::HashMap;
use std::time::Duration;

use bollard_buildkit_proto::moby::buildkit::v1::control_client::ControlClient;
use bollard_buildkit_proto::moby::buildkit::v1::types::WorkerRecord;
use bollard_buildkit_proto::moby::buildkit::v1::{
    DiskUsageRequest, InfoRequest, ListWorkersRequest, PruneRequest, SolveRequest, StatusRequest,
    StatusResponse, UsageRecord,
};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tonic::{Code, Status};
use wire::{Caller, MAX_MESSAGE};

use crate::address::Address;
use crate::connection::{ConnectError, Way, connect};
use crate::failure::Failure;
use crate::offers::Offers;
use crate::session;
use crate::told::Told;

/// How long the last of what happened is waited for when a build has ended.
const PATIENCE: Duration = Duration::from_secs(3);

/// A connection to a daemon; it ends when this is dropped, and so does what was asked for.
#[derive(Debug)]
pub struct Client {
    caller: Caller,
    way: Way,
    _connection: JoinSet<()>,
}

impl Client {
    /// Connects to the daemon that is reached at `address`.
    ///
    /// # Errors
    /// Nobody does.
    pub async fn connect(address: &Address, way: Way) -> Result<Self, ConnectError> {
        let (caller, way, connection) = connect(address, way).await?;
        Ok(Self {
            caller,
            way,
            _connection: connection,
        })
    }

    /// How the builder was reached.
    #[must_use]
    pub const fn way(&self) -> Way {
        self.way
    }

    /// Builds what `request` asks for and tells `told` what happens meanwhile; what the exporters say of
    /// the result. The build may ask for what is in `offers`, in a session with the request's ID.
    ///
    /// # Errors
    /// The daemon refuses the request, or the build failed.
    pub async fn build(
        &self,
        request: SolveRequest,
        offers: Offers,
        told: mpsc::Sender<StatusResponse>,
    ) -> Result<HashMap<String, String>, Failure> {
        let session = async {
            match session::keep(self.control(), &request.session, offers).await {
                Err(status) => status,
                // What that means for the build, the build tells.
                Ok(()) => std::future::pending().await,
            }
        };
        tokio::select! {
            built = self.solve(request.clone(), told) => built,
            failed = session => Err(failed.into()),
        }
    }

    /// What the daemon keeps.
    ///
    /// # Errors
    /// The daemon refuses the request.
    pub async fn disk_usage(&self, request: DiskUsageRequest) -> Result<Vec<UsageRecord>, Failure> {
        let answer = self.control().disk_usage(request).await?;
        Ok(answer.into_inner().record)
    }

    /// Removes what is not needed; what that was.
    ///
    /// # Errors
    /// The daemon refuses the request, something cannot be removed, or it tells of more than anybody
    /// looks at.
    pub async fn prune(&self, request: PruneRequest) -> Result<Vec<UsageRecord>, Failure> {
        let (mut gone, mut told) = (Vec::new(), Told::default());
        let mut answer = self.control().prune(request).await?.into_inner();
        while let Some(record) = answer.message().await? {
            told.add(&record)?;
            gone.push(record);
        }
        Ok(gone)
    }

    /// What runs the daemon's steps.
    ///
    /// # Errors
    /// The daemon refuses the request.
    pub async fn workers(&self) -> Result<Vec<WorkerRecord>, Failure> {
        let request = ListWorkersRequest::default();
        let answer = self.control().list_workers(request).await?;
        Ok(answer.into_inner().record)
    }

    /// The version of BuildKit that the daemon is, or stands in for; none if it does not say.
    ///
    /// # Errors
    /// The daemon refuses the request.
    pub async fn version(&self) -> Result<Option<String>, Failure> {
        let answer = match self.control().info(InfoRequest::default()).await {
            Ok(answer) => answer.into_inner(),
            // Older ones have no such call.
            Err(status) if status.code() == Code::Unimplemented => return Ok(None),
            Err(status) => return Err(status.into()),
        };
        Ok(answer.buildkit_version.map(|version| version.version))
    }

    async fn solve(
        &self,
        request: SolveRequest,
        told: mpsc::Sender<StatusResponse>,
    ) -> Result<HashMap<String, String>, Failure> {
        let id = request.r#ref.clone();
        let (opened, is_open) = oneshot::channel();
        let following = self.follow(id, opened, told);
        tokio::pin!(following);
        let mut control = self.control();
        let solving = control.solve(request);
        tokio::pin!(solving);
        let mut told_all = false;
        let solved = loop {
            tokio::select! {
                solved = &mut solving => break solved,
                () = &mut following, if !told_all => told_all = true,
            }
        };
        // Of what was refused nothing is ever told.
        let mut is_open = is_open;
        if !told_all && (solved.is_ok() || is_open.try_recv().is_ok()) {
            drop(tokio::time::timeout(PATIENCE, following).await);
        }
        Ok(solved?.into_inner().exporter_response)
    }

    /// Tells what happens in a build until it ends. What goes wrong with that ends no build.
    async fn follow(
        &self,
        id: String,
        opened: oneshot::Sender<()>,
        told: mpsc::Sender<StatusResponse>,
    ) {
        let request = StatusRequest { r#ref: id };
        let Ok(answer) = self.control().status(request).await else {
            return;
        };
        // Nobody may wait for this any more.
        let _ = opened.send(());
        let mut answer = answer.into_inner();
        while let Ok(Some(response)) = answer.message().await {
            if told.send(response).await.is_err() {
                return;
            }
        }
    }

    pub(crate) fn caller(&self) -> Caller {
        self.caller.clone()
    }

    pub(crate) fn control(&self) -> ControlClient<Caller> {
        ControlClient::with_origin(self.caller.clone(), Caller::origin())
            .max_decoding_message_size(MAX_MESSAGE)
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::of(&status)
    }
}
