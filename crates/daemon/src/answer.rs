//! Answers: bodies, documents, and what went wrong with Docker's status codes and words.

use std::io;

use api::docker::Failure;
use bytes::Bytes;
use engine::EngineError;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use oci::Reference;
use serde::Serialize;

/// What an answer carries.
pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;
pub(crate) type Answer = Response<Body>;

/// Why a request is not answered.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    message: String,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }

    /// The request makes no sense.
    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// The request makes sense, but not to kiln.
    pub(crate) fn not_provided(what: &str) -> Self {
        let message = format!("{what} is not provided by kiln");
        Self::new(StatusCode::NOT_IMPLEMENTED, message)
    }

    /// The same with what it is about in front.
    pub(crate) fn about(self, what: &str) -> Self {
        let message = format!("{what}: {}", self.message);
        Self { message, ..self }
    }

    pub(crate) fn answer(self) -> Answer {
        let message = self.message;
        json(self.status, &Failure { message })
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<EngineError> for Refusal {
    fn from(error: EngineError) -> Self {
        let status = match &error {
            EngineError::Resolve { source, .. } if source.is_not_found() => StatusCode::NOT_FOUND,
            EngineError::NoSuchImage(_)
            | EngineError::NoSuchContainer(_)
            | EngineError::NoSuchVolume(_)
            | EngineError::NoSuchFile { .. } => StatusCode::NOT_FOUND,
            EngineError::ContainerName { .. }
            | EngineError::ContainerRuns(_)
            | EngineError::AlreadyRuns(_)
            | EngineError::NotRunning(_)
            | EngineError::VolumeInUse { .. }
            | EngineError::ImageInUse { .. } => StatusCode::CONFLICT,
            EngineError::Reference(_)
            | EngineError::NoCommand
            | EngineError::NoMountSource(_)
            | EngineError::VolumeName(_)
            | EngineError::User(_)
            | EngineError::AmbiguousId(_)
            | EngineError::Archive(_)
            | EngineError::Unsupported { .. } => StatusCode::BAD_REQUEST,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let message = match &error {
            EngineError::NoSuchImage(name) => no_such_image(name),
            error => error.chain(),
        };
        Self::new(status, message)
    }
}

/// Docker tells the name with the tag that was looked for.
fn no_such_image(name: &str) -> String {
    let by_name = name.parse::<Reference>();
    let name = by_name.map_or_else(
        |_| name.to_owned(),
        |reference| reference.with_default_tag().familiar(),
    );
    EngineError::NoSuchImage(name).to_string()
}

/// A document.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    // Texts, numbers and maps with text keys are always written.
    let mut bytes = serde_json::to_vec(value).unwrap_or_default();
    bytes.push(b'\n');
    let mut answer = plain(status, Bytes::from(bytes));
    typed(&mut answer, "application/json");
    answer
}

/// A document that was asked for and is there.
pub(crate) fn found(value: &impl Serialize) -> Answer {
    json(StatusCode::OK, value)
}

/// Nothing but a status.
pub(crate) fn empty(status: StatusCode) -> Answer {
    plain(status, Bytes::new())
}

/// Bytes.
pub(crate) fn plain(status: StatusCode, bytes: Bytes) -> Answer {
    let body = Full::new(bytes).map_err(|never| match never {});
    with(status, body.boxed_unsync())
}

/// Any body.
pub(crate) fn with(status: StatusCode, body: Body) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer
}

/// Says what the body is.
pub(crate) fn typed(answer: &mut Answer, kind: &'static str) {
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
}
