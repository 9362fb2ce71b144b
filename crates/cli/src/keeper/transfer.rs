//! How far a transfer of a daemon is, as events that every display knows.

use std::collections::HashSet;
use std::time::SystemTime;

use api::docker::Heard;
use client::DockerError;
use engine::VertexDigest;
use engine::events::{PlannedVertex, Progress, ProgressSender, Status};
use oci::Digest;

use crate::ui::{one_line, visible};

/// What daemons say of a part that is done.
const DONE: [&str; 6] = [
    "Already exists",
    "Download complete",
    "Layer already exists",
    "Mounted from",
    "Pull complete",
    "Pushed",
];

/// Parts of a transfer that are shown, and bytes of their names.
const MAX_PARTS: usize = 2_000;
const MAX_NAME: usize = 200;

/// A transfer that goes on.
pub(super) struct Transfer {
    parts: HashSet<String>,
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
            parts: HashSet::new(),
            progress,
            vertex,
            now,
        }
    }

    /// Tells how far a part is.
    pub(super) async fn heard(&mut self, heard: &Heard) {
        // What has no ID or is about the whole is told at the end.
        let is_part = !heard.id.is_empty() && !heard.status.starts_with("Pulling from");
        if !is_part || !self.knows(&heard.id) {
            return;
        }
        let (current, total) = heard.detail.bytes();
        let status = Status {
            id: one_line(&heard.id),
            current: current.unwrap_or_default(),
            total: total.filter(|total| *total > 0),
            done: DONE.iter().any(|done| heard.status.starts_with(done)),
        };
        let (vertex, at) = (self.vertex, (self.now)());
        let event = Progress::Status { vertex, at, status };
        self.progress.send_bounded(event).await;
    }

    /// Whether a part is shown: there may be more than anybody looks at.
    fn knows(&mut self, id: &str) -> bool {
        if self.parts.contains(id) {
            return true;
        }
        let has_room = id.len() <= MAX_NAME && self.parts.len() < MAX_PARTS;
        has_room && self.parts.insert(id.to_owned())
    }

    /// Tells how it ended.
    pub(super) async fn end(self, error: Option<&DockerError>) {
        let (vertex, at) = (self.vertex, (self.now)());
        let event = match error {
            None => Progress::Completed { vertex, at },
            Some(error) => Progress::Failed {
                vertex,
                at,
                error: visible(&error.to_string()).into_owned(),
            },
        };
        self.progress.send_bounded(event).await;
    }
}
