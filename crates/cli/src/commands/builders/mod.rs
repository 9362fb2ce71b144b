//! `kiln builder create`, `use`, `ls`, `inspect`, `rm`, `stop`, `dial-stdio`: builders under names.

mod create;
mod dial_stdio;
mod inspect;
mod known;
mod ls;
mod platforms;
mod rm;
mod status;
mod r#use;

use std::time::Duration;

use super::session::Session;
use crate::args::builders::{Patience, Stop};
use crate::args::system::Builder;
use crate::error::{Error, choice};

use known::Known;

/// How long nodes are waited for where nothing else is said.
const PATIENCE: Duration = Duration::from_secs(20);

/// Does what is asked of builders, and is no command of its own too.
pub(super) fn run(session: &mut Session<'_, '_>, command: &Builder) -> Result<(), Error> {
    match command {
        Builder::Create(args) => create::run(session, args),
        Builder::DialStdio(args) => dial_stdio::run(session, args),
        Builder::Inspect(args) => inspect::run(session, args),
        Builder::Ls(args) => ls::run(session, args),
        Builder::Rm(args) => rm::run(session, args),
        Builder::Stop(args) => stop(session, args),
        Builder::Use(args) => r#use::run(session, args),
        // The others are commands of their own too, and are done as these.
        Builder::Bake(_)
        | Builder::Build(_)
        | Builder::Du(_)
        | Builder::History(_)
        | Builder::Imagetools(_)
        | Builder::Prune(_) => Ok(()),
        Builder::Version(args) => super::version::run(session, args),
    }
}

/// Daemons that nobody's driver started are stopped where they were started.
fn stop(session: &mut Session<'_, '_>, args: &Stop) -> Result<(), Error> {
    let builder = Known::wanted(session, args.name.as_ref(), &args.chosen)?;
    builder.refuse_other_driver()?;
    let name = &builder.group.name;
    session.ui.say(&format!(
        "{name} goes on: its daemons are stopped where they were started"
    ));
    Ok(())
}

fn patience(args: &Patience) -> Result<Duration, Error> {
    match args.timeout.as_deref() {
        None => Ok(PATIENCE),
        Some("0") => Ok(Duration::MAX),
        Some(text) => engine::parse_duration(text)
            .ok_or_else(|| choice("--timeout", text, "expected a duration, as 20s")),
    }
}
