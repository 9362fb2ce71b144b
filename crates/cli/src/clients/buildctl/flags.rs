//! Flags as `buildctl` takes them: with one dash or two, the value behind `=` or as the next word.

use std::collections::BTreeMap;

use crate::error::{Error, USAGE};

/// Flags by their names, each with its values in the order in which they were typed.
#[derive(Debug, Default)]
pub(super) struct Flags(BTreeMap<String, Vec<String>>);

impl Flags {
    /// The flags of `words`, of which those in `valued` have values and all others are switches;
    /// and what is left: what is behind the first word that is no flag if that `ends` them, or all
    /// words that are none.
    ///
    /// # Errors
    /// A flag lacks its value.
    pub(super) fn read(
        words: &[String],
        valued: &[&str],
        ends: bool,
    ) -> Result<(Self, Vec<String>), Error> {
        let mut flags = Self::default();
        let mut rest = Vec::new();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let name = word.strip_prefix("--").or(word.strip_prefix('-'));
            let Some(name) = name.filter(|name| !name.is_empty()) else {
                rest.push(word.clone());
                if ends {
                    break;
                }
                continue;
            };
            let (name, value) = match name.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (name, None),
            };
            let value = match (value, valued.contains(&name)) {
                (Some(value), _) => value,
                (None, false) => "true".to_owned(),
                (None, true) => words.next().cloned().ok_or_else(|| {
                    Error::new(format!("flag needs an argument: --{name}")).exit(USAGE)
                })?,
            };
            flags.0.entry(name.to_owned()).or_default().push(value);
        }
        rest.extend(words.cloned());
        Ok((flags, rest))
    }

    /// The values of a flag.
    pub(super) fn all(&mut self, name: &str) -> Vec<String> {
        self.0.remove(name).unwrap_or_default()
    }

    /// The last value of a flag, if it was typed.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        self.all(name).pop()
    }

    /// Whether a switch is on.
    pub(super) fn take_switch(&mut self, name: &str) -> bool {
        self.take(name).is_some_and(|value| value != "false")
    }

    /// Nothing is left.
    ///
    /// # Errors
    /// Something is that kiln does not have.
    pub(super) fn end(self, command: &str) -> Result<(), Error> {
        match self.0.keys().next() {
            Some(name) => Err(Error::new(format!(
                "kiln does not support --{name} of {command}: leave it out"
            ))
            .exit(USAGE)),
            None => Ok(()),
        }
    }
}
