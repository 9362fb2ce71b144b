//! `kiln store fsck`.

use engine::{Depth, Problem};

use super::session::Session;
use crate::args::system::Fsck;
use crate::error::{Error, FAILURE};

/// Checks the store; 1 when something is wrong with it, or is left to be.
pub(super) fn run(session: &mut Session<'_, '_>, args: &Fsck) -> Result<u8, Error> {
    let depth = if args.deep {
        Depth::Deep
    } else {
        Depth::Shallow
    };
    let problems = session.engine()?.fsck(depth)?;
    let is_wrong = wrong(&problems) > 0;
    tell(session, &problems)?;
    if !is_wrong || !args.repair {
        return Ok(if is_wrong { FAILURE } else { 0 });
    }
    let left = session.engine()?.repair(problems)?;
    session.ui.line("repaired")?;
    tell(session, &left)?;
    if wrong(&left) == 0 {
        return Ok(0);
    }
    session
        .ui
        .say("hint: pull or build the images again that lack something");
    Ok(FAILURE)
}

/// Says what is wrong, or that nothing is.
fn tell(session: &mut Session<'_, '_>, problems: &[Problem]) -> Result<(), Error> {
    for problem in problems {
        session.ui.line(&problem.to_string())?;
    }
    match wrong(problems) {
        0 => session.ui.line("clean")?,
        1 => session.ui.say("1 problem found"),
        wrong => session.ui.say(&format!("{wrong} problems found")),
    }
    Ok(())
}

fn wrong(problems: &[Problem]) -> usize {
    let wrong = |problem: &&Problem| !problem.is_harmless();
    problems.iter().filter(wrong).count()
}
