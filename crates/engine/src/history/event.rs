//! What a log holds: one event a line, as JSON. Vertices are numbered as the build planned them, so
//! that their digests stand there once.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use graph::{Location, VertexDigest};
use serde::{Deserialize, Serialize};
use solver::Progress;
use solver::progress::{LogStream, Origin, PlannedVertex, Status, Warning};

use super::{About, Outcome};

/// Gives the vertices of a build their numbers.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    known: HashMap<VertexDigest, u32>,
    vertices: HashMap<u32, VertexDigest>,
}

/// One line of a log. Times are microseconds since 1970.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Event {
    /// The first line.
    Begun(About),
    /// The last line.
    Ended(Box<Outcome>),
    Planned(Vec<Planned>),
    Started(u32, i64),
    Cached(u32, i64, Found),
    Shared(u32),
    Completed(u32, i64),
    Failed(u32, i64, String),
    Cancelled(u32, i64),
    Recalled(u32, String),
    Explained(u32, String),
    Out(u32, i64, Text),
    Err(u32, i64, Text),
    Status(u32, i64, Part),
    Warning(Remark),
}

/// Where a result was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Found {
    Recorded,
    Imported,
    MadeMeanwhile,
    MadeBefore,
    NotNeeded,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Planned {
    number: u32,
    digest: String,
    name: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    inputs: Vec<u32>,
}

