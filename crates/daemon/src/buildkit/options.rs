//! Options and attributes by name. Whoever reads them takes what it knows; what is left was asked
//! for in vain.

use std::collections::{BTreeMap, HashMap};

use tonic::Status;

/// What a client asks for, and where.
#[derive(Debug, Clone)]
pub(super) struct Options {
    all: BTreeMap<String, String>,
    whose: String,
}

impl Options {
    /// Those of `whose`, as messages call it.
    pub(super) fn new(all: HashMap<String, String>, whose: impl Into<String>) -> Self {
        Self {
            all: all.into_iter().collect(),
            whose: whose.into(),
        }
    }

    /// All that are left.
    pub(super) const fn all(&self) -> &BTreeMap<String, String> {
        &self.all
    }

    /// Whether there is such an option.
    pub(super) fn has(&self, name: &str) -> bool {
        self.all.contains_key(name)
    }

    /// The value of an option, which stays.
    pub(super) fn peek(&self, name: &str) -> Option<&str> {
        self.all.get(name).map(String::as_str)
    }

    /// The value of an option, also when it is empty.
    pub(super) fn any(&mut self, name: &str) -> Option<String> {
        self.all.remove(name)
    }

    /// The value of an option; none when it is missing or empty.
    pub(super) fn one(&mut self, name: &str) -> Option<String> {
        self.any(name).filter(|value| !value.is_empty())
    }

    /// Yes or no, as Go reads it.
    ///
    /// # Errors
    /// It is neither.
    pub(super) fn flag(&mut self, name: &str) -> Result<Option<bool>, Status> {
        let Some(value) = self.one(name) else {
            return Ok(None);
        };
        match go_bool(&value) {
            Some(flag) => Ok(Some(flag)),
            None => Err(self.invalid(name, &value, "expected true or false")),
        }
    }

    /// A value that is read from text.
    ///
    /// # Errors
    /// It is none of those.
    pub(super) fn parsed<T: std::str::FromStr>(
        &mut self,
        name: &str,
        expected: &str,
    ) -> Result<Option<T>, Status> {
        let Some(value) = self.one(name) else {
            return Ok(None);
        };
        let parsed = value.parse();
        parsed
            .map(Some)
            .map_err(|_| self.invalid(name, &value, expected))
    }

    /// The options whose names begin with `prefix`, by what follows it.
    pub(super) fn family(&mut self, prefix: &str) -> BTreeMap<String, String> {
        let mut family = BTreeMap::new();
        self.all.retain(|name, value| {
            let Some(name) = name.strip_prefix(prefix) else {
                return true;
            };
            family.insert(name.to_owned(), std::mem::take(value));
            false
        });
        family
    }

    /// A value that makes no sense.
    pub(super) fn invalid(&self, name: &str, value: &str, why: &str) -> Status {
        let whose = &self.whose;
        Status::invalid_argument(format!(
            "invalid value {value:?} of {name} of {whose}: {why}"
        ))
    }

    /// Something that makes sense, but not to kiln.
    pub(super) fn refuse(&self, name: &str, instead: &str) -> Status {
        let whose = &self.whose;
        Status::unimplemented(format!(
            "{name} of {whose} is not provided by kiln: {instead}"
        ))
    }

    /// Nothing is left.
    ///
    /// # Errors
    /// Something is that kiln does not have.
    pub(super) fn end(&self) -> Result<(), Status> {
        match self.all.keys().next() {
            Some(name) => Err(self.refuse(name, "build without it")),
            None => Ok(()),
        }
    }
}

/// Yes or no as Go reads it; none when it is neither.
pub(super) fn go_bool(value: &str) -> Option<bool> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_refused() {
        let all = [("a", "1"), ("label:x", "y"), ("label:z", ""), ("rest", "")];
        let all = all.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut options = Options::new(all.into(), "the test");
        assert_eq!(options.flag("a").unwrap(), Some(true));
        assert_eq!(options.flag("a").unwrap(), None);
        let labels = options.family("label:");
        assert_eq!(labels.keys().collect::<Vec<_>>(), ["x", "z"]);
        let refused = options.end().unwrap_err();
        assert_eq!(
            refused.message(),
            "rest of the test is not provided by kiln: build without it"
        );
        assert_eq!(options.one("rest"), None);
        assert!(options.end().is_ok());
    }
}
