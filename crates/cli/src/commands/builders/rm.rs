//! `kiln builder rm`.

use std::io::BufRead as _;

use super::known::Known;
use super::status::load;
use super::{Session, patience};
use crate::args::builders::Rm;
use crate::builders::Store;
use crate::error::Error;
use crate::remote;
use crate::ui;

const QUESTION: &str = "WARNING! This will remove all builders that are not in running state. Are \
                        you sure you want to continue? [y/N] ";

/// Removes builders; the daemons of their nodes go on.
pub(super) fn run(session: &mut Session<'_, '_>, args: &Rm) -> Result<(), Error> {
    if args.all_inactive {
        return inactive(session, args);
    }
    let mut names: Vec<Option<String>> = args.names.iter().cloned().map(Some).collect();
    if names.is_empty() {
        let flag = args.chosen.builder.as_ref();
        let named = remote::name(flag, &session.global, session.environment)?;
        names.push(named.map(str::to_owned));
    }
    let mut failed = false;
    for name in &names {
        let shown = name.as_deref().unwrap_or_default();
        let said = match remove(session, name.as_deref(), args.keep_daemon) {
            Ok(name) => format!("{name} removed"),
            Err(Error { message, hints, .. }) => {
                failed = true;
                let hints: Vec<String> =
                    hints.iter().map(|hint| format!("\nhint: {hint}")).collect();
                format!("failed to remove {shown}: {message}{}", hints.concat())
            }
        };
        session.ui.say(&said);
    }
    match failed {
        true => Err(Error::new("failed to remove one or more builders")),
        false => Ok(()),
    }
}

fn remove(session: &Session<'_, '_>, name: Option<&str>, keeps: bool) -> Result<String, Error> {
    let known = match name {
        Some(name) => Known::named(session, name)?,
        None => Known::current(session)?,
    };
    let group = &known.group;
    if known.is_context {
        return Err(Error::new(format!(
            "context builder cannot be removed, run `docker context rm {}` to remove this context",
            group.name
        )));
    }
    // Its driver would end what it started.
    if !keeps {
        let keep = "or remove only what is written of it, with --keep-daemon";
        known
            .refuse_other_driver()
            .map_err(|error| error.hint(keep))?;
    }
    Store::of(session.environment)?
        .change()?
        .remove(&group.name)?;
    Ok(group.name.clone())
}

fn inactive(session: &mut Session<'_, '_>, args: &Rm) -> Result<(), Error> {
    if !args.names.is_empty() {
        let message = "cannot specify builder name when --all-inactive is set";
        return Err(Error::new(message));
    }
    if !args.force {
        session.ui.ask(QUESTION);
        let mut answer = String::new();
        let read = ui::input().lock().read_line(&mut answer);
        if read.is_err() || !matches!(answer.trim(), "y" | "Y") {
            return Ok(());
        }
    }
    let mut all = Known::all(session)?;
    // Of others nobody here can tell whether they run.
    all.retain(|known| !known.is_context && known.refuse_other_driver().is_ok());
    let store = Store::of(session.environment)?;
    for builder in load(session, all, patience(&args.patience)?)? {
        if !builder.is_running() {
            let name = &builder.known.group.name;
            store.change()?.remove(name)?;
            session.ui.say(&format!("{name} removed"));
        }
    }
    Ok(())
}