/// What a step wrote; as base64 when it is not UTF-8.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Text {
    Plain(String),
    Encoded { base64: String },
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Part {
    id: String,
    current: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    done: bool,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Remark {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vertex: Option<u32>,
    message: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    detail: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    lines: Vec<(u32, u32)>,
}

/// Bytes as base64.
pub(super) mod encoded {
    use base64::Engine as _;

    use super::{Deserialize as _, STANDARD};

    pub(in crate::history) fn serialize<S: serde::Serializer>(
        bytes: &[u8],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(in crate::history) fn deserialize<'de, D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map_err(serde::de::Error::custom)
    }
}

impl Numbers {
    /// How many vertices are known.
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// The number of a vertex, given to it now if it has none.
    pub(super) fn of(&mut self, vertex: VertexDigest) -> u32 {
        let next = u32::try_from(self.known.len()).unwrap_or(u32::MAX);
        *self.known.entry(vertex).or_insert(next)
    }

    fn get(&self, number: u32) -> Option<VertexDigest> {
        self.vertices.get(&number).copied()
    }

    /// `progress` as it is written.
    pub(super) fn event(&mut self, progress: &Progress) -> Event {
        match progress {
            Progress::Planned(vertices) => {
                Event::Planned(vertices.iter().map(|vertex| self.planned(vertex)).collect())
            }
            Progress::Started { vertex, at } => Event::Started(self.of(*vertex), micros(*at)),
            Progress::Cached { vertex, at, origin } => {
                Event::Cached(self.of(*vertex), micros(*at), Found::of(*origin))
            }
            Progress::Shared { vertex } => Event::Shared(self.of(*vertex)),
            Progress::Completed { vertex, at } => Event::Completed(self.of(*vertex), micros(*at)),
            Progress::Failed { vertex, at, error } => {
                Event::Failed(self.of(*vertex), micros(*at), error.clone())
            }
            Progress::Cancelled { vertex, at } => Event::Cancelled(self.of(*vertex), micros(*at)),
            Progress::Recalled { vertex, from } => Event::Recalled(self.of(*vertex), from.clone()),
            Progress::Explained { vertex, reason } => {
                Event::Explained(self.of(*vertex), reason.clone())
            }
            Progress::Log {
                vertex,
                at,
                stream,
                bytes,
            } => {
                let (vertex, at, text) = (self.of(*vertex), micros(*at), Text::of(bytes));
                match stream {
                    LogStream::Stdout => Event::Out(vertex, at, text),
                    LogStream::Stderr => Event::Err(vertex, at, text),
                }
            }
            Progress::Status { vertex, at, status } => {
                let part = Part {
                    id: status.id.clone(),
                    current: status.current,
                    total: status.total,
                    done: status.done,
                };
                Event::Status(self.of(*vertex), micros(*at), part)
            }
            Progress::Warning(warning) => Event::Warning(self.remark(warning)),
        }
    }

    /// What was told, if the event is whole.
    pub(super) fn progress(&mut self, event: Event) -> Option<Progress> {
        Some(match event {
            Event::Begun(_) | Event::Ended(_) => return None,
            Event::Planned(planned) => {
                let vertices = planned.into_iter().map(|planned| self.planning(planned));
                Progress::Planned(vertices.collect::<Option<_>>()?)
            }
            Event::Started(vertex, at) => Progress::Started {
                vertex: self.get(vertex)?,
                at: time(at),
            },
            Event::Cached(vertex, at, from) => Progress::Cached {
                vertex: self.get(vertex)?,
                at: time(at),
                origin: from.origin(),
            },
            Event::Shared(vertex) => Progress::Shared {
                vertex: self.get(vertex)?,
            },
            Event::Completed(vertex, at) => Progress::Completed {
                vertex: self.get(vertex)?,
                at: time(at),
            },
            Event::Failed(vertex, at, error) => Progress::Failed {
                vertex: self.get(vertex)?,
                at: time(at),
                error,
            },
            Event::Cancelled(vertex, at) => Progress::Cancelled {
                vertex: self.get(vertex)?,
                at: time(at),
            },
            Event::Recalled(vertex, from) => Progress::Recalled {
                vertex: self.get(vertex)?,
                from,
            },
            Event::Explained(vertex, reason) => Progress::Explained {
                vertex: self.get(vertex)?,
                reason,
            },
            Event::Out(vertex, at, text) => self.log(vertex, at, LogStream::Stdout, text)?,
            Event::Err(vertex, at, text) => self.log(vertex, at, LogStream::Stderr, text)?,
            Event::Status(vertex, at, part) => Progress::Status {
                vertex: self.get(vertex)?,
                at: time(at),
                status: Status {
                    id: part.id,
                    current: part.current,
                    total: part.total,
                    done: part.done,
                },
            },
            Event::Warning(remark) => Progress::Warning(self.warning(remark)?),
        })
    }

    fn planned(&mut self, vertex: &PlannedVertex) -> Planned {
        Planned {
            number: self.of(vertex.vertex),
            digest: vertex.vertex.0.hex(),
            name: vertex.name.clone(),
            inputs: vertex.inputs.iter().map(|input| self.of(*input)).collect(),
        }
    }

    fn planning(&mut self, planned: Planned) -> Option<PlannedVertex> {
        let vertex = VertexDigest(oci::Digest::from_hex(&planned.digest).ok()?);
        self.vertices.insert(planned.number, vertex);
        let inputs = planned.inputs.iter().map(|input| self.get(*input));
        Some(PlannedVertex {
            vertex,
            name: planned.name,
            inputs: inputs.collect::<Option<_>>()?,
        })
    }

    fn log(&self, vertex: u32, at: i64, stream: LogStream, text: Text) -> Option<Progress> {
        Some(Progress::Log {
            vertex: self.get(vertex)?,
            at: time(at),
            stream,
            bytes: text.bytes()?,
        })
    }

    fn remark(&mut self, warning: &Warning) -> Remark {
        let locations = warning.locations.iter();
        Remark {
            vertex: warning.vertex.map(|vertex| self.of(vertex)),
            message: warning.message.clone(),
            detail: warning.detail.clone(),
            url: warning.url.clone(),
            lines: locations
                .map(|location| (location.first_line, location.last_line))
                .collect(),
        }
    }

    fn warning(&self, remark: Remark) -> Option<Warning> {
        let vertex = remark.vertex.map(|vertex| self.get(vertex));
        let lines = remark.lines.into_iter();
        Some(Warning {
            vertex: match vertex {
                Some(known) => Some(known?),
                None => None,
            },
            message: remark.message,
            detail: remark.detail,
            url: remark.url,
            locations: lines
                .map(|(first_line, last_line)| Location {
                    first_line,
                    last_line,
                    ..Location::default()
                })
                .collect(),
        })
    }
}

impl Text {
    fn of(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Plain(text.to_owned()),
            Err(_) => Self::Encoded {
                base64: STANDARD.encode(bytes),
            },
        }
    }

    fn bytes(self) -> Option<Bytes> {
        match self {
            Self::Plain(text) => Some(text.into()),
            Self::Encoded { base64 } => STANDARD.decode(base64).ok().map(Bytes::from),
        }
    }
}

