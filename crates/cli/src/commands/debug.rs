//! `kiln debug …`: failed steps that were kept.

use engine::{Engine, EnterKept, KeepFailed, KeptStep};

use super::archives;
use super::images::{seconds_since, shown_time};
use super::run::{exit_code, not_run, with_streams};
use super::session::{Session, block_on};
use super::terminal::Streams;
use crate::args::debug::{Debug, Export, Grants, Ls, Rerun, Rm, Shell};
use crate::build::load::agents;
use crate::build::{OnFailure, plan};
use crate::error::{CliError, Error};
use crate::ui::human;
use crate::ui::listing::Listing;

/// Tries these in turn, since the step's image may have only one of them.
const SHELLS: [&str; 2] = ["/bin/bash", "/bin/sh"];

/// Does what `args` ask for; the exit code of the process.
pub(super) fn run(session: &mut Session<'_, '_>, args: &Debug) -> Result<u8, Error> {
    match args {
        Debug::Shell(args) => return shell(session, args),
        Debug::Rerun(args) => return rerun(session, args),
        Debug::Export(args) => export(session, args),
        Debug::Ls(args) => ls(session, args),
        Debug::Rm(args) => rm(session, args),
    }?;
    Ok(0)
}

/// What a build ends with whose failed step may have been kept: it is entered first, with what the
/// build granted, if that was asked for.
pub(super) fn after_failure(
    session: &mut Session<'_, '_>,
    engine: &Engine,
    (keep, on_failure): (&KeepFailed, OnFailure),
    grants: EnterKept,
    error: Error,
) -> Error {
    let Some(container) = keep.container() else {
        return error;
    };
    if on_failure != OnFailure::Shell {
        return error.hint("`kiln debug shell` enters the failed step");
    }
    session.ui.error(&error);
    match enter(session, engine, container, grants) {
        // The step has failed whatever was done in it since.
        Ok(_) => Error::silent(error.exit_code),
        Err(other) => other,
    }
}

fn enter(
    session: &mut Session<'_, '_>,
    engine: &Engine,
    container: &str,
    grants: EnterKept,
) -> Result<u8, Error> {
    let step = engine.kept_step(Some(container))?;
    let (name, cwd, command) = (&step.step, &step.cwd, step.command.join(" "));
    session
        .ui
        .ask(&format!("\n{name}\nin {cwd}: {command}\n\n"));
    let command = Some(shell_of(engine, &step)?);
    process(session, engine, &step, EnterKept { command, ..grants })
}

fn shell(session: &mut Session<'_, '_>, args: &Shell) -> Result<u8, Error> {
    let engine = session.engine()?;
    let step = engine.kept_step(args.build.as_deref())?;
    let command = match args.command.as_slice() {
        [] => shell_of(&engine, &step)?,
        typed => typed.to_vec(),
    };
    let grants = granted(session, &args.grants)?;
    let command = Some(command);
    process(session, &engine, &step, EnterKept { command, ..grants })
}

fn rerun(session: &mut Session<'_, '_>, args: &Rerun) -> Result<u8, Error> {
    let engine = session.engine()?;
    let step = engine.kept_step(args.build.as_deref())?;
    let grants = granted(session, &args.grants)?;
    process(session, &engine, &step, grants)
}

fn export(session: &mut Session<'_, '_>, args: &Export) -> Result<(), Error> {
    let engine = session.engine()?;
    let step = engine.kept_step(args.build.as_deref())?;
    let output = args.output.as_deref();
    archives::write(session, output, "export step", |file| {
        Ok(block_on(engine.container_read(
            &step.container,
            "/",
            file,
        ))??)
    })
}

fn ls(session: &mut Session<'_, '_>, args: &Ls) -> Result<(), Error> {
    let steps = session.engine()?.kept_steps()?;
    if args.quiet {
        let ids = steps.iter().map(|step| format!("{}\n", id(step)));
        return session.ui.print(&ids.collect::<String>());
    }
    let now = session.now();
    let row = |step: &KeptStep| {
        vec![
            id(step).to_owned(),
            step.step.clone(),
            step.command.join(" "),
            format!("{} ago", human::duration(seconds_since(step.kept, now))),
            shown_time(step.kept),
            step.container.clone(),
        ]
    };
    let listing = Listing {
        fields: &[
            ("Build", "BUILD"),
            ("Step", "STEP"),
            ("Command", "COMMAND"),
            ("KeptSince", "KEPT"),
            ("KeptAt", "KEPT AT"),
            ("Container", "CONTAINER"),
        ],
        shown: vec!["Build", "Step", "KeptSince"],
        rows: steps.iter().map(row).collect(),
    };
    let text = listing.render(args.format.as_deref());
    session.ui.print(&text.map_err(CliError::from)?)
}

fn rm(session: &mut Session<'_, '_>, args: &Rm) -> Result<(), Error> {
    let engine = session.engine()?;
    let steps = if args.all {
        engine.kept_steps()?
    } else {
        let builds = args.builds.iter();
        let steps: Result<Vec<_>, _> = builds.map(|b| engine.kept_step(Some(b))).collect();
        steps?
    };
    for step in steps {
        engine.remove_container(&step.container, false)?;
        session.ui.line(id(&step))?;
    }
    Ok(())
}

fn process(
    session: &mut Session<'_, '_>,
    engine: &Engine,
    step: &KeptStep,
    enter: EnterKept,
) -> Result<u8, Error> {
    let terminals = &session.environment.terminals;
    let (streams, terminal) = if terminals.stdin && terminals.stdout {
        Streams::terminal(true)?
    } else {
        Streams::pipes(true)?
    };
    block_on(with_streams(streams, async |signals| {
        let entered = engine.enter_kept(&step.container, enter, terminal, signals);
        Ok(exit_code(entered.await.map_err(not_run)?.exit.code()))
    }))?
}

/// What is typed for a process that comes after the build.
fn granted(session: &Session<'_, '_>, grants: &Grants) -> Result<EnterKept, Error> {
    let environment = session.environment;
    Ok(EnterKept {
        command: None,
        secrets: plan::secrets(&grants.secret, environment)?,
        ssh: agents(plan::agents(&grants.ssh, environment)?)?,
    })
}

fn shell_of(engine: &Engine, step: &KeptStep) -> Result<Vec<String>, Error> {
    for shell in SHELLS {
        if block_on(engine.container_stat(&step.container, shell))?.is_ok() {
            return Ok(vec![shell.to_owned()]);
        }
    }
    Err(Error::new("the step's file system has no shell")
        .hint("name a program of it: `kiln debug shell BUILD -- PROGRAM`"))
}

/// What a kept step is called by: its build, or its container if builds are not kept.
fn id(step: &KeptStep) -> &str {
    step.build.as_deref().unwrap_or(&step.container)
}
