//! `kiln.toml`: what the machine's owner decides for all builds.
//!
//! Unknown keys are errors that name them.

mod gc;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

pub use gc::{GcConfig, PolicyRule, Space};

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
    /// Files with further certificate authorities, PEM.
    pub ca: Vec<PathBuf>,
}

/// How builds run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct BuildConfig {
    /// Steps at once; the number of CPUs when none.
    pub jobs: Option<usize>,
}

/// Which devices steps may ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct CdiConfig {
    /// Directories of the files that register devices, later ones first choice; `/etc/cdi`,
    /// `/var/run/cdi` and `/etc/buildkit/cdi` when none.
    pub spec_dirs: Option<Vec<PathBuf>>,
}

/// What is kept of past builds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct HistoryConfig {
    /// How many builds are kept, with their logs; none when 0.
    pub builds: u32,
}

impl Default for HistoryConfig {
    fn default() -> Self {
        Self { builds: 100 }
    }
}

/// Why `kiln.toml` is not read.
#[derive(Debug, thiserror::Error)]
#[error("invalid configuration: {0}")]
pub struct ConfigError(#[from] toml::de::Error);

impl Config {
    /// Reads the text of `kiln.toml`.
    ///
    /// # Errors
    /// The text is not TOML, or has a key that kiln does not know.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        Ok(toml::from_str(text)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries() {
        let config = Config::parse(
            "[registry.\"docker.io\"]\nmirrors = [\"127.0.0.1:5000\"]\n[registry.\"127.0.0.1:5000\"]\nhttp = true\n",
        )
        .unwrap();
        assert_eq!(config.registry["docker.io"].mirrors, ["127.0.0.1:5000"]);
        assert!(config.registry["127.0.0.1:5000"].http);
        let error = Config::parse("[registry.x]\nhtpp = true\n")
            .unwrap_err()
            .to_string();
        assert!(error.contains("unknown field `htpp`"), "{error}");
    }
}
