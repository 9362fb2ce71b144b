//! What a client is told at the start: hosts, mirrors, trust, proxies and limits.
//!
//! Plain values. Nothing here reads a file or the environment; the caller has done that.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::Secret;

/// How a client behaves.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// By domain as it stands in references (`docker.io`, `localhost:5000`), and by mirror.
    pub hosts: BTreeMap<String, HostConfig>,
    /// Sent as `User-Agent`; `kiln` when empty.
    pub user_agent: String,
    /// Time, size and concurrency limits.
    pub limits: Limits,
    /// Proxies for what is not on loopback.
    pub proxy: Proxy,
}

/// How one host is spoken to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostConfig {
    /// Tried in order before the host itself when pulling: `host[:port][/path]`, with
    /// `http://` or `https://` in front if wanted.
    pub mirrors: Vec<String>,
    /// Speak plain HTTP. Together with `insecure`: only when HTTPS does not work.
    pub http: bool,
    /// Accept any certificate.
    pub insecure: bool,
    /// Follow redirects to addresses that fewer reach than the host itself.
    pub private_redirects: bool,
    /// Certificates of authorities (PEM) that are trusted beside the system's.
    pub authorities: Vec<Vec<u8>>,
    /// A client certificate and its key (PEM, one after the other).
    pub identity: Option<Secret>,
}

/// Proxies by scheme, as `http_proxy`, `https_proxy` and `no_proxy` give them.
#[derive(Clone, Default)]
pub struct Proxy {
    /// For plain HTTP.
    pub http: Option<String>,
    /// For HTTPS.
    pub https: Option<String>,
    /// Hosts that are reached directly, separated by commas.
    pub except: Option<String>,
}

/// Time, size and concurrency limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Blobs that are pulled from one host at a time.
    pub pulls: usize,
    /// Blobs that are pushed to one host at a time.
    pub pushes: usize,
    /// Other requests to one host at a time.
    pub requests: usize,
    /// How often something is tried without progress before it fails.
    pub attempts: u32,
    /// The wait before the second attempt; doubled for each further one.
    pub backoff: Duration,
    /// The longest wait that backing off leads to.
    pub backoff_max: Duration,
    /// The longest `Retry-After` that is obeyed; a longer one is an error at once.
    pub retry_after_max: Duration,
    /// For a connection and its TLS handshake.
    pub connect_timeout: Duration,
    /// Without any byte in either direction.
    pub stall_timeout: Duration,
    /// For the answer to an upload whose last byte was sent: the registry may still copy it.
    pub commit_timeout: Duration,
    /// Larger blobs are sent in chunks from the start.
    pub upload_whole_max: u64,
    /// How much one request carries to a registry that refuses whole uploads.
    pub upload_chunk: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            pulls: 6,
            pushes: 4,
            requests: 8,
            attempts: 5,
            backoff: Duration::from_millis(200),
            backoff_max: Duration::from_secs(10),
            retry_after_max: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(15),
            stall_timeout: Duration::from_secs(60),
            commit_timeout: Duration::from_secs(600),
            upload_whole_max: u64::MAX,
            upload_chunk: 16 << 20,
        }
    }
}

/// Why a [`Config`] is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A mirror is not `[scheme://]host[:port][/path]`.
    #[error("invalid mirror {mirror:?} of {host}: expected [http://|https://]host[:port][/path]")]
    Mirror {
        /// Whose mirror.
        host: String,
        /// The text.
        mirror: String,
    },
    /// A limit of zero would never let anything through.
    #[error("limit {0} must not be zero")]
    ZeroLimit(&'static str),
}

impl Config {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let limits = &self.limits;
        for (name, is_zero) in [
            ("pulls", limits.pulls == 0),
            ("pushes", limits.pushes == 0),
            ("requests", limits.requests == 0),
            ("attempts", limits.attempts == 0),
            ("upload_chunk", limits.upload_chunk == 0),
        ] {
            if is_zero {
                return Err(ConfigError::ZeroLimit(name));
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Proxy {
    /// Proxy URLs carry passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("http", &self.http.is_some())
            .field("https", &self.https.is_some())
            .field("except", &self.except)
            .finish()
    }
}
