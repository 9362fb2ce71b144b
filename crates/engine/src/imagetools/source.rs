//! Sources of an image as people name them, and where each is looked for.

use std::collections::{BTreeMap, BTreeSet};

use oci::{Descriptor, Digest, MediaType, Platform, Reference};
use serde::Deserialize;

use super::error::{ImageToolsError, SourceError};

/// What an image is made of.
#[derive(Debug, Clone)]
pub enum Source {
    /// What a name leads to.
    Name(Reference),
    /// What has this digest, in the one repository that all else is about.
    Digest(Digest),
    /// The same, with what the new index shall say of it.
    Described(Box<Given>),
}

/// A descriptor as people write it: what it does not say is found out.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Given {
    #[serde(default)]
    schema_version: u64,
    #[serde(default)]
    media_type: String,
    digest: Digest,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    urls: Vec<String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    data: Option<String>,
    platform: Option<GivenPlatform>,
    artifact_type: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct GivenPlatform {
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    os: String,
    #[serde(default, rename = "os.version")]
    os_version: String,
    #[serde(default, rename = "os.features")]
    os_features: Vec<String>,
    #[serde(default)]
    variant: String,
}

/// A source and where it is.
#[derive(Debug)]
pub(super) struct Located {
    pub(super) from: Reference,
    pub(super) given: Option<Given>,
}

impl Source {
    /// Reads a digest, a reference or the JSON of a descriptor.
    ///
    /// # Errors
    /// The text is none of them.
    pub fn parse(text: &str) -> Result<Self, ImageToolsError> {
        let text = text.trim();
        read(text).map_err(|source| ImageToolsError::Source {
            text: text.to_owned(),
            source,
        })
    }

    fn shown(&self) -> String {
        match self {
            Self::Name(name) => name.to_string(),
            Self::Digest(digest) => digest.to_string(),
            Self::Described(given) => given.digest.to_string(),
        }
    }
}

fn read(text: &str) -> Result<Source, SourceError> {
    match text.parse::<Digest>() {
        Ok(digest) => return Ok(Source::Digest(digest)),
        Err(error) if text.starts_with("sha256") => return Err(SourceError::Digest(error)),
        Err(_) => {}
    }
    match text.parse::<Reference>() {
        Ok(name) => return Ok(Source::Name(name.with_default_tag())),
        Err(error) if !text.starts_with('{') => return Err(SourceError::Name(error)),
        Err(_) => {}
    }
    let given: Given =
        oci::from_unambiguous_json(text.as_bytes()).map_err(SourceError::Descriptor)?;
    match given.schema_version {
        0 => Ok(Source::Described(Box::new(given))),
        version => Err(SourceError::Document(version)),
    }
}

/// Where each of `sources` is. What is no name is in the repository that the names and `targets`
/// have in common.
pub(super) fn locate(
    sources: &[Source],
    targets: &[Reference],
) -> Result<Vec<Located>, ImageToolsError> {
    if sources.is_empty() {
        return Err(ImageToolsError::NoSources);
    }
    let named = sources.iter().filter_map(|source| match source {
        Source::Name(name) => Some(name),
        _ => None,
    });
    let repositories = named.chain(targets).map(Reference::without_tag);
    let repositories: BTreeSet<Reference> = repositories.collect();
    let Some(only) = repositories.first() else {
        return Err(ImageToolsError::NoRepository);
    };
    let place = |source: &Source| {
        let (digest, given) = match source {
            Source::Name(name) => {
                let from = name.clone();
                return Ok(Located { from, given: None });
            }
            Source::Digest(digest) => (*digest, None),
            Source::Described(given) => (given.digest, Some((**given).clone())),
        };
        if repositories.len() > 1 {
            return Err(ImageToolsError::SeveralRepositories(source.shown()));
        }
        let from = only.clone().with_digest(digest);
        Ok(Located { from, given })
    };
    sources.iter().map(place).collect()
}

impl Given {
    /// The descriptor `found`, as far as nothing else was given.
    pub(super) fn over(self, found: Descriptor) -> Result<Descriptor, ImageToolsError> {
        let digest = found.digest;
        if self.size != 0 && self.size != found.size {
            let (given, found) = (self.size, found.size);
            return Err(ImageToolsError::Size {
                digest,
                given,
                found,
            });
        }
        let mut merged = found;
        if !self.media_type.is_empty() {
            let given = MediaType::parse(&self.media_type);
            let kind = |of: &MediaType| (of.is_index(), of.is_manifest());
            if kind(&given) != kind(&merged.media_type) {
                return Err(ImageToolsError::Type {
                    digest,
                    given: self.media_type,
                    found: merged.media_type.to_string(),
                });
            }
            merged.media_type = given;
        }
        merged.urls = self.urls;
        merged.annotations = self.annotations;
        merged.data = self.data;
        merged.artifact_type = self.artifact_type;
        merged.platform = self.platform.map(Platform::from);
        Ok(merged)
    }
}

impl From<GivenPlatform> for Platform {
    fn from(given: GivenPlatform) -> Self {
        Self {
            architecture: given.architecture,
            os: given.os,
            os_version: given.os_version,
            os_features: given.os_features,
            variant: given.variant,
        }
    }
}
