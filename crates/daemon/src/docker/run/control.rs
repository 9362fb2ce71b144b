//! What is done to containers from outside: signals, stops, waits, sizes.

use std::sync::Arc;
use std::time::Duration;

use engine::{ContainerState, ContainerSummary, EngineError};
use hyper::StatusCode;

use super::{Ended, Entry};
use crate::answer::{Answer, Refusal, empty, typed, with};
use crate::docker::{Daemon, nothing};
use crate::query::Query;
use crate::stream;

const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;
/// Seconds that a container has to end when it is asked to.
const PATIENCE: i64 = 10;

impl Daemon {
    /// `POST /containers/{id}/kill`.
    pub(in crate::docker) async fn kill(
        self: &Arc<Self>,
        name: &str,
        mut query: Query,
    ) -> Result<Answer, Refusal> {
        let text = query.one("signal").unwrap_or_else(|| "KILL".to_owned());
        query.end()?;
        let signal = signal(&text)
            .map_err(|refusal| refusal.about(&format!("cannot kill container: {name}")))?;
        let container = self.find(name).await?;
        let entry = self.runs.entry(&container.id);
        let run = entry.current();
        let run = run.ok_or_else(|| self.not_ours("cannot kill container", name, &container))?;
        // One that ends meanwhile is where it should be.
        let _ = run.place.signal(signal);
        self.tell_container("kill", &container, &[("signal", &signal.to_string())]);
        if signal == SIGKILL {
            entry.until_it_ends().await;
        }
        Ok(nothing())
    }

    /// `POST /containers/{id}/stop`.
    pub(in crate::docker) async fn stop(
        self: &Arc<Self>,
        name: &str,
        query: Query,
    ) -> Result<Answer, Refusal> {
        let how = Stop::asked(query)?;
        let container = self.find(name).await?;
        let entry = self.runs.entry(&container.id);
        let _turn = entry.turn.lock().await;
        if !self.end_if_it_runs(&container, &entry, how).await? {
            return Ok(empty(StatusCode::NOT_MODIFIED));
        }
        self.tell_container("stop", &container, &[]);
        Ok(nothing())
    }

    /// `POST /containers/{id}/restart`.
    pub(in crate::docker) async fn restart(
        self: &Arc<Self>,
        name: &str,
        query: Query,
    ) -> Result<Answer, Refusal> {
        let how = Stop::asked(query)?;
        let container = self.find(name).await?;
        let entry = self.runs.entry(&container.id);
        let _turn = entry.turn.lock().await;
        self.end_if_it_runs(&container, &entry, how).await?;
        self.begin(container.clone(), &entry).await?;
        self.tell_container("restart", &container, &[]);
        Ok(nothing())
    }

    /// Kills a container that is to be removed.
    pub(in crate::docker) async fn kill_to_remove(self: &Arc<Self>, container: &ContainerSummary) {
        let entry = self.runs.entry(&container.id);
        if let Some(run) = entry.current() {
            let _ = run.place.signal(SIGKILL);
            entry.until_it_ends().await;
        }
    }

    /// Asks it to end, and kills it when it does not; whether it ran. The caller has the turn.
    async fn end_if_it_runs(
        &self,
        container: &ContainerSummary,
        entry: &Arc<Entry>,
        how: Stop,
    ) -> Result<bool, Refusal> {
        if entry.current().is_none() && container.state != ContainerState::Running {
            return Ok(false);
        }
        let Some(run) = entry.current() else {
            let name = &container.name;
            return Err(self.not_ours("cannot stop container", name, container));
        };
        let more = &container.settings.more;
        let own = more.stop_signal.as_deref().map(signal).transpose()?;
        let first = how.signal.or(own).unwrap_or(SIGTERM);
        let _ = run.place.signal(first);
        let patience = how.patience.or(more.stop_timeout).unwrap_or(PATIENCE);
        let ended = entry.until_it_ends();
        match u64::try_from(patience) {
            Ok(seconds) => {
                let limited = tokio::time::timeout(Duration::from_secs(seconds), ended);
                if limited.await.is_err() {
                    let _ = run.place.signal(SIGKILL);
                    entry.until_it_ends().await;
                }
            }
            // Less than no time is any time.
            Err(_) => ended.await,
        }
        Ok(true)
    }

