//! One request and its answer: authorization, redirects, timeouts. No second attempts.
//!
//! `Authorization` goes to the endpoint's own scheme, host and port and to nothing that it
//! redirects to.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use oci::Reference;
use reqwest::header::{self, HeaderMap};
use reqwest::{Method, Response, StatusCode, Url};

use crate::Error;
use crate::auth::{Asker, Authorization, Challenge, Scopes};
use crate::client::Client;
use crate::endpoint::{Endpoint, Scheme};
use crate::error::{Asked, At, Shown, What, check_status, read_bounded};
use crate::push::Piece;
use crate::wire::{host_of, not_a_url};

const MAX_REDIRECTS: usize = 5;

/// A request to an endpoint.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) endpoint: &'a Arc<Endpoint>,
    /// For errors.
    pub(crate) at: At,
    pub(crate) method: Method,
    pub(crate) target: Target,
    pub(crate) headers: HeaderMap,
    pub(crate) scopes: Scopes,
    pub(crate) body: Body<'a>,
}

/// What is asked.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    /// Below `/v2/`, with a query.
    Path(String),
    /// Where the registry has sent us.
    Url(Url),
}

/// What is sent along.
#[derive(Debug, Clone)]
pub(crate) enum Body<'a> {
    Empty,
    Bytes(Bytes),
    Piece(Piece<'a>),
}

/// An answer, whatever its status.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) response: Response,
    /// Where it came from.
    pub(crate) at: At,
    shown: Shown,
    stall: Duration,
}

impl<'a> Call<'a> {
    /// A request without body and headers, to read.
    pub(crate) fn new(
        endpoint: &'a Arc<Endpoint>,
        reference: &Reference,
        method: Method,
        path: &str,
    ) -> Self {
        Self {
            endpoint,
            at: endpoint.at(reference),
            method,
            target: Target::Path(format!("{}/{path}", reference.repository())),
            headers: HeaderMap::new(),
            scopes: Scopes::pull(reference),
            body: Body::Empty,
        }
    }
}

impl Answer {
    /// The response if it is a success.
    pub(crate) async fn success(self, what: What) -> Result<(Response, At), Error> {
        let asked = Asked {
            at: &self.at,
            what,
            shown: self.shown,
            stall: self.stall,
        };
        let response = check_status(asked, self.response).await?;
        Ok((response, self.at))
    }
}

impl Client {
    /// Sends `call`; answers the registry's challenge once.
    pub(crate) async fn exchange(&self, call: &Call<'_>) -> Result<Answer, Error> {
        let at = call.at.clone();
        let scheme = self.wire.scheme(call.endpoint, &at).await?;
        let asker = Asker {
            wire: &self.wire,
            endpoint: call.endpoint,
            scheme,
            at: &at,
        };
        let authorization = self.auth.before(asker, &call.scopes).await?;
        let answer = self.follow(call, scheme, authorization.as_ref()).await?;
        if answer.response.status() != StatusCode::UNAUTHORIZED || answer.shown == Shown::Url {
            return Ok(answer);
        }
        let challenge = Challenge::of(answer.response.headers(), scheme.name());
        let challenge = challenge.map_err(|refused| Error::Token {
            at: Box::new(at.clone()),
            realm: refused.realm,
            reason: refused.reason.to_owned(),
            retryable: false,
        })?;
        let Some(challenge) = challenge else {
            return Ok(answer);
        };
        let shown = self
            .auth
            .after(asker, challenge, &call.scopes, authorization.as_ref());
        match shown.await? {
            None => Ok(answer),
            Some(shown) => {
                drain(answer).await;
                self.follow(call, scheme, Some(&shown)).await
            }
        }
    }

