//! What is looked at beside the place: store, disk, registries, clock.

use std::path::Path;

use engine::Engine;

use crate::error::chain;
use crate::ui::human;

/// How far a clock may be off: tokens and certificates are seldom good for less.
const MOST_SECONDS: i64 = 60;
/// Less free space than this, and builds will fail soon.
const LEAST_BYTES: u64 = 1 << 30;
/// Fewer free inodes than a base image has files.
const LEAST_INODES: u64 = 50_000;

/// How well it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Ok,
    Warning,
    Error,
}

impl State {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Check {
    pub(super) name: String,
    pub(super) state: State,
    pub(super) text: String,
    pub(super) remedy: Option<String>,
}

pub(super) fn check(
    name: &str,
    state: State,
    text: impl Into<String>,
    remedy: Option<&str>,
) -> Check {
    Check {
        name: name.to_owned(),
        state,
        text: text.into(),
        remedy: remedy.map(str::to_owned),
    }
}

/// Whether the store is whole, and how it makes the file systems of steps.
pub(super) fn store(root: &Path, engine: &Engine) -> Check {
    let way = match engine.copies_layers() {
        Ok(true) => "whole copies of images for steps, which is slow",
        Ok(false) => "overlayfs",
        Err(error) => return check("store", State::Error, chain(&error), None),
    };
    let problems = match engine.fsck(engine::Depth::Shallow) {
        Ok(problems) => problems,
        Err(error) => return check("store", State::Error, chain(&error), None),
    };
    let wrong = problems.iter().filter(|problem| !problem.is_harmless());
    match wrong.count() {
        0 => check(
            "store",
            State::Ok,
            format!("{}, {way}", root.display()),
            None,
        ),
        count => check(
            "store",
            State::Error,
            format!("{}: {count} problems", root.display()),
            Some("kiln store fsck"),
        ),
    }
}

/// Whether there is room.
pub(super) fn disk(root: &Path) -> Check {
    match rustix::fs::statvfs(root) {
        Err(error) => check("disk", State::Error, error.to_string(), None),
        Ok(found) => {
            let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
            room(
                bytes(found.f_bavail),
                bytes(found.f_blocks),
                (found.f_files > 0).then_some(found.f_favail),
            )
        }
    }
}

fn room(free: u64, total: u64, inodes: Option<u64>) -> Check {
    let text = format!("{} of {} free", human::size(free), human::size(total));
    match inodes {
        Some(inodes) if inodes < LEAST_INODES => check(
            "disk",
            State::Warning,
            format!("{text}, and {inodes} inodes"),
            Some("kiln prune"),
        ),
        _ if free < LEAST_BYTES => check("disk", State::Warning, text, Some("kiln prune")),
        _ => check("disk", State::Ok, text, None),
    }
}

/// What registries answered, and the clock as they see it: by how much it is ahead of theirs.
pub(super) fn registries(answers: &[(String, Result<Option<i64>, String>)]) -> Vec<Check> {
    let mut checks: Vec<Check> = answers
        .iter()
        .map(|(domain, answer)| {
            let name = format!("registry {domain}");
            match answer {
                Ok(_) => check(&name, State::Ok, "answers", None),
                Err(why) => check(&name, State::Warning, why, None),
            }
        })
        .collect();
    let ahead = answers
        .iter()
        .find_map(|(domain, answer)| Some((domain, (*answer.as_ref().ok()?)?)));
    checks.push(match ahead {
        None => check("clock", State::Warning, "no registry tells the time", None),
        Some((domain, seconds)) => clock(domain, seconds),
    });
    checks
}

fn clock(domain: &str, ahead: i64) -> Check {
    let direction = if ahead < 0 { "behind" } else { "ahead of" };
    let text = format!("{} s {direction} {domain}", ahead.abs());
    if ahead.abs() <= MOST_SECONDS {
        return check("clock", State::Ok, text, None);
    }
    let remedy = "set it: certificates and tokens count by the clock";
    check("clock", State::Error, text, Some(remedy))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn told(check: &Check) -> String {
        let Check {
            name, state, text, ..
        } = check;
        format!("{name} {}: {text}", state.name())
    }

    #[test]
    fn rooms() {
        assert_eq!(
            told(&room(5 << 30, 10 << 30, None)),
            "disk ok: 5.37GB of 10.7GB free"
        );
        assert_eq!(
            told(&room(5, 10 << 30, None)),
            "disk warning: 5B of 10.7GB free"
        );
        assert_eq!(
            told(&room(5 << 30, 10 << 30, Some(7))),
            "disk warning: 5.37GB of 10.7GB free, and 7 inodes"
        );
    }

    #[test]
    fn clocks_and_registries() {
        let answers = [
            ("a".to_owned(), Err("nobody there".to_owned())),
            ("b".to_owned(), Ok(Some(-3600))),
        ];
        let all: Vec<_> = registries(&answers).iter().map(told).collect();
        assert_eq!(
            all,
            [
                "registry a warning: nobody there",
                "registry b ok: answers",
                "clock error: 3600 s behind b",
            ]
        );
        let answers = [("b".to_owned(), Ok(Some(2)))];
        assert_eq!(told(&registries(&answers)[1]), "clock ok: 2 s ahead of b");
        assert_eq!(
            told(&registries(&[])[0]),
            "clock warning: no registry tells the time"
        );
    }
}
