//! `network` of `[build]` in `kiln.toml`: what the default network of steps is.

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
}

impl StepNetwork {
    /// The programs that may connect it, first choice first.
    #[must_use]
    pub fn connectors(self) -> &'static [sandbox::ConnectorKind] {
        use sandbox::ConnectorKind::{Pasta, Slirp4netns};
        match self {
            Self::Host => &[],
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
        ] {
            let text = format!("[build]\nnetwork = \"{name}\"\n");
            assert_eq!(of(&text).unwrap(), expected);
        }
        let error = of("[build]\nnetwork = \"cni\"\n").unwrap_err().to_string();
        assert!(
            error.contains("expected one of `host`, `sandbox`"),
            "{error}"
        );
    }
}
