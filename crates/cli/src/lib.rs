//! kiln's command line: what was typed, what it means here, and what is shown.
//!
//! Arguments go through two steps: as typed ([`args`]), then resolved against the
//! [`environment::Environment`]. Only [`ui`] writes to standard output and error, and only
//! [`error`] decides what an error looks like and what the process exits with.

pub mod args;
mod background;
pub mod build;
mod commands;
pub mod environment;
pub mod error;
pub mod progress;
mod rootless;
pub mod ui;
pub mod values;

use std::process::ExitCode;

use args::Parsed;
use environment::Environment;
use error::Error;
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
    let environment = Environment::of_process()?;
    let width = environment
        .columns()
        .map_or(HELP_WIDTH, |width| width.min(HELP_WIDTH));
    match args::parse(&environment.arguments, width)? {
        Parsed::Print(text) => ui.print(&text).map(|()| 0),
        Parsed::Run(arguments) => commands::run(*arguments, &environment, ui),
    }
}
