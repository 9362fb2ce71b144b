//! SBOMs: what is in an image, found out by a scanner in an image of its own and stated as in-toto
//! statements with documents of SPDX. What a scanner is shown and where it writes is BuildKit's
//! protocol, so BuildKit's scanners scan for kiln too.

mod bundle;
mod layers;
mod scan;

use std::collections::BTreeMap;

use oci::Reference;

pub(crate) use bundle::read;
pub(crate) use layers::{forget_layers, name_layers};
pub(crate) use scan::Scanner;

/// The scanner that BuildKit runs when none is named.
const GENERATOR: &str = "docker.io/docker/buildkit-syft-scanner:stable-1";
/// What the document about the target is called.
const CORE: &str = "sbom";
/// What kind of statement scanners make.
const SPDX: &str = "https://spdx.dev/Document";

/// How an SBOM is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sbom {
    /// The image of the scanner.
    pub generator: Reference,
    /// What the scanner is told beside what to scan, by names of its own.
    pub parameters: BTreeMap<String, String>,
}

/// Why a text does not say how an SBOM is made, or there is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SbomError {
    /// A value that the attribute does not have.
    #[error("invalid value {value:?} of {name} of an SBOM: expected {expected}")]
    Value {
        /// The attribute.
        name: String,
        /// What was given.
        value: String,
        /// What it may be.
        expected: String,
    },
    /// The image says nothing of what to run.
    #[error("scanner {0} does not have cmd")]
    NoCommand(Reference),
    /// Something that the scanner wrote is no file.
    #[error("the scanner's {0} is not a regular file")]
    NoFile(String),
    /// The scanner wrote too much.
    #[error("the scanner's {name} has more than {limit} bytes")]
    TooLarge {
        /// The file.
        name: String,
        /// How much there may be.
        limit: u64,
    },
    /// What the scanner wrote is no statement.
    #[error("the scanner's {name} is no in-toto statement: {why}")]
    Statement {
        /// The file.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// It states something else.
    #[error("the scanner's {name} is of type {kind:?}: expected {SPDX}")]
    Predicate {
        /// The file.
        name: String,
        /// What kind of statement it is.
        kind: String,
    },
}

impl Sbom {
    /// What these attributes describe; none when they say that there is to be none.
    ///
    /// # Errors
    /// An attribute has no such value.
    pub fn of<'a>(
        attributes: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Option<Self>, SbomError> {
        let (mut generator, mut disabled) = (GENERATOR, false);
        let mut parameters = BTreeMap::new();
        for (name, value) in attributes {
            let invalid = |expected: &str| SbomError::Value {
                name: name.to_owned(),
                value: value.to_owned(),
                expected: expected.to_owned(),
            };
            match name {
                "type" if value == CORE => {}
                "type" => return Err(invalid(CORE)),
                "disabled" => disabled = boolean(value).ok_or_else(|| invalid("true or false"))?,
                "generator" => generator = value,
                "" => return Err(invalid("a name and its value")),
                _ => drop(parameters.insert(name.to_owned(), value.to_owned())),
            }
        }
        let parsed: Result<Reference, _> = generator.parse();
        let generator = parsed.map_err(|error| SbomError::Value {
            name: "generator".to_owned(),
            value: generator.to_owned(),
            expected: format!("an image ({error})"),
        })?;
        Ok((!disabled).then(|| Self {
            generator: generator.with_default_tag(),
            parameters,
        }))
    }

    /// The attributes that describe it.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, String)> {
        let generator = ("generator", self.generator.to_string());
        let parameters = self.parameters.iter();
        let parameters = parameters.map(|(name, value)| (name.as_str(), value.clone()));
        [generator].into_iter().chain(parameters)
    }
}

/// Yes or no as Go reads it; bare, it is yes.
fn boolean(value: &str) -> Option<bool> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> String {
        let fields = text.split(',').filter(|field| !field.is_empty());
        let fields = fields.map(|field| field.split_once('=').unwrap_or((field, "")));
        match Sbom::of(fields) {
            Ok(None) => "none".to_owned(),
            Ok(Some(sbom)) => {
                let attributes = sbom.attributes();
                let fields = attributes.map(|(name, value)| format!("{name}={value}"));
                fields.collect::<Vec<_>>().join(",")
            }
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn attributes_say_which_scanner_and_what_it_is_told() {
        for (text, expected) in [
            (
                "",
                "generator=docker.io/docker/buildkit-syft-scanner:stable-1",
            ),
            ("type=sbom,generator=a/b", "generator=docker.io/a/b:latest"),
            (
                "generator=a:1,MODE=x,B=",
                "generator=docker.io/library/a:1,B=,MODE=x",
            ),
            ("disabled=true", "none"),
            (
                "disabled=0,generator=a",
                "generator=docker.io/library/a:latest",
            ),
            (
                "type=x",
                "invalid value \"x\" of type of an SBOM: expected sbom",
            ),
            (
                "disabled=x",
                "invalid value \"x\" of disabled of an SBOM: expected true or false",
            ),
        ] {
            assert_eq!(of(text), expected, "{text}");
        }
        let error = of("generator=");
        assert!(
            error.starts_with("invalid value \"\" of generator of an SBOM"),
            "{error}"
        );
    }
}
