//! Environments: names and values, in the order in which they were last set.

use std::collections::BTreeMap;

use crate::word::Variables;

/// Names and values.
#[derive(Debug, Clone, Default)]
pub(super) struct Env {
    /// Values that were replaced leave a gap.
    list: Vec<Option<(String, String)>>,
    places: BTreeMap<String, usize>,
    bytes: usize,
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
        self.remove(key);
        self.bytes += key.len() + value.len() + 2;
        self.places.insert(key.to_owned(), self.list.len());
        self.list.push(Some((key.to_owned(), value.to_owned())));
    }

    /// Sets a value where it is.
    pub(super) fn replace(&mut self, key: &str, value: &str) {
        let place = self
            .places
            .get(key)
            .and_then(|place| self.list.get_mut(*place));
        match place {
            Some(Some((_, old))) => {
                self.bytes = self.bytes - old.len() + value.len();
                value.clone_into(old);
            }
            _ => self.set(key, value),
        }
    }

    pub(super) fn remove(&mut self, key: &str) {
        let place = self.places.remove(key);
        let gap = place
            .and_then(|place| self.list.get_mut(place))
            .and_then(Option::take);
        if let Some((key, value)) = gap {
            self.bytes -= key.len() + value.len() + 2;
        }
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.list.iter().flatten().map(|(key, _)| key.as_str())
    }

    /// `KEY=value` texts.
    pub(super) fn to_list(&self) -> Vec<String> {
        let entries = self.list.iter().flatten();
        entries
            .map(|(key, value)| format!("{key}={value}"))
            .collect()
    }

    /// How much a process is given.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Variables for Env {
    fn get(&self, name: &str) -> Option<&str> {
        let place = self.places.get(name)?;
        let (_, value) = self.list.get(*place)?.as_ref()?;
        Some(value)
    }
}
