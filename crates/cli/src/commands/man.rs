//! `kiln man`: manual pages, for those who package kiln.

use super::session::Session;
use crate::args::system::Man;
use crate::args::{self, help};
use crate::error::Error;

/// Prints the manual page of a command.
pub(super) fn run(session: &mut Session<'_, '_>, args: &Man) -> Result<(), Error> {
    let mut root = args::command();
    root.build();
    let mut command = &root;
    for word in &args.command {
        let missing = || Error::new(format!("there is no command {word:?}"));
        command = command.find_subcommand(word).ok_or_else(missing)?;
    }
    let name = help::prefixed(&args.command).replace(' ', "-");
    let mut page = Vec::new();
    let rendered = clap_mangen::Man::new(command.clone().name(name)).render(&mut page);
    rendered.map_err(|error| Error::new(error.to_string()))?;
    session.ui.bytes(&page)
}
