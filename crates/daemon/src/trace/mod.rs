//! Traces of builds, which join those of their clients (W3C Trace Context) and are sent to a
//! collector by OTLP over HTTP. Nothing is kept or sent where no collector is named.

pub(crate) mod otlp;
mod recording;

use std::sync::Arc;
use std::time::Duration;

use engine::EngineError;
use hyper::HeaderMap;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use prost::Message as _;

use crate::docker::Daemon;
use crate::log::{Entry, Level};
use otlp::{ExportTraceServiceRequest, Resource, ResourceSpans, Scope, ScopeSpans, Span};

pub(crate) use recording::Recording;

/// How long a collector may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where traces are sent, and what is said of who sends them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceOptions {
    /// The collector's address for traces, such as `http://localhost:4318/v1/traces`.
    pub endpoint: String,
    /// Further headers, such as credentials.
    pub headers: Vec<(String, String)>,
    /// `service.name`.
    pub service: String,
}

/// The span of a client that a trace joins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parent {
    pub(crate) trace: [u8; 16],
    pub(crate) span: [u8; 8],
    /// Whether the client wants its trace to be kept.
    pub(crate) is_sampled: bool,
}

impl Parent {
    /// What the header `traceparent` says (W3C Trace Context, section 3.2); none when it says
    /// nothing that makes sense.
    pub(crate) fn read(headers: &HeaderMap) -> Option<Self> {
        let text = headers.get("traceparent")?.to_str().ok()?;
        let mut parts = text.trim().split('-');
        let version = number::<1>(parts.next()?)?;
        let (trace, span) = (number(parts.next()?)?, number(parts.next()?)?);
        let [flags] = number(parts.next()?)?;
        let is_whole = version != [0] || parts.next().is_none();
        let is_valid = version != [0xff] && is_whole && trace != [0; 16] && span != [0; 8];
        is_valid.then_some(Self {
            trace,
            span,
            is_sampled: flags & 1 == 1,
        })
    }
}

/// Bytes as lower-case hexadecimal digits.
fn number<const SIZE: usize>(text: &str) -> Option<[u8; SIZE]> {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if text.len() != SIZE * 2 || !text.bytes().all(is_digit) {
        return None;
    }
    let mut bytes = [0; SIZE];
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(bytes)
}

impl Daemon {
    /// Begins the trace of what a client asks for, if that is wanted.
    pub(crate) fn begin_trace(&self, name: &str, headers: &HeaderMap) -> Option<Arc<Recording>> {
        self.identity().traces.as_ref()?;
        let parent = Parent::read(headers);
        if parent.is_some_and(|parent| !parent.is_sampled) {
            return None;
        }
        Some(Arc::new(Recording::begin(
            name,
            parent,
            self.identity().clock.now(),
        )))
    }

    /// What was asked for has ended; its trace is sent in the background.
    pub(crate) fn end_trace(self: &Arc<Self>, recording: &Recording, failure: Option<&str>) {
        let spans = recording.end(failure, self.identity().clock.now());
        let daemon = Arc::clone(self);
        self.go_on_beside(async move {
            if let Err(error) = daemon.send(spans).await {
                let entry = Entry::new(Level::Warning, "trace not exported");
                daemon.log(entry.with("error", error));
            }
        });
    }

    async fn send(&self, spans: Vec<Span>) -> Result<(), String> {
        let Some(options) = &self.identity().traces else {
            return Ok(());
        };
        // Addresses may carry credentials.
        let whole = |error: reqwest::Error| EngineError::Web(error.without_url()).chain();
        let client = reqwest::Client::builder()
            .timeout(PATIENCE)
            .build()
            .map_err(whole)?;
        let body = request(options, self.identity().version, spans).encode_to_vec();
        let mut headers = HeaderMap::new();
        for (name, value) in &options.headers {
            let (name, value) = (name.parse::<HeaderName>(), HeaderValue::from_str(value));
            if let (Ok(name), Ok(value)) = (name, value) {
                headers.insert(name, value);
            }
        }
        let kind = HeaderValue::from_static("application/x-protobuf");
        headers.insert(CONTENT_TYPE, kind);
        let sent = client.post(&options.endpoint).headers(headers).body(body);
        let answer = sent.send().await.map_err(whole)?;
        answer.error_for_status().map(drop).map_err(whole)
    }
}

fn request(options: &TraceOptions, version: &str, spans: Vec<Span>) -> ExportTraceServiceRequest {
    let attributes = vec![
        otlp::text("service.name", &options.service),
        otlp::text("service.version", version),
    ];
    let scope = Scope {
        name: "kiln".to_owned(),
        version: version.to_owned(),
    };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource { attributes }),
            scope_spans: vec![ScopeSpans {
                scope: Some(scope),
                spans,
            }],
        }],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Parent> {
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", text.parse().unwrap());
        Parent::read(&headers)
    }

    #[test]
    fn what_a_client_says_of_its_span() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let parent = read(text).unwrap();
        assert_eq!(parent.trace[..2], [0x4b, 0xf9]);
        assert_eq!(parent.span, [0, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]);
        assert!(parent.is_sampled);
        assert!(!read(&text.replace("-01", "-00")).unwrap().is_sampled);
        // A later version may say more.
        assert!(read(&text.replace("00-4b", "01-4b").replace("-01", "-01-more")).is_some());
        for wrong in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4BF92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4bf92f3577b34da6a3ce929d0e0e473é-00f067aa0ba902b7-01",
        ] {
            let value = HeaderValue::from_bytes(wrong.as_bytes()).unwrap();
            let headers = HeaderMap::from_iter([(HeaderName::from_static("traceparent"), value)]);
            assert_eq!(Parent::read(&headers), None, "{wrong}");
        }
    }
}
