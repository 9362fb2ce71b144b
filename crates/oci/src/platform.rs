//! Platforms: operating system, CPU architecture and variant, in Go's words, normalised as
//! containerd does (`x86_64` is `amd64`, `arm64/v8` is `arm64`, `arm` is `arm/v7`).

use std::collections::BTreeSet;
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
    /// Operating system version, written `windows(10.0.1)/amd64`; Windows only.
    #[serde(
        rename = "os.version",
        default,
        skip_serializing_if = "String::is_empty"
    )]
    pub os_version: String,
    /// What the operating system has to have; Windows only.
    #[serde(rename = "os.features", default, skip_serializing_if = "Vec::is_empty")]
    pub os_features: Vec<String>,
    /// CPU variant.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub variant: String,
}

/// Why a text is not a platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlatformError {
    /// More than three parts.
    #[error("{0:?}: invalid platform, expected os/arch or os/arch/variant")]
    Malformed(String),
    /// The first part is empty, or no name that a version may follow in parentheses.
    #[error("{text:?}: invalid platform, expected os/arch or os/arch/variant")]
    System {
        /// The part.
        part: String,
        /// All of it.
        text: String,
    },
    /// Another part is empty, or has other characters than names have.
    #[error("{text:?}: invalid platform, expected os/arch or os/arch/variant")]
    Part {
        /// The part.
        part: String,
        /// All of it.
        text: String,
    },
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
            os_features: Vec::new(),
            variant,
        }
    }

    /// An image for `self` can run where `host` is wanted: the same, or an older ARM variant. Of
    /// versions of an operating system that are said, what is before the third dot counts.
    #[must_use]
    pub fn runs_on(&self, host: &Self) -> bool {
        let (image, host) = (self.normalised(), host.normalised());
        let is_open = image.os_version.is_empty() || host.os_version.is_empty();
        image.os == host.os
            && (is_open || release(&image.os_version).eq(release(&host.os_version)))
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
            os_features: self.os_features.clone(),
            ..normal
        }
    }
}

/// A version without what changes with every update.
fn release(version: &str) -> impl Iterator<Item = &str> {
    version.split('.').take(3)
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
        f.write_str(&self.os)?;
        if !self.os_version.is_empty() || !self.os_features.is_empty() {
            write!(f, "({}", self.os_version)?;
            let features: BTreeSet<&String> = self.os_features.iter().collect();
            for feature in features {
                write!(f, "+{feature}")?;
            }
            f.write_str(")")?;
        }
        write!(f, "/{}", self.architecture)?;
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
        let parts: Vec<&str> = text.splitn(4, '/').collect();
        let Some((first, others)) = parts.split_first() else {
            return Err(PlatformError::Malformed(text.to_owned()));
        };
        let system = System::parse(first).ok_or_else(|| PlatformError::System {
            part: (*first).to_owned(),
            text: text.to_owned(),
        })?;
        if let Some(part) = others.iter().find(|part| !is_name(part, "_-.")) {
            return Err(PlatformError::Part {
                part: (*part).to_owned(),
                text: text.to_owned(),
            });
        }
        let platform = match others {
            [] if *first == "local" => Self::host(),
            [] => Self::from_one(first, system.name)?,
            [architecture] => Self::new(system.name, architecture, ""),
            [architecture, variant] => Self::new(system.name, architecture, variant),
            _ => return Err(PlatformError::Malformed(text.to_owned())),
        };
        let features = system.features.into_iter().map(str::to_owned);
        Ok(Self {
            os_version: system.version.to_owned(),
            os_features: features.collect(),
            ..platform
        })
    }
}

impl Platform {
    fn from_one(part: &str, system: &str) -> Result<Self, PlatformError> {
        let host = Self::host();
        let as_architecture = Self::new(&host.os, part, "");
        if SYSTEMS.contains(&system.to_lowercase().as_str()) {
            Ok(Self::new(system, &host.architecture, ""))
        } else if ARCHITECTURES.contains(&as_architecture.architecture.as_str()) {
            Ok(as_architecture)
        } else {
            Err(PlatformError::Unknown(part.to_owned()))
        }
    }
}

/// An operating system as it is written: `name`, or `name(version+feature+feature)`.
struct System<'a> {
    name: &'a str,
    version: &'a str,
    features: Vec<&'a str>,
}

impl<'a> System<'a> {
    fn parse(part: &'a str) -> Option<Self> {
        let (name, more) = match part.split_once('(') {
            Some((name, more)) => (name, more.strip_suffix(')')?),
            None => (part, ""),
        };
        let mut more = more.split('+');
        let version = more.next().unwrap_or_default();
        let features: Vec<&str> = more.collect();
        let mut named = features
            .iter()
            .chain((!version.is_empty()).then_some(&version));
        let is_valid = is_name(name, "_-") && named.all(|one| is_name(one, "_-."));
        is_valid.then_some(Self {
            name,
            version,
            features,
        })
    }
}

/// It is not empty, and has letters, digits and these characters alone.
fn is_name(text: &str, more: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || more.contains(c);
    !text.is_empty() && text.chars().all(is_allowed)
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
            ("windows(10.0.1)/amd64", "windows(10.0.1)/amd64"),
            ("windows(10.0.1+b+a)/AMD64", "windows(10.0.1+a+b)/amd64"),
            ("windows(+a)/amd64", "windows(+a)/amd64"),
            ("windows()/amd64", "windows/amd64"),
            (
                "windows(1/amd64",
                "\"windows(1/amd64\": invalid platform, expected os/arch or os/arch/variant",
            ),
            (
                "linux/",
                "\"linux/\": invalid platform, expected os/arch or os/arch/variant",
            ),
        ] {
            let shown = match text.parse::<Platform>() {
                Ok(platform) => platform.to_string(),
                Err(error) => error.to_string(),
            };
            assert_eq!(shown, expected);
        }
    }

    #[test]
    fn where_images_run() {
        for (image, host, expected) in [
            ("linux/amd64", "linux/amd64", true),
            ("linux/arm/v6", "linux/arm/v7", true),
            ("linux/arm/v7", "linux/arm/v6", false),
            ("windows(10.0.1.2)/amd64", "windows(10.0.1.3)/amd64", true),
            ("windows(10.0.1)/amd64", "windows(10.0.2)/amd64", false),
            ("windows(10.0.1)/amd64", "windows/amd64", true),
        ] {
            let [image, host] = [image, host].map(|text| text.parse::<Platform>().unwrap());
            assert_eq!(image.runs_on(&host), expected, "{image} on {host}");
        }
    }
}
