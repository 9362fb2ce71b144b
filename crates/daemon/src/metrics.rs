//! What the daemon has answered so far and what it does now, in the text format of Prometheus
//! (version 0.0.4).

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use hyper::StatusCode;

/// Classes of statuses: from 1xx to 5xx.
const CLASSES: usize = 5;

/// Counts since the daemon began.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    answered: [AtomicU64; CLASSES],
    /// Requests that are being answered.
    pub(crate) requests: Gauge,
    /// Clients that are connected.
    pub(crate) connections: Gauge,
    /// Builds of BuildKit's clients that run.
    pub(crate) builds: Gauge,
    built: [AtomicU64; 2],
}

/// How many there are now.
#[derive(Debug, Default)]
pub(crate) struct Gauge(AtomicU64);

/// One of them, until it is dropped.
#[derive(Debug)]
pub(crate) struct Counted<'a>(&'a AtomicU64);

/// What is known only when it is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    /// kiln's version.
    pub(crate) version: &'static str,
    /// Containers of this daemon that run.
    pub(crate) containers: usize,
    /// Sessions of clients.
    pub(crate) sessions: usize,
}

impl Gauge {
    /// One more, until what is returned is dropped.
    pub(crate) fn begin(&self) -> Counted<'_> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Counted(&self.0)
    }

    fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Metrics {
    /// A request was answered.
    pub(crate) fn answered(&self, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).saturating_sub(1);
        if let Some(count) = self.answered.get(class) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A build has ended.
    pub(crate) fn built(&self, succeeded: bool) {
        let [failures, successes] = &self.built;
        let count = if succeeded { successes } else { failures };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// All counts.
    pub(crate) fn text(&self, now: Now) -> String {
        let mut text = Text::default();
        text.metric("kiln_info", "gauge", "The program.");
        text.value(&format!("{{version=\"{}\"}}", now.version), 1);
        text.metric(
            "kiln_requests_total",
            "counter",
            "Requests that were answered, by status.",
        );
        for (class, count) in (1..).zip(&self.answered) {
            let label = format!("{{status=\"{class}xx\"}}");
            text.value(&label, count.load(Ordering::Relaxed));
        }
        text.metric(
            "kiln_builds_total",
            "counter",
            "Builds of BuildKit's clients that ended.",
        );
        for (outcome, count) in ["failure", "success"].iter().zip(&self.built) {
            let label = format!("{{outcome=\"{outcome}\"}}");
            text.value(&label, count.load(Ordering::Relaxed));
        }
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        for (name, help, value) in [
            (
                "kiln_requests",
                "Requests being answered.",
                self.requests.value(),
            ),
            (
                "kiln_connections",
                "Clients that are connected.",
                self.connections.value(),
            ),
            (
                "kiln_builds",
                "Builds of BuildKit's clients that run.",
                self.builds.value(),
            ),
            (
                "kiln_containers",
                "Containers that run.",
                count(now.containers),
            ),
            (
                "kiln_sessions",
                "Sessions of BuildKit's clients.",
                count(now.sessions),
            ),
        ] {
            text.metric(name, "gauge", help);
            text.value("", value);
        }
        text.written
    }
}

/// Metrics as they are written down.
#[derive(Debug, Default)]
struct Text {
    written: String,
    name: &'static str,
}

impl Text {
    /// A metric begins.
    fn metric(&mut self, name: &'static str, kind: &str, help: &str) {
        self.name = name;
        // Writing to a text does not fail, here and below.
        let _ = writeln!(self.written, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// One of its values.
    fn value(&mut self, labels: &str, value: u64) {
        let _ = writeln!(self.written, "{}{labels} {value}", self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted() {
        let metrics = Metrics::default();
        let going = (metrics.requests.begin(), metrics.connections.begin());
        drop(metrics.builds.begin());
        metrics.built(true);
        metrics.answered(StatusCode::NOT_FOUND);
        metrics.answered(StatusCode::OK);
        let now = Now {
            version: "1.2.3",
            containers: 2,
            sessions: 3,
        };
        let text = metrics.text(now);
        let values: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            values,
            [
                "kiln_info{version=\"1.2.3\"} 1",
                "kiln_requests_total{status=\"1xx\"} 0",
                "kiln_requests_total{status=\"2xx\"} 1",
                "kiln_requests_total{status=\"3xx\"} 0",
                "kiln_requests_total{status=\"4xx\"} 1",
                "kiln_requests_total{status=\"5xx\"} 0",
                "kiln_builds_total{outcome=\"failure\"} 0",
                "kiln_builds_total{outcome=\"success\"} 1",
                "kiln_requests 1",
                "kiln_connections 1",
                "kiln_builds 0",
                "kiln_containers 2",
                "kiln_sessions 3",
            ]
        );
        drop(going);
        assert!(metrics.text(now).contains("\nkiln_requests 0\n"));
        assert!(text.starts_with("# HELP kiln_info The program.\n# TYPE kiln_info gauge\n"));
    }
}
