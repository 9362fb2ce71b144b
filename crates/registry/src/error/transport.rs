//! What the HTTP client says, without URLs, sorted into the kinds that a user can act on.

use std::error::Error as StdError;
use std::fmt;

use super::{At, Error};
use crate::CertificatesError;

/// A failure below HTTP. Shows the innermost cause, since the outer ones say nothing.
#[derive(Debug)]
pub struct TransportError(reqwest::Error);

/// Why no HTTP client can be made for a host.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The system has no certificates, or a proxy's URL is none.
    #[error("{0}")]
    Client(TransportError),
    /// The certificates in the host's settings.
    #[error(transparent)]
    Certificates(#[from] CertificatesError),
}

impl From<reqwest::Error> for SetupError {
    fn from(error: reqwest::Error) -> Self {
        Self::Client(TransportError::new(error))
    }
}

impl TransportError {
    pub(crate) fn new(error: reqwest::Error) -> Self {
        Self(error.without_url())
    }

    fn causes(&self) -> impl Iterator<Item = &(dyn StdError + 'static)> {
        std::iter::successors(Some(&self.0 as &(dyn StdError + 'static)), |&error| {
            error.source()
        })
    }

    fn says(&self, words: &str) -> bool {
        self.causes().any(|cause| cause.to_string().contains(words))
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.causes().last() {
            Some(innermost) => fmt::Display::fmt(innermost, f),
            None => fmt::Display::fmt(&self.0, f),
        }
    }
}

impl StdError for TransportError {}

impl Error {
    /// Sorts a failure of the HTTP client.
    pub(crate) fn transport(at: At, error: reqwest::Error) -> Self {
        let at = Box::new(at);
        let is_connect = error.is_connect();
        let is_builder = error.is_builder();
        let source = TransportError::new(error);
        if is_builder {
            let source = SetupError::Client(source);
            Self::Setup { at, source }
        } else if source.says("InvalidContentType") || source.says("corrupt message") {
            Self::PlainHttp { at }
        } else if source.is_tls() {
            Self::Tls { at, source }
        } else if is_connect {
            Self::Connect { at, source }
        } else {
            Self::Broken { at, source }
        }
    }
}

impl TransportError {
    /// A verdict about certificates or the protocol. A handshake that was cut off is none:
    /// it is a connection that broke, and is tried again.
    fn is_tls(&self) -> bool {
        self.says("certificate")
            || self.says("received fatal alert")
            || self.says("peer is incompatible")
    }
}
