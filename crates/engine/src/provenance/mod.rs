//! Provenance: what a build was made of and by, stated about each image that it made, as in-toto
//! statements with the predicates of SLSA that BuildKit's clients read.

mod asked;
mod capture;
mod predicate;
mod steps;

use std::collections::BTreeMap;

pub use asked::Asked;
pub(crate) use capture::{Known, Pins};

/// What a file is called that states where others came from.
const FILE_NAME: &str = "provenance.json";

/// How provenance is stated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provenance {
    /// How much of it.
    pub mode: ProvenanceMode,
    /// In which form.
    pub version: ProvenanceVersion,
    /// Who runs the builder, as a URI.
    pub builder_id: String,
    /// The builder's owner says that the build makes the same each time.
    pub reproducible: bool,
    /// Only for images, and for archives whose images have an index in any case.
    pub inline_only: bool,
    /// What it is called beside files.
    pub file_name: String,
    /// What was asked of which front end; what the request says when none.
    pub asked: Option<Asked>,
}

/// How much is stated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProvenanceMode {
    /// Nothing that may be secret: no arguments, no labels.
    Min,
    /// All that is known.
    Max,
}

/// The form of a predicate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProvenanceVersion {
    /// SLSA 0.2.
    V02,
    /// SLSA 1.
    V1,
}

/// Why a text is no description of provenance.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProvenanceError {
    /// An attribute that kiln does not have.
    #[error("kiln does not support {0} of provenance: leave it out")]
    Attribute(String),
    /// A value that the attribute does not have.
    #[error("invalid value {value:?} of {name} of provenance: expected {expected}")]
    Value {
        /// The attribute.
        name: String,
        /// What was given.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
}

impl Default for Provenance {
    fn default() -> Self {
        Self {
            mode: ProvenanceMode::Max,
            version: ProvenanceVersion::V1,
            builder_id: String::new(),
            reproducible: false,
            inline_only: false,
            file_name: FILE_NAME.to_owned(),
            asked: None,
        }
    }
}

impl Provenance {
    /// What these attributes describe; none when they say that there is to be none.
    ///
    /// # Errors
    /// An attribute is unknown, or has no such value.
    pub fn of<'a>(
        attributes: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Option<Self>, ProvenanceError> {
        let mut provenance = Self::default();
        let mut disabled = false;
        for (name, value) in attributes {
            match name {
                "disabled" => disabled = boolean(name, value)?,
                _ => provenance.set(name, value)?,
            }
        }
        Ok((!disabled).then_some(provenance))
    }

    /// The attributes that describe it, where they are not what is usual.
    #[must_use]
    pub fn attributes(&self) -> BTreeMap<&'static str, String> {
        let mut attributes = BTreeMap::from([("mode", self.mode.name().to_owned())]);
        if self.version == ProvenanceVersion::V02 {
            attributes.insert("version", "v0.2".to_owned());
        }
        if !self.builder_id.is_empty() {
            attributes.insert("builder-id", self.builder_id.clone());
        }
        if self.file_name != FILE_NAME {
            attributes.insert("filename", self.file_name.clone());
        }
        for (name, set) in [
            ("reproducible", self.reproducible),
            ("inline-only", self.inline_only),
        ] {
            if set {
                attributes.insert(name, "true".to_owned());
            }
        }
        attributes
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), ProvenanceError> {
        let invalid = |expected| ProvenanceError::Value {
            name: name.to_owned(),
            value: value.to_owned(),
            expected,
        };
        match name {
            "type" if value == "provenance" => {}
            "type" => return Err(invalid("provenance")),
            "mode" => {
                self.mode = match value {
                    "min" => ProvenanceMode::Min,
                    "max" | "full" => ProvenanceMode::Max,
                    _ => return Err(invalid("min or max")),
                }
            }
            "version" => {
                self.version = match value {
                    "v1" => ProvenanceVersion::V1,
                    "v0.2" => ProvenanceVersion::V02,
                    _ => return Err(invalid("v1 or v0.2")),
                }
            }
            "builder-id" => value.clone_into(&mut self.builder_id),
            "reproducible" => self.reproducible = boolean(name, value)?,
            "inline-only" => self.inline_only = boolean(name, value)?,
            "filename" if value.is_empty() || value.contains('/') => {
                return Err(invalid("a file name"));
            }
            "filename" => value.clone_into(&mut self.file_name),
            other => return Err(ProvenanceError::Attribute(other.to_owned())),
        }
        Ok(())
    }
}

impl ProvenanceMode {
    const fn name(self) -> &'static str {
        match self {
            Self::Min => "min",
            Self::Max => "max",
        }
    }
}

/// Yes or no as Go reads it.
fn boolean(name: &str, value: &str) -> Result<bool, ProvenanceError> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(ProvenanceError::Value {
            name: name.to_owned(),
            value: value.to_owned(),
            expected: "true or false",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Option<Provenance>, String> {
        let fields = text.split(',').filter(|field| !field.is_empty());
        let fields = fields.map(|field| field.split_once('=').unwrap_or((field, "")));
        Provenance::of(fields).map_err(|error| error.to_string())
    }

    #[test]
    fn attributes_are_honoured_or_refused() {
        assert_eq!(of("").unwrap(), Some(Provenance::default()));
        assert_eq!(of("type=provenance,disabled=true").unwrap(), None);
        let all = "mode=min,version=v0.2,builder-id=https://b,reproducible=1,inline-only=true,\
                   filename=p.json";
        let expected = Provenance {
            mode: ProvenanceMode::Min,
            version: ProvenanceVersion::V02,
            builder_id: "https://b".to_owned(),
            reproducible: true,
            inline_only: true,
            file_name: "p.json".to_owned(),
            asked: None,
        };
        let read = of(all).unwrap().unwrap();
        assert_eq!(read, expected);
        let again = read.attributes();
        let again = again.iter().map(|(name, value)| (*name, value.as_str()));
        assert_eq!(Provenance::of(again).unwrap().unwrap(), expected);
        for (text, message) in [
            (
                "type=sbom",
                "invalid value \"sbom\" of type of provenance: expected provenance",
            ),
            (
                "mode=most",
                "invalid value \"most\" of mode of provenance: expected min or max",
            ),
            (
                "filename=a/b",
                "invalid value \"a/b\" of filename of provenance: expected a file name",
            ),
            (
                "inline-only",
                "invalid value \"\" of inline-only of provenance: expected true or false",
            ),
            (
                "capture-usage=true",
                "kiln does not support capture-usage of provenance: leave it out",
            ),
        ] {
            assert_eq!(of(text).unwrap_err(), message);
        }
    }
}
