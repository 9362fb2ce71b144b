//! The HTTP clients underneath, one for each kind of trust, made when first needed.
//!
//! Making the first HTTPS client reads the system's certificates; nothing before that does,
//! and plain HTTP never. No redirect is followed and no proxy taken from the environment here.

mod tls;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use reqwest::{ClientBuilder, Identity, NoProxy, RequestBuilder, Response, Url};

use crate::endpoint::{Endpoint, Endpoints, Scheme, Schemes};
use crate::error::{At, SetupError, read_bounded};
use crate::{Config, ConfigError, Error, HostConfig, Limits, Proxy};

pub use tls::CertificatesError;

/// What all requests of a client share, whoever makes them.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) endpoints: Endpoints,
    pub(crate) limits: Limits,
    hosts: std::collections::BTreeMap<String, HostConfig>,
    user_agent: String,
    proxy: Proxy,
    clients: Mutex<HashMap<Trust, reqwest::Client>>,
}

/// What a client believes. Hosts without settings share one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Trust {
    /// Plain HTTP: no certificates at all.
    Plain,
    /// The system's authorities.
    System,
    /// As the settings of a host say. Its client certificate is shown to itself alone, not
    /// where it redirects to.
    Host {
        domain: String,
        verify: bool,
        is_itself: bool,
    },
}

