//! A client of the Docker Engine API: images and containers of a daemon, kiln's or Docker's own.
//!
//! Each request has a connection of its own, which ends with it, so nothing has to be kept between
//! them and any thread may ask. Answers that are documents are bounded; archives and what
//! containers write go straight to whoever asked.

mod asked;
mod attach;
mod bodies;
mod containers;
mod images;
mod rows;

use std::io;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;

use crate::address::{Address, Speech};
use crate::connection::ConnectError;

pub use asked::RegistryLogin;
use asked::{Asked, Body};
pub use attach::{Attached, Left, StreamError};
pub use containers::Waiting;
pub use images::PruneAnswer;

/// Bytes of an answer that is a list.
const MAX_LIST: usize = 32 << 20;
/// Bytes of an answer that is about one thing.
const MAX_DOCUMENT: usize = 8 << 20;
/// Bytes of an answer that says why there is none.
const MAX_REFUSAL: usize = 64 << 10;
/// Why a daemon did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum DockerError {
    /// It cannot be reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// It answers nothing that HTTP/1 has.
    #[error("{address} does not answer Docker's API: {source}")]
    NoApi {
        /// Where.
        address: Address,
        /// What happened.
        source: hyper::Error,
    },
    /// Nothing can be called so, and what it would lead to is another request.
    #[error("{0:?} is no name")]
    Name(String),
    /// It says why not.
    #[error("{message}")]
    Refused {
        /// By number.
        status: u16,
        /// In words.
        message: String,
    },
    /// It began, and says what went wrong then.
    #[error("{0}")]
    Failed(String),
    /// The answer broke off.
    #[error("the answer of {address} broke off: {source}")]
    Broken {
        /// Where.
        address: Address,
        /// What happened.
        source: hyper::Error,
    },
    /// The answer is something else than it should be.
    #[error("{address} answers with something else than Docker does: {reason}")]
    Strange {
        /// Where.
        address: Address,
        /// What is wrong.
        reason: String,
    },
    /// What came cannot be written.
    #[error("{0}")]
    Output(#[source] io::Error),
    /// What was to be sent cannot be read.
    #[error("read the archive: {0}")]
    Input(#[source] io::Error),
}

/// A daemon that answers Docker's API.
#[derive(Debug, Clone)]
pub struct Docker {
    address: Address,
}

/// An answer whose body is still to be read. The connection ends with it.
struct Answer {
    response: Response<Incoming>,
    _connection: JoinSet<()>,
}

/// What an answer says that is no success.
#[derive(Deserialize)]
struct Refusal {
    message: String,
}

impl Docker {
    /// The daemon at `address`, to which nothing is said yet.
    #[must_use]
    pub const fn new(address: Address) -> Self {
        Self { address }
    }

    /// Sends a request; the answer, if it is a success.
    async fn send(&self, asked: Asked) -> Result<Answer, DockerError> {
        let answer = self.exchange(asked).await?;
        let status = answer.response.status();
        if status.is_success() || status == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(answer);
        }
        let text = self.text(answer, MAX_REFUSAL).await?;
        let refusal: Result<Refusal, _> = serde_json::from_str(&text);
        Err(DockerError::Refused {
            status: status.as_u16(),
            message: refusal.map_or_else(|_| text.trim().to_owned(), |refusal| refusal.message),
        })
    }

    async fn exchange(&self, asked: Asked) -> Result<Answer, DockerError> {
        let no_api = |source| DockerError::NoApi {
            address: self.address.clone(),
            source,
        };
        let stream = self.address.open(Speech::Http1).await?;
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(no_api)?;
        let mut running = JoinSet::new();
        running.spawn(async move {
            // Whoever reads the answer hears how it ended.
            drop(connection.with_upgrades().await);
        });
        let request = asked.request().map_err(|error| self.strange(error))?;
        let response = sender.send_request(request).await.map_err(no_api)?;
        Ok(Answer {
            response,
            _connection: running,
        })
    }

    /// Sends a request and reads the document that answers it.
    async fn document<T: DeserializeOwned>(&self, asked: Asked) -> Result<T, DockerError> {
        let answer = self.send(asked).await?;
        let text = self.text(answer, MAX_LIST).await?;
        serde_json::from_str(&text).map_err(|error| self.strange(error))
    }

    /// Sends a request and reads the document that answers it, about one thing, as it came.
    async fn text_of(&self, asked: Asked) -> Result<String, DockerError> {
        let answer = self.send(asked).await?;
        self.text(answer, MAX_DOCUMENT).await
    }

    /// The answer's body, of at most `most` bytes.
    async fn text(&self, answer: Answer, most: usize) -> Result<String, DockerError> {
        let mut bytes = Vec::new();
        let Answer {
            response,
            _connection,
        } = answer;
        let mut body = response.into_body();
        while let Some(piece) = self.piece(&mut body).await? {
            if bytes.len() + piece.len() > most {
                return Err(self.strange(format!("a document of more than {most} bytes")));
            }
            bytes.extend_from_slice(&piece);
        }
        String::from_utf8(bytes).map_err(|error| self.strange(error))
    }

    /// The next bytes of a body; none at its end.
    async fn piece(&self, body: &mut Incoming) -> Result<Option<Bytes>, DockerError> {
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|source| DockerError::Broken {
                address: self.address.clone(),
                source,
            })?;
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    /// What an answer is that is something else than it should be.
    #[must_use]
    pub fn strange(&self, reason: impl std::fmt::Display) -> DockerError {
        DockerError::Strange {
            address: self.address.clone(),
            reason: reason.to_string(),
        }
    }
}

impl DockerError {
    /// It is not in the state for that: what is to be ended has ended.
    #[must_use]
    pub const fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused { status: 409, .. })
    }

    /// There is no such thing.
    #[must_use]
    pub const fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. } | Self::Name(_))
    }
}
