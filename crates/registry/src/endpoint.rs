//! Which hosts are asked for a domain, how they are spoken to, and how many requests each
//! bears at a time.
//!
//! An endpoint is made once for each mirror and registry and kept: what was learnt about it
//! (its scheme, that it is down) and its slots hold for all requests of the client.

use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use oci::Reference;
use reqwest::Url;
use tokio::sync::{OnceCell, Semaphore};

use crate::error::At;
use crate::{Config, ConfigError, Error, HostConfig, Limits};

/// How long a mirror that could not be reached is passed over.
const DOWN: Duration = Duration::from_secs(60);

/// One host that answers for a domain.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// As it is named in references and credentials: `docker.io`, `localhost:5000`.
    pub(crate) domain: String,
    /// What is connected to: `registry-1.docker.io`.
    pub(crate) authority: String,
    /// How to find its scheme.
    pub(crate) schemes: Schemes,
    /// The scheme, once it was found.
    pub(crate) scheme: OnceCell<Scheme>,
    /// Its own settings.
    pub(crate) host: HostConfig,
    /// The domain that it mirrors.
    pub(crate) mirrors: Option<String>,
    /// Slots for blobs that are pulled.
    pub(crate) pulls: Arc<Semaphore>,
    /// Slots for blobs that are pushed. Not those of pulls: a push may wait for a pull that
    /// feeds it.
    pub(crate) pushes: Arc<Semaphore>,
    /// Slots for everything else.
    pub(crate) requests: Arc<Semaphore>,
    /// Between the authority and the repository.
    prefix: String,
    down_since: Mutex<Option<Instant>>,
}

/// The scheme of an endpoint, and whether its certificate counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https { verify: bool },
}

/// What is known about the scheme before anybody was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Schemes {
    /// This one.
    Known(Scheme),
    /// Plain HTTP if it speaks it, else HTTPS with any certificate: loopback.
    HttpFirst,
    /// HTTPS with any certificate if it speaks it, else plain HTTP.
    HttpsFirst,
}

/// All endpoints of a client.
#[derive(Debug)]
pub(crate) struct Endpoints {
    hosts: std::collections::BTreeMap<String, HostConfig>,
    limits: Limits,
    known: Mutex<HashMap<String, Vec<Arc<Endpoint>>>>,
}

impl Endpoints {
    pub(crate) fn new(config: &Config) -> Result<Self, ConfigError> {
        for (host, settings) in &config.hosts {
            for mirror in &settings.mirrors {
                if Place::parse(mirror).is_none() {
                    return Err(ConfigError::Mirror {
                        host: host.clone(),
                        mirror: mirror.clone(),
                    });
                }
            }
        }
        Ok(Self {
            hosts: config.hosts.clone(),
            limits: config.limits,
            known: Mutex::default(),
        })
    }

    /// The mirrors of `domain` in order and the registry itself last. Mirrors that are down
    /// are left out.
    pub(crate) fn for_pull(&self, domain: &str) -> Vec<Arc<Endpoint>> {
        let mut all = self.of(domain);
        let itself = all.pop();
        all.retain(|mirror| !mirror.is_down());
        all.extend(itself);
        all
    }

    /// The registry itself: nothing is pushed to a mirror.
    pub(crate) fn for_push(&self, domain: &str) -> Arc<Endpoint> {
        match self.of(domain).pop() {
            Some(itself) => itself,
            None => Arc::new(self.itself(domain)),
        }
    }

