//! Past builds, as BuildKit's clients ask for them: `ListenBuildHistory`, `UpdateBuildHistory`, and
//! `Status` of a build that has ended. All of them are read from the engine's own history, so builds
//! that were typed are there too.

mod filter;
mod follow;
mod record;

use std::sync::Arc;

use bollard_buildkit_proto::moby::buildkit::v1::{
    BuildHistoryEvent, BuildHistoryEventType, BuildHistoryRequest, StatusResponse,
    UpdateBuildHistoryRequest,
};
use engine::{BuildStatus, Engine, EngineError, HistoryBuild};
use futures_util::{StreamExt as _, stream};
use tokio::sync::mpsc;
use tonic::Status;

use super::Messages;
use super::blocking::blocking;
use super::status::Narrator;
use crate::docker::Daemon;

pub(super) use record::attached;

use filter::Filters;

/// Messages that may wait to be taken.
const WAITING: usize = 64;

/// The builds that are asked for, and then what happens to them if the client stays.
///
/// # Errors
/// A filter makes no sense, or the history cannot be read.
pub(super) async fn listen(
    daemon: &Arc<Daemon>,
    request: BuildHistoryRequest,
) -> Result<Messages<BuildHistoryEvent>, Status> {
    let limit = usize::try_from(request.limit)
        .map_err(|_| Status::invalid_argument(format!("invalid limit {}", request.limit)))?;
    let filters = Filters::parse(&request.filter, daemon.identity().clock.now())?;
    let engine = daemon.open().await?;
    let wanted = request.r#ref.clone();
    let known = blocking(move || builds(&engine, &wanted)).await?;
    let (active, ended): (Vec<_>, Vec<_>) = known.iter().partition(|known| is_active(&known.0));
    let mut events: Vec<BuildHistoryEvent> = active.into_iter().map(event).collect();
    if !request.active_only {
        let ended = ended.into_iter().map(event);
        let ended = ended.filter(|event| filters.pass(event));
        events.extend(ended.take(if limit == 0 { usize::MAX } else { limit }));
    }
    let events = stream::iter(events.into_iter().map(Ok));
    if request.early_exit {
        return Ok(events.boxed());
    }
    let known = known.into_iter().map(|(build, _)| build).collect();
    let later = follow::follow(daemon, request.r#ref, known);
    Ok(events.chain(later).boxed())
}

/// Forgets a build, or has it stay.
///
/// # Errors
/// There is none, it goes on, or the store cannot be written.
pub(super) async fn update(
    daemon: &Arc<Daemon>,
    request: UpdateBuildHistoryRequest,
) -> Result<(), Status> {
    let engine = daemon.open().await?;
    let id = request.r#ref.clone();
    let found = {
        let engine = engine.clone();
        blocking(move || engine.history_of(&id)).await?
    };
    if request.finalize && !request.delete {
        // A record is whole when its build has ended: there is nothing to wait for.
        return Ok(());
    }
    let missing = || Status::not_found(format!("failed to retrieve ref {}", request.r#ref));
    let build = found.ok_or_else(missing)?;
    if request.delete && is_active(&build) {
        let message = format!("the build {} goes on", build.past.id);
        return Err(Status::failed_precondition(message));
    }
    blocking(move || match request.delete {
        true => engine.remove_history(&build),
        false => engine.pin_history(&build, request.pinned),
    })
    .await
}

/// What was told of a build that is in the history; none if it is not.
///
/// # Errors
/// The history cannot be read.
pub(super) async fn replay(
    daemon: &Arc<Daemon>,
    id: &str,
) -> Result<Option<Messages<StatusResponse>>, Status> {
    let engine = daemon.open().await?;
    let wanted = id.to_owned();
    let found = {
        let engine = engine.clone();
        blocking(move || engine.history_of(&wanted)).await?
    };
    let Some(build) = found else {
        return Ok(None);
    };
    let (sender, receiver) = mpsc::channel(WAITING);
    let mut narrator = Narrator::new(id);
    tokio::task::spawn_blocking(move || {
        let told = engine.replay(&build, |progress| {
            // A client that has gone takes nothing, and the rest is read for nobody.
            let said = narrator.say(progress);
            let _ = said.map(|response| sender.blocking_send(Ok(response)));
        });
        if let Err(error) = told {
            let _ = sender.blocking_send(Err(super::errors::status(&error, None)));
        }
    });
    let messages = stream::unfold(receiver, |mut receiver| async move {
        Some((receiver.recv().await?, receiver))
    });
    Ok(Some(messages.boxed()))
}

/// The builds that `wanted` means, all if it is empty, each with its record.
fn builds(engine: &Engine, wanted: &str) -> Result<Vec<record::Recorded>, EngineError> {
    let builds = match wanted {
        "" => engine.history()?,
        id => engine.history_of(id)?.into_iter().collect(),
    };
    let recorded = |build: HistoryBuild| {
        let record = record::record(engine, &build)?;
        Ok((build, record))
    };
    builds.into_iter().map(recorded).collect()
}

fn is_active(build: &HistoryBuild) -> bool {
    build.past.status == BuildStatus::Running
}

fn event((build, record): &record::Recorded) -> BuildHistoryEvent {
    let kind = match is_active(build) {
        true => BuildHistoryEventType::Started,
        false => BuildHistoryEventType::Complete,
    };
    BuildHistoryEvent {
        r#type: kind.into(),
        record: Some(record.clone()),
    }
}
