//! A client of the Docker Engine API: images and containers of a daemon, kiln's or Docker's own.
//!
//! Each request has a connection of its own, which ends with it, so nothing has to be kept between
//! them and any thread may ask. Answers that are documents are bounded; archives and what
//! containers write go straight to whoever asked.

mod attach;
mod bodies;
mod containers;
mod images;

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::task::JoinSet;
use zeroize::Zeroizing;

use crate::address::{Address, Speech};
use crate::connection::ConnectError;

pub use attach::Attached;
pub use containers::{Ended, Waiting};
pub use images::PruneAnswer;

/// Bytes of an answer that is one document.
const MAX_DOCUMENT: usize = 64 << 20;
/// Bytes of an answer that says why there is none.
const MAX_REFUSAL: usize = 64 << 10;
/// What of a name stands in a path as it is.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b':')
    .remove(b'@')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

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
}

/// Credentials that a request goes with, for the registry that it is about.
#[derive(Default)]
pub enum RegistryLogin {
    /// None.
    #[default]
    Anonymous,
    /// A user.
    Basic {
        /// The name.
        username: String,
        /// The password.
        password: Zeroizing<String>,
    },
    /// A token that stands for a user.
    IdentityToken(Zeroizing<String>),
    /// A token that the registry itself takes.
    RegistryToken(Zeroizing<String>),
}

/// A daemon that answers Docker's API.
#[derive(Debug, Clone)]
pub struct Docker {
    address: Address,
}

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// A request on its way.
struct Asked {
    method: Method,
    path: String,
    parameters: Vec<(String, String)>,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Body,
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

    /// Where it is.
    #[must_use]
    pub const fn address(&self) -> &Address {
        &self.address
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
        let text = self.text(answer, MAX_DOCUMENT).await?;
        serde_json::from_str(&text).map_err(|error| self.strange(error))
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

    fn strange(&self, reason: impl std::fmt::Display) -> DockerError {
        DockerError::Strange {
            address: self.address.clone(),
            reason: reason.to_string(),
        }
    }
}

impl DockerError {
    /// There is no such thing.
    #[must_use]
    pub const fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }
}

impl Asked {
    fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            parameters: Vec::new(),
            headers: Vec::new(),
            body: body(Bytes::new()),
        }
    }

    /// About the thing called `name`, of which `what` is asked.
    fn about(method: Method, kind: &str, name: &str, what: &str) -> Self {
        let name = utf8_percent_encode(name, PATH);
        let slash = if what.is_empty() { "" } else { "/" };
        Self::new(method, format!("/{kind}/{name}{slash}{what}"))
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.parameters.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a parameter that is left out when there is nothing to say.
    fn maybe(self, name: &str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    fn when(self, name: &str, is_on: bool) -> Self {
        self.maybe(name, is_on.then_some("1"))
    }

    fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    fn json(mut self, document: &impl Serialize) -> Self {
        // Texts, numbers and maps with text keys are always written.
        self.body = body(serde_json::to_vec(document).unwrap_or_default());
        self.header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
    }

    /// With credentials. Docker expects a document also where there are none.
    fn login(self, login: &RegistryLogin) -> Self {
        let document = match login {
            RegistryLogin::Anonymous => json!({}),
            RegistryLogin::Basic { username, password } => {
                json!({"username": username, "password": password.as_str()})
            }
            RegistryLogin::IdentityToken(token) => json!({"identitytoken": token.as_str()}),
            RegistryLogin::RegistryToken(token) => json!({"registrytoken": token.as_str()}),
        };
        let text = Zeroizing::new(document.to_string());
        let text = Zeroizing::new(URL_SAFE.encode(text.as_bytes()));
        match HeaderValue::from_str(&text) {
            Ok(mut value) => {
                value.set_sensitive(true);
                self.header(HeaderName::from_static("x-registry-auth"), value)
            }
            // There is nothing else in base64.
            Err(_) => self,
        }
    }

    fn request(self) -> Result<Request<Body>, hyper::http::Error> {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let query = query.extend_pairs(&self.parameters).finish();
        let mark = if query.is_empty() { "" } else { "?" };
        let mut request = Request::builder()
            .method(self.method)
            .uri(format!("{}{mark}{query}", self.path))
            .header(HOST, "docker");
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        request.body(self.body)
    }
}

impl std::fmt::Debug for RegistryLogin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RegistryLogin(…)")
    }
}

fn body(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}
