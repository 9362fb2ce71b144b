//! `kiln history COMMAND`: past builds.

mod filter;
mod inspect;
mod kept;
mod logs;
mod ls;
mod why;

use std::time::Duration;

use engine::{BuildStatus, PastBuild, StepState};

use super::session::Session;
use crate::args::history::{Builds, Rm};
use crate::error::Error;

use kept::Kept;

/// Does what is asked.
pub(super) fn run(session: &mut Session<'_, '_>, command: &Builds) -> Result<(), Error> {
    match command {
        Builds::Ls(args) => ls::run(session, args),
        Builds::Inspect(args) => inspect::run(session, args),
        Builds::Logs(args) => logs::run(session, args),
        Builds::Why(args) => why::run(session, args),
        Builds::Rm(args) => remove(session, args),
        Builds::Open(_) => Err(elsewhere("open", "`kiln history inspect` shows a build")),
        Builds::Trace(_) => Err(elsewhere("trace", "`kiln history inspect` shows the steps")),
        Builds::Export(_) => Err(elsewhere(
            "export",
            "`kiln history logs --progress rawjson` prints all of a build",
        )),
        Builds::Import(_) => Err(elsewhere(
            "import",
            "builds are in the store they were made in",
        )),
    }
}

fn elsewhere(word: &str, instead: &str) -> Error {
    Error::new(format!("kiln history {word} is Docker Desktop's")).hint(instead.to_owned())
}

fn remove(session: &Session<'_, '_>, args: &Rm) -> Result<(), Error> {
    let kept = Kept::of(session)?;
    let builds = kept.builds()?;
    if args.all {
        let has_ended = |build: &&PastBuild| build.status != BuildStatus::Running;
        return kept.remove(builds.iter().filter(has_ended));
    }
    // All are looked up before the first goes, so that ^0 ^1 are what they were when typed.
    let meant = |reference: &String| engine::meant_build(builds.clone(), reference);
    let builds: Vec<PastBuild> = args.builds.iter().map(meant).collect::<Result<_, _>>()?;
    kept.remove(builds.iter())
}

/// A state in one word.
const fn word(state: StepState) -> &'static str {
    match state {
        StepState::Running => "running",
        StepState::Completed => "ran",
        StepState::Cached(_) => "cached",
        StepState::Failed => "failed",
        StepState::Cancelled => "canceled",
        StepState::Lost => "lost",
    }
}

/// `1.4s`, `1m  1s`, as buildx writes it.
fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{:.1}s", duration.as_secs_f64()),
        _ => format!("{}m {:2}s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (millis, expected) in [(40, "0.0s"), (1_440, "1.4s"), (61_000, "1m  1s")] {
            assert_eq!(duration(Duration::from_millis(millis)), expected);
        }
    }
}
