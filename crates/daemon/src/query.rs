//! What stands in a request's address: the path behind the version, and the parameters.

use std::collections::BTreeMap;

use api::docker::{ApiVersion, NEWEST, OLDEST};
use serde::de::DeserializeOwned;

use crate::answer::Refusal;

/// The parts of a path, decoded, without the version in front.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Path(Vec<String>);

/// Parameters by name. Whoever answers a request takes what it knows; what is left was asked for
/// in vain.
#[derive(Debug, Default)]
pub(crate) struct Query(BTreeMap<String, Vec<String>>);

impl Path {
    /// # Errors
    /// The version is not spoken, or the path is not UTF-8.
    pub(crate) fn parse(path: &str) -> Result<Self, Refusal> {
        let mut parts = Vec::new();
        for part in path.trim_start_matches('/').split('/') {
            let decoded = percent_encoding::percent_decode_str(part).decode_utf8();
            let decoded = decoded.map_err(|_| Refusal::bad("the path is not UTF-8"))?;
            parts.push(decoded.into_owned());
        }
        let version = parts.first().and_then(|part| part.strip_prefix('v'));
        if let Some(version) = version.and_then(ApiVersion::parse) {
            check(version)?;
            parts.remove(0);
        }
        Ok(Self(parts))
    }

    pub(crate) fn parts(&self) -> Vec<&str> {
        self.0.iter().map(String::as_str).collect()
    }
}

fn check(version: ApiVersion) -> Result<(), Refusal> {
    if version > NEWEST {
        return Err(Refusal::bad(format!(
            "client version {version} is too new. Maximum supported API version is {NEWEST}"
        )));
    }
    if version < OLDEST {
        return Err(Refusal::bad(format!(
            "client version {version} is too old. Minimum supported API version is {OLDEST}, \
             please upgrade your client to a newer version"
        )));
    }
    Ok(())
}

impl Query {
    pub(crate) fn parse(query: Option<&str>) -> Self {
        let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            all.entry(name.into_owned())
                .or_default()
                .push(value.into_owned());
        }
        Self(all)
    }

    /// All values of a parameter.
    pub(crate) fn all(&mut self, name: &str) -> Vec<String> {
        self.0.remove(name).unwrap_or_default()
    }

    /// The value of a parameter; none when it is missing or empty.
    pub(crate) fn one(&mut self, name: &str) -> Option<String> {
        let mut values = self.all(name);
        values.truncate(1);
        values.pop().filter(|value| !value.is_empty())
    }

    /// What must be there.
    pub(crate) fn required(&mut self, name: &str) -> Result<String, Refusal> {
        let missing = || Refusal::bad(format!("missing query parameter {name:?}"));
        self.one(name).ok_or_else(missing)
    }

    /// Yes or no as Docker reads it: no when missing.
    pub(crate) fn flag(&mut self, name: &str) -> bool {
        let value = self.one(name).unwrap_or_default();
        !matches!(
            value.trim().to_ascii_lowercase().as_str(),
            "" | "0" | "no" | "false" | "none"
        )
    }

    /// A document; its default when missing.
    pub(crate) fn json<T: DeserializeOwned + Default>(&mut self, name: &str) -> Result<T, Refusal> {
        match self.one(name) {
            None => Ok(T::default()),
            Some(text) => serde_json::from_str(&text)
                .map_err(|error| Refusal::bad(format!("invalid {name}: {error}"))),
        }
    }

    /// Nothing that says something is left.
    ///
    /// # Errors
    /// A parameter is left that kiln does not have.
    pub(crate) fn end(self) -> Result<(), Refusal> {
        let says =
            |value: &String| !matches!(value.as_str(), "" | "0" | "false" | "{}" | "[]" | "null");
        let left = self.0.iter().find(|(_, values)| values.iter().any(says));
        match left {
            Some((name, _)) => Err(Refusal::not_provided(&format!("the parameter {name:?}"))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_go() {
        for path in ["/v1.43/images/json", "/images/json", "/v1.24/images/json"] {
            assert_eq!(Path::parse(path).unwrap().parts(), ["images", "json"]);
        }
        assert_eq!(
            Path::parse("/images/a%2Fb:v1/json").unwrap().parts(),
            ["images", "a/b:v1", "json"]
        );
        for path in ["/v1.23/_ping", "/v1.99/_ping"] {
            assert!(Path::parse(path).is_err(), "{path}");
        }
    }

    #[test]
    fn what_is_left_is_refused() {
        let mut query = Query::parse(Some("t=a&t=b&nocache=1&memory=0&labels=%7B%7D&squash=1"));
        assert_eq!(query.all("t"), ["a", "b"]);
        assert!(query.flag("nocache"));
        assert!(query.end().is_err());
        let query = Query::parse(Some("memory=0&labels=%7B%7D&cachefrom=null"));
        assert!(query.end().is_ok());
    }
}
