//! `kiln build`.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use engine::{BuildOutcome, Diagnostic, Dockerfile, ExportedImage, Source, explain_missing};
use serde_json::{Map, Value, json};

use super::check;
use super::session::Session;
use crate::args::build::Build;
use crate::build::{ProgressMode, call, load, plan};
use crate::error::{CliError, Error, of_build};
use crate::ui;

/// Builds; 0 when it went well.
pub(super) fn run(session: &mut Session<'_, '_>, args: &Build) -> Result<u8, Error> {
    if let Some(call) = call(args)? {
        return check::run(session, args, &call);
    }
    let plan = plan(args, session.environment)?;
    let (mode, quiet) = (plan.progress, plan.quiet);
    let (iidfile, metadata_file) = (plan.iidfile.clone(), plan.metadata_file.clone());
    if let Some(path) = &iidfile {
        remove_stale(path)?;
    }
    let mut request = load(plan, session.environment, ui::input())
        .map_err(|error| error.context("failed to build"))?;
    let engine = session.engine()?;
    let store = engine.clone();
    let context = request.context.clone();
    let (explains, known) = (request.explain, &mut request);
    let (outcome, mut summary) = session.show(mode, explains, |progress, cancel| async move {
        engine.build(known, progress, cancel).await
    })?;
    // It may be among what was brought in, and errors show its lines.
    let dockerfile = request.dockerfile;
    let shows_more = !matches!(mode, ProgressMode::RawJson | ProgressMode::Quiet);
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(error) => {
            // A full disk may be what is wrong.
            session.collect_if_due(&store);
            if mode != ProgressMode::RawJson {
                session.ui.ask(&summary.failures());
            }
            if mode == ProgressMode::RawJson {
                session.ui.ask(&check::error_line(&error, &dockerfile)?);
            }
            let hint = explain_missing(&error, &dockerfile, &context);
            let dressed = of_build(error, &dockerfile);
            return Err(hint.into_iter().fold(dressed, Error::hint));
        }
    };
    if shows_more {
        let text = warnings(&outcome.warnings, &dockerfile, session.global.debug);
        session.ui.ask(&text);
        session.ui.ask(&summary.warnings(session.global.debug));
    }
    if let (Some(path), Some(image)) = (&iidfile, &outcome.image) {
        replace(path, image.id.to_string().as_bytes())?;
    }
    if let Some(path) = &metadata_file {
        replace(path, metadata(&outcome).as_bytes())?;
    }
    match &outcome.image {
        Some(image) if quiet => session.ui.line(&image.id.to_string())?,
        _ => {}
    }
    session.collect_if_due(&store);
    Ok(0)
}

/// The checks' findings, as buildx lists them.
fn warnings(found: &[Diagnostic], dockerfile: &Dockerfile, detailed: bool) -> String {
    let count = match found.len() {
        0 => return String::new(),
        1 => "1 warning".to_owned(),
        count => format!("{count} warnings"),
    };
    let source = Source {
        name: dockerfile.name.clone(),
        text: dockerfile.text.clone(),
    };
    let hint = if detailed {
        ""
    } else {
        " (use --debug to expand)"
    };
    let mut text = format!("\n {count} found{hint}:\n");
    for warning in found {
        let line = warning
            .spans
            .first()
            .map(|span| format!(" (line {})", span.first_line));
        text.push_str(&format!(" - {warning}{}\n", line.unwrap_or_default()));
        if detailed {
            if let Some(url) = warning.url() {
                text.push_str(&format!("{url}\n"));
            }
            text.push_str(&warning.excerpt(&source).unwrap_or_default());
            text.push('\n');
        }
    }
    text
}

/// What buildx writes for `--metadata-file`.
fn metadata(outcome: &BuildOutcome) -> String {
    let mut object = Map::new();
    if let Some(ExportedImage {
        id,
        manifest,
        names,
    }) = &outcome.image
    {
        let descriptor = serde_json::to_value(manifest).unwrap_or(Value::Null);
        object.insert(
            "containerimage.config.digest".to_owned(),
            json!(id.to_string()),
        );
        object.insert("containerimage.descriptor".to_owned(), descriptor);
        let digest = json!(manifest.digest.to_string());
        object.insert("containerimage.digest".to_owned(), digest);
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        if !names.is_empty() {
            object.insert("image.name".to_owned(), json!(names.join(",")));
        }
    }
    format!("{:#}\n", Value::Object(object))
}

/// A file of an earlier build would be taken for this one's if this one fails.
fn remove_stale(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            let path = path.to_path_buf();
            Err(CliError::File {
                action: "remove",
                path,
                source,
            }
            .into())
        }
        _ => Ok(()),
    }
}

/// Writes the file so that nobody ever reads half of it.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let failed = |source| CliError::File {
        action: "write",
        path: path.to_path_buf(),
        source,
    };
    let mut beside = path.as_os_str().to_owned();
    beside.push(".kiln-new");
    let beside = Path::new(&beside);
    // A device or a pipe cannot be replaced and is written to.
    if path.exists() && !path.is_file() {
        fs::write(path, bytes).map_err(failed)?;
        return Ok(());
    }
    let write = || {
        let mut file = fs::File::create(beside)?;
        file.write_all(bytes)?;
        drop(file);
        fs::rename(beside, path)
    };
    Ok(write().map_err(failed)?)
}
