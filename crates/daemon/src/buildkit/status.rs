//! What happens in a build, as BuildKit's clients are told it, and kept for those who ask late.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use bollard_buildkit_proto::google::protobuf::Timestamp;
use bollard_buildkit_proto::moby::buildkit::v1::{
    StatusResponse, Vertex, VertexLog, VertexStatus, VertexWarning,
};
use bollard_buildkit_proto::pb;
use engine::VertexDigest;
use engine::events::{LogStream, PlannedVertex, Progress, Warning};
use futures_util::{StreamExt as _, stream};
use oci::Digest;
use tokio::sync::Notify;
use tonic::Status;

use super::Messages;

/// Bytes of what steps write that are kept for who asks late or reads slowly.
const MAX_LOG: usize = 16 << 20;
/// Warnings of a client's own that are kept.
const MAX_WARNINGS: usize = 1000;

/// What is kept of one build.
#[derive(Debug, Default)]
pub(super) struct StatusLog {
    told: Mutex<Told>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Told {
    responses: Vec<StatusResponse>,
    bytes: usize,
    /// How many warnings of the client's own there are.
    warnings: usize,
    ended: bool,
}

/// Turns events into responses.
#[derive(Debug, Default)]
pub(super) struct Narrator {
    /// What makes names of this build differ from those of others.
    build: String,
    vertices: HashMap<VertexDigest, Vertex>,
    /// Steps that only hand on what was copied from the client, with the copying in their place:
    /// to clients both are one.
    same: HashMap<VertexDigest, VertexDigest>,
    /// When parts of steps began.
    parts: HashMap<(VertexDigest, String), Timestamp>,
    /// The Dockerfile that warnings are about.
    source: Option<pb::SourceInfo>,
}

impl StatusLog {
    /// Keeps a response. Of what steps write so much is kept and no more, and that is told.
    pub(super) fn add(&self, mut response: StatusResponse) {
        let mut told = self.lock();
        let bytes: usize = response.logs.iter().map(|log| log.msg.len()).sum();
        if told.bytes > MAX_LOG && bytes > 0 {
            return;
        }
        told.bytes += bytes;
        if told.bytes > MAX_LOG && bytes > 0 {
            let more = b"[output clipped, kiln has the whole log: kiln history logs]\n";
            response
                .logs
                .iter_mut()
                .for_each(|log| log.msg = more.to_vec());
        }
        told.responses.push(response);
        drop(told);
        self.changed.notify_waiters();
    }

    /// Keeps a warning of the client's own; of many only the first ones.
    pub(super) fn warn(&self, warning: VertexWarning) {
        let mut told = self.lock();
        if told.warnings >= MAX_WARNINGS {
            return;
        }
        told.warnings += 1;
        told.responses.push(StatusResponse {
            warnings: vec![warning],
            ..StatusResponse::default()
        });
        drop(told);
        self.changed.notify_waiters();
    }

    /// Nothing more happens.
    pub(super) fn end(&self) {
        self.lock().ended = true;
        self.changed.notify_waiters();
    }

    /// All of it from the beginning, and what comes until it ends.
    pub(super) fn follow(self: Arc<Self>) -> Messages<StatusResponse> {
        stream::unfold((self, 0), |(log, place)| async move {
            let response = log.at(place).await?;
            Some((Ok::<_, Status>(response), (log, place + 1)))
        })
        .boxed()
    }