impl Wire {
    pub(crate) fn new(config: Config) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Self {
            endpoints: Endpoints::new(&config)?,
            limits: config.limits,
            hosts: config.hosts,
            user_agent: if config.user_agent.is_empty() {
                "kiln".to_owned()
            } else {
                config.user_agent
            },
            proxy: config.proxy,
            clients: Mutex::default(),
        })
    }

    /// The client for `url`, to which `endpoint` has led: itself, its token service, or where
    /// it redirects to.
    pub(crate) fn client(
        &self,
        endpoint: &Endpoint,
        scheme: Scheme,
        at: &At,
        url: &Url,
    ) -> Result<reqwest::Client, Error> {
        let trust = self.trust(endpoint, scheme, url);
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&trust) {
            return Ok(client.clone());
        }
        let client = self
            .build(&trust, &endpoint.host)
            .map_err(|source| Error::Setup {
                at: Box::new(at.clone()),
                source,
            })?;
        clients.insert(trust, client.clone());
        Ok(client)
    }

    /// The endpoint's scheme; asks it, without credentials, when it may be either.
    pub(crate) async fn scheme(&self, endpoint: &Endpoint, at: &At) -> Result<Scheme, Error> {
        let found = endpoint
            .scheme
            .get_or_try_init(|| self.find_scheme(endpoint, at));
        found.await.copied()
    }

    /// Sends, and waits for the head of the answer no longer than the stall timeout.
    pub(crate) async fn timed(&self, at: &At, request: RequestBuilder) -> Result<Response, Error> {
        let after = self.limits.stall_timeout;
        match tokio::time::timeout(after, request.send()).await {
            Ok(sent) => sent.map_err(|error| Error::transport(at.clone(), error)),
            Err(_) => Err(Error::Stalled {
                at: Box::new(at.clone()),
                after,
            }),
        }
    }

    async fn find_scheme(&self, endpoint: &Endpoint, at: &At) -> Result<Scheme, Error> {
        let unverified = Scheme::Https { verify: false };
        let (first, second) = match endpoint.schemes {
            Schemes::Known(scheme) => return Ok(scheme),
            Schemes::HttpFirst => (Scheme::Http, unverified),
            Schemes::HttpsFirst => (unverified, Scheme::Http),
        };
        let error = match self.speaks(endpoint, first, at).await {
            Ok(true) => return Ok(first),
            Ok(false) => None,
            Err(error) => Some(error),
        };
        match (self.speaks(endpoint, second, at).await, error) {
            (Ok(true), _) => Ok(second),
            // The first choice says more, unless it only said to try the second.
            (_, Some(error)) | (Err(error), None) => Err(error),
            (Ok(false), None) => Ok(first),
        }
    }

    /// Whether the host answers over `scheme` and does not say that it wants the other.
    async fn speaks(&self, endpoint: &Endpoint, scheme: Scheme, at: &At) -> Result<bool, Error> {
        let url = endpoint.url(scheme, "").ok_or_else(|| not_a_url(at))?;
        let client = self.client(endpoint, scheme, at, &url)?;
        let response = self.timed(at, client.get(url)).await?;
        if scheme != Scheme::Http || response.status() != 400 {
            return Ok(true);
        }
        let body = read_bounded(at, 1 << 16, self.limits.stall_timeout, response).await?;
        Ok(!String::from_utf8_lossy(&body)
            .to_uppercase()
            .contains("HTTPS"))
    }

    fn trust(&self, endpoint: &Endpoint, scheme: Scheme, url: &Url) -> Trust {
        if url.scheme() == "http" {
            return Trust::Plain;
        }
        let authority = host_of(url);
        let itself = endpoint.url(scheme, "");
        let is_itself = itself.is_some_and(|itself| itself.origin() == url.origin());
        let of_host = |domain: &str, verify| Trust::Host {
            domain: domain.to_owned(),
            verify,
            is_itself,
        };
        match self.hosts.get(&authority) {
            Some(host) if !is_itself => of_host(&authority, !host.insecure),
            _ => {
                let verify = scheme != Scheme::Https { verify: false };
                let host = &endpoint.host;
                if verify && host.authorities.is_empty() && host.identity.is_none() {
                    Trust::System
                } else {
                    of_host(&endpoint.domain, verify)
                }
            }
        }
    }

    fn build(&self, trust: &Trust, endpoint: &HostConfig) -> Result<reqwest::Client, SetupError> {
        let mut builder = ClientBuilder::new()
            .user_agent(&self.user_agent)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .connect_timeout(self.limits.connect_timeout)
            .tcp_nodelay(true);
        for (proxy, make) in [
            (&self.proxy.http, reqwest::Proxy::http as fn(_) -> _),
            (&self.proxy.https, reqwest::Proxy::https),
        ] {
            if let Some(url) = proxy {
                let proxy: reqwest::Proxy = make(url.as_str())?;
                builder = builder.proxy(proxy.no_proxy(self.not_proxied()));
            }
        }
        match trust {
            Trust::Plain => builder = builder.tls_certs_only([]),
            Trust::System => {}
            Trust::Host {
                domain,
                verify,
                is_itself,
            } => {
                let host = self.hosts.get(domain).unwrap_or(endpoint);
                builder = if *verify {
                    builder.tls_backend_preconfigured(tls::config(host, *is_itself)?)
                } else {
                    unverified(builder, host, *is_itself)?
                };
            }
        }
        Ok(builder.build()?)
    }

    /// Loopback is never proxied, as in Go's clients.
    fn not_proxied(&self) -> Option<NoProxy> {
        let configured = self.proxy.except.as_deref().unwrap_or_default();
        NoProxy::from_string(&format!("localhost,127.0.0.0/8,::1,{configured}"))
    }
}

/// Any certificate; the client's own is shown to the host itself.
fn unverified(
    builder: ClientBuilder,
    host: &HostConfig,
    is_itself: bool,
) -> reqwest::Result<ClientBuilder> {
    let builder = builder.tls_danger_accept_invalid_certs(true);
    match &host.identity {
        Some(identity) if is_itself => {
            Ok(builder.identity(Identity::from_pem(identity.expose().as_bytes())?))
        }
        _ => Ok(builder),
    }
}

/// `host` or `host:port`, as in references.
pub(crate) fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

pub(crate) fn not_a_url(at: &At) -> Error {
    Error::Unexpected {
        at: Box::new(at.clone()),
        found: format!("host {:?}", at.host),
        expected: "the host of a URL",
    }
}
