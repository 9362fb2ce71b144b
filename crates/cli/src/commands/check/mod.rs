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
    BuildRequest, Change, Checks, Context, Diagnostic, Dockerfile, Engine, EngineError,
    NamedContext, PullPolicy, Severity, Source,
};

use super::session::{Session, block_on};
use crate::args::build::Build;
use crate::build::{BuildPlan, Call, Method, dockerfile_path, load, plan};
use crate::error::{Error, of_build};
use crate::ui;

/// How much of what bringing a context in says may wait, though nobody shows it.
const LOG_BYTES: u32 = 4 << 20;

/// What is answered to a question.
pub(super) struct Answer {
    /// For people, or JSON when that was asked for.
    pub(super) text: String,
    /// The exit code of the process.
    code: u8,
    /// What is wrong with the Dockerfile, for people.
    wrong: Option<Error>,
}

impl Answer {
    /// The code; or the error, after the text was told.
    pub(super) fn end(self) -> Result<u8, Error> {
        match self.wrong {
            Some(error) => Err(error),
            None => Ok(self.code),
        }
    }
}

impl From<String> for Answer {
    fn from(text: String) -> Self {
        Self {
            text,
            code: 0,
            wrong: None,
        }
    }
}

/// Answers; the exit code of the process.
pub(super) fn run(session: &mut Session<'_, '_>, args: &Build, asked: &Call) -> Result<u8, Error> {
    let plan = plan(args, session.environment)?;
    let answer = planned(session, plan, args.pull.is_some(), asked)?;
    session.ui.print(&answer.text)?;
    answer.end()
}

/// The answer of what `plan` would build; `refreshes` when registries may be asked.
pub(super) fn planned(
    session: &mut Session<'_, '_>,
    plan: BuildPlan,
    refreshes: bool,
    asked: &Call,
) -> Result<Answer, Error> {
    if asked.method == Method::Describe {
        return Ok(match asked.json {
            true => format!("{}\n", describe::json()).into(),
            false => describe::text().into(),
        });
    }
    let path = dockerfile_path(&plan, session.environment);
    let mut request = load(plan, session.environment, ui::input())
        .map_err(|error| error.context("failed to build"))?;
    if !refreshes {
        request.pull = PullPolicy::Never;
    }
    if asked.method == Method::Context {
        let files = engine::context_files(&request)?;
        return Ok(match asked.json {
            true => context::json(&files).into(),
            false => context::text(&files).into(),
        });
    }
    let mut request = brought_in(session, request)?;
    let engine = store(session, refreshes)?;
    let engine = engine.as_ref();
    let changes = match asked.fix {
        true => fix(&mut request, engine, path.as_deref())?,
        false => Vec::new(),
    };
    answer(asked, &request, engine, &changes)
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
    block_on(session.building_engine()?.bring_in(request, &sender))?
        .map_err(|error| Error::from(error).context("failed to build: failed to solve"))
}

fn answer(
    asked: &Call,
    request: &BuildRequest,
    engine: Option<&Engine>,
    changes: &[Change],
) -> Result<Answer, Error> {
    let dockerfile = &request.dockerfile;
    let failed = |error: EngineError| of_build(error, dockerfile);
    let answer = match asked.method {
        Method::Check => {
            let found = block_on(engine::check(request, Checks::All, engine))?.map_err(failed)?;
            return checked(asked, changes, &found, dockerfile);
        }
        // Answered already.
        Method::Context | Method::Describe => String::new(),
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
    Ok(answer.into())
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
        match session.building_engine() {
            Ok(engine) => return Ok(Some(engine)),
            Err(error) if needed => return Err(error),
            // A check is worth as much without what the store knows.
            Err(_) => {}
        }
    }
    Ok(None)
}

fn checked(
    asked: &Call,
    changes: &[Change],
    found: &[Diagnostic],
    dockerfile: &Dockerfile,
) -> Result<Answer, Error> {
    let source = Source {
        name: dockerfile.name.clone(),
        text: dockerfile.text.clone(),
    };
    let is_error = |diagnostic: &&Diagnostic| diagnostic.severity == Severity::Error;
    let (errors, warnings): (Vec<_>, Vec<_>) = found.iter().partition(is_error);
    let (text, wrong) = match asked.json {
        true => (json::check(changes, &warnings, &errors, &source)?, None),
        false => {
            let changes = text::changes(changes, &source);
            let found = text::check(&warnings, !errors.is_empty(), &source);
            (changes + &found, text::errors(&errors, &source))
        }
    };
    let status = !asked.ignore_status && !found.is_empty();
    Ok(Answer {
        text,
        code: u8::from(status),
        wrong,
    })
}