    /// Why a container cannot be told anything.
    fn not_ours(&self, what: &str, name: &str, container: &ContainerSummary) -> Refusal {
        if container.state == ContainerState::Running {
            let why = "it was started by another process than this daemon";
            return Refusal::new(StatusCode::CONFLICT, format!("{what}: {name}: {why}"));
        }
        let id = &container.id;
        let message = format!("{what}: {name}: container {id} is not running");
        Refusal::new(StatusCode::CONFLICT, message)
    }

    /// `POST /containers/{id}/wait`. The head goes out at once, so that clients know that nothing
    /// will be missed.
    pub(in crate::docker) async fn wait(
        self: &Arc<Self>,
        name: &str,
        mut query: Query,
    ) -> Result<Answer, Refusal> {
        let condition = query.one("condition").unwrap_or_default();
        query.end()?;
        let container = self.find(name).await?;
        let entry = self.runs.entry(&container.id);
        let mut ended = entry.ended.subscribe();
        let now = *ended.borrow();
        let runs = entry.current().is_some();
        let over: Box<dyn Fn(&Ended) -> bool + Send + Sync> = match condition.as_str() {
            "" | "not-running" => Box::new(move |ended| !runs || ended.count > now.count),
            "next-exit" => Box::new(move |ended| ended.count > now.count || ended.removed),
            "removed" => Box::new(|ended| ended.removed),
            other => return Err(Refusal::bad(format!("invalid condition: {other:?}"))),
        };
        let before = match container.state {
            ContainerState::Exited(code) => code,
            ContainerState::Created | ContainerState::Running => container.life.exit_code,
        };
        let (sender, body) = stream::channel();
        let mut answer = with(StatusCode::OK, body);
        typed(&mut answer, "application/json");
        let told = sender.clone();
        let client = sender.clone();
        let cancel = self.cancel.clone();
        self.under_way.spawn(async move {
            let waited = async {
                let ended = ended.wait_for(|ended| over(ended)).await;
                let code = ended.map_or(before, |ended| match ended.count > now.count {
                    true => ended.code,
                    false => before,
                });
                told.send(format!("{{\"StatusCode\":{code}}}\n")).await;
            };
            tokio::select! {
                () = waited => {}
                () = client.closed() => {}
                () = cancel.cancelled() => {}
            }
        });
        Ok(answer)
    }

    /// `POST /containers/{id}/resize`.
    pub(in crate::docker) async fn resize(
        self: &Arc<Self>,
        name: &str,
        query: Query,
    ) -> Result<Answer, Refusal> {
        let (rows, columns) = size(query)?;
        let container = self.find(name).await?;
        let run = self.runs.entry(&container.id).current();
        let missing = || EngineError::NotRunning(container.id.clone());
        let terminal = run.ok_or_else(missing)?.terminal;
        if let Some(terminal) = terminal {
            // A terminal that is closed has no size.
            let _ = terminal.resize(rows, columns);
        }
        Ok(empty(StatusCode::OK))
    }
}

impl Entry {
    /// Returns when the run that goes on has ended.
    async fn until_it_ends(&self) {
        let mut ended = self.ended.subscribe();
        let before = ended.borrow().count;
        if self.current().is_some() {
            // The sender is ours, so it is there.
            let _ = ended.wait_for(|ended| ended.count > before).await;
        }
    }
}

/// Rows and columns.
pub(super) fn size(mut query: Query) -> Result<(u16, u16), Refusal> {
    let mut number = |name: &str| {
        let text = query.required(name)?;
        let invalid = |_| Refusal::bad(format!("invalid resize {name}: {text:?}"));
        text.parse::<u16>().map_err(invalid)
    };
    let size = (number("h")?, number("w")?);
    query.end()?;
    Ok(size)
}

/// How a client wants a container to be stopped.
#[derive(Debug, Clone, Copy)]
struct Stop {
    signal: Option<i32>,
    /// Seconds until it is killed; never if negative.
    patience: Option<i64>,
}

impl Stop {
    fn asked(mut query: Query) -> Result<Self, Refusal> {
        let signal = query.one("signal").as_deref().map(signal).transpose()?;
        let number = |text: String| {
            let invalid = |_| Refusal::bad(format!("invalid value for \"t\": {text:?}"));
            text.parse().map_err(invalid)
        };
        let patience = query.one("t").map(number).transpose()?;
        query.end()?;
        Ok(Self { signal, patience })
    }
}

/// A signal by name, with or without `SIG`, or by number.
pub(in crate::docker) fn signal(text: &str) -> Result<i32, Refusal> {
    let number = crate::signal::number(text);
    number.ok_or_else(|| Refusal::bad(format!("invalid signal: {text}")))
}
