//! Whether a registry takes a user's credentials, before there is anything to pull.

use reqwest::Method;
use reqwest::header::HeaderMap;

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
                Ok(answer) => answer.success(What::Api).await.map(|_| ()),
                Err(error) => Err(error),
            };
            match asked {
                Ok(()) => return Ok(()),
                Err(error) => retry.after(error).await?,
            }
        }
    }
}
