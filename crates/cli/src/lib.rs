//! kiln's command line: what was typed, what it means here, and what is shown.
//!
//! Arguments go through two steps: as typed ([`args`]), then resolved against the
//! [`environment::Environment`]. Only [`ui`] writes to standard output and error, and only
//! [`error`] decides what an error looks like and what the process exits with.

pub mod args;
mod background;
pub mod build;
mod builders;
mod clients;
mod commands;
pub mod environment;
pub mod error;
mod keeper;
pub mod names;
pub mod progress;
mod remote;
mod rootless;
mod serve;
mod standin;
pub mod ui;
pub mod values;

use std::process::ExitCode;

use args::Parsed;
use clients::Called;
use environment::Environment;
use error::Error;
use names::Name;
use ui::Ui;

/// Help pages are not wider than this, since long lines are hard to read.
const HELP_WIDTH: usize = 100;

/// Does what this process was started for.
#[must_use]
pub fn main() -> ExitCode {
    let mut ui = Ui::of_process();
    match run(&mut ui) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            ui.error(&error);
            ExitCode::from(error.exit_code)
        }
    }
}

fn run(ui: &mut Ui<'_>) -> Result<u8, Error> {
    let mut environment = Environment::of_process()?;
    ui.on_terminal(environment.terminals.stdout);
    #[cfg(debug_assertions)]
    arm_fail_point(&environment);
    let program = environment.arguments.first().cloned();
    match Name::of(&program.unwrap_or_default()) {
        Name::Buildkitd => return standin::run(&standin::BUILDKITD, &environment, ui),
        Name::Dockerd => return standin::run(&standin::DOCKERD, &environment, ui),
        // Clients are told apart below.
        Name::Kiln | Name::Docker | Name::Buildctl | Name::DockerBuildx => {}
    }
    let width = environment
        .columns()
        .map_or(HELP_WIDTH, |width| width.min(HELP_WIDTH));
    let (line, docker) = match clients::called(&environment)? {
        Called::Print(text) => return ui.print(&text).map(|()| 0),
        Called::Buildctl(call) => return commands::buildctl(call, &environment, ui),
        Called::Kiln { line, docker } => (line, docker),
    };
    match args::parse(&line, width)? {
        Parsed::Print(text) => ui.print(&text).map(|()| 0),
        Parsed::Run(mut arguments) => {
            docker.apply(&mut arguments.global, &mut environment);
            commands::run(*arguments, &environment, ui)
        }
    }
}

/// Lets a write fail, for tests: `KILN_FAIL_POINT` is the name of a fail point, the number of its pass,
/// and a file that is made when it comes to that.
#[cfg(debug_assertions)]
fn arm_fail_point(environment: &Environment) {
    let asked = environment.os("KILN_FAIL_POINT");
    let parsed = asked.and_then(std::ffi::OsStr::to_str).and_then(|text| {
        let mut parts = text.splitn(3, ':');
        Some((parts.next()?, parts.next()?.parse().ok()?, parts.next()?))
    });
    if let Some((name, nth, mark)) = parsed {
        engine::fail::arm(name, nth, mark.into());
    }
}
