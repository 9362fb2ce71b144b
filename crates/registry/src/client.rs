//! The client: what is shared between requests, and trying hosts in their order.

use std::sync::Arc;

use oci::Reference;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::auth::Auth;
use crate::endpoint::Endpoint;
use crate::retry::Retry;
use crate::wire::Wire;
use crate::{Config, ConfigError, Credentials, Error};

/// Talks to registries. Cheap to make and to clone; clones share connections, tokens and
/// limits.
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) wire: Arc<Wire>,
    pub(crate) auth: Arc<Auth>,
}

impl Client {
    /// A client; nothing is connected to or read until the first request.
    ///
    /// # Errors
    /// A mirror is no host, or a limit is zero.
    pub fn new(config: Config, credentials: Arc<dyn Credentials>) -> Result<Self, ConfigError> {
        Ok(Self {
            wire: Arc::new(Wire::new(config)?),
            auth: Arc::new(Auth::new(credentials)),
        })
    }

    /// A client for somebody else over the same connections and limits; no token is shared.
    #[must_use]
    pub fn with_credentials(&self, credentials: Arc<dyn Credentials>) -> Self {
        Self {
            wire: Arc::clone(&self.wire),
            auth: Arc::new(Auth::new(credentials)),
        }
    }

    /// Asks the mirrors and then the registry until one answers; each as often as its
    /// [`Retry`] allows.
    pub(crate) async fn on_each_host<T, F>(
        &self,
        reference: &Reference,
        ask: impl Fn(Arc<Endpoint>) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let endpoints = self.wire.endpoints.for_pull(reference.domain());
        let mut errors = Vec::new();
        for (index, endpoint) in endpoints.iter().enumerate() {
            let has_alternative = index + 1 < endpoints.len();
            let retry = self.retry(has_alternative);
            match on_host(retry, || ask(Arc::clone(endpoint))).await {
                Ok(answer) => return Ok(answer),
                Err(error) => {
                    endpoint.note(&error);
                    errors.push(error);
                }
            }
        }
        Err(Error::of_hosts(errors).unwrap_or_else(|| no_host(reference)))
    }

    /// Asks the registry itself, never a mirror.
    pub(crate) async fn on_registry<T, F>(
        &self,
        reference: &Reference,
        ask: impl Fn(Arc<Endpoint>) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let endpoint = self.wire.endpoints.for_push(reference.domain());
        on_host(self.retry(false), || ask(Arc::clone(&endpoint))).await
    }

    pub(crate) fn retry(&self, has_alternative: bool) -> Retry {
        let retry = Retry::new(self.wire.limits);
        if has_alternative {
            retry.with_alternative()
        } else {
            retry
        }
    }
}

async fn on_host<T, F>(mut retry: Retry, ask: impl Fn() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    loop {
        match ask().await {
            Ok(answer) => return Ok(answer),
            Err(error) => retry.after(error).await?,
        }
    }
}

/// One of a host's slots; waits until one is free.
pub(crate) async fn slot(slots: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    // A semaphore that is never closed always gives one.
    Arc::clone(slots).acquire_owned().await.ok()
}

pub(crate) fn no_host(reference: &Reference) -> Error {
    Error::Unexpected {
        at: Box::new(crate::At {
            host: reference.domain().to_owned(),
            reference: reference.to_string(),
        }),
        found: "no host".to_owned(),
        expected: "a registry",
    }
}
