//! Sources put together into one index, or the only source as it is. Pure.
//!
//! What comes out has the bytes that buildx makes of the same sources, since people compare
//! digests.

use std::collections::{BTreeMap, HashMap, HashSet};

use bytes::Bytes;
use oci::{Descriptor, Digest, Index, MediaType, Platform, Reference, annotation};

use super::annotation::{AnnotationPlace, IndexAnnotation};
use super::error::ImageToolsError;

/// How sources are put together.
#[derive(Debug, Clone, Default)]
pub struct Combining {
    /// What the new index says beside what it leads to.
    pub annotations: Vec<IndexAnnotation>,
    /// A single manifest gets an index all the same.
    pub prefer_index: bool,
    /// What is left of the result; all of it when there are none.
    pub platforms: Vec<Platform>,
}

/// A source that was looked up.
#[derive(Debug, Clone)]
pub(super) struct Gathered {
    pub(super) from: Reference,
    pub(super) descriptor: Descriptor,
    pub(super) bytes: Bytes,
    /// What it says, if it is an index.
    pub(super) index: Option<Index>,
}

/// An image that was put together and is in no repository yet.
#[derive(Debug, Clone)]
pub struct Combined {
    /// What names are to lead to.
    pub descriptor: Descriptor,
    /// Its exact bytes.
    pub bytes: Bytes,
    /// Annotations were asked for and are nowhere: Docker's manifest lists have none.
    pub without_annotations: bool,
    /// What it leads to, or itself when it is a manifest.
    pub(super) parts: Vec<Part>,
}

/// A manifest, or an index within the index, and the repository that has it.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) descriptor: Descriptor,
    pub(super) from: Reference,
}

/// Puts `sources` together.
pub(super) fn combine(
    mut sources: Vec<Gathered>,
    how: &Combining,
) -> Result<Combined, ImageToolsError> {
    let is_alone = sources.len() == 1 && how.annotations.is_empty();
    let Some(last) = sources.pop() else {
        return Err(ImageToolsError::NoSources);
    };
    if is_alone && last.index.is_some() {
        return whole(kept(last), how);
    }
    if is_alone && !how.prefer_index {
        return alone(last, how);
    }
    sources.push(last);
    whole(index_of(sources, how)?, how)
}

/// An index with what is known of its parts.
struct Whole {
    index: Index,
    bytes: Bytes,
    descriptor: Descriptor,
    /// Which repository has which part.
    from: HashMap<Digest, Reference>,
    without_annotations: bool,
}

/// The only source, a manifest, stays what it is.
fn alone(only: Gathered, how: &Combining) -> Result<Combined, ImageToolsError> {
    if let (false, Some(platform)) = (how.platforms.is_empty(), &only.descriptor.platform)
        && !is_wanted(platform, &how.platforms)
    {
        return Err(ImageToolsError::OtherPlatform(platform.to_string()));
    }
    let part = Part {
        descriptor: only.descriptor.clone(),
        from: only.from,
    };
    Ok(Combined {
        descriptor: only.descriptor,
        bytes: only.bytes,
        without_annotations: false,
        parts: vec![part],
    })
}

/// The only source, an index, stays what it is.
fn kept(only: Gathered) -> Whole {
    let index = only.index.unwrap_or_else(|| new_index(MediaType::OciIndex));
    let parts = index.manifests.iter();
    Whole {
        from: parts.map(|part| (part.digest, only.from.clone())).collect(),
        index,
        bytes: only.bytes,
        descriptor: only.descriptor,
        without_annotations: false,
    }
}

/// A new index of all that the sources lead to.
fn index_of(sources: Vec<Gathered>, how: &Combining) -> Result<Whole, ImageToolsError> {
    let (manifests, from) = flattened(sources);
    let is_dockers = |part: &Descriptor| part.media_type.as_str().starts_with(DOCKER);
    let media_type = match manifests.iter().all(is_dockers) {
        true => MediaType::DockerIndex,
        false => MediaType::OciIndex,
    };
    let is_annotated = media_type == MediaType::OciIndex;
    let mut index = new_index(media_type.clone());
    index.manifests = manifests;
    if is_annotated {
        annotate(&mut index, &how.annotations);
    }
    let bytes = written(&index)?;
    Ok(Whole {
        index,
        descriptor: Descriptor::of(media_type, &bytes),
        bytes,
        from,
        without_annotations: !is_annotated && !how.annotations.is_empty(),
    })
}

/// Media types of Docker's begin so.
const DOCKER: &str = "application/vnd.docker.";

