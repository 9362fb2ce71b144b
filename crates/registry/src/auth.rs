//! Showing credentials: the challenge of each host, and tokens per host and scope set.
//!
//! A credential goes to the host that it is for and to the token service which that host
//! names, never anywhere else. A token is fetched once however many requests wait for it, and
//! again before it expires.

mod challenge;
mod scope;
mod token;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use reqwest::header::HeaderValue;
use tokio::sync::OnceCell;

use crate::endpoint::{Endpoint, Scheme};
use crate::error::At;
use crate::wire::Wire;
use crate::{Credential, Credentials, CredentialsError, Error};
pub(crate) use challenge::{Challenge, TokenService};
pub(crate) use scope::Scopes;
use token::{Token, TokenRequest};

/// What one set of credentials has led to so far.
#[derive(Debug)]
pub(crate) struct Auth {
    credentials: Arc<dyn Credentials>,
    hosts: Mutex<HashMap<String, Arc<HostAuth>>>,
}

/// What is sent with a request.
#[derive(Debug, Clone)]
pub(crate) struct Authorization {
    /// Marked as sensitive.
    pub(crate) header: HeaderValue,
    /// Whether there is an account behind it; a token for nobody has none.
    pub(crate) with_credentials: bool,
}

/// On whose behalf a request is authorized.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asker<'a> {
    pub(crate) wire: &'a Wire,
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) scheme: Scheme,
    pub(crate) at: &'a At,
}

#[derive(Debug, Default)]
struct HostAuth {
    challenge: Mutex<Option<Challenge>>,
    credential: OnceCell<Credential>,
    tokens: Mutex<HashMap<Scopes, TokenSlot>>,
}

/// Held while a token is fetched, so that the others wait for it.
type TokenSlot = Arc<tokio::sync::Mutex<Option<Token>>>;

impl Auth {
    pub(crate) fn new(credentials: Arc<dyn Credentials>) -> Self {
        Self {
            credentials,
            hosts: Mutex::default(),
        }
    }

    /// What to send before the host has asked: nothing until it asked once.
    pub(crate) async fn before(
        &self,
        asker: Asker<'_>,
        scopes: &Scopes,
    ) -> Result<Option<Authorization>, Error> {
        let host = self.host(asker.endpoint);
        let challenge = lock(&host.challenge).clone();
        match challenge {
            None => Ok(None),
            Some(challenge) => self.show(asker, &host, &challenge, scopes, None).await,
        }
    }

    /// What to send after the host refused `used` with `challenge`; `None` when there is
    /// nothing else to send.
    pub(crate) async fn after(
        &self,
        asker: Asker<'_>,
        challenge: Challenge,
        scopes: &Scopes,
        used: Option<&Authorization>,
    ) -> Result<Option<Authorization>, Error> {
        let host = self.host(asker.endpoint);
        *lock(&host.challenge) = Some(challenge.without_scope());
        let shown = self.show(asker, &host, &challenge, scopes, used).await?;
        Ok(shown.filter(|new| used.is_none_or(|used| used.header != new.header)))
    }

    async fn show(
        &self,
        asker: Asker<'_>,
        host: &HostAuth,
        challenge: &Challenge,
        scopes: &Scopes,
        refused: Option<&Authorization>,
    ) -> Result<Option<Authorization>, Error> {
        let Challenge::Bearer(service) = challenge else {
            return Ok(match self.credential(asker, host).await? {
                Credential::RegistryToken(token) => bearer(token.expose(), true),
                Credential::Basic { username, password } => basic(username, password.expose()),
                Credential::Anonymous | Credential::IdentityToken(_) => None,
            });
        };
        let slot = Arc::clone(lock(&host.tokens).entry(scopes.clone()).or_default());
        let request = TokenRequest { service, scopes };
        let new = self.token(asker, host, request);
        token::get(&slot, new, refused).await.map(Some)
    }

    /// A new token; only who gives none is asked for credentials.
    async fn token(
        &self,
        asker: Asker<'_>,
        host: &HostAuth,
        request: TokenRequest<'_>,
    ) -> Result<Token, Error> {
        if let Some(given) = token::given(asker, &*self.credentials, request).await? {
            return Ok(given);
        }
        match self.credential(asker, host).await? {
            Credential::RegistryToken(secret) => token::of_registry(asker, request, secret),
            credential => token::fetch(asker, request, credential).await,
        }
    }

    async fn credential<'a>(
        &self,
        asker: Asker<'_>,
        host: &'a HostAuth,
    ) -> Result<&'a Credential, Error> {
        let lookup = || self.credentials.lookup(&asker.endpoint.domain);
        host.credential
            .get_or_try_init(lookup)
            .await
            .map_err(|source| no_credentials(asker, source))
    }

    fn host(&self, endpoint: &Endpoint) -> Arc<HostAuth> {
        let mut hosts = lock(&self.hosts);
        Arc::clone(hosts.entry(endpoint.authority.clone()).or_default())
    }
}

impl Challenge {
    /// What holds for other repositories too.
    fn without_scope(&self) -> Self {
        match self {
            Self::Basic => Self::Basic,
            Self::Bearer(service) => Self::Bearer(TokenService {
                scope: None,
                ..service.clone()
            }),
        }
    }
}

fn no_credentials(asker: Asker<'_>, source: CredentialsError) -> Error {
    Error::Credentials {
        at: Box::new(asker.at.clone()),
        source,
    }
}

/// `None` when the text has characters that no header carries.
fn bearer(token: &str, with_credentials: bool) -> Option<Authorization> {
    sensitive(format!("Bearer {token}"), with_credentials)
}

fn basic(username: &str, password: &str) -> Option<Authorization> {
    let pair = format!("{username}:{password}");
    let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
    sensitive(format!("Basic {encoded}"), true)
}

fn sensitive(text: String, with_credentials: bool) -> Option<Authorization> {
    let mut header = HeaderValue::try_from(text).ok()?;
    header.set_sensitive(true);
    Some(Authorization {
        header,
        with_credentials,
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
