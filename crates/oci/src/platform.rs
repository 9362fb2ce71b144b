//! Platforms: operating system, CPU architecture and variant, in Go's words, normalised as
//! containerd does (`x86_64` is `amd64`, `arm64/v8` is `arm64`, `arm` is `arm/v7`).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What an image runs on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// CPU architecture.
    pub architecture: String,
    /// Operating system.
    pub os: String,
    /// Operating system version; Windows only.
    #[serde(
        rename = "os.version",
        default,
        skip_serializing_if = "String::is_empty"
    )]
    pub os_version: String,
    /// CPU variant.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub variant: String,
}

/// Why a text is not a platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlatformError {
    /// More than three parts or an empty part.
    #[error("{0:?}: invalid platform, expected os/arch or os/arch/variant")]
    Malformed(String),
    /// One part that is neither a known system nor a known architecture.
    #[error("{0:?}: unknown operating system or architecture")]
    Unknown(String),
}

const SYSTEMS: &[&str] = &[
    "linux", "windows", "darwin", "freebsd", "netbsd", "openbsd", "solaris", "wasi",
];
const ARCHITECTURES: &[&str] = &[
    "386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64",
    "ppc64le", "riscv64", "s390x", "wasm",
];

impl Platform {
    /// The platform that this program runs on.
    #[must_use]
    pub fn host() -> Self {
        Self::new(std::env::consts::OS, std::env::consts::ARCH, "")
    }

    /// The normalised platform of these parts; `variant` may be empty.
    #[must_use]
    pub fn new(os: &str, architecture: &str, variant: &str) -> Self {
        let (architecture, variant) =
            normalise(&architecture.to_lowercase(), &variant.to_lowercase());
        let os = match os.to_lowercase().as_str() {
            "macos" => "darwin".to_owned(),
            other => other.to_owned(),
        };
        Self {
            architecture,
            os,
            os_version: String::new(),
            variant,
        }
    }

    /// An image for `self` can run where `host` is wanted: the same, or an older ARM variant.
    #[must_use]
    pub fn runs_on(&self, host: &Self) -> bool {
        let (image, host) = (self.normalised(), host.normalised());
        image.os == host.os
            && image.architecture == host.architecture
            && (image.variant == host.variant
                || (image.architecture == "arm" && image.variant <= host.variant)
                || (image.architecture != "arm" && image.variant.is_empty()))
    }

    /// The same platform in normalised words.
    #[must_use]
    pub fn normalised(&self) -> Self {
        let normal = Self::new(&self.os, &self.architecture, &self.variant);
        Self {
            os_version: self.os_version.clone(),
            ..normal
        }
    }
}

fn normalise(architecture: &str, variant: &str) -> (String, String) {
    let (architecture, variant) = match (architecture, variant) {
        ("x86_64" | "x86-64" | "amd64", "v1") => ("amd64", ""),
        ("x86_64" | "x86-64", variant) => ("amd64", variant),
        ("i386" | "x86", _) => ("386", ""),
        ("aarch64" | "arm64", "8" | "v8" | "") => ("arm64", ""),
        ("aarch64", variant) => ("arm64", variant),
        ("armhf", _) | ("arm", "" | "7") => ("arm", "v7"),
        ("armel", _) | ("arm", "6") => ("arm", "v6"),
        ("arm", "5") => ("arm", "v5"),
        ("arm", "8") => ("arm", "v8"),
        ("powerpc64le", variant) => ("ppc64le", variant),
        ("loongarch64", variant) => ("loong64", variant),
        other => other,
    };
    (architecture.to_owned(), variant.to_owned())
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if self.variant.is_empty() {
            Ok(())
        } else {
            write!(f, "/{}", self.variant)
        }
    }
}

impl FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, PlatformError> {
        let malformed = || PlatformError::Malformed(text.to_owned());
        let parts: Vec<&str> = text.split('/').collect();
        let plain = |part: &&str| {
            !part.is_empty()
                && part
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
        };
        if !parts.iter().all(plain) {
            return Err(malformed());
        }
        match parts.as_slice() {
            ["local"] => Ok(Self::host()),
            [one] => Self::from_one(one),
            [os, architecture] => Ok(Self::new(os, architecture, "")),
            [os, architecture, variant] => Ok(Self::new(os, architecture, variant)),
            _ => Err(malformed()),
        }
    }
}

impl Platform {
    fn from_one(part: &str) -> Result<Self, PlatformError> {
        let host = Self::host();
        let as_architecture = Self::new(&host.os, part, "");
        if SYSTEMS.contains(&part.to_lowercase().as_str()) {
            Ok(Self::new(part, &host.architecture, ""))
        } else if ARCHITECTURES.contains(&as_architecture.architecture.as_str()) {
            Ok(as_architecture)
        } else {
            Err(PlatformError::Unknown(part.to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        for (text, expected) in [
            ("linux/amd64", "linux/amd64"),
            ("linux/x86_64", "linux/amd64"),
            ("Linux/ARM64/v8", "linux/arm64"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/arm/v6", "linux/arm/v6"),
            (
                "a/b/c/d",
                "\"a/b/c/d\": invalid platform, expected os/arch or os/arch/variant",
            ),
            (
                "",
                "\"\": invalid platform, expected os/arch or os/arch/variant",
            ),
            ("nope", "\"nope\": unknown operating system or architecture"),
        ] {
            let shown = match text.parse::<Platform>() {
                Ok(platform) => platform.to_string(),
                Err(error) => error.to_string(),
            };
            assert_eq!(shown, expected);
        }
    }
}
