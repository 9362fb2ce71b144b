//! `kiln completion`.

use clap_complete::Shell;

use super::session::Session;
use crate::args;
use crate::args::system::Completion;
use crate::error::Error;

/// Prints the completion script of a shell.
pub(super) fn run(session: &mut Session<'_, '_>, args: &Completion) -> Result<(), Error> {
    let shell: Shell = args.shell.parse().map_err(|_| {
        let shell = &args.shell;
        Error::new(format!(
            "unknown shell {shell:?}: expected bash, elvish, fish, powershell or zsh"
        ))
    })?;
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut args::command(), "kiln", &mut script);
    session.ui.bytes(&script)
}