    async fn at(&self, place: usize) -> Option<StatusResponse> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let told = self.lock();
                if let Some(response) = told.responses.get(place) {
                    return Some(response.clone());
                }
                if told.ended {
                    return None;
                }
            }
            changed.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Narrator {
    /// For the build of this ID.
    pub(super) fn new(build: &str) -> Self {
        Self {
            build: build.to_owned(),
            ..Self::default()
        }
    }

    /// The Dockerfile that warnings are about from here on.
    pub(super) fn about(&mut self, source: pb::SourceInfo) {
        self.source = Some(source);
    }

    /// What clients are told of an event; nothing of some.
    pub(super) fn say(&mut self, mut event: Progress) -> Option<StatusResponse> {
        let vertex = event.vertex_mut();
        if vertex.is_some_and(|vertex| self.same.contains_key(vertex)) {
            return None;
        }
        let mut response = StatusResponse::default();
        match event {
            Progress::Planned(planned) => {
                let planned = planned.into_iter().filter_map(|vertex| self.plan(vertex));
                response.vertexes = planned.collect();
            }
            Progress::Started { vertex, at } => {
                response.vertexes.push(self.begin(vertex, at));
            }
            Progress::Cached { vertex, at, .. } => {
                let mut cached = self.begin(vertex, at);
                cached.cached = true;
                cached.completed = cached.started;
                response.vertexes.push(cached);
            }
            Progress::Completed { vertex, at } => {
                response.vertexes.push(self.end(vertex, at, String::new()));
            }
            Progress::Failed { vertex, at, error } => {
                response.vertexes.push(self.end(vertex, at, error));
            }
            Progress::Cancelled { vertex, at } => {
                // What BuildKit's clients know a cancelled step by.
                let error = "context canceled".to_owned();
                response.vertexes.push(self.end(vertex, at, error));
            }
            Progress::Log {
                vertex,
                at,
                stream,
                bytes,
            } => response.logs.push(VertexLog {
                vertex: self.shown(&vertex),
                timestamp: Some(timestamp(at)),
                stream: match stream {
                    LogStream::Stdout => 1,
                    LogStream::Stderr => 2,
                },
                msg: bytes.into(),
            }),
            Progress::Status { vertex, at, status } => {
                response.statuses.push(self.part(vertex, at, status));
            }
            Progress::Warning(warning) => response.warnings.push(self.warning(warning)),
            Progress::Shared { .. } | Progress::Recalled { .. } | Progress::Explained { .. } => {
                return None;
            }
        }
        Some(response)
    }

    fn plan(&mut self, planned: PlannedVertex) -> Option<Vertex> {
        let is_of_client = planned.name.starts_with("[internal] load build context")
            || planned.name.starts_with("[context ");
        let mut known = self.vertices.iter();
        let copying = known.find(|(known, vertex)| {
            is_of_client && **known != planned.vertex && vertex.name == planned.name
        });
        if let Some((copying, _)) = copying {
            self.same.insert(planned.vertex, *copying);
            return None;
        }
        let input = |input| self.shown(self.same.get(input).unwrap_or(input));
        // What is no step is known by its name alone, and clients show several builds as one.
        let is_task = planned.vertex.0 == Digest::of(planned.name.as_bytes());
        let own = format!("{} {}", self.build, planned.name);
        let digest = match is_task {
            true => Digest::of(own.as_bytes()),
            false => planned.vertex.0,
        };
        let vertex = Vertex {
            digest: digest.to_string(),
            name: planned.name,
            inputs: planned.inputs.iter().map(input).collect(),
            ..Vertex::default()
        };
        Some(
            self.vertices
                .entry(planned.vertex)
                .or_insert(vertex)
                .clone(),
        )
    }

    /// What clients know a vertex by.
    fn shown(&self, vertex: &VertexDigest) -> String {
        let known = self.vertices.get(vertex).map(|known| known.digest.clone());
        known.unwrap_or_else(|| vertex.0.to_string())
    }

    fn known(&mut self, vertex: VertexDigest) -> &mut Vertex {
        self.vertices.entry(vertex).or_insert_with(|| Vertex {
            digest: vertex.0.to_string(),
            ..Vertex::default()
        })
    }

    fn begin(&mut self, vertex: VertexDigest, at: SystemTime) -> Vertex {
        let known = self.known(vertex);
        known.started = Some(timestamp(at));
        known.clone()
    }

    fn end(&mut self, vertex: VertexDigest, at: SystemTime, error: String) -> Vertex {
        let known = self.known(vertex);
        let at = timestamp(at);
        Vertex {
            started: Some(*known.started.get_or_insert(at)),
            completed: Some(at),
            error,
            ..known.clone()
        }
    }

    fn part(
        &mut self,
        vertex: VertexDigest,
        at: SystemTime,
        status: engine::events::Status,
    ) -> VertexStatus {
        let at = timestamp(at);
        let key = (vertex, status.id.clone());
        let started = *self.parts.entry(key).or_insert(at);
        VertexStatus {
            vertex: self.shown(&vertex),
            name: action(&status.id).to_owned(),
            current: number(status.current),
            total: status.total.map_or(0, number),
            timestamp: Some(at),
            started: Some(started),
            completed: status.done.then_some(at),
            id: status.id,
        }
    }

    fn warning(&self, warning: Warning) -> VertexWarning {
        let ranges = warning.locations.iter().map(super::errors::range);
        VertexWarning {
            vertex: warning
                .vertex
                .map(|vertex| self.shown(&vertex))
                .unwrap_or_default(),
            level: 1,
            short: warning.message.into_bytes(),
            detail: warning.detail.into_iter().map(String::into_bytes).collect(),
            url: warning.url.unwrap_or_default(),
            info: self
                .source
                .clone()
                .filter(|_| !warning.locations.is_empty()),
            ranges: ranges.collect(),
        }
    }
}

/// What is done, such as `transferring` in `transferring context:`.
fn action(id: &str) -> &str {
    id.split([' ', ':']).next().unwrap_or_default()
}

fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn timestamp(at: SystemTime) -> Timestamp {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp {
        seconds: number(since.as_secs()),
        nanos: i32::try_from(since.subsec_nanos()).unwrap_or_default(),
    }
}
