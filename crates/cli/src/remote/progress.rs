//! What a builder tells of a build, as events that every display knows.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use client::messages::{StatusResponse, Timestamp, Vertex, VertexLog, VertexStatus, VertexWarning};
use engine::events::{LogStream, Origin, PlannedVertex, Progress, Status, Warning};
use engine::{Location, VertexDigest};
use oci::Digest;

/// Turns what is told into events. A builder repeats itself; what is known already is no event.
#[derive(Debug, Default)]
pub(crate) struct Narrator {
    steps: HashMap<VertexDigest, Step>,
}

/// How far a step has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Planned,
    Started(SystemTime),
    Ended,
}

impl Narrator {
    /// What happened.
    pub(crate) fn events(&mut self, told: StatusResponse) -> Vec<Progress> {
        let StatusResponse {
            vertexes,
            statuses,
            logs,
            warnings,
        } = told;
        let mut events = Vec::new();
        let planned: Vec<PlannedVertex> = vertexes
            .iter()
            .filter_map(|vertex| self.plan(vertex))
            .collect();
        if !planned.is_empty() {
            events.push(Progress::Planned(planned));
        }
        // What is told together with the end of a step happened before it, unless the step runs
        // again.
        let mut ends = Vec::new();
        for (place, vertex) in vertexes.iter().enumerate() {
            let mut later = vertexes[place + 1..].iter();
            let again = later.any(|other| other.digest == vertex.digest);
            let end = self.advance(vertex, &mut events);
            match again {
                true => events.extend(end),
                false => ends.extend(end),
            }
        }
        events.extend(statuses.into_iter().map(status));
        events.extend(logs.into_iter().map(log));
        events.extend(ends);
        events.extend(warnings.into_iter().map(warning));
        events
    }

    fn plan(&mut self, vertex: &Vertex) -> Option<PlannedVertex> {
        let digest = digest(&vertex.digest);
        if self.steps.contains_key(&digest) {
            return None;
        }
        self.steps.insert(digest, Step::Planned);
        Some(PlannedVertex {
            vertex: digest,
            name: vertex.name.clone(),
            inputs: vertex
                .inputs
                .iter()
                .map(|input| self::digest(input))
                .collect(),
        })
    }

    /// How far a step is; its end, if this is it.
    fn advance(&mut self, told: &Vertex, events: &mut Vec<Progress>) -> Option<Progress> {
        let vertex = digest(&told.digest);
        let known = self.steps.get(&vertex).copied().unwrap_or(Step::Planned);
        let started = told.started.map(time);
        let completed = told.completed.map(time);
        if let Some(at) = started
            && !told.cached
            && (known == Step::Planned || known == Step::Ended && completed.is_none())
        {
            events.push(Progress::Started { vertex, at });
            self.steps.insert(vertex, Step::Started(at));
        }
        let at = completed.filter(|_| self.steps.get(&vertex) != Some(&Step::Ended))?;
        self.steps.insert(vertex, Step::Ended);
        Some(match told.error.as_str() {
            _ if told.cached => Progress::Cached {
                vertex,
                at,
                origin: Origin::Recorded,
            },
            "" => Progress::Completed { vertex, at },
            error if error.ends_with("context canceled") => Progress::Cancelled { vertex, at },
            error => Progress::Failed {
                vertex,
                at,
                error: error.to_owned(),
            },
        })
    }
}

fn status(told: VertexStatus) -> Progress {
    let number = |number: i64| u64::try_from(number).unwrap_or_default();
    Progress::Status {
        vertex: digest(&told.vertex),
        at: told.timestamp.map_or(UNIX_EPOCH, time),
        status: Status {
            id: if told.id.is_empty() {
                told.name
            } else {
                told.id
            },
            current: number(told.current),
            total: (told.total > 0).then_some(number(told.total)),
            done: told.completed.is_some(),
        },
    }
}

fn log(told: VertexLog) -> Progress {
    Progress::Log {
        vertex: digest(&told.vertex),
        at: told.timestamp.map_or(UNIX_EPOCH, time),
        stream: match told.stream {
            2 => LogStream::Stderr,
            _ => LogStream::Stdout,
        },
        bytes: told.msg.into(),
    }
}