impl Found {
    const fn of(origin: Origin) -> Self {
        match origin {
            Origin::Recorded => Self::Recorded,
            Origin::Imported => Self::Imported,
            Origin::MadeMeanwhile => Self::MadeMeanwhile,
            Origin::MadeBefore => Self::MadeBefore,
            Origin::NotNeeded => Self::NotNeeded,
        }
    }

    const fn origin(self) -> Origin {
        match self {
            Self::Recorded => Origin::Recorded,
            Self::Imported => Origin::Imported,
            Self::MadeMeanwhile => Origin::MadeMeanwhile,
            Self::MadeBefore => Origin::MadeBefore,
            Self::NotNeeded => Origin::NotNeeded,
        }
    }
}

pub(super) fn micros(at: SystemTime) -> i64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

pub(super) fn time(micros: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(u64::try_from(micros).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vertex(name: &str) -> VertexDigest {
        VertexDigest(oci::Digest::of(name.as_bytes()))
    }

    fn planned(name: &str, inputs: &[&str]) -> PlannedVertex {
        PlannedVertex {
            vertex: vertex(name),
            name: name.to_owned(),
            inputs: inputs.iter().map(|input| vertex(input)).collect(),
        }
    }

    fn log(stream: LogStream, bytes: &'static [u8]) -> Progress {
        Progress::Log {
            vertex: vertex("b"),
            at: time(3),
            stream,
            bytes: Bytes::from_static(bytes),
        }
    }

    #[test]
    fn events_read_as_they_were_written() {
        let (a, b) = (vertex("a"), vertex("b"));
        let at = time(1_700_000_000_123_456);
        let told = [
            Progress::Planned(vec![planned("a", &[]), planned("b", &["a"])]),
            Progress::Started { vertex: b, at },
            Progress::Shared { vertex: b },
            Progress::Recalled {
                vertex: a,
                from: "type=local".to_owned(),
            },
            Progress::Explained {
                vertex: b,
                reason: "x is new".to_owned(),
            },
            log(LogStream::Stdout, b"line\n"),
            log(LogStream::Stderr, b"\xff\x00\n"),
            Progress::Status {
                vertex: b,
                at,
                status: Status {
                    id: "layer".to_owned(),
                    current: 3,
                    total: Some(4),
                    done: true,
                },
            },
            Progress::Completed { vertex: b, at },
            Progress::Failed {
                vertex: b,
                at,
                error: "broken".to_owned(),
            },
            Progress::Cancelled { vertex: b, at },
            Progress::Cached {
                vertex: a,
                at,
                origin: Origin::NotNeeded,
            },
            Progress::Warning(Warning {
                vertex: Some(a),
                message: "m".to_owned(),
                detail: vec!["d".to_owned()],
                url: None,
                locations: vec![Location {
                    first_line: 1,
                    last_line: 2,
                    ..Location::default()
                }],
            }),
        ];
        let mut written = Numbers::default();
        let mut read = Numbers::default();
        for progress in told {
            let line = serde_json::to_string(&written.event(&progress)).unwrap();
            let event = serde_json::from_str(&line).unwrap();
            assert_eq!(read.progress(event), Some(progress), "{line}");
        }
        let unknown = Event::Started(7, 0);
        assert_eq!(read.progress(unknown), None);
    }
}
