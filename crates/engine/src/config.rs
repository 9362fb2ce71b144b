//! `kiln.toml`: what the machine's owner decides for all builds.
//!
//! Unknown keys are errors that name them.

mod dns;
mod gc;
mod network;
mod serve;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use crate::resources::Resources;
pub use dns::DnsConfig;
pub use gc::{GcConfig, PolicyRule, Space};
pub use network::{CniConfig, StepNetwork};
pub use serve::{Entitlement, LogFormat, LogLevel, ServeConfig, TlsConfig, UnknownName};

/// The whole file; everything may be left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// By domain, such as `docker.io` or `127.0.0.1:5000`.
    pub registry: BTreeMap<String, RegistryConfig>,
    /// How builds run.
    pub build: BuildConfig,
    /// Which devices steps may ask for.
    pub cdi: CdiConfig,
    /// What of the cache goes by itself.
    pub gc: GcConfig,
    /// What is kept of past builds.
    pub history: HistoryConfig,
    /// How much at a time, in all builds.
    pub limits: LimitsConfig,
    /// How the daemon is reached, and what it lets clients do.
    pub serve: ServeConfig,
}

/// How one registry is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct RegistryConfig {
    /// Asked before the registry itself, in order: domain, and port when it has one.
    pub mirrors: Vec<String>,
    /// Speak plain HTTP.
    pub http: bool,
    /// Do not check certificates.
    pub insecure: bool,
    /// Follow redirects to addresses that only this machine or its network reaches, although the
    /// registry is at a public one.
    pub private_redirects: bool,
    /// Files with further certificate authorities, PEM.
    pub ca: Vec<PathBuf>,
    /// The certificate that the registry is shown, PEM; `key` goes with it.
    pub certificate: Option<PathBuf>,
    /// The key of that certificate, PEM.
    pub key: Option<PathBuf>,
}

/// How builds run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct BuildConfig {
    /// Steps of one build at once; 16 for each CPU when none.
    pub jobs: Option<usize>,
    /// How steps are kept away from the machine; the best that is to be had when none.
    pub isolation: Option<Isolation>,
    /// The network of steps that choose none.
    pub network: StepNetwork,
    /// What that is if plugins of CNI set it up.
    pub cni: CniConfig,
    /// How names are found in steps and containers.
    pub dns: DnsConfig,
}

/// How steps are kept away from the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// In namespaces, with mounts of their own.
    Namespaces,
    /// By another root directory alone.
    Chroot,
}

impl Isolation {
    /// Both, with their names.
    pub const ALL: [(&'static str, Isolation); 2] = [
        ("namespaces", Isolation::Namespaces),
        ("chroot", Isolation::Chroot),
    ];
}

impl std::str::FromStr for Isolation {
    type Err = UnknownIsolation;

    fn from_str(name: &str) -> Result<Self, UnknownIsolation> {
        let known = Self::ALL.iter().find(|(known, _)| *known == name);
        known
            .map(|(_, isolation)| *isolation)
            .ok_or_else(|| UnknownIsolation(name.to_owned()))
    }
}

/// A word that names no isolation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no isolation: namespaces or chroot")]
pub struct UnknownIsolation(pub String);

impl From<Isolation> for sandbox::Isolation {
    fn from(isolation: Isolation) -> Self {
        match isolation {
            Isolation::Namespaces => Self::Namespaces,
            Isolation::Chroot => Self::Chroot,
        }
    }
}

/// Which devices steps may ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct CdiConfig {
    /// Directories of the files that register devices, later ones first choice; `/etc/cdi`,
    /// `/var/run/cdi` and `/etc/buildkit/cdi` when none.
    pub spec_dirs: Option<Vec<PathBuf>>,
}