    fn of(&self, domain: &str) -> Vec<Arc<Endpoint>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .entry(domain.to_owned())
            .or_insert_with(|| {
                let mirrors = self.hosts.get(domain).map_or(&[][..], |host| &host.mirrors);
                let mirrors = mirrors
                    .iter()
                    .filter_map(|mirror| self.mirror(domain, mirror));
                mirrors.chain([self.itself(domain)]).map(Arc::new).collect()
            })
            .clone()
    }

    fn itself(&self, domain: &str) -> Endpoint {
        let authority = if domain == "docker.io" {
            "registry-1.docker.io"
        } else {
            domain
        };
        self.endpoint(domain, authority, None)
    }

    fn mirror(&self, mirrored: &str, text: &str) -> Option<Endpoint> {
        let place = Place::parse(text)?;
        let mut mirror = self.endpoint(place.authority, place.authority, place.http);
        if !place.path.is_empty() {
            mirror.prefix = format!("{}/", place.path);
        }
        mirror.mirrors = Some(mirrored.to_owned());
        Some(mirror)
    }

    fn endpoint(&self, domain: &str, authority: &str, http: Option<bool>) -> Endpoint {
        let host = self.hosts.get(domain).cloned().unwrap_or_default();
        let slots = |count| Arc::new(Semaphore::new(count));
        Endpoint {
            schemes: Schemes::of(&host, authority, http),
            domain: domain.to_owned(),
            authority: authority.to_owned(),
            scheme: OnceCell::new(),
            host,
            mirrors: None,
            pulls: slots(self.limits.pulls),
            pushes: slots(self.limits.pushes),
            requests: slots(self.limits.requests),
            prefix: String::new(),
            down_since: Mutex::default(),
        }
    }
}

impl Endpoint {
    /// `/v2/…` on this endpoint; `None` only if the authority is no URL's.
    pub(crate) fn url(&self, scheme: Scheme, path: &str) -> Option<Url> {
        let (name, authority, prefix) = (scheme.name(), &self.authority, &self.prefix);
        let mut url = Url::parse(&format!("{name}://{authority}/v2/{prefix}{path}")).ok()?;
        if let Some(mirrored) = &self.mirrors {
            url.query_pairs_mut().append_pair("ns", mirrored);
        }
        Some(url)
    }

    /// Names the host and what it is asked about, for errors.
    pub(crate) fn at(&self, reference: &Reference) -> At {
        At {
            host: match &self.mirrors {
                Some(_) => self.authority.clone(),
                None => self.domain.clone(),
            },
            reference: reference.to_string(),
        }
    }

    /// A mirror that cannot be reached is passed over for a while.
    pub(crate) fn note(&self, error: &Error) {
        if self.mirrors.is_some() && matches!(error, Error::Connect { .. } | Error::Stalled { .. })
        {
            *self
                .down_since
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
    }

    fn is_down(&self) -> bool {
        self.down_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some_and(|since| since.elapsed() < DOWN)
    }
}

impl Scheme {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https { .. } => "https",
        }
    }
}

impl Schemes {
    fn of(host: &HostConfig, authority: &str, http: Option<bool>) -> Self {
        let verify = !host.insecure;
        match (http, host.http, host.insecure) {
            (Some(true), _, _) | (None, true, false) => Self::Known(Scheme::Http),
            (None, true, true) => Self::HttpsFirst,
            (Some(false), _, _) => Self::Known(Scheme::Https { verify }),
            (None, false, false) if host.authorities.is_empty() && is_loopback(authority) => {
                Self::HttpFirst
            }
            (None, false, _) => Self::Known(Scheme::Https { verify }),
        }
    }
}

/// A mirror as it is written.
struct Place<'a> {
    authority: &'a str,
    path: &'a str,
    http: Option<bool>,
}

impl<'a> Place<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (http, rest) = match text.split_once("://") {
            Some(("http", rest)) => (Some(true), rest),
            Some(("https", rest)) => (Some(false), rest),
            Some(_) => return None,
            None => (None, text),
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let path = path.trim_matches('/');
        let url = Url::parse(&format!("https://{authority}/{path}")).ok()?;
        let is_plain = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        is_plain.then_some(Self {
            authority,
            path: path.strip_prefix("v2/").unwrap_or(path),
            http,
        })
    }
}

/// Whether the host part is `localhost` or a loopback address.
pub(crate) fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => authority.split(':').next().unwrap_or(authority),
    };
    host == "localhost"
        || host
            .parse::<Ipv4Addr>()
            .is_ok_and(|address| address.is_loopback())
        || host
            .parse::<Ipv6Addr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests;
