//! Annotations of the index that is made: of all that there are those for an index, and for what it
//! says of its manifests.

use oci::Platform;

use super::error::ImageToolsError;
use crate::annotation::{self, Annotation};

/// An annotation and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexAnnotation {
    pub(super) place: AnnotationPlace,
    pub(super) key: String,
    pub(super) value: String,
}

/// Where an annotation goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AnnotationPlace {
    /// The index itself.
    Index,
    /// What it says of its manifests, or of those for this platform.
    Descriptors(Option<Platform>),
}

impl IndexAnnotation {
    /// Reads what [`Annotation::parse`] does.
    ///
    /// # Errors
    /// It is malformed, or for something else than an index and what it says of its manifests.
    pub fn parse(text: &str) -> Result<Vec<Self>, ImageToolsError> {
        let all = Annotation::parse(text)?.into_iter();
        all.map(|Annotation { place, key, value }| {
            let place = AnnotationPlace::of(place)?;
            Ok(Self { place, key, value })
        })
        .collect()
    }
}

impl AnnotationPlace {
    fn of(place: annotation::AnnotationPlace) -> Result<Self, ImageToolsError> {
        use annotation::AnnotationPlace as Place;
        match place {
            Place::Index => Ok(Self::Index),
            Place::ManifestDescriptor(platform) => Ok(Self::Descriptors(platform)),
            Place::Manifest(_) => Err(ImageToolsError::AnnotationPlace("manifest")),
            Place::IndexDescriptor => Err(ImageToolsError::AnnotationPlace("index-descriptor")),
        }
    }
}
