//! The parameter `filters`: by name, values of which one must hold.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::answer::Refusal;
use crate::query::Query;

/// What was asked for, by name.
#[derive(Debug, Clone, Default)]
pub(super) struct Filters(BTreeMap<String, Vec<String>>);

impl Filters {
    /// Reads the filters. Values are a list, or the keys of a map from old clients.
    ///
    /// # Errors
    /// One is not among `known`, or they are malformed.
    pub(super) fn parse(query: &mut Query, known: &[&str]) -> Result<Self, Refusal> {
        let all: BTreeMap<String, Value> = query.json("filters")?;
        let mut filters = BTreeMap::new();
        for (name, values) in all {
            if !known.contains(&name.as_str()) {
                return Err(Refusal::bad(format!("invalid filter '{name}'")));
            }
            let values: Vec<String> = match values {
                Value::Array(list) => list
                    .iter()
                    .filter_map(|value| Some(value.as_str()?.to_owned()))
                    .collect(),
                Value::Object(map) => map.keys().cloned().collect(),
                _ => return Err(Refusal::bad(format!("invalid filter '{name}'"))),
            };
            filters.insert(name, values);
        }
        Ok(Self(filters))
    }

    /// Before when something must have been made: the filter `until`.
    ///
    /// # Errors
    /// It is no time.
    pub(super) fn until(&self, now: SystemTime) -> Result<Option<SystemTime>, Refusal> {
        let [text] = self.values("until") else {
            return Ok(None);
        };
        let invalid = || Refusal::bad(format!("invalid filter 'until=[{text}]'"));
        if let Ok(seconds) = text.parse::<u64>() {
            let since = Duration::from_secs(seconds);
            let time = SystemTime::UNIX_EPOCH.checked_add(since);
            return time.map(Some).ok_or_else(invalid);
        }
        if let Ok(time) = text.parse::<jiff::Timestamp>() {
            return SystemTime::try_from(time).map(Some).map_err(|_| invalid());
        }
        let ago = engine::parse_duration(text).ok_or_else(invalid)?;
        Ok(now.checked_sub(ago))
    }

    /// Whether of each filter one value holds; of labels all must.
    pub(super) fn all_pass(&self, holds: impl Fn(&str, &str) -> bool) -> bool {
        self.0.iter().all(|(name, values)| {
            let mut values = values.iter();
            match name.as_str() {
                "label" | "label!" => values.all(|value| holds(name, value)),
                _ => values.len() == 0 || values.any(|value| holds(name, value)),
            }
        })
    }

    /// The values of a filter.
    pub(super) fn values(&self, name: &str) -> &[String] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// Whether `labels` are what prunes ask for: all of `label`, none of `label!`.
    pub(super) fn takes_labels(&self, labels: &BTreeMap<String, String>) -> bool {
        let has = |wanted: &String| has_label(labels, wanted);
        self.values("label").iter().all(has) && !self.values("label!").iter().any(has)
    }

    /// Yes or no; none if it was not asked for.
    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Refusal> {
        match self.values(name) {
            [] => Ok(None),
            [value] if matches!(value.as_str(), "1" | "true") => Ok(Some(true)),
            [value] if matches!(value.as_str(), "0" | "false") => Ok(Some(false)),
            values => Err(Refusal::bad(format!("invalid filter '{name}={values:?}'"))),
        }
    }
}

/// Whether there is a label `key`, or `key=value`.
pub(super) fn has_label(labels: &BTreeMap<String, String>, wanted: &str) -> bool {
    match wanted.split_once('=') {
        Some((key, value)) => labels.get(key).is_some_and(|known| known == value),
        None => labels.contains_key(wanted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_of_each_must_hold() {
        let text =
            "filters=%7B%22name%22%3A%5B%22a%22%2C%22b%22%5D%2C%22id%22%3A%7B%22x%22%3Atrue%7D%7D";
        let filters = Filters::parse(&mut Query::parse(Some(text)), &["name", "id"]).unwrap();
        assert!(filters.all_pass(|name, value| (name, value) == ("name", "b") || name == "id"));
        assert!(!filters.all_pass(|name, _| name == "id"));
        assert!(Filters::parse(&mut Query::parse(Some(text)), &["name"]).is_err());
    }

    #[test]
    fn a_time_that_no_clock_shows_is_refused() {
        let until = |text: &str| {
            let query = format!("filters=%7B%22until%22%3A%5B%22{text}%22%5D%7D");
            let mut query = Query::parse(Some(&query));
            let filters = Filters::parse(&mut query, &["until"]).unwrap();
            filters.until(SystemTime::UNIX_EPOCH)
        };
        assert!(until("1700000000").unwrap().is_some());
        assert!(until(&u64::MAX.to_string()).is_err());
    }
}
