//! `network` and `[build.cni]` of `kiln.toml`: what the default network of steps is.

use std::path::PathBuf;

use sandbox::network::cni::is_bridge;
use serde::{Deserialize, Serialize};

/// The network of steps that choose none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepNetwork {
    /// The machine's.
    #[default]
    Host,
    /// One of the step's own, connected by whichever program is installed.
    Sandbox,
    /// The same, connected by pasta.
    Pasta,
    /// The same, connected by slirp4netns.
    Slirp4netns,
    /// One of the step's own, which plugins of CNI set up.
    Cni,
}

/// Which network it is that plugins of CNI set up: that of a file, or a bridge of kiln's own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct CniConfig {
    /// The file that configures it, for one plugin or several.
    pub config: Option<PathBuf>,
    /// The name of the bridge, which is made when it is missing.
    pub bridge: Option<String>,
    /// The addresses of the bridge; `10.10.0.0/16` when none.
    pub subnet: Option<String>,
    /// The directories of the plugins; the usual ones when none.
    pub plugins: Option<Vec<PathBuf>>,
}

/// Where distributions, and those who need none, have plugins.
const PLUGINS: [&str; 3] = ["/opt/cni/bin", "/usr/lib/cni", "/usr/libexec/cni"];
/// BuildKit's.
const SUBNET: &str = "10.10.0.0/16";

impl CniConfig {
    /// The directories of the plugins.
    pub(crate) fn directories(&self) -> Vec<PathBuf> {
        let usual = || PLUGINS.map(PathBuf::from).to_vec();
        self.plugins.clone().unwrap_or_else(usual)
    }

    /// The bridge's addresses.
    pub(crate) fn subnet(&self) -> &str {
        self.subnet.as_deref().unwrap_or(SUBNET)
    }

    /// Why it is none, if it is none.
    pub(super) fn fault(&self) -> Option<&'static str> {
        match (&self.config, &self.bridge, &self.subnet) {
            (Some(_), Some(_), _) => Some("`config` and `bridge` are two networks: leave one out"),
            (_, None, Some(_)) => Some("`subnet` is that of a `bridge`, which is missing"),
            (_, Some(bridge), _) if !is_bridge(bridge) => Some(
                "`bridge` is no name that one can have: at most 15 letters, digits, `_`, `.` and `-`, \
                 a letter or digit first",
            ),
            _ => None,
        }
    }
}

impl StepNetwork {
    /// The programs that may connect it, first choice first.
    #[must_use]
    pub fn connectors(self) -> &'static [sandbox::ConnectorKind] {
        use sandbox::ConnectorKind::{Pasta, Slirp4netns};
        match self {
            Self::Host | Self::Cni => &[],
            Self::Sandbox => &sandbox::ConnectorKind::ALL,
            Self::Pasta => &[Pasta],
            Self::Slirp4netns => &[Slirp4netns],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    #[test]
    fn names() {
        let of = |text: &str| Config::parse(text).map(|config| config.build.network);
        assert_eq!(of("").unwrap(), StepNetwork::Host);
        for (name, expected) in [
            ("host", StepNetwork::Host),
            ("sandbox", StepNetwork::Sandbox),
            ("pasta", StepNetwork::Pasta),
            ("slirp4netns", StepNetwork::Slirp4netns),
            ("cni", StepNetwork::Cni),
        ] {
            let text = format!("[build]\nnetwork = \"{name}\"\n");
            assert_eq!(of(&text).unwrap(), expected);
        }
        let error = of("[build]\nnetwork = \"bridge\"\n")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("expected one of `host`, `sandbox`"),
            "{error}"
        );
    }

    #[test]
    fn networks_of_cni() {
        let of = |text: &str| Config::parse(&format!("[build.cni]\n{text}")).map(|it| it.build.cni);
        let cni = of("bridge = \"b0\"\n").unwrap();
        assert_eq!((cni.subnet(), cni.bridge.as_deref()), (SUBNET, Some("b0")));
        assert_eq!(cni.directories(), PLUGINS.map(PathBuf::from));
        let cni = of("config = \"/c.json\"\nplugins = [\"/p\"]\n").unwrap();
        assert_eq!(cni.directories(), [PathBuf::from("/p")]);
        for (text, expected) in [
            ("config = \"/c\"\nbridge = \"b\"\n", "`config` and `bridge`"),
            ("subnet = \"10.0.0.0/8\"\n", "`subnet` is that of"),
            ("bridge = \"a/b\"\n", "`bridge` is no name that"),
            ("bridge = \"a234567890123456\"\n", "at most 15 letters"),
            ("pool = 1\n", "unknown field `pool`"),
        ] {
            let error = of(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
