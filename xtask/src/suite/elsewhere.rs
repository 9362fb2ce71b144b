//! The end-to-end tests in another place than here.
//!
//! The tests themselves run there, not only kiln, so a place is set up once. It cannot see our
//! temporary files; it has a folder of its own, which is removed with all that tests left in it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;
use testkit::{Needs, Place};

use super::digests::Digests;
use super::left_out::LeftOut;
use super::{Setting, cargo_test};
use crate::{command, paths, ui};

/// Runs the tests that the arguments choose, which are cargo's, in a place; the digests of what they
/// have built.
pub(super) fn run(place: Place, setting: &Setting, arguments: &[String]) -> Result<Digests> {
    if let Some(why) = place.lacks() {
        ui::step(format_args!(
            "SKIPPED: all end-to-end tests in the place {:?}: {why}",
            place.name()
        ));
        return Ok(Digests::default());
    }
    let (cargos, harness) = split(arguments)?;
    let chosen = chosen(place, &cargos, &harness)?;
    ui::step(format_args!(
        "testing in the place {:?}: {} end-to-end tests",
        place.name(),
        chosen.len()
    ));
    if chosen.is_empty() {
        return Ok(Digests::default());
    }
    let folder = Folder::new(place, setting)?;
    let flags = harness.iter().filter(|word| word.starts_with('-'));
    let mut test = cargo_test(setting);
    test.args(&cargos)
        .arg("--config")
        .arg(runner(&folder.words(place))?)
        .args(["--", "--exact"])
        .args(flags)
        .args(&chosen);
    folder.tell(&mut test);
    test.env("KILN_TEST_PLACE", place.name());
    command::run(&mut test)?;
    Digests::read(&folder.digests())
}

/// Arguments of cargo's, and of the tests' harness.
fn split(arguments: &[String]) -> Result<(Vec<String>, Vec<String>)> {
    let at = arguments.iter().position(|argument| argument == "--");
    let (cargos, harness) = arguments.split_at(at.unwrap_or(arguments.len()));
    let is_e2e = cargos.is_empty() || cargos == ["-p", "e2e"];
    if !is_e2e {
        bail!("in other places only `-p e2e` is tested");
    }
    let harness = harness.iter().skip(1).cloned().collect();
    Ok((vec!["-p".into(), "e2e".into()], harness))
}

/// The names of the tests that run in the place; tells of the others.
fn chosen(place: Place, cargos: &[String], harness: &[String]) -> Result<Vec<String>> {
    let left_out = LeftOut::read(&paths::workspace())?;
    let mut list = command::program(crate::environment::cargo());
    list.current_dir(paths::workspace())
        .args(["test", "--quiet"])
        .args(cargos)
        .arg("--")
        .args(harness)
        .args(["--list", "--format", "terse"]);
    let list = command::read(&mut list)?;
    let tests = list.lines().filter_map(|line| line.strip_suffix(": test"));
    let (mut chosen, mut skipped) = (Vec::new(), Vec::<(&str, Vec<&str>)>::new());
    for test in tests {
        match left_out.entry(place, test) {
            None => chosen.push(test.to_owned()),
            Some(entry) => match skipped.iter_mut().find(|(why, _)| *why == entry.why) {
                Some((_, tests)) => tests.push(test),
                None => skipped.push((&entry.why, vec![test])),
            },
        }
    }
    for (why, tests) in skipped {
        let count = tests.len();
        ui::step(format_args!(
            "SKIPPED: {count} in the place {:?}, since {why}: {}",
            place.name(),
            tests.join(" ")
        ));
    }
    Ok(chosen)
}

/// Cargo's setting that starts tests by these words.
fn runner(words: &[OsString]) -> Result<String> {
    let words: Option<Vec<&str>> = words.iter().map(|word| word.to_str()).collect();
    let words = words.context("a path is no text")?;
    // What JSON escapes in a text, TOML does the same way.
    let list = serde_json::to_string(&words)?;
    Ok(format!("target.'cfg(unix)'.runner = {list}"))
}

/// What tests in a place have of their own.
struct Folder(TempDir);

impl Folder {
    fn new(place: Place, setting: &Setting) -> Result<Self> {
        let folder = Self(TempDir::with_prefix("kiln-test-place-")?);
        open(folder.0.path())?;
        for name in ["tmp", "place"] {
            std::fs::create_dir(folder.join(name))?;
        }
        if let Some(user) = place.user() {
            std::os::unix::fs::chown(folder.join("tmp"), Some(user), Some(user))?;
        }
        for (from, to) in [
            (&setting.config, "kiln.toml"),
            (&setting.containers_config, "registries.conf"),
        ] {
            std::fs::copy(from, folder.join(to)).with_context(|| from.display().to_string())?;
        }
        Ok(folder)
    }

    fn join(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// What comes before the tests' program.
    fn words(&self, place: Place) -> Vec<OsString> {
        let (workspace, target, tmp) = (paths::workspace(), paths::target(), self.join("tmp"));
        let mut words = place.words(
            &self.join("place"),
            Needs {
                readable: &[&workspace, &target, self.0.path()],
                writable: &[&tmp],
            },
        );
        words.push("/usr/bin/env".into());
        if place.user().is_some() {
            // Archives that tests make are to have root's files.
            words.push("TAR_OPTIONS=--owner=0 --group=0".into());
        }
        for name in ["HOME", "TMPDIR"] {
            let mut word = OsString::from(format!("{name}="));
            word.push(&tmp);
            words.push(word);
        }
        words
    }

    fn tell(&self, test: &mut std::process::Command) {
        test.env("KILN_TEST_CONFIG", self.join("kiln.toml"))
            .env("KILN_TEST_CONTAINERS_CONF", self.join("registries.conf"))
            .env("KILN_TEST_DIGESTS", self.digests());
    }

    fn digests(&self) -> PathBuf {
        self.join("tmp/digests")
    }
}

/// Lets everybody in.
fn open(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))?;
    Ok(())
}
