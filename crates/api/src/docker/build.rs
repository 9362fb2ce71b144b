//! What builds and transfers say while they go on: JSON documents, one a line.

use serde::Serialize;

/// One document of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Message {
    /// Text of a build.
    Stream {
        /// With its line ends.
        stream: String,
    },
    /// A line of a transfer.
    Status {
        /// In words.
        status: String,
        /// Of which part, if it is about one.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<String>,
    },
    /// What programs want to know.
    Aux {
        /// The value.
        aux: Aux,
    },
    /// How far a part of a transfer is.
    Progress {
        /// In words.
        status: String,
        /// In numbers.
        #[serde(rename = "progressDetail")]
        detail: ProgressDetail,
        /// Which part.
        id: String,
    },
    /// What programs want to know of a push.
    Pushed {
        /// Nothing.
        #[serde(rename = "progressDetail")]
        detail: ProgressDetail,
        /// The value.
        aux: Pushed,
    },
    /// It failed. Nothing follows.
    Error {
        /// What failed.
        #[serde(rename = "errorDetail")]
        detail: ErrorDetail,
        /// The same in words, for old clients.
        error: String,
    },
}

/// What programs want to know of a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Aux {
    /// The image's ID.
    #[serde(rename = "ID")]
    pub id: String,
}

/// How far a part of a transfer is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ProgressDetail {
    /// Bytes that are done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<u64>,
    /// Bytes that there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}

/// What programs want to know of a push.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Pushed {
    /// The tag.
    pub tag: String,
    /// The manifest's digest.
    pub digest: String,
    /// Its bytes.
    pub size: u64,
}

/// What failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErrorDetail {
    /// The exit code of a step, if that is it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<u8>,
    /// In words.
    pub message: String,
}

impl Message {
    /// A line of a build's text.
    #[must_use]
    pub fn text(stream: impl Into<String>) -> Self {
        Self::Stream {
            stream: stream.into(),
        }
    }

    /// A line of a transfer.
    #[must_use]
    pub fn status(status: impl Into<String>) -> Self {
        Self::Status {
            status: status.into(),
            id: None,
        }
    }

    /// How far the part `id` of a transfer is: done bytes, and all of them.
    #[must_use]
    pub fn progress(id: &str, status: &str, amount: Option<(u64, Option<u64>)>) -> Self {
        Self::Progress {
            status: status.to_owned(),
            detail: ProgressDetail {
                current: amount.map(|(current, _)| current),
                total: amount.and_then(|(_, total)| total),
            },
            id: id.to_owned(),
        }
    }

    /// What programs want to know of a push.
    #[must_use]
    pub fn pushed(tag: &str, digest: &str, size: u64) -> Self {
        Self::Pushed {
            detail: ProgressDetail::default(),
            aux: Pushed {
                tag: tag.to_owned(),
                digest: digest.to_owned(),
                size,
            },
        }
    }

    /// The end of what failed.
    #[must_use]
    pub fn error(message: &str, code: Option<u8>) -> Self {
        Self::Error {
            detail: ErrorDetail {
                code,
                message: message.to_owned(),
            },
            error: message.to_owned(),
        }
    }

    /// The document and its line end.
    #[must_use]
    pub fn line(&self) -> Vec<u8> {
        // Texts, numbers and maps with text keys are always written.
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.extend_from_slice(b"\r\n");
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_dockers() {
        let aux = Aux {
            id: "sha256:1".to_owned(),
        };
        let lines = [
            Message::text("Step 1/1 : FROM scratch\n"),
            Message::status("Pulling from library/alpine"),
            Message::Aux { aux },
            Message::error("it broke", Some(2)),
        ];
        let text: Vec<u8> = lines.iter().flat_map(Message::line).collect();
        assert_eq!(
            String::from_utf8(text).unwrap(),
            "{\"stream\":\"Step 1/1 : FROM scratch\\n\"}\r\n\
             {\"status\":\"Pulling from library/alpine\"}\r\n\
             {\"aux\":{\"ID\":\"sha256:1\"}}\r\n\
             {\"errorDetail\":{\"code\":2,\"message\":\"it broke\"},\"error\":\"it broke\"}\r\n"
        );
    }
}