fn warning(told: VertexWarning) -> Progress {
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let locations: Vec<Location> = told.ranges.iter().filter_map(location).collect();
    let mut message = text(told.short);
    // The line is said again by whoever shows the warning.
    if let Some(first) = locations.first()
        && let Some(rest) = message.strip_suffix(&format!(" (line {})", first.first_line))
    {
        message = rest.to_owned();
    }
    Progress::Warning(Warning {
        vertex: (!told.vertex.is_empty()).then(|| digest(&told.vertex)),
        message,
        detail: told.detail.into_iter().map(text).collect(),
        url: (!told.url.is_empty()).then_some(told.url),
        locations,
    })
}

fn location(range: &client::messages::Range) -> Option<Location> {
    let line = |position: &Option<client::messages::Position>| {
        position
            .as_ref()
            .and_then(|position| u32::try_from(position.line).ok())
    };
    let first_line = line(&range.start)?;
    Some(Location {
        first_line,
        last_line: line(&range.end).unwrap_or(first_line),
    })
}

/// What a vertex is known by here; builders may know it by something that is no digest.
fn digest(text: &str) -> VertexDigest {
    VertexDigest(text.parse().unwrap_or_else(|_| Digest::of(text.as_bytes())))
}

pub(super) fn time(told: Timestamp) -> SystemTime {
    let seconds = u64::try_from(told.seconds).unwrap_or_default();
    let nanos = u32::try_from(told.nanos).unwrap_or_default();
    let since = Duration::new(seconds, nanos.min(999_999_999));
    UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vertex(name: &str, started: bool, completed: bool) -> Vertex {
        let at = |is: bool, seconds| is.then_some(Timestamp { seconds, nanos: 0 });
        Vertex {
            digest: Digest::of(name.as_bytes()).to_string(),
            name: name.to_owned(),
            started: at(started, 1),
            completed: at(completed, 2),
            ..Vertex::default()
        }
    }

    fn told(narrator: &mut Narrator, vertexes: Vec<Vertex>) -> Vec<String> {
        let told = StatusResponse {
            vertexes,
            ..StatusResponse::default()
        };
        let events = narrator.events(told).into_iter();
        let shown = events.map(|event| match event {
            Progress::Planned(planned) => {
                let names: Vec<String> = planned.into_iter().map(|one| one.name).collect();
                format!("planned {}", names.join(" "))
            }
            Progress::Started { .. } => "started".to_owned(),
            Progress::Cached { .. } => "cached".to_owned(),
            Progress::Completed { .. } => "completed".to_owned(),
            Progress::Failed { error, .. } => format!("failed: {error}"),
            Progress::Cancelled { .. } => "cancelled".to_owned(),
            other => format!("{other:?}"),
        });
        shown.collect()
    }

    #[test]
    fn nothing_is_said_twice() {
        let mut narrator = Narrator::default();
        let both = vec![vertex("a", false, false), vertex("b", false, false)];
        assert_eq!(told(&mut narrator, both), ["planned a b"]);
        let a = || vertex("a", true, false);
        assert_eq!(told(&mut narrator, vec![a()]), ["started"]);
        assert_eq!(told(&mut narrator, vec![a()]), [""; 0]);
        let ended = || vertex("a", true, true);
        assert_eq!(told(&mut narrator, vec![ended()]), ["completed"]);
        assert_eq!(told(&mut narrator, vec![ended()]), [""; 0]);
        // Both at once, and one that runs again.
        assert_eq!(
            told(&mut narrator, vec![vertex("b", true, true), a()]),
            ["started", "started", "completed"]
        );
        let run = |completed| vertex("d", true, completed);
        assert_eq!(
            told(&mut narrator, vec![run(true), run(false)]),
            ["planned d", "started", "completed", "started"]
        );
        let cached = Vertex {
            cached: true,
            ..vertex("c", true, true)
        };
        assert_eq!(told(&mut narrator, vec![cached]), ["planned c", "cached"]);
        for (error, shown) in [("no", "failed: no"), ("context canceled", "cancelled")] {
            let ended = Vertex {
                error: error.to_owned(),
                ..vertex(error, true, true)
            };
            let planned = format!("planned {error}");
            let expected = [planned.as_str(), "started", shown];
            assert_eq!(told(&mut narrator, vec![ended]), expected);
        }
    }
}
