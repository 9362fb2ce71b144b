//! Why a daemon did not do what it was asked for: the details of a gRPC status, which are JSON
//! documents of BuildKit's own types.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bollard_buildkit_proto::google::rpc;
use prost::Message as _;
use serde::Deserialize;
use tonic::{Code, Status};

/// What BuildKit's types are named after.
const TYPES: &str = "github.com/moby/buildkit/";

/// Why a daemon did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What it says.
    pub message: String,
    /// It was cancelled.
    pub cancelled: bool,
    /// The daemon, or the connection to it, is gone.
    pub is_gone: bool,
    /// The lines that are to blame, if lines are.
    pub lines: Option<Lines>,
}

/// Lines of a file, such as a Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lines {
    /// Its name.
    pub name: String,
    /// Its text.
    pub text: String,
    /// Their numbers from one up: of each group the first and the last.
    pub ranges: Vec<(u32, u32)>,
}

impl Failure {
    /// One that is nothing but its message.
    pub(crate) const fn new(message: String) -> Self {
        Self {
            message,
            cancelled: false,
            is_gone: false,
            lines: None,
        }
    }

    pub(crate) fn of(status: &Status) -> Self {
        let details = rpc::Status::decode(status.details()).unwrap_or_default();
        let mut details = details.details.iter();
        let named = format!("{TYPES}errdefs.Source+json");
        let source = details.find(|detail| detail.type_url == named);
        Self {
            message: status.message().to_owned(),
            cancelled: status.code() == Code::Cancelled,
            is_gone: status.code() == Code::Unavailable
                || std::error::Error::source(status).is_some(),
            lines: source.and_then(|detail| Lines::read(&detail.value)),
        }
    }
}

impl Lines {
    /// From the JSON document; nothing if that makes no sense.
    fn read(json: &[u8]) -> Option<Self> {
        let source: Source = serde_json::from_slice(json).ok()?;
        let text = STANDARD.decode(source.info.data).ok()?;
        let ranges = source.ranges.iter();
        Some(Self {
            name: source.info.filename,
            text: String::from_utf8_lossy(&text).into_owned(),
            ranges: ranges
                .map(|range| (range.start.line, range.end.line.max(range.start.line)))
                .collect(),
        })
    }
}

#[derive(Deserialize)]
struct Source {
    info: Info,
    #[serde(default)]
    ranges: Vec<Range>,
}

#[derive(Deserialize)]
struct Info {
    #[serde(default)]
    filename: String,
    #[serde(default)]
    data: String,
}

#[derive(Deserialize)]
struct Range {
    #[serde(default)]
    start: Position,
    #[serde(default)]
    end: Position,
}

#[derive(Default, Deserialize)]
struct Position {
    #[serde(default)]
    line: u32,
}

#[cfg(test)]
mod tests {
    use bollard_buildkit_proto::google::protobuf::Any;

    use super::*;

    fn failure(code: Code, details: &[(&str, &str)]) -> Failure {
        let details = details.iter().map(|(name, json)| Any {
            type_url: format!("{TYPES}{name}"),
            value: json.as_bytes().to_vec(),
        });
        let status = rpc::Status {
            code: code.into(),
            message: "why".to_owned(),
            details: details.collect(),
        };
        let details = status.encode_to_vec().into();
        Failure::of(&Status::with_details(code, "why", details))
    }

    #[test]
    fn lines_of_a_file() {
        let source = r#"{"info":{"filename":"Dockerfile","data":"RlJPTSBhCg==","language":"D"},
            "ranges":[{"start":{"line":1},"end":{"line":1}},{"start":{"line":3}}]}"#;
        let exit = ("gatewayapi.ExitMessage+json", r#"{"Code":1}"#);
        let found = failure(Code::Unknown, &[exit, ("errdefs.Source+json", source)]);
        assert_eq!(
            found,
            Failure {
                message: "why".to_owned(),
                cancelled: false,
                is_gone: false,
                lines: Some(Lines {
                    name: "Dockerfile".to_owned(),
                    text: "FROM a\n".to_owned(),
                    ranges: vec![(1, 1), (3, 3)],
                }),
            }
        );
        let broken = failure(Code::Cancelled, &[("errdefs.Source+json", "{")]);
        assert!(broken.cancelled && broken.lines.is_none());
    }
}
