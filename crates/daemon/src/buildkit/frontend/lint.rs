//! The subrequest `frontend.lint`: what is wrong with a Dockerfile or likely to be, in place of a
//! build. `docker build --check` asks for it.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use engine::{BuildRequest, Checks, Diagnostic, Dockerfile, Severity, Source};
use serde_json::{Value, json};
use tonic::Status;

use crate::buildkit::builds::Job;
use crate::buildkit::errors;

/// The documents that clients are answered with.
///
/// # Errors
/// The context cannot be read.
pub(super) async fn lint(
    job: &Job,
    request: &BuildRequest,
) -> Result<HashMap<String, Vec<u8>>, Status> {
    let found = engine::check(request, Checks::Docker, Some(&job.engine)).await;
    let found = found.map_err(|error| errors::status(&error, Some(&request.dockerfile)))?;
    let code = if found.is_empty() { "0" } else { "1" };
    let json = document(&found, &request.dockerfile).to_string();
    let documents = [
        ("result.json", json),
        ("result.txt", text(&found, &request.dockerfile)),
        ("result.statuscode", code.to_owned()),
        ("version", "1.0.0".to_owned()),
    ];
    let documents = documents.into_iter();
    Ok(documents
        .map(|(name, text)| (name.to_owned(), text.into_bytes()))
        .collect())
}

fn document(found: &[Diagnostic], dockerfile: &Dockerfile) -> Value {
    let is_error = |diagnostic: &&Diagnostic| diagnostic.severity == Severity::Error;
    let warnings = found.iter().filter(|diagnostic| !is_error(diagnostic));
    let warnings: Vec<Value> = warnings.map(warning).collect();
    let mut document = json!({
        "warnings": warnings,
        "sources": [{
            "filename": dockerfile.name,
            "language": "Dockerfile",
            "data": STANDARD.encode(&dockerfile.text),
        }],
    });
    if let Some(error) = found.iter().find(is_error) {
        document["buildError"] = json!({
            "message": error.message,
            "location": location(error),
        });
    }
    document
}

fn warning(diagnostic: &Diagnostic) -> Value {
    let rule = diagnostic.rule.and_then(engine::rule);
    json!({
        "ruleName": diagnostic.rule.unwrap_or_default(),
        "description": rule.map(|rule| rule.description).unwrap_or_default(),
        "url": diagnostic.url().unwrap_or_default(),
        "detail": diagnostic.message,
        "location": location(diagnostic),
    })
}

/// Where it is in the one source there is.
fn location(diagnostic: &Diagnostic) -> Value {
    let ranges = diagnostic.spans.iter().map(|span| {
        json!({
            "start": { "line": span.first_line },
            "end": { "line": span.last_line },
        })
    });
    json!({ "ranges": ranges.collect::<Vec<Value>>() })
}

fn text(found: &[Diagnostic], dockerfile: &Dockerfile) -> String {
    let source = Source {
        name: dockerfile.name.clone(),
        text: dockerfile.text.clone(),
    };
    let mut text = String::new();
    for diagnostic in found {
        let url = diagnostic.url().map(|url| format!("{url}\n"));
        text.push_str(&format!("{diagnostic}\n{}", url.unwrap_or_default()));
        text.push_str(&diagnostic.excerpt(&source).unwrap_or_default());
        text.push('\n');
    }
    text
}
