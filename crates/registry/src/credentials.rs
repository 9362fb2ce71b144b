//! Who the client is to a registry: the port through which callers give credentials.
//!
//! A [`Secret`] never shows in `Debug` or `Display`.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

/// What a registry or its token service is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// Nothing.
    Anonymous,
    /// A name and a password, or an access token in its place.
    Basic {
        /// The account.
        username: String,
        /// Its password.
        password: Secret,
    },
    /// An OAuth2 refresh token that the token service exchanges.
    IdentityToken(Secret),
    /// A bearer token that the registry itself accepts.
    RegistryToken(Secret),
}

/// A future that a trait object returns.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where credentials come from: a Docker config, a session with a client, a request's header.
pub trait Credentials: Send + Sync + fmt::Debug {
    /// The credential for `domain`, which is as it stands in references: `docker.io`,
    /// `localhost:5000`. [`Credential::Anonymous`] when there is none; called only when the
    /// registry asks, and at most once for each client and domain unless it fails.
    fn lookup<'a>(&'a self, domain: &'a str)
    -> BoxFuture<'a, Result<Credential, CredentialsError>>;

    /// A token for `domain`, from a source that asks the token service itself and so keeps what it
    /// knows for itself. `None` when the service is to be asked with what [`Self::lookup`] gives.
    fn token<'a>(
        &'a self,
        domain: &'a str,
        wanted: WantedToken,
    ) -> BoxFuture<'a, Result<Option<GivenToken>, CredentialsError>> {
        drop((domain, wanted));
        Box::pin(std::future::ready(Ok(None)))
    }
}

/// What a registry asks a token of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedToken {
    /// The address of its token service.
    pub realm: String,
    /// What it calls itself there.
    pub service: Option<String>,
    /// What the token is to allow.
    pub scopes: Vec<String>,
}

/// A token that somebody else got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenToken {
    /// The token.
    pub token: Secret,
    /// How long it holds, where that is known.
    pub life: Option<Duration>,
}

/// Why a credential could not be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot get credentials for {domain}")]
pub struct CredentialsError {
    /// For whom.
    pub domain: String,
    /// What the source of the credentials says.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// No credentials for anybody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Anonymous;

impl Credentials for Anonymous {
    fn lookup<'a>(
        &'a self,
        _domain: &'a str,
    ) -> BoxFuture<'a, Result<Credential, CredentialsError>> {
        Box::pin(std::future::ready(Ok(Credential::Anonymous)))
    }
}

impl Secret {
    /// Wraps `text`.
    #[must_use]
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The text itself; for the wire alone.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}