/// Each part once, where it was first; what later sources say of it is stronger.
fn flattened(sources: Vec<Gathered>) -> (Vec<Descriptor>, HashMap<Digest, Reference>) {
    let (mut parts, mut places, mut from) = (Vec::new(), HashMap::new(), HashMap::new());
    for source in sources {
        let found = match source.index {
            Some(index) => index.manifests,
            None => vec![source.descriptor],
        };
        for part in found {
            from.insert(part.digest, source.from.clone());
            match places.get(&part.digest) {
                Some(place) => merge(&mut parts[*place], part),
                None => {
                    places.insert(part.digest, parts.len());
                    parts.push(part);
                }
            }
        }
    }
    (parts, from)
}

fn merge(into: &mut Descriptor, part: Descriptor) {
    if part.platform.is_some() {
        into.platform = part.platform;
    }
    into.annotations.extend(part.annotations);
}

fn annotate(index: &mut Index, annotations: &[IndexAnnotation]) {
    for IndexAnnotation { place, key, value } in annotations {
        let pair = (key.clone(), value.clone());
        match place {
            AnnotationPlace::Index => index.annotations.extend([pair]),
            AnnotationPlace::Descriptors(wanted) => {
                for part in &mut index.manifests {
                    let fits = |wanted: &Platform| {
                        let platform = part.platform.as_ref();
                        platform.is_some_and(|it| same(it, wanted))
                    };
                    if wanted.as_ref().is_none_or(fits) {
                        part.annotations.extend([pair.clone()]);
                    }
                }
            }
        }
    }
}

/// What of an index is for the platforms, with the attestations of it.
fn whole(mut whole: Whole, how: &Combining) -> Result<Combined, ImageToolsError> {
    let before = whole.index.manifests.len();
    if !how.platforms.is_empty() {
        let wanted = wanted(&whole.index, &how.platforms);
        let manifests = &mut whole.index.manifests;
        manifests.retain(|part| wanted.contains(&part.digest));
        if manifests.is_empty() && before > 0 {
            return Err(ImageToolsError::NoPlatform);
        }
    }
    if whole.index.manifests.len() != before {
        let bytes = written(&whole.index)?;
        let annotations = std::mem::take(&mut whole.descriptor.annotations);
        whole.descriptor = Descriptor {
            annotations,
            ..Descriptor::of(whole.descriptor.media_type, &bytes)
        };
        whole.bytes = bytes;
    }
    let parts = whole.index.manifests.into_iter();
    let parts = parts.filter_map(|descriptor| {
        let from = whole.from.get(&descriptor.digest)?.clone();
        Some(Part { descriptor, from })
    });
    Ok(Combined {
        parts: parts.collect(),
        descriptor: whole.descriptor,
        bytes: whole.bytes,
        without_annotations: whole.without_annotations,
    })
}

fn wanted(index: &Index, platforms: &[Platform]) -> HashSet<Digest> {
    let fits = |part: &&Descriptor| {
        let platform = part.platform.as_ref();
        platform.is_none_or(|platform| is_wanted(platform, platforms))
    };
    let fitting = index.manifests.iter().filter(fits);
    let images: HashSet<Digest> = fitting.map(|part| part.digest).collect();
    let mut wanted = images.clone();
    for part in &index.manifests {
        let about = subject(part).filter(|subject| images.contains(subject));
        wanted.extend(about.map(|_| part.digest));
    }
    wanted
}

/// The manifest that an attestation is about.
fn subject(part: &Descriptor) -> Option<Digest> {
    let kind = part.annotations.get(annotation::REFERENCE_TYPE)?;
    let digest = part.annotations.get(annotation::REFERENCE_DIGEST)?;
    (kind == "attestation-manifest").then(|| digest.parse().ok())?
}

fn is_wanted(platform: &Platform, wanted: &[Platform]) -> bool {
    wanted.iter().any(|wanted| same(platform, wanted))
}

/// The same system, architecture and variant, in whatever words.
fn same(platform: &Platform, wanted: &Platform) -> bool {
    let (platform, wanted) = (platform.normalised(), wanted.normalised());
    (platform.os, platform.architecture, platform.variant)
        == (wanted.os, wanted.architecture, wanted.variant)
}

fn new_index(media_type: MediaType) -> Index {
    Index {
        schema_version: 2,
        media_type: Some(media_type),
        artifact_type: None,
        manifests: Vec::new(),
        subject: None,
        annotations: BTreeMap::new(),
    }
}

fn written(index: &Index) -> Result<Bytes, ImageToolsError> {
    let compact = oci::to_canonical_json(index).map_err(ImageToolsError::Serialize)?;
    Ok(oci::indented(&compact).into())
}
