//! What happens in one build, as spans: the call of the client, and beneath it the steps.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use engine::VertexDigest;
use engine::events::Progress;

use super::Parent;
use super::otlp::{self, Span, Status};

/// Steps of one build that are recorded; of more only the first.
const MAX_STEPS: usize = 4096;
const INTERNAL: i32 = 1;
const SERVER: i32 = 2;
const FAILED: i32 = 2;

/// What happens in one build.
#[derive(Debug)]
pub(crate) struct Recording {
    call: Span,
    steps: Mutex<Steps>,
}

#[derive(Debug, Default)]
struct Steps {
    names: HashMap<VertexDigest, String>,
    open: HashMap<VertexDigest, SystemTime>,
    ended: Vec<Span>,
}

impl Recording {
    /// The call `name` begins, beneath its client's span if there is one.
    pub(super) fn begin(name: &str, parent: Option<Parent>, now: SystemTime) -> Self {
        Self {
            call: Span {
                trace_id: parent
                    .map_or_else(random::<16>, |parent| parent.trace)
                    .to_vec(),
                span_id: random::<8>().to_vec(),
                parent_span_id: parent.map_or(Vec::new(), |parent| parent.span.to_vec()),
                name: name.to_owned(),
                kind: SERVER,
                start_time_unix_nano: nanoseconds(now),
                ..Span::default()
            },
            steps: Mutex::default(),
        }
    }

    /// Something happened.
    pub(crate) fn note(&self, event: &Progress) {
        let mut steps = self.lock();
        match event {
            Progress::Planned(vertices) => {
                let named = vertices
                    .iter()
                    .map(|planned| (planned.vertex, planned.name.clone()));
                let room = MAX_STEPS.saturating_sub(steps.names.len());
                steps.names.extend(named.take(room));
            }
            Progress::Started { vertex, at } if steps.names.contains_key(vertex) => {
                steps.open.insert(*vertex, *at);
            }
            Progress::Cached { vertex, at, .. } => {
                steps.open.remove(vertex);
                let cached = otlp::switch("vertex.cached", true);
                self.ended(&mut steps, *vertex, (*at, *at), Some(cached), None);
            }
            Progress::Completed { vertex, at } => self.close(&mut steps, *vertex, *at, None),
            Progress::Failed { vertex, at, error } => {
                self.close(&mut steps, *vertex, *at, Some(error));
            }
            Progress::Cancelled { vertex, at } => {
                self.close(&mut steps, *vertex, *at, Some("cancelled"));
            }
            _ => {}
        }
    }

    /// The call has ended; all spans.
    pub(super) fn end(&self, failure: Option<&str>, now: SystemTime) -> Vec<Span> {
        let mut steps = self.lock();
        let open: Vec<VertexDigest> = steps.open.keys().copied().collect();
        for vertex in open {
            self.close(&mut steps, vertex, now, Some("cancelled"));
        }
        let call = Span {
            end_time_unix_nano: nanoseconds(now),
            status: failure.map(failed),
            ..self.call.clone()
        };
        let mut spans = vec![call];
        spans.append(&mut steps.ended);
        spans
    }

    fn close(&self, steps: &mut Steps, vertex: VertexDigest, at: SystemTime, error: Option<&str>) {
        if let Some(begun) = steps.open.remove(&vertex) {
            self.ended(steps, vertex, (begun, at), None, error);
        }
    }

    fn ended(
        &self,
        steps: &mut Steps,
        vertex: VertexDigest,
        (begun, at): (SystemTime, SystemTime),
        attribute: Option<otlp::KeyValue>,
        error: Option<&str>,
    ) {
        let Some(name) = steps.names.get(&vertex).cloned() else {
            return;
        };
        if steps.ended.len() >= MAX_STEPS {
            return;
        }
        let which = otlp::text("vertex", &vertex.0.to_string());
        steps.ended.push(Span {
            trace_id: self.call.trace_id.clone(),
            span_id: random::<8>().to_vec(),
            parent_span_id: self.call.span_id.clone(),
            name,
            kind: INTERNAL,
            start_time_unix_nano: nanoseconds(begun),
            end_time_unix_nano: nanoseconds(at),
            attributes: attribute.into_iter().chain([which]).collect(),
            status: error.map(failed),
        });
    }

    fn lock(&self) -> MutexGuard<'_, Steps> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn failed(message: &str) -> Status {
    Status {
        message: message.to_owned(),
        code: FAILED,
    }
}

fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Bytes that nobody else has, as long as the kernel has any.
fn random<const SIZE: usize>() -> [u8; SIZE] {
    let mut bytes = [1; SIZE];
    // A trace that cannot be told from others is still one.
    let _ = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    bytes
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use engine::events::{Origin, PlannedVertex};
    use oci::Digest;

    use super::*;

    #[test]
    fn steps_are_beneath_the_call() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let vertex = |name: &str| VertexDigest(Digest::of(name.as_bytes()));
        let parent = Parent {
            trace: [7; 16],
            span: [8; 8],
            is_sampled: true,
        };
        let recording = Recording::begin("Solve", Some(parent), at(1));
        let planned = ["one", "two", "three"].map(|name| PlannedVertex {
            vertex: vertex(name),
            name: name.to_owned(),
            inputs: Vec::new(),
        });
        recording.note(&Progress::Planned(planned.to_vec()));
        for name in ["two", "three", "not planned"] {
            let vertex = vertex(name);
            recording.note(&Progress::Started { vertex, at: at(2) });
        }
        recording.note(&Progress::Cached {
            vertex: vertex("one"),
            at: at(3),
            origin: Origin::Recorded,
        });
        recording.note(&Progress::Failed {
            vertex: vertex("two"),
            at: at(4),
            error: "no".to_owned(),
        });
        let spans = recording.end(Some("failed"), at(5));
        let shown: Vec<_> = spans
            .iter()
            .map(|span| {
                let status = span.status.as_ref().map(|status| status.message.as_str());
                let times = (span.start_time_unix_nano, span.end_time_unix_nano);
                let times = (times.0 / 1_000_000_000, times.1 / 1_000_000_000);
                (span.name.as_str(), span.kind, times, status)
            })
            .collect();
        assert_eq!(
            shown,
            [
                ("Solve", 2, (1, 5), Some("failed")),
                ("one", 1, (3, 3), None),
                ("two", 1, (2, 4), Some("no")),
                ("three", 1, (2, 5), Some("cancelled")),
            ]
        );
        assert!(spans.iter().all(|span| span.trace_id == [7; 16]));
        assert_eq!(spans[0].parent_span_id, [8; 8]);
        assert!(
            spans[1..]
                .iter()
                .all(|span| span.parent_span_id == spans[0].span_id)
        );
    }
}
