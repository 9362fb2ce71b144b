//! Progress as JSON, one object a line, in the form of BuildKit's `SolveStatus`.

use std::collections::HashMap;
use std::time::SystemTime;

use engine::VertexDigest;
use engine::events::{LogStream, PlannedVertex, Progress, Status, Warning};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// Renders JSON lines.
#[derive(Debug, Default)]
pub struct RawJson {
    vertices: HashMap<VertexDigest, Vertex>,
    statuses: HashMap<(VertexDigest, String), SystemTime>,
    out: String,
}

#[derive(Debug, Default, Clone)]
struct Vertex {
    name: String,
    inputs: Vec<VertexDigest>,
    started: Option<SystemTime>,
    completed: Option<SystemTime>,
    cached: bool,
    error: String,
}

impl RawJson {
    /// Takes note of what happened.
    pub fn update(&mut self, progress: &Progress) {
        let (key, value) = match progress {
            // BuildKit does not tell of it.
            Progress::Shared { .. } => return,
            Progress::Planned(vertices) => ("vertexes", self.planned(vertices)),
            Progress::Started { vertex, at } => self.change(*vertex, |known| {
                known.started = Some(*at);
                (known.completed, known.cached) = (None, false);
                known.error.clear();
            }),
            Progress::Cached { vertex, at, .. } => self.change(*vertex, |known| {
                known.started = Some(*at);
                known.completed = Some(*at);
                known.cached = true;
            }),
            Progress::Completed { vertex, at } => {
                self.change(*vertex, |known| known.completed = Some(*at))
            }
            Progress::Failed { vertex, at, error } => self.change(*vertex, |known| {
                known.completed = Some(*at);
                known.error.clone_from(error);
            }),
            Progress::Cancelled { vertex, at } => self.change(*vertex, |known| {
                known.completed = Some(*at);
                "context canceled".clone_into(&mut known.error);
            }),
            // BuildKit never says why: a line of the log is where people would look for it.
            Progress::Explained { vertex, reason } => {
                let at = self.vertices.get(vertex).and_then(|known| known.started);
                let at = at.unwrap_or(SystemTime::UNIX_EPOCH);
                ("logs", line(*vertex, at, reason))
            }
            Progress::Recalled { vertex, from } => {
                let reason = format!("found in {from}");
                ("logs", line(*vertex, SystemTime::UNIX_EPOCH, &reason))
            }
            Progress::Log {
                vertex,
                at,
                stream,
                bytes,
            } => ("logs", log(*vertex, *at, *stream, bytes)),
            Progress::Status { vertex, at, status } => (
                "statuses",
                Value::Array(vec![self.status(*vertex, *at, status)]),
            ),
            Progress::Warning(warning) => ("warnings", Value::Array(vec![self::warning(warning)])),
        };
        let mut object = Map::new();
        object.insert(key.to_owned(), value);
        self.out.push_str(&Value::Object(object).to_string());
        self.out.push('\n');
    }

    fn planned(&mut self, vertices: &[PlannedVertex]) -> Value {
        for planned in vertices {
            let vertex = self.vertices.entry(planned.vertex).or_default();
            vertex.name.clone_from(&planned.name);
            vertex.inputs.clone_from(&planned.inputs);
        }
        let all = vertices.iter().map(|planned| self.vertex(planned.vertex));
        Value::Array(all.collect())
    }

    fn status(&mut self, vertex: VertexDigest, at: SystemTime, status: &Status) -> Value {
        let known = self.statuses.entry((vertex, status.id.clone()));
        let started = known.or_insert(at);
        let mut value = Map::new();
        value.insert("id".to_owned(), json!(status.id));
        value.insert("vertex".to_owned(), json!(vertex.to_string()));
        if let Some(total) = status.total.filter(|total| *total > 0) {
            value.insert("total".to_owned(), json!(total));
        }
        value.insert("current".to_owned(), json!(status.current));
        value.insert("timestamp".to_owned(), time(at));
        value.insert("started".to_owned(), time(*started));
        if status.done {
            value.insert("completed".to_owned(), time(at));
        }
        Value::Object(value)
    }

    /// What is to be written now.
    pub fn take(&mut self) -> String {
        std::mem::take(&mut self.out)
    }

    fn change(
        &mut self,
        digest: VertexDigest,
        change: impl FnOnce(&mut Vertex),
    ) -> (&'static str, Value) {
        change(self.vertices.entry(digest).or_default());
        ("vertexes", Value::Array(vec![self.vertex(digest)]))
    }

    fn vertex(&self, digest: VertexDigest) -> Value {
        let known = self.vertices.get(&digest).cloned().unwrap_or_default();
        let mut value = Map::new();
        value.insert("digest".to_owned(), json!(digest.to_string()));
        if !known.inputs.is_empty() {
            let inputs: Vec<String> = known.inputs.iter().map(ToString::to_string).collect();
            value.insert("inputs".to_owned(), json!(inputs));
        }
        value.insert("name".to_owned(), json!(known.name));
        if let Some(started) = known.started {
            value.insert("started".to_owned(), time(started));
        }
        if let Some(completed) = known.completed {
            value.insert("completed".to_owned(), time(completed));
        }
        if known.cached {
            value.insert("cached".to_owned(), json!(true));
        }
        if !known.error.is_empty() {
            value.insert("error".to_owned(), json!(known.error));
        }
        Value::Object(value)
    }
}

/// A line of kiln's own.
fn line(vertex: VertexDigest, at: SystemTime, text: &str) -> Value {
    log(
        vertex,
        at,
        LogStream::Stderr,
        format!("{text}\n").as_bytes(),
    )
}

fn log(vertex: VertexDigest, at: SystemTime, stream: LogStream, data: &[u8]) -> Value {
    let stream = match stream {
        LogStream::Stdout => 1,
        LogStream::Stderr => 2,
    };
    json!([{
        "vertex": vertex.to_string(),
        "stream": stream,
        "data": base64(data),
        "timestamp": time(at),
    }])
}

fn warning(warning: &Warning) -> Value {
    let position = |line: u32| json!({"line": line, "character": 0});
    let ranges = warning.locations.iter().map(|location| {
        json!({"start": position(location.first_line), "end": position(location.last_line)})
    });
    let detail = warning.detail.iter().map(|line| base64(line.as_bytes()));
    json!({
        "vertex": warning.vertex.map(|vertex| vertex.to_string()).unwrap_or_default(),
        "level": 1,
        "short": base64(warning.message.as_bytes()),
        "detail": detail.collect::<Vec<_>>(),
        "url": warning.url.clone().unwrap_or_default(),
        "range": ranges.collect::<Vec<_>>(),
    })
}

fn time(at: SystemTime) -> Value {
    Timestamp::try_from(at).map_or(Value::Null, |at| Value::String(at.to_string()))
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
