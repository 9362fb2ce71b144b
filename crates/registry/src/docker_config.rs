//! Docker's `config.json`: which credentials a user has, and the programs that keep them.
//!
//! [`DockerConfig`] is read from text and says where a credential is; [`DockerCredentials`]
//! fetches it, running a credential helper when the config names one.

mod helper;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;

use crate::{BoxFuture, Credential, Credentials, CredentialsError, Secret};
pub use helper::{HelperError, run_helper};

/// The key under which Docker Hub's credentials have always been kept.
pub const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";

/// The parts of `config.json` that are about credentials.
#[derive(Debug, Clone, Default)]
pub struct DockerConfig {
    auths: BTreeMap<String, Credential>,
    helpers: BTreeMap<String, String>,
    store: Option<String>,
}

/// Where the credential for a domain is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialSource {
    /// In the config itself.
    Known(Credential),
    /// The program `docker-credential-NAME` has it, under the keys given, of which the first
    /// that it knows counts.
    Helper {
        /// `NAME`.
        name: String,
        /// What it is asked for.
        servers: Vec<String>,
        /// What the config itself has, should the program know nothing.
        otherwise: Credential,
    },
}

/// Why a config is refused.
#[derive(Debug, thiserror::Error)]
pub enum DockerConfigError {
    /// Not JSON, or a field of the wrong kind.
    #[error("invalid Docker config")]
    Json(#[source] serde_json::Error),
    /// The `auth` of a host is not `base64(name:password)`.
    #[error("invalid Docker config: auth of {0:?} is not base64 of name:password")]
    Auth(String),
}

/// Credentials as a Docker config gives them.
#[derive(Debug)]
pub struct DockerCredentials {
    config: DockerConfig,
    path: Vec<PathBuf>,
    helper_timeout: Duration,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    #[serde(default)]
    auths: BTreeMap<String, Option<Entry>>,
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
    #[serde(default)]
    creds_store: String,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Entry {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
    registrytoken: String,
}

impl DockerConfig {
    /// Reads the text of a `config.json`. Fields about other things are nobody's business here.
    ///
    /// # Errors
    /// It is not JSON, or an entry is none.
    pub fn parse(text: &str) -> Result<Self, DockerConfigError> {
        let file: File = serde_json::from_str(text).map_err(DockerConfigError::Json)?;
        let mut auths = BTreeMap::new();
        for (server, entry) in file.auths {
            let credential = entry
                .unwrap_or_default()
                .credential()
                .ok_or_else(|| DockerConfigError::Auth(server.clone()))?;
            auths.insert(server, credential);
        }
        Ok(Self {
            auths,
            helpers: file.cred_helpers,
            store: Some(file.creds_store).filter(|name| !name.is_empty()),
        })
    }

    /// Where the credential for `domain` (`docker.io`, `localhost:5000`) is. A helper for the
    /// domain comes before the store for all, and that before what the config itself has.
    #[must_use]
    pub fn source(&self, domain: &str) -> CredentialSource {
        let keys = keys_of(domain);
        let of_keys = |(key, value): (&String, &String)| {
            keys.iter()
                .any(|k| host_of(key) == host_of(k))
                .then(|| value.clone())
        };
        let helper = self.helpers.iter().find_map(of_keys);
        match helper
            .or_else(|| self.store.clone())
            .filter(|name| !name.is_empty())
        {
            Some(name) => CredentialSource::Helper {
                name,
                servers: keys,
                otherwise: self.own(&keys_of(domain)),
            },
            None => CredentialSource::Known(self.own(&keys)),
        }
    }

    /// The exact key first, then any that names the same host.
    fn own(&self, keys: &[String]) -> Credential {
        let exact = keys.iter().find_map(|key| self.auths.get(key));
        let same_host = || {
            self.auths
                .iter()
                .find(|(key, _)| keys.iter().any(|k| host_of(k) == host_of(key)))
                .map(|(_, credential)| credential)
        };
        exact
            .or_else(same_host)
            .cloned()
            .unwrap_or(Credential::Anonymous)
    }
}

impl Entry {
    /// `None` when `auth` does not decode. An entry without anything marks a login that a
    /// helper keeps.
    fn credential(self) -> Option<Credential> {
        let secret = |text: String| Secret::new(text);
        if !self.registrytoken.is_empty() {
            return Some(Credential::RegistryToken(secret(self.registrytoken)));
        }
        if !self.identitytoken.is_empty() {
            return Some(Credential::IdentityToken(secret(self.identitytoken)));
        }
        let (username, password) = if self.auth.is_empty() {
            (self.username, self.password)
        } else {
            decode(&self.auth)?
        };
        Some(if username.is_empty() && password.is_empty() {
            Credential::Anonymous
        } else {
            Credential::Basic {
                username,
                password: secret(password),
            }
        })
    }
}

impl DockerCredentials {
    /// Credentials from `config`; helpers are searched for in the directories of `path`, and
    /// waited for no longer than 30 seconds: they may have to unlock a keyring.
    #[must_use]
    pub const fn new(config: DockerConfig, path: Vec<PathBuf>) -> Self {
        Self {
            config,
            path,
            helper_timeout: Duration::from_secs(30),
        }
    }

    async fn ask_helper(&self, name: &str, servers: &[String]) -> Result<Credential, HelperError> {
        for server in servers {
            let credential = run_helper(name, server, &self.path, self.helper_timeout).await?;
            if credential != Credential::Anonymous {
                return Ok(credential);
            }
        }
        Ok(Credential::Anonymous)
    }
}

impl Credentials for DockerCredentials {
    fn lookup<'a>(
        &'a self,
        domain: &'a str,
    ) -> BoxFuture<'a, Result<Credential, CredentialsError>> {
        Box::pin(async move {
            match self.config.source(domain) {
                CredentialSource::Known(credential) => Ok(credential),
                CredentialSource::Helper {
                    name,
                    servers,
                    otherwise,
                } => {
                    let asked = self.ask_helper(&name, &servers).await;
                    let found = asked.map_err(|error| CredentialsError {
                        domain: domain.to_owned(),
                        source: Box::new(error),
                    })?;
                    Ok(if found == Credential::Anonymous {
                        otherwise
                    } else {
                        found
                    })
                }
            }
        })
    }
}

/// The keys that may stand for a domain, the usual one first.
fn keys_of(domain: &str) -> Vec<String> {
    if domain == "docker.io" {
        return [DOCKER_HUB_KEY, "docker.io", "registry-1.docker.io"]
            .map(str::to_owned)
            .to_vec();
    }
    vec![domain.to_owned()]
}

/// The host of a key, which may be a URL: `https://r.test/v1/` is for `r.test`.
fn host_of(key: &str) -> &str {
    let rest = key.split_once("://").map_or(key, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

fn decode(auth: &str) -> Option<(String, String)> {
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(auth.trim())
        .ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (username, password) = text.split_once(':')?;
    // Docker itself has written trailing zero bytes.
    Some((
        username.to_owned(),
        password.trim_end_matches('\0').to_owned(),
    ))
}

#[cfg(test)]
mod tests;
