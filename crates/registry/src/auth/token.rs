//! Getting tokens from a token service (distribution's "Token Authentication Specification"
//! and "OAuth2 Token Authentication").

use std::time::{Duration, Instant};

use reqwest::header::{self, HeaderValue};
use reqwest::{Method, RequestBuilder, Response, Url};
use tokio::sync::Mutex;

use super::{Asker, Authorization, Scopes, TokenService, basic, bearer};
use crate::error::{Asked, Shown, What, check_status, read_bounded};
use crate::wire::host_of;
use crate::{Credential, Error};

/// The most that is read of an answer.
const MAX_ANSWER: u64 = 1 << 20;
/// How long a token holds when the service does not say.
const DEFAULT_LIFE: Duration = Duration::from_secs(60);
/// A token is not used when it has less than this left, or a quarter of its life.
const MARGIN: Duration = Duration::from_secs(15);
/// The longest that a token is kept, whatever it says.
const MAX_LIFE: Duration = Duration::from_secs(24 * 3600);
/// What the client calls itself to OAuth2 services.
const CLIENT_ID: &str = "kiln";

/// A token and how long it may be used.
#[derive(Debug)]
pub(super) struct Token {
    authorization: Authorization,
    use_until: Instant,
}

/// Which token is wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct TokenRequest<'a> {
    pub(super) service: &'a TokenService,
    pub(super) scopes: &'a Scopes,
    pub(super) credential: &'a Credential,
}

#[derive(serde::Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

/// The token in `slot`, or a new one when there is none, it is old, or it was `refused`.
pub(super) async fn get(
    asker: Asker<'_>,
    slot: &Mutex<Option<Token>>,
    request: TokenRequest<'_>,
    refused: Option<&Authorization>,
) -> Result<Authorization, Error> {
    let mut slot = slot.lock().await;
    if let Some(token) = &*slot {
        let is_refused = refused.is_some_and(|r| r.header == token.authorization.header);
        if !is_refused && Instant::now() < token.use_until {
            return Ok(token.authorization.clone());
        }
    }
    let token = fetch(asker, request).await?;
    let authorization = token.authorization.clone();
    *slot = Some(token);
    Ok(authorization)
}

async fn fetch(asker: Asker<'_>, request: TokenRequest<'_>) -> Result<Token, Error> {
    // The clock starts before the request: a token is never used longer than it holds.
    let start = Instant::now();
    let with_credentials = *request.credential != Credential::Anonymous;
    let response = send(asker, request, with_credentials).await?;
    let body = read_bounded(
        asker.at,
        MAX_ANSWER,
        asker.wire.limits.stall_timeout,
        response,
    )
    .await?;
    let failed = |reason: &str| failure(asker, request.service, reason.to_owned(), false);
    let answer: Answer =
        serde_json::from_slice(&body).map_err(|_| failed("the answer is not a token"))?;
    let text = [answer.token, answer.access_token]
        .into_iter()
        .flatten()
        .find(|text| !text.is_empty())
        .ok_or_else(|| failed("the answer has no token"))?;
    let life = answer.expires_in.map_or(DEFAULT_LIFE, Duration::from_secs);
    let life = life.min(MAX_LIFE);
    Ok(Token {
        authorization: bearer(&text, with_credentials)
            .ok_or_else(|| failed("the token has characters that no header carries"))?,
        use_until: start + life.saturating_sub(MARGIN.min(life / 4)),
    })
}

async fn send(
    asker: Asker<'_>,
    request: TokenRequest<'_>,
    with_credentials: bool,
) -> Result<Response, Error> {
    let realm = &request.service.realm;
    let client = asker
        .wire
        .client(asker.endpoint, asker.scheme, asker.at, realm)?;
    let scopes = request.scopes.clone();
    let scopes = match &request.service.scope {
        Some(text) => scopes.and_challenge(text),
        None => scopes,
    };
    let builder = match request.credential {
        Credential::IdentityToken(secret) => client
            .request(Method::POST, realm.clone())
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(refresh_form(request.service, &scopes, secret.expose())),
        other => {
            let get = client.request(Method::GET, query(request.service, &scopes, other));
            with_basic(get, other)
        }
    };
    let response = asker.wire.timed(asker.at, builder).await?;
    let asked = Asked {
        at: asker.at,
        what: What::Api,
        shown: if with_credentials {
            Shown::Credentials
        } else {
            Shown::Nothing
        },
        stall: asker.wire.limits.stall_timeout,
    };
    check_status(asked, response)
        .await
        .map_err(|error| match error {
            // A login that the service refuses is the user's to mend, like the registry's own.
            unauthorized @ Error::Unauthorized { .. } => unauthorized,
            other => failure(
                asker,
                request.service,
                refusal(&other),
                other.is_retryable(),
            ),
        })
}

fn with_basic(builder: RequestBuilder, credential: &Credential) -> RequestBuilder {
    let Credential::Basic { username, password } = credential else {
        return builder;
    };
    match basic(username, password.expose()) {
        Some(Authorization { header, .. }) => {
            builder.header::<_, HeaderValue>(header::AUTHORIZATION, header)
        }
        None => builder,
    }
}

fn query(service: &TokenService, scopes: &Scopes, credential: &Credential) -> Url {
    let mut url = service.realm.clone();
    let mut pairs = url.query_pairs_mut();
    if let Some(name) = &service.service {
        pairs.append_pair("service", name);
    }
    for scope in scopes.texts() {
        pairs.append_pair("scope", &scope);
    }
    if let Credential::Basic { username, .. } = credential {
        pairs.append_pair("account", username);
    }
    drop(pairs);
    url
}

fn refresh_form(service: &TokenService, scopes: &Scopes, refresh_token: &str) -> String {
    // A URL's query and a form have one encoding.
    let mut form = service.realm.clone();
    form.query_pairs_mut()
        .clear()
        .append_pair("grant_type", "refresh_token")
        .append_pair("client_id", CLIENT_ID)
        .append_pair("service", service.service.as_deref().unwrap_or_default())
        .append_pair("scope", &scopes.to_string())
        .append_pair("refresh_token", refresh_token);
    form.query().unwrap_or_default().to_owned()
}

fn refusal(error: &Error) -> String {
    let problems = error
        .problems()
        .map(ToString::to_string)
        .unwrap_or_default();
    match error.status() {
        Some(status) => format!("status {status}{problems}"),
        None => error.to_string(),
    }
}

fn failure(asker: Asker<'_>, service: &TokenService, reason: String, retryable: bool) -> Error {
    Error::Token {
        at: Box::new(asker.at.clone()),
        realm: host_of(&service.realm),
        reason,
        retryable,
    }
}
