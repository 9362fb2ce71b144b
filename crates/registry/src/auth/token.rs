//! Getting tokens from a token service (distribution's "Token Authentication Specification"
//! and "OAuth2 Token Authentication").

use std::time::{Duration, Instant};

use reqwest::header::{self, HeaderValue};
use reqwest::{Method, RequestBuilder, Response, Url};
use tokio::sync::Mutex;

use super::{Asker, Authorization, Scopes, TokenService, basic, bearer, no_credentials};
use crate::error::{Asked, Shown, What, check_status, read_bounded};
use crate::wire::host_of;
use crate::{Credential, Credentials, Error, Secret, WantedToken};

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
}

impl TokenRequest<'_> {
    /// What it is to allow, with what the registry named by itself.
    fn all_scopes(&self) -> Scopes {
        let scopes = self.scopes.clone();
        match &self.service.scope {
            Some(text) => scopes.and_challenge(text),
            None => scopes,
        }
    }
}

#[derive(serde::Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

/// The token in `slot`, or a `new` one when there is none, it is old, or it was `refused`.
pub(super) async fn get(
    slot: &Mutex<Option<Token>>,
    new: impl Future<Output = Result<Token, Error>>,
    refused: Option<&Authorization>,
) -> Result<Authorization, Error> {
    let mut slot = slot.lock().await;
    if let Some(token) = &*slot {
        let is_refused = refused.is_some_and(|r| r.header == token.authorization.header);
        if !is_refused && Instant::now() < token.use_until {
            return Ok(token.authorization.clone());
        }
    }
    let token = new.await?;
    let authorization = token.authorization.clone();
    *slot = Some(token);
    Ok(authorization)
}

/// A token that whoever has the credentials got by itself; none when it gives none.
pub(super) async fn given(
    asker: Asker<'_>,
    credentials: &dyn Credentials,
    request: TokenRequest<'_>,
) -> Result<Option<Token>, Error> {
    let start = Instant::now();
    let wanted = WantedToken {
        realm: request.service.realm.to_string(),
        service: request.service.service.clone(),
        scopes: request.all_scopes().texts().collect(),
    };
    let given = credentials.token(&asker.endpoint.domain, wanted).await;
    let given = given.map_err(|source| no_credentials(asker, source))?;
    // Whether there is an account behind it is not said.
    let token = given.map(|given| {
        let life = given.life.unwrap_or(DEFAULT_LIFE);
        token(asker, request, (given.token.expose(), true), (start, life))
    });
    token.transpose()
}

/// The user's own token, which no service was asked for.
pub(super) fn of_registry(
    asker: Asker<'_>,
    request: TokenRequest<'_>,
    secret: &Secret,
) -> Result<Token, Error> {
    let holds = (Instant::now(), MAX_LIFE);
    token(asker, request, (secret.expose(), true), holds)
}

/// A token of the service.
pub(super) async fn fetch(
    asker: Asker<'_>,
    request: TokenRequest<'_>,
    credential: &Credential,
) -> Result<Token, Error> {
    // The clock starts before the request: a token is never used longer than it holds.
    let start = Instant::now();
    let with_credentials = *credential != Credential::Anonymous;
    let response = send(asker, request, credential).await?;
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
    token(asker, request, (&text, with_credentials), (start, life))
}

/// A token, with whether there are credentials behind it, from when on it holds and how long.
fn token(
    asker: Asker<'_>,
    request: TokenRequest<'_>,
    (text, with_credentials): (&str, bool),
    (start, life): (Instant, Duration),
) -> Result<Token, Error> {
    let unusable = "the token has characters that no header carries";
    let authorization = bearer(text, with_credentials);
    let life = life.min(MAX_LIFE);
    Ok(Token {
        authorization: authorization
            .ok_or_else(|| failure(asker, request.service, unusable.to_owned(), false))?,
        use_until: start + life.saturating_sub(MARGIN.min(life / 4)),
    })
}

async fn send(
    asker: Asker<'_>,
    request: TokenRequest<'_>,
    credential: &Credential,
) -> Result<Response, Error> {
    let realm = &request.service.realm;
    let client = asker
        .wire
        .client(asker.endpoint, asker.scheme, asker.at, realm)?;
    let scopes = request.all_scopes();
    let builder = match credential {
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
        shown: match credential {
            Credential::Anonymous => Shown::Nothing,
            _ => Shown::Credentials,
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
