//! `kiln build`.

mod elsewhere;
mod loading;
mod parts;

pub(super) use elsewhere::{Ended, note_use, push};
pub(super) use loading::Loading;
pub(super) use parts::{Nodes, Parts};

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use engine::{
    BuildRequest, Context, Diagnostic, Dockerfile, Engine, EngineError, EnterKept, ExportedImage,
    Source, explain_missing,
};
use oci::Digest;
use serde_json::{Map, Value, json};

use super::session::Session;
use super::{check, debug};
use crate::args::build::Build;
use crate::build::{OnFailure, ProgressMode, call, load, plan};
use crate::error::{CliError, Error, of_build};
use crate::progress::Summary;
use crate::ui;

/// Builds; 0 when it went well.
pub(super) fn run(session: &mut Session<'_, '_>, args: &Build) -> Result<u8, Error> {
    if let Some(call) = call(args)? {
        return check::run(session, args, &call);
    }
    let plan = plan(args, session.environment)?;
    let (mode, on_failure, quiet) = (plan.progress, plan.on_failure, plan.quiet);
    let (iidfile, metadata_file) = (plan.iidfile.clone(), plan.metadata_file.clone());
    if let Some(path) = &iidfile {
        remove_stale(path)?;
    }
    let request = load(plan, session.environment, ui::input())
        .map_err(|error| error.context("failed to build"))?;
    let image = match session.builder.take() {
        Some(builder) => elsewhere::build(session, args, request, (&builder, mode))?,
        None => here(session, request, mode, on_failure)?,
    };
    if let (Some(path), Some(image)) = (&iidfile, &image) {
        replace(path, id(image).to_string().as_bytes())?;
    }
    if let Some(path) = &metadata_file {
        let text = format!("{:#}\n", metadata(image.as_ref()));
        replace(path, text.as_bytes())?;
    }
    if let Some(image) = image.filter(|_| quiet) {
        session.ui.line(&id(&image).to_string())?;
    }
    Ok(0)
}

/// Builds in this process.
fn here(
    session: &mut Session<'_, '_>,
    mut request: BuildRequest,
    mode: ProgressMode,
    on_failure: OnFailure,
) -> Result<Option<ExportedImage>, Error> {
    let engine = session.building_engine()?;
    let store = engine.clone();
    let context = request.context.clone();
    let (explains, known) = (request.explain, &mut request);
    let (outcome, mut summary) = session.show(mode, explains, |progress, cancel| async move {
        engine.build(known, progress, cancel).await
    })?;
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(error) => {
            // A full disk may be what is wrong.
            session.collect_if_due(&store);
            tell_failure(session, mode, &error, &request.dockerfile, &mut summary)?;
            return Err(failed(
                session,
                &store,
                (request, context),
                error,
                on_failure,
            ));
        }
    };
    if shows_more(mode) {
        // The Dockerfile may be among what was brought in.
        let dockerfile = &request.dockerfile;
        let text = warnings(&outcome.warnings, dockerfile, session.global.debug);
        session.ui.ask(&text);
        session.ui.ask(&summary.warnings(session.global.debug));
    }
    session.collect_if_due(&store);
    Ok(outcome.image)
}

/// Whether more than the progress is shown.
pub(super) const fn shows_more(mode: ProgressMode) -> bool {
    !matches!(mode, ProgressMode::RawJson | ProgressMode::Quiet)
}

/// The error of a build; the step that failed may be entered first.
fn failed(
    session: &mut Session<'_, '_>,
    store: &Engine,
    (request, context): (BuildRequest, Context),
    error: EngineError,
    on_failure: OnFailure,
) -> Error {
    let dockerfile = &request.dockerfile;
    let hint = explain_missing(&error, dockerfile, &context);
    let dressed = of_build(error, dockerfile);
    let dressed = hint.into_iter().fold(dressed, Error::hint);
    let Some(keep) = &request.keep_failed else {
        return dressed;
    };
    let grants = EnterKept {
        command: None,
        secrets: request.secrets,
        ssh: request.ssh,
    };
    debug::after_failure(session, store, (keep, on_failure), grants, dressed)
}

/// Shows what the steps said that failed.
fn tell_failure(
    session: &mut Session<'_, '_>,
    mode: ProgressMode,
    error: &EngineError,
    dockerfile: &Dockerfile,
    summary: &mut Summary,
) -> Result<(), Error> {
    let text = match mode {
        ProgressMode::RawJson => check::error_line(error, dockerfile)?,
        _ => summary.failures(),
    };
    session.ui.output(&text);
    Ok(())
}

/// The checks' findings, as buildx lists them.
pub(super) fn warnings(found: &[Diagnostic], dockerfile: &Dockerfile, detailed: bool) -> String {
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

/// By which a build tells of its image. Several images have no one config.
fn id(image: &ExportedImage) -> Digest {
    match image.manifest.media_type.is_index() {
        true => image.manifest.digest,
        false => image.id,
    }
}

/// What buildx writes for `--metadata-file`.
pub(super) fn metadata(image: Option<&ExportedImage>) -> Value {
    let mut object = Map::new();
    if let Some(ExportedImage {
        id,
        manifest,
        names,
    }) = image
    {
        let descriptor = serde_json::to_value(manifest).unwrap_or(Value::Null);
        if !manifest.media_type.is_index() {
            let id = json!(id.to_string());
            object.insert("containerimage.config.digest".to_owned(), id);
        }
        if manifest.size > 0 {
            object.insert("containerimage.descriptor".to_owned(), descriptor);
        }
        let digest = json!(manifest.digest.to_string());
        object.insert("containerimage.digest".to_owned(), digest);
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        if !names.is_empty() {
            object.insert("image.name".to_owned(), json!(names.join(",")));
        }
    }
    Value::Object(object)
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
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Error> {
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