/// How much at a time, in all builds that work on the store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct LimitsConfig {
    /// Steps that run processes at once; 16 for each CPU, and one for each 128 MiB of memory, when
    /// none. Without a limit when 0.
    pub parallel_steps: Option<u32>,
    /// No further step begins while less memory is available, unless none runs; a twentieth, and no
    /// more than 512 MiB, when none.
    pub free_memory: Option<Bytes>,
    /// Threads of one process that hash, compress and copy; one for each CPU when none.
    pub threads: Option<usize>,
    /// Members of one archive, and directories that they imply; ten millions when none.
    pub archive_entries: Option<u64>,
    /// Bytes of all files of one archive; 1 TiB when none.
    pub archive_size: Option<Bytes>,
    /// Components of one name in an archive; 512 when none.
    pub archive_depth: Option<usize>,
    /// Bytes out of each byte of a compressed archive that grows beyond 4 GiB; 10,000 when none.
    pub archive_ratio: Option<u64>,
    /// Bytes of the names of directories and hard links in one archive; 256 MiB when none.
    pub archive_names: Option<Bytes>,
    /// What each step may take, unless its build says otherwise.
    pub step: Resources,
}

impl LimitsConfig {
    /// Bounds on archives: layers, contexts, what `ADD` unpacks.
    pub(crate) fn archive(&self) -> snapshot::Limits {
        let usual = snapshot::Limits::default();
        snapshot::Limits {
            entries: self.archive_entries.unwrap_or(usual.entries),
            size: self.archive_size.map_or(usual.size, |bytes| bytes.0),
            ratio: self.archive_ratio.unwrap_or(usual.ratio),
            names: self.archive_names.map_or(usual.names, |bytes| bytes.0),
            depth: self.archive_depth.unwrap_or(usual.depth),
            name: usual.name,
        }
    }
}

/// A size such as `512MB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Bytes(pub u64);

impl TryFrom<String> for Bytes {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let size = crate::parse_size(&text);
        size.map(Self)
            .ok_or_else(|| format!("{text:?} is no size such as 512MB"))
    }
}

/// What is kept of past builds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct HistoryConfig {
    /// How many builds are kept, with their logs; none when 0.
    pub builds: u32,
    /// Older ones go when their logs take more; the latest one stays in any case.
    pub max_used_space: Bytes,
}

impl Default for HistoryConfig {
    fn default() -> Self {
        Self {
            builds: 100,
            max_used_space: Bytes(1 << 30),
        }
    }
}

/// Why `kiln.toml` is not read.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It is no TOML, or has a key or value that there is not.
    #[error("invalid configuration: {0}")]
    Toml(#[from] toml::de::Error),
    /// A value is none that its key has.
    #[error("invalid configuration: {0}")]
    Values(#[from] serde_json::Error),
    /// A certificate without its key, or a key without its certificate.
    #[error("invalid configuration: `certificate` and `key` of registry {0:?} go together")]
    HalfIdentity(String),
    /// A network of CNI that is none.
    #[error("invalid configuration: {0} in [build.cni]")]
    Cni(&'static str),
    /// A bound of the default policy beside a policy that stands in its place.
    #[error(
        "invalid configuration: `{key}` of [gc] in line {line} has no effect, since gc.policy takes the place of the default policy that it bounds: set it in a rule of gc.policy"
    )]
    Bound {
        /// Which.
        key: &'static str,
        /// Where, from 1.
        line: usize,
    },
}

impl Config {
    /// Reads the text of `kiln.toml`.
    ///
    /// # Errors
    /// The text is not TOML, or has a key that kiln does not know or that has no effect.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text)?;
        match config.gc.unused_bound() {
            Some(key) => Err(ConfigError::Bound {
                key,
                line: gc::line_of(text, key),
            }),
            None => config.checked(),
        }
    }

    /// The configuration of what would stand in `kiln.toml`, that came from elsewhere.
    ///
    /// # Errors
    /// There is a key that kiln does not know, or a value that its key does not have.
    pub fn of_values(values: serde_json::Value) -> Result<Self, ConfigError> {
        let config: Self = serde_json::from_value(values)?;
        config.checked()
    }

    fn checked(self) -> Result<Self, ConfigError> {
        if let Some(fault) = self.build.cni.fault() {
            return Err(ConfigError::Cni(fault));
        }
        let half =
            |registry: &RegistryConfig| registry.certificate.is_some() != registry.key.is_some();
        match self.registry.iter().find(|(_, registry)| half(registry)) {
            Some((domain, _)) => Err(ConfigError::HalfIdentity(domain.clone())),
            None => Ok(self),
        }
    }
}

#[cfg(test)]
mod tests;
