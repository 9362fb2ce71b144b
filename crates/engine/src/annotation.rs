//! What an image says of itself beside its config (image-spec, annotations.md), and where it says
//! it.
//!
//! What always holds: of two annotations in the same place with the same key the later one counts.

use std::collections::BTreeMap;

use oci::{Platform, PlatformError};

/// What exporters of BuildKit are told annotations by.
const ATTRIBUTE: &str = "annotation";

/// A text under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    /// Where it is written.
    pub place: AnnotationPlace,
    /// Usually a domain backwards, and a name.
    pub key: String,
    /// Any text.
    pub value: String,
}

/// Where an annotation is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnnotationPlace {
    /// Into manifests: all, or that of the image for this platform.
    Manifest(Option<Platform>),
    /// Where an index, or a layout, names them.
    ManifestDescriptor(Option<Platform>),
    /// Into the index.
    Index,
    /// Where a layout names it.
    IndexDescriptor,
}

/// Why something is no annotation.
#[derive(Debug, thiserror::Error)]
pub enum AnnotationError {
    /// It has no value, or no key.
    #[error("invalid annotation {0:?}, expected key=value")]
    Malformed(String),
    /// What stands before the colon says no place.
    #[error(
        "invalid annotation type {0:?}, expected type and optional platform in square brackets"
    )]
    Type(String),
    /// There is no such place.
    #[error("unknown annotation type {0:?}")]
    Unknown(String),
    /// A platform that is none.
    #[error("invalid platform")]
    Platform(#[from] PlatformError),
    /// Nothing was built for its platform.
    #[error("invalid annotation: no platform {0} found in source")]
    NoPlatform(Platform),
    /// It is for an index where there is none.
    #[error("index annotations not supported for single platform export")]
    NoIndex,
    /// Docker's media types have no words for it.
    #[error("cannot export annotations with \"oci-mediatypes=false\"")]
    DockerTypes,
}

impl Annotation {
    /// Reads `type[platform],…:key=value` as `docker buildx build --annotation` takes it: one for
    /// each type, and one for manifests if there is none.
    ///
    /// # Errors
    /// It is malformed.
    pub fn parse(text: &str) -> Result<Vec<Self>, AnnotationError> {
        let malformed = || AnnotationError::Malformed(text.to_owned());
        let (name, value) = text.split_once('=').ok_or_else(malformed)?;
        let (types, key) = name.split_once(':').unwrap_or(("manifest", name));
        if key.is_empty() {
            return Err(malformed());
        }
        let annotation = |written: &str| {
            Ok(Self {
                place: AnnotationPlace::parse(written)?,
                key: key.to_owned(),
                value: value.to_owned(),
            })
        };
        types.split(',').map(annotation).collect()
    }

    /// Reads the attribute `annotation-type[platform].key` of an exporter; none if it is another.
    ///
    /// # Errors
    /// Its type or its platform is none.
    pub fn from_attribute(name: &str, value: &str) -> Result<Option<Self>, AnnotationError> {
        let Some((written, key)) = name
            .strip_prefix(ATTRIBUTE)
            .and_then(|rest| rest.split_once('.'))
        else {
            return Ok(None);
        };
        let written = match written.strip_prefix('-') {
            Some(written) => written.to_owned(),
            None if written.is_empty() || written.starts_with('[') => format!("manifest{written}"),
            None => return Ok(None),
        };
        if key.is_empty() {
            return Err(AnnotationError::Malformed(format!("{name}={value}")));
        }
        Ok(Some(Self {
            place: AnnotationPlace::parse(&written)?,
            key: key.to_owned(),
            value: value.to_owned(),
        }))
    }

    /// The name of the attribute by which an exporter of BuildKit is told it.
    #[must_use]
    pub fn attribute(&self) -> String {
        format!("{ATTRIBUTE}-{}.{}", self.place.written(), self.key)
    }
}

impl AnnotationPlace {
    fn parse(written: &str) -> Result<Self, AnnotationError> {
        let malformed = || AnnotationError::Type(written.to_owned());
        let (name, platform) = match written.split_once('[') {
            Some((name, rest)) => (name, Some(rest.strip_suffix(']').ok_or_else(malformed)?)),
            None => (written, None),
        };
        let platform: Option<Platform> = platform.map(str::parse).transpose()?;
        let is_name = |name: &str| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
        match name {
            "manifest" => Ok(Self::Manifest(platform)),
            "manifest-descriptor" => Ok(Self::ManifestDescriptor(platform)),
            "index" if platform.is_none() => Ok(Self::Index),
            "index-descriptor" if platform.is_none() => Ok(Self::IndexDescriptor),
            "index" | "index-descriptor" => Err(malformed()),
            name if !name.is_empty() && is_name(name) => {
                Err(AnnotationError::Unknown(name.to_owned()))
            }
            _ => Err(malformed()),
        }
    }

    fn written(&self) -> String {
        let of = |name: &str, platform: &Option<Platform>| match platform {
            Some(platform) => format!("{name}[{platform}]"),
            None => name.to_owned(),
        };
        match self {
            Self::Manifest(platform) => of("manifest", platform),
            Self::ManifestDescriptor(platform) => of("manifest-descriptor", platform),
            Self::Index => "index".to_owned(),
            Self::IndexDescriptor => "index-descriptor".to_owned(),
        }
    }

    const fn platform(&self) -> Option<&Platform> {
        match self {
            Self::Manifest(platform) | Self::ManifestDescriptor(platform) => platform.as_ref(),
            Self::Index | Self::IndexDescriptor => None,
        }
    }
}

