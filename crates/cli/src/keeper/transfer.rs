//! How far a transfer of a daemon is, as events that every display knows.

use std::time::SystemTime;

use api::docker::Heard;
use client::DockerError;
use engine::VertexDigest;
use engine::events::{PlannedVertex, Progress, ProgressSender, Status};
use oci::Digest;

/// What daemons say of a part that is done.
const DONE: [&str; 6] = [
    "Already exists",
    "Download complete",
    "Layer already exists",
    "Mounted from",
    "Pull complete",
    "Pushed",
];

/// A transfer that goes on.
pub(super) struct Transfer {
    progress: ProgressSender,
    vertex: VertexDigest,
    now: fn() -> SystemTime,
}

impl Transfer {
    /// Tells that it begins.
    pub(super) async fn begin(
        name: &str,
        progress: ProgressSender,
        now: fn() -> SystemTime,
    ) -> Self {
        let vertex = VertexDigest(Digest::of(name.as_bytes()));
        let planned = PlannedVertex {
            vertex,
            name: name.to_owned(),
            inputs: Vec::new(),
        };
        progress
            .send_bounded(Progress::Planned(vec![planned]))
            .await;
        let at = now();
        progress
            .send_bounded(Progress::Started { vertex, at })
            .await;
        Self {
            progress,
            vertex,
            now,
        }
    }

    /// Tells how far a part is.
    pub(super) async fn heard(&self, heard: &Heard) {
        // What has no ID or is about the whole is told at the end.
        if heard.id.is_empty() || heard.status.starts_with("Pulling from") {
            return;
        }
        let status = Status {
            id: heard.id.clone(),
            current: heard.detail.current.unwrap_or_default(),
            total: heard.detail.total.filter(|total| *total > 0),
            done: DONE.iter().any(|done| heard.status.starts_with(done)),
        };
        let (vertex, at) = (self.vertex, (self.now)());
        let event = Progress::Status { vertex, at, status };
        self.progress.send_bounded(event).await;
    }

    /// Tells how it ended.
    pub(super) async fn end(self, error: Option<&DockerError>) {
        let (vertex, at) = (self.vertex, (self.now)());
        let event = match error {
            None => Progress::Completed { vertex, at },
            Some(error) => Progress::Failed {
                vertex,
                at,
                error: error.to_string(),
            },
        };
        self.progress.send_bounded(event).await;
    }
}
