//! Whether a registry takes a user's credentials, before there is anything to pull.

use reqwest::Method;
use reqwest::header::{DATE, HeaderMap};

use crate::auth::Scopes;
use crate::error::What;
use crate::exchange::{Body, Call, Target};
use crate::{At, Client, Error};

impl Client {
    /// Asks the registry of `domain` itself whether it takes the client's credentials. Also a
    /// way to learn whether there is a registry at all.
    ///
    /// # Errors
    /// It does not, or it cannot be asked.
    pub async fn log_in(&self, domain: &str) -> Result<(), Error> {
        self.greet(domain).await.map(drop)
    }

    /// The same; what the registry says the time is (RFC 9110, section 6.6.1), if it does.
    ///
    /// # Errors
    /// As [`Client::log_in`].
    pub async fn greet(&self, domain: &str) -> Result<Option<String>, Error> {
        let endpoint = self.wire.endpoints.for_push(domain);
        let call = Call {
            endpoint: &endpoint,
            at: At {
                host: domain.to_owned(),
                reference: domain.to_owned(),
            },
            method: Method::GET,
            target: Target::Path(String::new()),
            headers: HeaderMap::new(),
            scopes: Scopes::default(),
            body: Body::Empty,
        };
        let mut retry = self.retry(false);
        loop {
            let asked = match self.exchange(&call).await {
                Ok(answer) => answer
                    .success(What::Api)
                    .await
                    .map(|(response, _)| date(response.headers())),
                Err(error) => Err(error),
            };
            match asked {
                Ok(date) => return Ok(date),
                Err(error) => retry.after(error).await?,
            }
        }
    }
}

fn date(headers: &HeaderMap) -> Option<String> {
    Some(headers.get(DATE)?.to_str().ok()?.to_owned())
}
