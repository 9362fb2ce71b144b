//! What went wrong, as BuildKit's clients expect it: a gRPC status with details that are JSON
//! documents of BuildKit's own types. From these they print the lines of the Dockerfile.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bollard_buildkit_proto::google::protobuf::Any;
use bollard_buildkit_proto::google::rpc;
use bollard_buildkit_proto::pb;
use engine::{Dockerfile, EngineError, Location, PolicyError, Span};
use prost::Message as _;
use serde_json::{Value, json};
use tonic::{Code, Status};

use super::policy::Refused;

/// Bytes of the steps that make a file, of which clients are told.
const MAX_DEFINITION: usize = 64 << 10;
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
        EngineError::Policy(PolicyError::Refused(refusal)) => {
            let told = refusal.downcast_ref::<Refused>();
            let told = told.map(|Refused(status)| rpc::Status::decode(status.details()));
            details.extend(told.and_then(Result::ok).unwrap_or_default().details);
        }
        _ => {}
    }
    details.extend(sources(dockerfile, &locations));
    with_details(code(error), error.chain(), details)
}

/// A source that the client's policy refuses, with what it says to that.
pub(super) fn denied(message: String, words: &[String]) -> Status {
    let words: Vec<Value> = words
        .iter()
        .map(|text| json!({ "message": text }))
        .collect();
    let decision = json!({ "action": "DENY", "denyMessages": words });
    let is_silent = words.is_empty();
    let details = (!is_silent).then(|| detail("policysession.DecisionResponse+json", &decision));
    with_details(Code::Unknown, message, details.into_iter().collect())
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
        ..Location::default()
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

/// The files of `locations`, each with those that follow one another in it. The last one comes
/// first, as in BuildKit's errors, where it is around the others.
fn sources(dockerfile: Option<&Dockerfile>, locations: &[Location]) -> Vec<Any> {
    let same_file = |one: &Location, next: &Location| one.file == next.file;
    let runs = locations.chunk_by(same_file);
    runs.rev()
        .filter_map(|run| source(dockerfile, run))
        .collect()
}

/// One file with lines of it.
fn source(dockerfile: Option<&Dockerfile>, locations: &[Location]) -> Option<Any> {
    let mut info = match (&locations.first()?.file, dockerfile) {
        (Some(file), _) => json!({
            "filename": file.name,
            "data": STANDARD.encode(&file.data),
            "language": file.language,
        }),
        (None, dockerfile) => {
            let dockerfile = dockerfile?;
            json!({
                "filename": dockerfile.name,
                "data": STANDARD.encode(&dockerfile.text),
                "language": "Dockerfile",
            })
        }
    };
    if let Some(definition) = locations.first().and_then(defined) {
        info["definition"] = definition;
    }
    let ranges: Vec<Value> = locations
        .iter()
        .map(|location| {
            let (first, last) = location.characters;
            json!({
                "start": { "line": location.first_line, "character": first },
                "end": { "line": location.last_line, "character": last },
            })
        })
        .collect();
    let source = json!({ "info": info, "ranges": ranges });
    Some(detail("errdefs.Source+json", &source))
}

/// The steps that make the file, as JSON of the message. Errors travel in headers, where there is
/// room for few.
fn defined(location: &Location) -> Option<Value> {
    let file = location.file.as_ref()?;
    if file.definition.len() > MAX_DEFINITION {
        return None;
    }
    let definition = pb::Definition::decode(file.definition.as_slice()).ok()?;
    let ops = definition.def.iter().map(|op| STANDARD.encode(op));
    (!definition.def.is_empty()).then(|| json!({ "def": ops.collect::<Vec<_>>() }))
}

fn detail(name: &str, value: &Value) -> Any {
    Any {
        type_url: format!("{TYPES}{name}"),
        value: value.to_string().into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use engine::{StepFailure, VertexDigest};
    use graph::SourceFile;
    use oci::Digest;

    use super::*;

    #[test]
    fn a_failed_step_has_its_places_in_all_files() {
        let file = |name: &str, definition| {
            Some(Arc::new(SourceFile {
                name: name.to_owned(),
                language: "words".to_owned(),
                data: b"text".to_vec(),
                definition,
            }))
        };
        let steps = pb::Definition {
            def: vec![b"op".to_vec()],
            ..pb::Definition::default()
        };
        let (one, other) = (
            file("one", steps.encode_to_vec()),
            file("other", Vec::new()),
        );
        let at = |line, file: &Option<Arc<SourceFile>>| Location {
            first_line: line,
            last_line: line,
            characters: (1, 0),
            file: file.clone(),
        };
        let error = EngineError::Step {
            step: Box::new(StepFailure {
                vertex: VertexDigest(Digest::of(b"x")),
                name: "x".to_owned(),
                locations: vec![
                    at(7, &one),
                    at(8, &one),
                    at(9, &other),
                    at(3, &one),
                    at(4, &None),
                ],
                error: Arc::new(EngineError::NoTag),
            }),
        };
        let dockerfile = Dockerfile {
            name: "Dockerfile".to_owned(),
            path: None,
            text: String::new(),
        };
        let told = status(&error, Some(&dockerfile));
        let details = rpc::Status::decode(told.details()).unwrap().details;
        let sources = details.iter().filter(|one| one.type_url.contains("Source"));
        let sources: Vec<Value> = sources
            .map(|source| serde_json::from_slice(&source.value).unwrap())
            .collect();
        let shown: Vec<String> = sources
            .iter()
            .map(|source| {
                let ranges = source["ranges"].as_array().unwrap().iter();
                let lines: Vec<String> = ranges
                    .map(|range| {
                        format!("{}:{}", range["start"]["line"], range["start"]["character"])
                    })
                    .collect();
                format!("{} {}", source["info"]["filename"], lines.join(" "))
            })
            .collect();
        let expected = [
            "\"Dockerfile\" 4:1",
            "\"one\" 3:1",
            "\"other\" 9:1",
            "\"one\" 7:1 8:1",
        ];
        assert_eq!(shown, expected);
        assert_eq!(sources[1]["info"]["language"], "words");
        assert_eq!(
            sources[1]["info"]["definition"],
            json!({ "def": [STANDARD.encode("op")] })
        );
        assert_eq!(sources[2]["info"]["definition"], Value::Null);
    }
}
