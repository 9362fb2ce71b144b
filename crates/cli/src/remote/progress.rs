//! What a builder tells of a build, as events that every display knows.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use client::messages::{StatusResponse, Timestamp, Vertex, VertexLog, VertexStatus, VertexWarning};
use engine::events::{LogStream, Origin, PlannedVertex, Progress, Status, Warning};
use engine::{Location, VertexDigest};
use oci::Digest;

use crate::ui::{one_line, visible};

/// Bytes of what is told of a build beside its log, which whoever shows it keeps.
const MAX_TOLD: usize = 64 << 20;
/// Bytes of what is kept of each part beside its texts, about.
const PART: usize = 256;

/// Turns what is told into events. A builder repeats itself; what is known already is no event.
/// Texts are shown on terminals, so nothing in them is obeyed by one; only logs are the steps' own.
#[derive(Debug, Default)]
pub(crate) struct Narrator {
    steps: HashMap<VertexDigest, Step>,
    /// Parts of steps of which a status is kept, by their hash.
    parts: HashSet<u64>,
    /// Bytes that were told.
    told: usize,
}

/// How far a step has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Something was told of it before it was.
    Unknown,
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
        let statuses = statuses.into_iter().map(status);
        events.extend(statuses.filter(|status| self.has_room_for(status)));
        let logs = logs.into_iter().map(log);
        events.extend(logs.filter(|log| self.has_room_for(log)));
        events.extend(ends);
        let warnings = warnings.into_iter().map(warning);
        events.extend(warnings.filter(|warning| self.has_room_for(warning)));
        events
    }

    /// Whether an event is passed on, which keeps something of it.
    fn has_room_for(&mut self, event: &Progress) -> bool {
        match event {
            Progress::Log { vertex, .. } => self.knows(*vertex),
            Progress::Status { vertex, status, .. } => {
                let mut hasher = DefaultHasher::new();
                (vertex, &status.id).hash(&mut hasher);
                let part = hasher.finish();
                let is_known = self.parts.contains(&part) || self.take(status.id.len());
                self.knows(*vertex) && is_known && {
                    self.parts.insert(part);
                    true
                }
            }
            Progress::Warning(warning) => {
                let details = warning.detail.iter().map(String::len);
                let locations = warning.locations.len() * size_of::<Location>();
                self.take(warning.message.len() + details.sum::<usize>() + locations)
            }
            _ => true,
        }
    }

    fn knows(&mut self, vertex: VertexDigest) -> bool {
        let is_known = self.steps.contains_key(&vertex) || self.take(0);
        if is_known {
            self.steps.entry(vertex).or_insert(Step::Unknown);
        }
        is_known
    }

    /// Room for one more part with so many bytes of text, if there is.
    fn take(&mut self, bytes: usize) -> bool {
        self.told = self.told.saturating_add(bytes).saturating_add(PART);
        self.told <= MAX_TOLD
    }

    fn plan(&mut self, vertex: &Vertex) -> Option<PlannedVertex> {
        let digest = digest(&vertex.digest);
        let is_new = matches!(self.steps.get(&digest), None | Some(Step::Unknown));
        let inputs = vertex.inputs.len() * size_of::<VertexDigest>();
        if !is_new || !self.take(vertex.name.len() + inputs) {
            return None;
        }
        self.steps.insert(digest, Step::Planned);
        Some(PlannedVertex {
            vertex: digest,
            name: one_line(&vertex.name),
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
        // One for which there was no room is not told of.
        let known = *self.steps.get(&vertex)?;
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
                error: visible(error).into_owned(),
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
            id: match told.id.is_empty() {
                true => one_line(&told.name),
                false => one_line(&told.id),
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
    let text = |bytes: Vec<u8>| visible(&String::from_utf8_lossy(&bytes)).into_owned();
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
        ..Location::default()
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
mod tests;
