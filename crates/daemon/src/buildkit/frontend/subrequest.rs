//! What is asked about a Dockerfile in place of a build: `docker buildx build --call`.

use std::collections::HashMap;

use engine::{BuildRequest, EngineError};
use tonic::Status;

use super::lint;
use crate::buildkit::builds::Job;
use crate::buildkit::errors;
use crate::view::call;

/// The documents that clients are answered with, by their names.
///
/// # Errors
/// There is no such subrequest, or the Dockerfile is wrong.
pub(super) async fn answer(
    job: &Job,
    request: &BuildRequest,
    name: &str,
) -> Result<HashMap<String, Vec<u8>>, Status> {
    let dockerfile = &request.dockerfile;
    let failed = |error: EngineError| errors::status(&error, Some(dockerfile));
    let unwritten = |error: serde_json::Error| Status::internal(error.to_string());
    let (json, text) = match name {
        "frontend.lint" => return lint::lint(job, request).await,
        "frontend.outline" => {
            let outline = engine::outline(request, Some(&job.engine)).await;
            let outline = outline.map_err(failed)?;
            let json = call::outline(&outline, dockerfile).map_err(unwritten)?;
            (json, call::text::outline(&outline))
        }
        "frontend.targets" => {
            let targets = engine::targets(dockerfile).map_err(failed)?;
            let json = call::targets(&targets, dockerfile).map_err(unwritten)?;
            (json, call::text::targets(&targets))
        }
        "frontend.subrequests.describe" => (call::describe::json(), call::describe::text()),
        other => return Err(errors::subrequest(other)),
    };
    let documents = [
        ("result.json", json),
        ("result.txt", text),
        ("version", call::describe::VERSION.to_owned()),
    ];
    let documents = documents.into_iter();
    Ok(documents
        .map(|(name, text)| (name.to_owned(), text.into_bytes()))
        .collect())
}