    async fn follow(
        &self,
        call: &Call<'_>,
        scheme: Scheme,
        authorization: Option<&Authorization>,
    ) -> Result<Answer, Error> {
        let at = call.at.clone();
        let itself = call
            .endpoint
            .url(scheme, "")
            .ok_or_else(|| not_a_url(&at))?;
        let mut url = match &call.target {
            Target::Url(url) => url.clone(),
            Target::Path(path) => call
                .endpoint
                .url(scheme, path)
                .ok_or_else(|| not_a_url(&at))?,
        };
        // A place for an upload or a next page is a redirect by another name.
        if !call.endpoint.host.private_redirects {
            check_reach(&at, &itself, &url).await?;
        }
        for _ in 0..=MAX_REDIRECTS {
            let is_itself = url.origin() == itself.origin();
            let at = if is_itself {
                at.clone()
            } else {
                At {
                    host: host_of(&url),
                    reference: at.reference.clone(),
                }
            };
            let authorization = authorization.filter(|_| is_itself);
            let response = self.send(call, scheme, &at, &url, authorization).await?;
            let answer = Answer {
                shown: match authorization {
                    _ if !is_itself => Shown::Url,
                    Some(authorization) if authorization.with_credentials => Shown::Credentials,
                    _ => Shown::Nothing,
                },
                stall: self.wire.limits.stall_timeout,
                response,
                at,
            };
            if !is_redirect(&call.method, answer.response.status()) {
                return Ok(answer);
            }
            let to = redirected(&answer, &url, scheme)?;
            if !call.endpoint.host.private_redirects {
                check_reach(&answer.at, &url, &to).await?;
            }
            url = to;
            drain(answer).await;
        }
        Err(Error::Redirect {
            at: Box::new(at),
            reason: "too many in a row",
        })
    }

    async fn send(
        &self,
        call: &Call<'_>,
        scheme: Scheme,
        at: &At,
        url: &Url,
        authorization: Option<&Authorization>,
    ) -> Result<Response, Error> {
        let client = self.wire.client(call.endpoint, scheme, at, url)?;
        let mut request = client
            .request(call.method.clone(), url.clone())
            .headers(call.headers.clone());
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization.header.clone());
        }
        match &call.body {
            Body::Empty => self.wire.timed(at, request).await,
            Body::Bytes(bytes) => self.wire.timed(at, request.body(bytes.clone())).await,
            Body::Piece(piece) => piece.send(&self.wire.limits, at, request).await,
        }
    }
}

/// A request that carries something is only repeated elsewhere when the answer says so.
fn is_redirect(method: &Method, status: StatusCode) -> bool {
    let reads = matches!(*method, Method::GET | Method::HEAD);
    matches!(status.as_u16(), 307 | 308) || reads && matches!(status.as_u16(), 301..=303)
}

fn redirected(answer: &Answer, from: &Url, scheme: Scheme) -> Result<Url, Error> {
    let refuse = |reason| Error::Redirect {
        at: Box::new(answer.at.clone()),
        reason,
    };
    let location = answer.response.headers().get(header::LOCATION);
    let location = location
        .and_then(|value| value.to_str().ok())
        .ok_or_else(|| refuse("it does not say where to"))?;
    let to = from
        .join(location)
        .map_err(|_| refuse("it does not lead to a URL"))?;
    match to.scheme() {
        "https" => Ok(to),
        "http" if from.scheme() == "http" || scheme == (Scheme::Https { verify: false }) => Ok(to),
        "http" => Err(refuse("it leads from HTTPS to HTTP")),
        _ => Err(refuse("it leads to neither HTTP nor HTTPS")),
    }
}

/// Refuses a redirect to where fewer can go than to where it comes from.
async fn check_reach(at: &At, from: &Url, to: &Url) -> Result<(), Error> {
    let (from, to) = (from.clone(), to.clone());
    if from.host_str() == to.host_str() {
        return Ok(());
    }
    let looked_up = tokio::task::spawn_blocking(move || crate::leads_nearer(&from, &to));
    match looked_up.await {
        Ok(false) => Ok(()),
        // A look-up that could not be made refuses too.
        Ok(true) | Err(_) => Err(Error::Redirect {
            at: Box::new(at.clone()),
            reason: "it leads to a private address (private-redirects would allow it)",
        }),
    }
}

/// Reads the rest of an answer that nobody wants, so that its connection can be used again.
async fn drain(answer: Answer) {
    // Failing only costs the connection.
    let _ = read_bounded(&answer.at, 64 << 10, answer.stall, answer.response).await;
}
