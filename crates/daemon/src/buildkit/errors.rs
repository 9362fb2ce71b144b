//! What went wrong, as BuildKit's clients expect it: a gRPC status with details that are JSON
//! documents of BuildKit's own types. From these they print the lines of the Dockerfile.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bollard_buildkit_proto::google::protobuf::Any;
use bollard_buildkit_proto::google::rpc;
use bollard_buildkit_proto::pb;
use engine::{Dockerfile, EngineError, Location, Span};
use prost::Message as _;
use serde_json::{Value, json};
use tonic::{Code, Status};

/// What BuildKit's types are named after.
const TYPES: &str = "github.com/moby/buildkit/";

/// `error`, which ended a build of `dockerfile`.
pub(super) fn status(error: &EngineError, dockerfile: Option<&Dockerfile>) -> Status {
    let mut details = Vec::new();
    let mut locations = Vec::new();
    match error {
        EngineError::Step { step } => {
            locations.clone_from(&step.locations);
            let vertex = json!({ "digest": step.vertex.0.to_string() });
            details.push(detail("errdefs.Vertex+json", &vertex));
            if let EngineError::Process { exit, .. } = &*step.error {
                let exit = json!({ "Code": exit.code() });
                details.push(detail("gatewayapi.ExitMessage+json", &exit));
            }
        }
        EngineError::Dockerfile(diagnostics) => {
            let spans = diagnostics.first().map(|first| first.spans.iter());
            locations.extend(spans.into_iter().flatten().map(location));
        }
        _ => {}
    }
    if let Some(dockerfile) = dockerfile.filter(|_| !locations.is_empty()) {
        details.push(source(dockerfile, &locations));
    }
    with_details(code(error), error.chain(), details)
}

/// The failure of a client's own, which is to be that of its build.
pub(super) fn from_client(error: rpc::Status) -> Status {
    let code = match Code::from(error.code) {
        Code::Ok => Code::Unknown,
        code => code,
    };
    with_details(code, error.message, error.details)
}

/// There is no such subrequest, which clients know by its detail.
pub(super) fn subrequest(name: &str) -> Status {
    let details = vec![detail("errdefs.Subrequest+json", &json!({ "name": name }))];
    let message = format!("unsupported request {name}");
    with_details(Code::Unimplemented, message, details)
}

/// The front end has no such capability, which clients know by its detail.
pub(super) fn capability(name: &str) -> Status {
    let details = vec![detail("errdefs.FrontendCap+json", &json!({ "name": name }))];
    let message = format!("unsupported frontend capability {name}");
    with_details(Code::Unimplemented, message, details)
}

/// The failure of the front end `name`, or of that which `source` is the image of.
pub(super) fn of_front_end(status: &Status, name: &str, source: Option<&str>) -> Status {
    let front_end = match source {
        Some(source) => json!({ "name": name, "source": source }),
        None => json!({ "name": name }),
    };
    let known = rpc::Status::decode(status.details()).unwrap_or_default();
    let mut details = known.details;
    details.push(detail("errdefs.Frontend+json", &front_end));
    with_details(status.code(), status.message().to_owned(), details)
}

/// The Dockerfile, for warnings about it.
pub(super) fn source_info(dockerfile: &Dockerfile) -> pb::SourceInfo {
    pb::SourceInfo {
        filename: dockerfile.name.clone(),
        data: dockerfile.text.clone().into_bytes(),
        definition: None,
        language: "Dockerfile".to_owned(),
    }
}

/// The lines of `location`.
pub(super) fn range(location: &Location) -> pb::Range {
    let line = |line: u32| {
        Some(pb::Position {
            line: i32::try_from(line).unwrap_or(i32::MAX),
            character: 0,
        })
    };
    pb::Range {
        start: line(location.first_line),
        end: line(location.last_line),
    }
}

/// The lines of `span`.
pub(super) fn location(span: &Span) -> Location {
    Location {
        first_line: span.first_line,
        last_line: span.last_line,
    }
}

fn code(error: &EngineError) -> Code {
    match error {
        EngineError::Cancelled => Code::Cancelled,
        EngineError::Unsupported { .. } => Code::Unimplemented,
        _ => Code::Unknown,
    }
}

fn with_details(code: Code, message: String, details: Vec<Any>) -> Status {
    let status = rpc::Status {
        code: code.into(),
        message: message.clone(),
        details,
    };
    Status::with_details(code, message, status.encode_to_vec().into())
}

fn source(dockerfile: &Dockerfile, locations: &[Location]) -> Any {
    let ranges: Vec<Value> = locations
        .iter()
        .map(|location| {
            json!({
                "start": { "line": location.first_line },
                "end": { "line": location.last_line },
            })
        })
        .collect();
    let source = json!({
        "info": {
            "filename": dockerfile.name,
            "data": STANDARD.encode(&dockerfile.text),
            "language": "Dockerfile",
        },
        "ranges": ranges,
    });
    detail("errdefs.Source+json", &source)
}

fn detail(name: &str, value: &Value) -> Any {
    Any {
        type_url: format!("{TYPES}{name}"),
        value: value.to_string().into_bytes(),
    }
}
