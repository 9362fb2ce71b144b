//! What happens, told to whoever listens; the newest are kept for who comes later.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use api::docker::{Actor, Event};
use engine::{Clock, ContainerSummary};
use hyper::StatusCode;
use tokio::sync::broadcast;

use super::Daemon;
use super::filters::Filters;
use crate::answer::{Answer, Refusal, typed, with};
use crate::query::Query;
use crate::stream::{self, Sender};

/// Events that are kept, as Docker does.
const KEPT: usize = 256;

/// How often the clock is looked at by who waits for a time: it may have been set.
const LOOK: Duration = Duration::from_secs(10);

/// The newest events, and those to come.
#[derive(Debug)]
pub(crate) struct Events {
    kept: Mutex<VecDeque<Event>>,
    coming: broadcast::Sender<Event>,
}

impl Default for Events {
    fn default() -> Self {
        Self {
            kept: Mutex::default(),
            coming: broadcast::Sender::new(KEPT),
        }
    }
}

impl Events {
    fn tell(&self, event: Event) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(event.clone());
        // Nobody listens, mostly.
        let _ = self.coming.send(event);
    }

    /// Those that are kept, and those to come; none is missed in between.
    fn listen(&self) -> (Vec<Event>, broadcast::Receiver<Event>) {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        (kept.iter().cloned().collect(), self.coming.subscribe())
    }
}

impl Daemon {
    /// Tells what happened to a container.
    pub(super) fn tell_container(
        &self,
        action: &str,
        container: &ContainerSummary,
        more: &[(&str, &str)],
    ) {
        let mut attributes = container.settings.more.labels.clone();
        let known = [
            ("image", container.image.as_str()),
            ("name", container.name.as_str()),
        ];
        for (name, value) in known.iter().chain(more) {
            attributes.insert((*name).to_owned(), (*value).to_owned());
        }
        self.tell("container", action, &container.id, attributes);
    }

    /// Tells what happened.
    pub(super) fn tell(
        &self,
        kind: &str,
        action: &str,
        id: &str,
        attributes: BTreeMap<String, String>,
    ) {
        let now = jiff::Timestamp::try_from(self.now()).unwrap_or_default();
        let from = match kind {
            "container" => attributes.get("image").cloned().unwrap_or_default(),
            _ => String::new(),
        };
        self.events.tell(Event {
            status: action.to_owned(),
            id: id.to_owned(),
            from,
            kind: kind.to_owned(),
            action: action.to_owned(),
            actor: Actor {
                id: id.to_owned(),
                attributes,
            },
            scope: "local".to_owned(),
            time: now.as_second(),
            time_nano: i64::try_from(now.as_nanosecond()).unwrap_or(i64::MAX),
        });
    }

    /// `GET /events`.
    pub(super) async fn listen(self: &Arc<Self>, mut query: Query) -> Result<Answer, Refusal> {
        let known = ["container", "event", "image", "label", "type", "volume"];
        let listener = Listener {
            since: super::run::time(&mut query, "since")?,
            until: super::run::time(&mut query, "until")?,
            filters: Filters::parse(&mut query, &known)?,
        };
        query.end()?;
        let (kept, coming) = self.events.listen();
        let (sender, body) = stream::channel();
        let mut answer = with(StatusCode::OK, body);
        typed(&mut answer, "application/json");
        let (cancel, clock) = (self.cancel.clone(), Arc::clone(&self.identity.clock));
        self.under_way.spawn(async move {
            if !listener.replay(&kept, &sender).await {
                return;
            }
            let over = reached(clock.as_ref(), listener.until);
            tokio::select! {
                () = listener.follow(coming, &sender) => {}
                () = over => {}
                () = sender.closed() => {}
                () = cancel.cancelled() => {}
            }
        });
        Ok(answer)
    }
}

/// Ends when the clock comes to `until`, however it is set meanwhile.
async fn reached(clock: &dyn Clock, until: Option<SystemTime>) {
    let Some(until) = until else {
        return std::future::pending().await;
    };
    while let Ok(left) = until.duration_since(clock.now()) {
        if left.is_zero() {
            break;
        }
        tokio::time::sleep(left.min(LOOK)).await;
    }
}

/// What a client wants to hear.
struct Listener {
    since: Option<SystemTime>,
    until: Option<SystemTime>,
    filters: Filters,
}

impl Listener {
    /// Tells of what has happened; whether the client still listens.
    async fn replay(&self, kept: &[Event], sender: &Sender) -> bool {
        let Some(since) = self.since else {
            return true;
        };
        for event in kept {
            let in_time =
                is_after(event, since) && self.until.is_none_or(|until| !is_after(event, until));
            if in_time && passes(event, &self.filters) && !sender.send(line(event)).await {
                return false;
            }
        }
        true
    }

    /// Tells of what happens. One who is too slow misses some, and goes on.
    async fn follow(&self, mut coming: broadcast::Receiver<Event>, sender: &Sender) {
        loop {
            match coming.recv().await {
                Ok(event) if passes(&event, &self.filters) => {
                    if !sender.send(line(&event)).await {
                        return;
                    }
                }
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return,
            }
        }
    }
}

fn line(event: &Event) -> Vec<u8> {
    // Texts and numbers are always written.
    let mut line = serde_json::to_vec(event).unwrap_or_default();
    line.push(b'\n');
    line
}

fn is_after(event: &Event, time: SystemTime) -> bool {
    let nanoseconds = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos());
    u128::try_from(event.time_nano).unwrap_or(0) >= nanoseconds
}

fn passes(event: &Event, filters: &Filters) -> bool {
    let attribute = |name: &str| event.actor.attributes.get(name);
    let is_of = |kind: &str, wanted: &str, named: &str| {
        event.kind == kind
            && (event.id.starts_with(wanted) || attribute(named).is_some_and(|name| name == wanted))
    };
    filters.all_pass(|name, value| match name {
        "container" => is_of("container", value, "name"),
        "volume" => event.kind == "volume" && event.id == value,
        "image" => is_of("image", value, "name") || attribute("image").is_some_and(|i| i == value),
        "event" => event.action == value,
        "type" => event.kind == value,
        _ => super::filters::has_label(&event.actor.attributes, value),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// A clock that shows what it is set to.
    #[derive(Debug, Default)]
    struct Set(AtomicU64);

    impl Clock for Set {
        fn now(&self) -> SystemTime {
            SystemTime::UNIX_EPOCH + Duration::from_secs(self.0.load(Ordering::Relaxed))
        }

        fn passed(&self) -> Duration {
            Duration::ZERO
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_years_away_is_reached_when_the_clock_jumps() {
        let years = 20 * 365 * 24 * 3600;
        let clock = Set::default();
        let until = SystemTime::UNIX_EPOCH + Duration::from_secs(years);
        let mut over = Box::pin(reached(&clock, Some(until)));
        let waited = tokio::time::timeout(LOOK * 3, &mut over).await;
        assert!(waited.is_err(), "too early");
        clock.0.store(years + 1, Ordering::Relaxed);
        tokio::time::timeout(LOOK * 2, over).await.unwrap();
        // One that has passed.
        reached(&clock, Some(until)).await;
    }
}
