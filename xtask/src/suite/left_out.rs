//! Which end-to-end tests are left out where, and why: `tests/e2e/places.toml`.
//!
//! A test that the file does not name runs in every place. `docs/rootless.md` has the same as a
//! table, which `cargo xtask tidy` compares.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use testkit::Place;

/// Where the file is in the source tree.
pub(crate) const FILE: &str = "tests/e2e/places.toml";

/// Columns of the table.
const HEAD: &str = "| tests | root | subordinate users and groups | neither | container | why not |\n\
                    |---|---|---|---|---|---|\n";

/// What the file says.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct LeftOut {
    left_out: Vec<Entry>,
}

/// Tests that do not run in some places.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    /// Modules, or tests in modules: `daemon`, `builds::one`.
    tests: Vec<String>,
    /// Names of places.
    places: Vec<String>,
    /// One sentence.
    pub(crate) why: String,
}

impl LeftOut {
    /// Reads the file beneath `top`.
    pub(crate) fn read(top: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(top.join(FILE)).with_context(|| FILE.to_owned())?;
        Self::parse(&text).with_context(|| FILE.to_owned())
    }

    fn parse(text: &str) -> Result<Self> {
        let found: Self = toml::from_str(text)?;
        for entry in &found.left_out {
            for name in &entry.places {
                if !Place::OF_SUITE.iter().any(|place| place.name() == name) {
                    bail!("{name:?} is no place");
                }
            }
        }
        Ok(found)
    }

    /// The first entry by which a test, named as the harness names it, is left out in a place.
    pub(crate) fn entry(&self, place: Place, test: &str) -> Option<&Entry> {
        self.left_out
            .iter()
            .find(|entry| entry.is_of(place) && entry.covers(test))
    }

    /// The modules and tests that the file names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let entries = self.left_out.iter();
        entries.flat_map(|entry| entry.tests.iter().map(String::as_str))
    }

    /// The table of the page.
    pub(crate) fn table(&self) -> String {
        let mut table = HEAD.to_owned();
        for entry in &self.left_out {
            let tests: Vec<String> = entry.tests.iter().map(|name| format!("`{name}`")).collect();
            let runs = Place::OF_SUITE.map(|place| if entry.is_of(place) { "" } else { "yes" });
            table += &row(&tests.join(", "), runs, &entry.why);
        }
        table + &row("all others", ["yes"; 4], "")
    }
}

impl Entry {
    fn is_of(&self, place: Place) -> bool {
        self.places.iter().any(|name| name == place.name())
    }

    fn covers(&self, test: &str) -> bool {
        self.tests.iter().any(|name| {
            let rest = test.strip_prefix(name.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        })
    }
}

fn row(tests: &str, runs: [&str; 4], why: &str) -> String {
    let cells = [&[tests], &runs[..], &[why]].concat();
    let mut row = String::new();
    for cell in cells {
        row += if cell.is_empty() { "|" } else { "| " };
        row += cell;
        row += " ";
    }
    row + "|\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "[[left-out]]\n\
        tests = [\"daemon\", \"builds::one\"]\n\
        places = [\"single\", \"container\"]\n\
        why = \"they are not ready\"\n";

    #[test]
    fn tests_are_found_by_module_and_by_name() {
        let left_out = LeftOut::parse(TEXT).unwrap();
        let is_left_out = |place, test| left_out.entry(place, test).is_some();
        assert!(is_left_out(Place::Single, "daemon::answers"));
        assert!(is_left_out(Place::Container, "builds::one"));
        assert!(!is_left_out(Place::Subordinate, "builds::one"));
        assert!(!is_left_out(Place::Single, "builds::one_more"));
        assert!(!is_left_out(Place::Single, "daemon_life::ends"));
    }

    #[test]
    fn the_table_has_a_row_for_each_reason() {
        let expected = "| `daemon`, `builds::one` | yes | yes | | | they are not ready |\n\
                        | all others | yes | yes | yes | yes | |\n";
        let table = LeftOut::parse(TEXT).unwrap().table();
        assert_eq!(table, HEAD.to_owned() + expected);
    }

    #[test]
    fn places_have_names() {
        let text = TEXT.replace("single", "moon");
        let error = LeftOut::parse(&text).unwrap_err();
        assert_eq!(error.to_string(), "\"moon\" is no place");
    }
}