/// All annotations of what is exported, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Annotations(Vec<Annotation>);

impl Annotations {
    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Annotation> {
        self.0.iter()
    }

    /// The platforms that one is for alone.
    pub(crate) fn platforms(&self) -> impl Iterator<Item = &Platform> {
        self.0.iter().filter_map(|one| one.place.platform())
    }

    /// Those of an index itself.
    pub(crate) fn index(&self) -> BTreeMap<String, String> {
        self.at(|place| *place == AnnotationPlace::Index)
    }

    /// Those of where a layout names an index.
    pub(crate) fn index_descriptor(&self) -> BTreeMap<String, String> {
        self.at(|place| *place == AnnotationPlace::IndexDescriptor)
    }

    /// Those of the manifest of the image for `platform`.
    pub(crate) fn manifest(&self, platform: &Platform) -> BTreeMap<String, String> {
        self.for_platform(platform, |place| {
            matches!(place, AnnotationPlace::Manifest(_))
        })
    }

    /// Those of where that manifest is named.
    pub(crate) fn manifest_descriptor(&self, platform: &Platform) -> BTreeMap<String, String> {
        self.for_platform(platform, |place| {
            matches!(place, AnnotationPlace::ManifestDescriptor(_))
        })
    }

    /// What is for one platform alone is stronger than what is for all.
    fn for_platform(
        &self,
        platform: &Platform,
        is_place: impl Fn(&AnnotationPlace) -> bool,
    ) -> BTreeMap<String, String> {
        let mut found = self.at(|place| is_place(place) && place.platform().is_none());
        found.extend(self.at(|place| is_place(place) && place.platform() == Some(platform)));
        found
    }

    fn at(&self, is_place: impl Fn(&AnnotationPlace) -> bool) -> BTreeMap<String, String> {
        let found = self.0.iter().filter(|one| is_place(&one.place));
        found
            .map(|one| (one.key.clone(), one.value.clone()))
            .collect()
    }
}

impl FromIterator<Annotation> for Annotations {
    fn from_iter<T: IntoIterator<Item = Annotation>>(all: T) -> Self {
        Self(all.into_iter().collect())
    }
}

impl Extend<Annotation> for Annotations {
    fn extend<T: IntoIterator<Item = Annotation>>(&mut self, more: T) {
        self.0.extend(more);
    }
}

impl IntoIterator for Annotations {
    type Item = Annotation;
    type IntoIter = std::vec::IntoIter<Annotation>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_people_write_them() {
        for (text, expected) in [
            ("a=b=c", &["annotation-manifest.a"][..]),
            ("manifest:a=", &["annotation-manifest.a"]),
            (
                "index,manifest-descriptor[linux/arm64]:org.x/y=z",
                &[
                    "annotation-index.org.x/y",
                    "annotation-manifest-descriptor[linux/arm64].org.x/y",
                ],
            ),
            ("index-descriptor:a=b", &["annotation-index-descriptor.a"]),
        ] {
            let parsed = Annotation::parse(text).unwrap();
            let names: Vec<String> = parsed.iter().map(Annotation::attribute).collect();
            assert_eq!(names, expected);
            for annotation in parsed {
                let read = Annotation::from_attribute(&annotation.attribute(), &annotation.value);
                assert_eq!(read.unwrap(), Some(annotation));
            }
        }
        for (text, expected) in [
            ("a", "invalid annotation \"a\", expected key=value"),
            (
                "index:=b",
                "invalid annotation \"index:=b\", expected key=value",
            ),
            ("layer:a=b", "unknown annotation type \"layer\""),
            ("In:a=b", "invalid annotation type \"In\""),
            ("index[a:b=c", "invalid annotation type \"index[a\""),
            (
                "index[linux/arm64]:b=c",
                "invalid annotation type \"index[linux/arm64]\"",
            ),
            ("manifest[/]:b=c", "invalid platform"),
        ] {
            let error = Annotation::parse(text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
    }

    #[test]
    fn as_exporters_are_told() {
        for (name, expected) in [
            ("annotation.a", Some("annotation-manifest.a")),
            (
                "annotation[linux/amd64].a.b",
                Some("annotation-manifest[linux/amd64].a.b"),
            ),
            ("annotation-index.a", Some("annotation-index.a")),
            ("annotations.a", None),
            ("annotation", None),
            ("name", None),
        ] {
            let read = Annotation::from_attribute(name, "").unwrap();
            let read = read.as_ref().map(Annotation::attribute);
            assert_eq!(read.as_deref(), expected, "{name}");
        }
        for name in ["annotation.", "annotation-layer.a", "annotation-index[x.a"] {
            Annotation::from_attribute(name, "").unwrap_err();
        }
    }

    #[test]
    fn what_is_for_one_platform_is_stronger() {
        let texts = [
            "manifest[linux/arm64]:a=arm",
            "a=all",
            "a=last",
            "manifest-descriptor:a=d",
        ];
        let parsed = texts.map(|text| Annotation::parse(text).unwrap());
        let all: Annotations = parsed.into_iter().flatten().collect();
        let of = |platform: &str| all.manifest(&platform.parse().unwrap())["a"].clone();
        assert_eq!([of("linux/arm64"), of("linux/amd64")], ["arm", "last"]);
        let platform = "linux/amd64".parse().unwrap();
        assert_eq!(all.manifest_descriptor(&platform)["a"], "d");
        assert!(all.index().is_empty() && all.index_descriptor().is_empty());
    }
}
