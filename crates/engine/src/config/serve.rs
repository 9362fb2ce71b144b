//! `[serve]` of `kiln.toml`: how the daemon is reached, and what it lets clients do. Values only;
//! nothing here listens.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

/// How the daemon is reached, and what it lets clients do.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ServeConfig {
    /// Where it listens: `unix://PATH`, `tcp://ADDRESS:PORT`, `fd://`; the usual socket when none.
    pub hosts: Vec<String>,
    /// The group of its sockets, by name or number.
    pub group: Option<String>,
    /// The user of its sockets, by number.
    pub user: Option<u32>,
    /// How both sides of a TCP connection show who they are. There is no TCP without.
    pub tls: Option<TlsConfig>,
    /// Where whoever asks is told how the daemon is: `ADDRESS:PORT`.
    pub metrics: Option<String>,
    /// How the log looks.
    pub log_format: LogFormat,
    /// What is in the log.
    pub log_level: LogLevel,
    /// How long what runs may go on after the daemon was told to stop.
    #[serde(deserialize_with = "super::gc::interval")]
    pub stop_timeout: Duration,
    /// What builds of clients may be allowed that steps are not by themselves.
    pub entitlements: Vec<Entitlement>,
}

/// The files by which both sides of a TCP connection show who they are, PEM.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TlsConfig {
    /// Who may sign certificates of clients.
    pub ca: PathBuf,
    /// The daemon's certificate, and those between it and its authority.
    pub certificate: PathBuf,
    /// The daemon's key.
    pub key: PathBuf,
}

/// How the log looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// `time=… level=… msg=…`
    #[default]
    Text,
    /// An object in each line.
    Json,
}

/// What is in the log: this, and what matters more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogLevel {
    /// Every request.
    Debug,
    /// Builds, and what happens to the daemon.
    #[default]
    Info,
    /// What is not as it should be.
    Warn,
    /// What failed.
    Error,
}

/// What a build may ask for that steps are not allowed by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Entitlement {
    /// The machine's network, by name.
    #[serde(rename = "network.host")]
    NetworkHost,
    /// All rights on the machine.
    #[serde(rename = "security.insecure")]
    SecurityInsecure,
}

impl Default for ServeConfig {
    fn default() -> Self {
        Self {
            hosts: Vec::new(),
            group: None,
            user: None,
            tls: None,
            metrics: None,
            log_format: LogFormat::default(),
            log_level: LogLevel::default(),
            stop_timeout: Duration::from_secs(10),
            entitlements: Vec::new(),
        }
    }
}

impl ServeConfig {
    /// Whether both listen on the same places in the same way.
    #[must_use]
    pub fn listens_as(&self, other: &Self) -> bool {
        let places = |config: &Self| (config.hosts.clone(), config.metrics.clone());
        let owners = |config: &Self| (config.user, config.group.clone());
        places(self) == places(other) && owners(self) == owners(other) && self.tls == other.tls
    }
}

/// A word that is none of those that there are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is none of {known}")]
pub struct UnknownName {
    /// What was given.
    pub name: String,
    /// All that there are.
    pub known: &'static str,
}

impl std::str::FromStr for LogFormat {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        named(name, "text and json")
    }
}

impl std::str::FromStr for LogLevel {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        named(name, "debug, info, warn and error")
    }
}

/// The value that has this name in `kiln.toml`.
fn named<'de, T: Deserialize<'de>>(name: &'de str, known: &'static str) -> Result<T, UnknownName> {
    use serde::de::IntoDeserializer as _;
    use serde::de::value::{Error, StrDeserializer};
    let text: StrDeserializer<'de, Error> = name.into_deserializer();
    T::deserialize(text).map_err(|_| UnknownName {
        name: name.to_owned(),
        known,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    #[test]
    fn the_whole_section() {
        let text = "[serve]\nhosts = [\"unix:///run/k.sock\", \"tcp://0.0.0.0:2376\"]\ngroup = \"docker\"\n\
             metrics = \"127.0.0.1:9323\"\nlog-format = \"json\"\nlog-level = \"warn\"\n\
             stop-timeout = \"1m\"\nentitlements = [\"network.host\", \"security.insecure\"]\n\
             [serve.tls]\nca = \"/ca.pem\"\ncertificate = \"/cert.pem\"\nkey = \"/key.pem\"\n";
        let serve = Config::parse(text).unwrap().serve;
        let expected = ServeConfig {
            hosts: vec![
                "unix:///run/k.sock".to_owned(),
                "tcp://0.0.0.0:2376".to_owned(),
            ],
            group: Some("docker".to_owned()),
            user: None,
            tls: Some(TlsConfig {
                ca: "/ca.pem".into(),
                certificate: "/cert.pem".into(),
                key: "/key.pem".into(),
            }),
            metrics: Some("127.0.0.1:9323".to_owned()),
            log_format: LogFormat::Json,
            log_level: LogLevel::Warn,
            stop_timeout: Duration::from_secs(60),
            entitlements: vec![Entitlement::NetworkHost, Entitlement::SecurityInsecure],
        };
        assert_eq!(serve, expected);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, message) in [
            ("[serve]\nhost = \"x\"\n", "unknown field `host`"),
            ("[serve.tls]\nca = \"x\"\n", "missing field `certificate`"),
            (
                "[serve]\nentitlements = [\"device\"]\n",
                "unknown variant `device`",
            ),
            ("[serve]\nlog-level = \"loud\"\n", "unknown variant `loud`"),
        ] {
            let error = Config::parse(text).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
        let error = "loud".parse::<LogLevel>().unwrap_err().to_string();
        assert_eq!(error, "\"loud\" is none of debug, info, warn and error");
        assert_eq!("json".parse(), Ok(LogFormat::Json));
    }
}
