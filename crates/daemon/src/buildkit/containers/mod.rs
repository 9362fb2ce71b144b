//! Containers of front ends: a client looks into what it has made, or runs something in it, while
//! its build goes on. What is written there is kept nowhere, and nothing outlives the build.

mod look;
mod process;
mod talk;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bollard_buildkit_proto::moby::buildkit::v1::frontend::NewContainerRequest;
use bollard_buildkit_proto::pb;
use engine::{About, EngineError, ExtraHost, NetworkMode, NewContainer, StepContainer};
use graph::MountSource;
use oci::Platform;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::Status;

use super::builds::Job;
use super::{errors, frontend};

pub(super) use look::{read_dir, read_file, stat_file};
pub(super) use talk::talk;

/// Containers of one build at once.
const MAX_CONTAINERS: usize = 64;

/// The containers of one build.
#[derive(Debug, Default)]
pub(super) struct Containers(Mutex<HashMap<String, Arc<Container>>>);

/// A container.
#[derive(Debug)]
pub(super) struct Container {
    step: Arc<StepContainer>,
    /// Where each mount is, in the order in which they were asked for.
    targets: Vec<String>,
    /// Cancelled when the client gives it up.
    released: CancellationToken,
    /// What runs in it.
    processes: TaskTracker,
}

/// Puts a container together.
///
/// # Errors
/// The ID is taken, something is asked for that kiln does not have, or a result cannot be made.
pub(super) async fn new(job: &Arc<Job>, request: NewContainerRequest) -> Result<(), Status> {
    let id = request.container_id.clone();
    if id.is_empty() {
        return Err(Status::invalid_argument("the container has no ID"));
    }
    check(&request)?;
    let options = llb::Options {
        session: job.session.as_ref().map(|session| session.id.clone()),
        ..llb::Options::default()
    };
    let mounts = llb::container_mounts(&request.mounts, &options);
    let mounts =
        mounts.map_err(|problem| Status::new(frontend::code(&problem), problem.to_string()))?;
    let mut inputs = Vec::with_capacity(mounts.results.len());
    for result in &mounts.results {
        inputs.push(job.find(result)?.evaluate(job).await?.stack());
    }
    let agents = mounts
        .mounts
        .iter()
        .filter_map(|mount| match &mount.source {
            MountSource::Ssh { id, .. } => Some(id.clone()),
            _ => None,
        });
    let offered = engine::BuildRequest {
        ssh: frontend::agents(job, agents.collect::<Vec<_>>()).await?,
        ..frontend::plain_request(job)
    };
    let new = NewContainer {
        network: network(job, request.network)?,
        hostname: Some(request.hostname).filter(|name| !name.is_empty()),
        extra_hosts: request.extra_hosts.into_iter().map(extra_host).collect(),
        mounts: mounts.mounts,
        inputs,
    };
    let failed = |error: EngineError| errors::status(&error, None);
    let build = job.build(About::default).map_err(failed)?;
    let made = job.offload(move || async move { build.container(&offered, new).await });
    let container = Container {
        step: made.await?.map_err(failed)?,
        targets: mounts.targets,
        released: job.ended.child_token(),
        processes: TaskTracker::new(),
    };
    job.containers.add(id, container)
}

/// Gives a container up; what runs in it ends.
///
/// # Errors
/// There is none.
pub(super) async fn release(job: &Job, id: &str) -> Result<(), Status> {
    let removed = job.containers.lock().remove(id);
    let container = removed.ok_or_else(|| missing(id))?;
    container.released.cancel();
    container.processes.close();
    container.processes.wait().await;
    let gone = tokio::task::spawn_blocking(move || drop(container)).await;
    gone.map_err(|_| Status::internal("a thread was lost"))
}

impl Containers {
    fn add(&self, id: String, container: Container) -> Result<(), Status> {
        let mut all = self.lock();
        if all.contains_key(&id) {
            let message = format!("Container {id} already exists");
            return Err(Status::already_exists(message));
        }
        if all.len() >= MAX_CONTAINERS {
            return Err(Status::resource_exhausted(
                "the build has too many containers",
            ));
        }
        all.insert(id, Arc::new(container));
        Ok(())
    }

    fn find(&self, id: &str) -> Result<Arc<Container>, Status> {
        self.lock().get(id).cloned().ok_or_else(|| missing(id))
    }

    /// All of them, which are nobody's any more.
    pub(super) fn take(&self) -> HashMap<String, Arc<Container>> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Container>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn missing(id: &str) -> Status {
    Status::not_found(format!(
        "container {id:?} previously released or not created"
    ))
}

/// What is not honoured is refused.
fn check(request: &NewContainerRequest) -> Result<(), Status> {
    if let Some(constraints) = &request.constraints
        && !constraints.filter.is_empty()
    {
        let message = "constraints of a container are not provided by kiln";
        return Err(Status::unimplemented(message));
    }
    let Some(platform) = &request.platform else {
        return Ok(());
    };
    let asked = Platform::new(&platform.os, &platform.architecture, &platform.variant);
    let (asked, own) = (asked.normalised(), Platform::host().normalised());
    if (&asked.os, &asked.architecture) != (&own.os, &own.architecture) {
        let message = format!("a container for {asked} is not provided by kiln: this is {own}");
        return Err(Status::unimplemented(message));
    }
    Ok(())
}

fn network(job: &Job, mode: i32) -> Result<NetworkMode, Status> {
    match pb::NetMode::try_from(mode) {
        Ok(pb::NetMode::Unset) => Ok(NetworkMode::Default),
        Ok(pb::NetMode::None) => Ok(NetworkMode::None),
        Ok(pb::NetMode::Host) if job.terms.host_network => Ok(NetworkMode::Host),
        Ok(pb::NetMode::Host) => Err(Status::permission_denied("network.host is not allowed")),
        Err(_) => Err(Status::invalid_argument(format!("network mode {mode}"))),
    }
}

fn extra_host(host: pb::HostIp) -> ExtraHost {
    ExtraHost {
        host: host.host,
        address: host.ip,
    }
}
