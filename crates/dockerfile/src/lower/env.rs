//! Environments: names and values, in the order in which they were last set.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use graph::Environment;

use crate::word::Variables;

/// Names and values.
#[derive(Debug, Clone, Default)]
pub(super) struct Env {
    /// Values that were replaced leave a gap.
    list: Vec<Option<Entry>>,
    places: BTreeMap<Box<str>, usize>,
    bytes: usize,
    /// All of it, once a process was given it, until something is set.
    shared: OnceLock<Environment>,
}

#[derive(Debug, Clone)]
struct Entry {
    /// `KEY=value`
    text: String,
    /// Where the `=` is.
    equals: usize,
}

impl Env {
    /// From `KEY=value` texts; the last value of a name counts.
    pub(super) fn from_list(list: &[String]) -> Self {
        let mut env = Self::default();
        for entry in list {
            let (key, value) = entry.split_once('=').unwrap_or((entry, ""));
            env.set(key, value);
        }
        env
    }

    /// Sets a value and moves it to the end.
    pub(super) fn set(&mut self, key: &str, value: &str) {
        self.shared.take();
        let entry = Entry::new(key, value);
        self.bytes += entry.text.len() + 1;
        let place = self.list.len();
        self.list.push(Some(entry));
        if let Some(known) = self.places.get_mut(key) {
            let before = std::mem::replace(known, place);
            if let Some(gap) = self.list.get_mut(before).and_then(Option::take) {
                self.bytes -= gap.text.len() + 1;
            }
        } else {
            self.places.insert(key.into(), place);
        }
    }

    /// Sets a value where it is.
    pub(super) fn replace(&mut self, key: &str, value: &str) {
        self.shared.take();
        let place = self.places.get(key);
        let place = place.and_then(|place| self.list.get_mut(*place));
        match place {
            Some(Some(entry)) => {
                let before = std::mem::replace(entry, Entry::new(key, value));
                self.bytes = self.bytes + entry.text.len() - before.text.len();
            }
            _ => self.set(key, value),
        }
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.pairs().map(|(key, _)| key)
    }

    /// Names and values in order.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.list.iter().flatten().map(Entry::pair)
    }

    /// `KEY=value` texts.
    pub(super) fn to_list(&self) -> Environment {
        let list = || self.list.iter().flatten().map(|entry| entry.text.clone());
        self.shared.get_or_init(|| list().collect()).clone()
    }

    /// How much a process is given.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Entry {
    fn new(key: &str, value: &str) -> Self {
        Self {
            text: [key, "=", value].concat(),
            equals: key.len(),
        }
    }

    fn pair(&self) -> (&str, &str) {
        (&self.text[..self.equals], &self.text[self.equals + 1..])
    }
}

impl Variables for Env {
    fn get(&self, name: &str) -> Option<&str> {
        let place = self.places.get(name)?;
        let entry = self.list.get(*place)?.as_ref()?;
        Some(entry.pair().1)
    }
}
