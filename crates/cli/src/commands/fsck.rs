//! `kiln store fsck`.

use engine::Depth;

use super::session::Session;
use crate::args::system::Fsck;
use crate::error::{Error, FAILURE};

/// Checks the store; 1 when something is wrong with it.
pub(super) fn run(session: &mut Session<'_, '_>, args: &Fsck) -> Result<u8, Error> {
    let depth = if args.deep {
        Depth::Deep
    } else {
        Depth::Shallow
    };
    let problems = session.engine()?.fsck(depth)?;
    for problem in &problems {
        session.ui.line(&problem.to_string())?;
    }
    let wrong = problems
        .iter()
        .filter(|problem| !problem.is_harmless())
        .count();
    if wrong == 0 {
        session.ui.line("clean")?;
        return Ok(0);
    }
    let plural = if wrong == 1 { "" } else { "s" };
    session.ui.say(&format!("{wrong} problem{plural} found"));
    Ok(FAILURE)
}
