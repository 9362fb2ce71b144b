//! `kiln build --check` and `--call`: what a Dockerfile is, without building it.
//!
//! Nothing is fetched unless `--pull` says so, and no store is made: base images that are not known
//! are left open.

mod context;
mod json;
mod rewrite;
mod text;

pub(super) use json::error_line;

use std::path::Path;

use daemon::view::call::{self, describe};
use engine::events::channel;
use engine::{
    BuildRequest, Change, Context, Diagnostic, Dockerfile, Engine, EngineError, NamedContext,
    PullPolicy, Severity, Source,
};

use super::session::{Session, block_on};
use crate::args::build::Build;
use crate::build::{Call, Method, dockerfile_path, load, plan};
use crate::error::{Error, of_build};
use crate::ui;

/// How much of what bringing a context in says may wait, though nobody shows it.
const LOG_BYTES: u32 = 4 << 20;

/// Answers; the exit code of the process.
pub(super) fn run(session: &mut Session<'_, '_>, args: &Build, asked: &Call) -> Result<u8, Error> {
    if asked.method == Method::Describe {
        let answer = match asked.json {
            true => format!("{}\n", describe::json()),
            false => describe::text(),
        };
        return session.ui.print(&answer).map(|()| 0);
    }
    let plan = plan(args, session.environment)?;
    let path = dockerfile_path(&plan, session.environment)?;
    let mut request = load(plan, session.environment, ui::input())
        .map_err(|error| error.context("failed to build"))?;
    if args.pull.is_none() {
        request.pull = PullPolicy::Never;
    }
    if asked.method == Method::Context {
        let files = engine::context_files(&request)?;
        let answer = match asked.json {
            true => context::json(&files),
            false => context::text(&files),
        };
        return session.ui.print(&answer).map(|()| 0);
    }
    let mut request = brought_in(session, request)?;
    let engine = store(session, args.pull.is_some())?;
    let engine = engine.as_ref();
    let changes = match asked.fix {
        true => fix(&mut request, engine, path.as_deref())?,
        false => Vec::new(),
    };
    answer(session, asked, &request, engine, &changes)
}

/// The request with all that is elsewhere brought here.
fn brought_in(session: &mut Session<'_, '_>, request: BuildRequest) -> Result<BuildRequest, Error> {
    let is_elsewhere = |context: &NamedContext| {
        matches!(context, NamedContext::Remote(_) | NamedContext::Layout(_))
    };
    let is_here = !matches!(request.context, Context::Remote { .. });
    if is_here && !request.named_contexts.values().any(is_elsewhere) {
        return Ok(request);
    }
    let (sender, _receiver) = channel(LOG_BYTES);
    block_on(session.engine()?.bring_in(request, &sender))?
        .map_err(|error| Error::from(error).context("failed to build: failed to solve"))
}

fn answer(
    session: &mut Session<'_, '_>,
    asked: &Call,
    request: &BuildRequest,
    engine: Option<&Engine>,
    changes: &[Change],
) -> Result<u8, Error> {
    let dockerfile = &request.dockerfile;
    let failed = |error: EngineError| of_build(error, dockerfile);
    let answer = match asked.method {
        Method::Check => {
            let found = block_on(engine::check(request, engine))?.map_err(failed)?;
            return show_check(session, asked, changes, &found, dockerfile);
        }
        // Answered already.
        Method::Context | Method::Describe => return Ok(0),
        Method::Outline => {
            let outline = block_on(engine::outline(request, engine))?.map_err(failed)?;
            match asked.json {
                true => whole(call::outline(&outline, dockerfile))?,
                false => call::text::outline(&outline),
            }
        }
        Method::Targets => {
            let targets = engine::targets(dockerfile).map_err(failed)?;
            match asked.json {
                true => whole(call::targets(&targets, dockerfile))?,
                false => call::text::targets(&targets),
            }
        }
    };
    session.ui.print(&answer).map(|()| 0)
}

/// An answer with the end of its last line.
fn whole(answer: Result<String, serde_json::Error>) -> Result<String, Error> {
    match answer {
        Ok(text) => Ok(format!("{text}\n")),
        Err(error) => Err(Error::new(error.to_string())),
    }
}

/// Rewrites what is mechanical, in `request` and in the file at `path`.
fn fix(
    request: &mut BuildRequest,
    engine: Option<&Engine>,
    path: Option<&Path>,
) -> Result<Vec<Change>, Error> {
    let Some(path) = path else {
        return Err(Error::new(
            "--fix has no file to rewrite: name the Dockerfile instead of giving it on standard input",
        ));
    };
    let before = request.dockerfile.clone();
    let changes = block_on(engine::fix(request, engine))?;
    let changes = changes.map_err(|error| of_build(error, &before))?;
    if !changes.is_empty() {
        rewrite::rewrite(path, request.dockerfile.text.as_bytes())?;
    }
    Ok(changes)
}

/// The store, if there is one that can be read; one that must be there when `needed`.
fn store(session: &Session<'_, '_>, needed: bool) -> Result<Option<Engine>, Error> {
    let root = session
        .environment
        .store_root(session.global.root.as_deref());
    if needed || root.is_ok_and(|root| root.is_dir()) {
        match session.engine() {
            Ok(engine) => return Ok(Some(engine)),
            Err(error) if needed => return Err(error),
            // A check is worth as much without what the store knows.
            Err(_) => {}
        }
    }
    Ok(None)
}

fn show_check(
    session: &mut Session<'_, '_>,
    asked: &Call,
    changes: &[Change],
    found: &[Diagnostic],
    dockerfile: &Dockerfile,
) -> Result<u8, Error> {
    let source = Source {
        name: dockerfile.name.clone(),
        text: dockerfile.text.clone(),
    };
    let is_error = |diagnostic: &&Diagnostic| diagnostic.severity == Severity::Error;
    let (errors, warnings): (Vec<_>, Vec<_>) = found.iter().partition(is_error);
    if asked.json {
        let answer = json::check(changes, &warnings, &errors, &source)?;
        session.ui.print(&answer)?;
    } else {
        session.ui.print(&text::changes(changes, &source))?;
        session
            .ui
            .print(&text::check(&warnings, !errors.is_empty(), &source))?;
        if let Some(error) = text::errors(&errors, &source) {
            return Err(error);
        }
    }
    let status = !asked.ignore_status && !found.is_empty();
    Ok(u8::from(status))
}
