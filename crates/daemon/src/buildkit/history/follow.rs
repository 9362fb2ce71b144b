//! What happens to past and present builds while a client listens.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bollard_buildkit_proto::moby::buildkit::v1::{
    BuildHistoryEvent, BuildHistoryEventType, BuildHistoryRecord,
};
use engine::{BuildStatus, HistoryBuild};
use futures_util::{Stream, StreamExt as _, stream};
use tonic::Status;

use super::{builds, event};
use crate::buildkit::blocking::blocking;
use crate::docker::Daemon;

/// How often the history is looked at. Builds are processes, and theirs do not tell each other.
const OFTEN: Duration = Duration::from_millis(500);

/// How builds stood when they were last told.
type Known = HashMap<String, (BuildStatus, bool)>;

/// What is new since `known`, until the daemon stops or the client goes.
pub(super) fn follow(
    daemon: &Arc<Daemon>,
    wanted: String,
    known: Vec<HistoryBuild>,
) -> impl Stream<Item = Result<BuildHistoryEvent, Status>> + Send + use<> {
    let known: Known = known
        .into_iter()
        .map(|build| (build.past.id.clone(), stand(&build)))
        .collect();
    let state = (Arc::clone(daemon), wanted, known);
    let rounds = stream::unfold(state, |(daemon, wanted, mut known)| async move {
        tokio::select! {
            () = tokio::time::sleep(OFTEN) => {}
            () = daemon.closing() => return None,
        }
        let events = match news(&daemon, &wanted, &mut known).await {
            Ok(events) => events.into_iter().map(Ok).collect(),
            Err(status) => vec![Err(status)],
        };
        Some((stream::iter(events), (daemon, wanted, known)))
    });
    rounds.flatten()
}

async fn news(
    daemon: &Arc<Daemon>,
    wanted: &str,
    known: &mut Known,
) -> Result<Vec<BuildHistoryEvent>, Status> {
    let engine = daemon.open().await?;
    let wanted = wanted.to_owned();
    let now = blocking(move || builds(&engine, &wanted)).await?;
    let mut events = Vec::new();
    let mut gone = std::mem::take(known);
    for found in now {
        let (id, stand) = (found.0.past.id.clone(), stand(&found.0));
        if gone.remove(&id) != Some(stand) {
            events.push(event(&found));
        }
        known.insert(id, stand);
    }
    events.extend(gone.into_keys().map(|id| BuildHistoryEvent {
        r#type: BuildHistoryEventType::Deleted.into(),
        record: Some(BuildHistoryRecord {
            r#ref: id,
            ..BuildHistoryRecord::default()
        }),
    }));
    Ok(events)
}

fn stand(build: &HistoryBuild) -> (BuildStatus, bool) {
    (build.past.status, build.past.pinned)
}
