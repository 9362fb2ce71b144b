//! `GET /containers/{id}/logs`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use engine::{LogEntry, LogReader, OutputStream, rfc3339};
use hyper::StatusCode;

use super::hijack::framed;
use crate::answer::{Answer, Refusal, typed, with};
use crate::docker::Daemon;
use crate::query::Query;
use crate::stream::{self, Sender};

/// What is wanted of a log.
struct Wanted {
    stdout: bool,
    stderr: bool,
    since: Option<SystemTime>,
    until: Option<SystemTime>,
    tail: Option<usize>,
    timestamps: bool,
    is_terminal: bool,
}

impl Daemon {
    pub(in crate::docker) async fn logs(
        self: &Arc<Self>,
        name: &str,
        mut query: Query,
    ) -> Result<Answer, Refusal> {
        let follow = query.flag("follow");
        let mut wanted = wanted(&mut query)?;
        // Nothing was ever added to lines.
        query.flag("details");
        query.end()?;
        if !wanted.stdout && !wanted.stderr {
            return Err(Refusal::bad(
                "Bad parameters: you must choose at least one stream",
            ));
        }
        let container = self.find(name).await?;
        wanted.is_terminal = container.settings.more.tty;
        let entry = self.runs.entry(&container.id);
        // Before the log is read, so that what comes meanwhile is not missed.
        let runs = follow && entry.current().is_some();
        let mut more = entry.hub().logged().filter(|_| runs);
        let id = container.id.clone();
        let mut reader = self.with(move |engine| engine.read_log(&id)).await?;
        let (sender, body) = stream::channel();
        let mut answer = with(StatusCode::OK, body);
        typed(
            &mut answer,
            if wanted.is_terminal {
                "application/vnd.docker.raw-stream"
            } else {
                "application/vnd.docker.multiplexed-stream"
            },
        );
        let told = sender.clone();
        self.go_on(&sender, move || async move {
            let mut goes_on = wanted.first(&mut reader, &told).await;
            while let (true, Some(more)) = (goes_on, &mut more) {
                let ended = more.changed().await.is_err();
                goes_on = wanted.rest(&mut reader, &told).await && !ended;
            }
        });
        Ok(answer)
    }
}

impl Wanted {
    /// Sends what is there; whether to go on.
    async fn first(&self, reader: &mut LogReader, told: &Sender) -> bool {
        let Some(tail) = self.tail else {
            return self.rest(reader, told).await;
        };
        let mut last = VecDeque::new();
        while let Ok(Some(entry)) = reader.read_next() {
            if self.takes(&entry) && tail > 0 {
                last.truncate(tail);
                if last.len() == tail {
                    last.pop_front();
                }
                last.push_back(entry);
            }
        }
        for entry in last {
            if !told.send(self.shown(&entry)).await {
                return false;
            }
        }
        true
    }

    /// Sends what has come; whether to go on.
    async fn rest(&self, reader: &mut LogReader, told: &Sender) -> bool {
        // What cannot be read ends the answer, as if there were no more.
        while let Ok(Some(entry)) = reader.read_next() {
            if self.until.is_some_and(|until| entry.time > until) {
                return false;
            }
            if self.takes(&entry) && !told.send(self.shown(&entry)).await {
                return false;
            }
        }
        true
    }

    fn takes(&self, entry: &LogEntry) -> bool {
        let stream = match entry.stream {
            OutputStream::Stdout => self.stdout,
            OutputStream::Stderr => self.stderr,
        };
        stream
            && self.since.is_none_or(|since| entry.time >= since)
            && self.until.is_none_or(|until| entry.time <= until)
    }

    fn shown(&self, entry: &LogEntry) -> bytes::Bytes {
        if !self.timestamps {
            return framed(entry.stream, &entry.bytes, self.is_terminal);
        }
        let mut line = nanoseconds(entry.time).into_bytes();
        line.push(b' ');
        line.extend_from_slice(&entry.bytes);
        framed(entry.stream, &line, self.is_terminal)
    }
}

fn wanted(query: &mut Query) -> Result<Wanted, Refusal> {
    let tail = match query.one("tail").as_deref() {
        None | Some("all") => None,
        Some(text) => text.parse().ok(),
    };
    Ok(Wanted {
        stdout: query.flag("stdout"),
        stderr: query.flag("stderr"),
        since: time(query, "since")?,
        until: time(query, "until")?,
        tail,
        timestamps: query.flag("timestamps"),
        is_terminal: false,
    })
}

/// A time as clients send it: seconds since 1970, with nanoseconds behind a point.
pub(in crate::docker) fn time(
    query: &mut Query,
    name: &str,
) -> Result<Option<SystemTime>, Refusal> {
    let Some(text) = query.one(name).filter(|text| text != "0") else {
        return Ok(None);
    };
    let invalid = || Refusal::bad(format!("invalid value for \"{name}\": {text:?}"));
    let (seconds, nanoseconds) = text.split_once('.').unwrap_or((&text, "0"));
    let seconds: u64 = seconds.parse().map_err(|_| invalid())?;
    let nanoseconds: u32 = format!("{nanoseconds:0<9.9}")
        .parse()
        .map_err(|_| invalid())?;
    let since = Duration::new(seconds, nanoseconds);
    let time = SystemTime::UNIX_EPOCH.checked_add(since);
    time.map(Some).ok_or_else(invalid)
}

/// A time with all nine digits, so that lines align.
fn nanoseconds(time: SystemTime) -> String {
    let text = rfc3339(time);
    let whole = text.trim_end_matches('Z');
    let (seconds, fraction) = whole.split_once('.').unwrap_or((whole, ""));
    format!("{seconds}.{fraction:0<9}Z")
}
