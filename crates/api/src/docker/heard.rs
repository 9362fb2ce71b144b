//! What a daemon says while something goes on, as a client reads it: one document a line.

use serde::Deserialize;

use super::{bytes, known_bytes};

/// One document of a stream. What is not said is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Heard {
    /// Text of a build, or of loading.
    pub stream: String,
    /// In words.
    pub status: String,
    /// Which part it is about.
    pub id: String,
    /// In numbers.
    #[serde(rename = "progressDetail")]
    pub detail: Amount,
    /// What programs want to know.
    pub aux: Option<Known>,
    /// Why it failed.
    #[serde(rename = "errorDetail")]
    pub failure: Option<Why>,
    /// The same for old clients.
    pub error: String,
}

/// How far a part is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Amount {
    /// Bytes that are done.
    #[serde(deserialize_with = "known_bytes")]
    current: Option<u64>,
    /// Bytes that there are.
    #[serde(deserialize_with = "known_bytes")]
    total: Option<u64>,
    /// What is counted, if not bytes.
    units: String,
}

/// What programs want to know of a push.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Known {
    /// The manifest's digest.
    pub digest: String,
    /// Its bytes.
    #[serde(deserialize_with = "bytes")]
    pub size: u64,
}

/// Why it failed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Why {
    /// In words.
    pub message: String,
}

impl Amount {
    /// Bytes that are done, and bytes that there are, where bytes are counted.
    #[must_use]
    pub fn bytes(&self) -> (Option<u64>, Option<u64>) {
        match self.units.is_empty() {
            true => (self.current, self.total),
            false => (None, None),
        }
    }
}

impl Heard {
    /// Why it failed, if it did.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        match &self.failure {
            Some(why) if !why.message.is_empty() => Some(&why.message),
            _ => Some(self.error.as_str()).filter(|error| !error.is_empty()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::Message;

    #[test]
    fn what_is_said_is_heard() {
        let heard =
            |message: Message| -> Heard { serde_json::from_slice(&message.line()).unwrap() };
        assert_eq!(heard(Message::text("Loaded\n")).stream, "Loaded\n");
        let progress = heard(Message::progress("abc", "Pushing", Some((1, Some(2)))));
        assert_eq!(
            (progress.id.as_str(), progress.status.as_str()),
            ("abc", "Pushing")
        );
        assert_eq!(progress.detail.bytes(), (Some(1), Some(2)));
        let pushed = heard(Message::pushed("1", "sha256:a", 7)).aux.unwrap();
        assert_eq!((pushed.digest.as_str(), pushed.size), ("sha256:a", 7));
        let heard_of = |text| -> Heard { serde_json::from_str(text).unwrap() };
        let unknown = heard_of(r#"{"progressDetail":{"current":5,"total":-1},"aux":{"Size":-1}}"#);
        assert_eq!(unknown.detail.bytes(), (Some(5), None));
        assert_eq!(unknown.aux.unwrap().size, 0);
        let seconds = heard_of(r#"{"progressDetail":{"current":5,"units":"s"}}"#);
        assert_eq!(seconds.detail.bytes(), (None, None));
        assert_eq!(heard(Message::error("no", None)).failure(), Some("no"));
        assert_eq!(heard(Message::status("Done")).failure(), None);
    }
}
