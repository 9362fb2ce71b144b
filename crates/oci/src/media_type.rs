//! Media types of the documents and blobs that kiln reads and writes, OCI's and Docker's.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How a layer's tar is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Compression {
    /// The tar itself.
    Uncompressed,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl Compression {
    /// The name used in flags and attributes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uncompressed => "uncompressed",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// The media type of a descriptor's content.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MediaType {
    /// `application/vnd.oci.image.index.v1+json`
    OciIndex,
    /// `application/vnd.oci.image.manifest.v1+json`
    OciManifest,
    /// `application/vnd.oci.image.config.v1+json`
    OciConfig,
    /// `application/vnd.oci.image.layer.v1.tar` and its compressed forms.
    OciLayer(Compression),
    /// `application/vnd.docker.distribution.manifest.list.v2+json`
    DockerIndex,
    /// `application/vnd.docker.distribution.manifest.v2+json`
    DockerManifest,
    /// `application/vnd.docker.container.image.v1+json`
    DockerConfig,
    /// `application/vnd.docker.image.rootfs.diff.tar` and its compressed forms.
    DockerLayer(Compression),
    /// Layers that image-spec calls non-distributable, OCI's and Docker's foreign ones.
    ForeignLayer(Box<str>),
    /// Anything else, kept as it came.
    Other(Box<str>),
}

const TABLE: &[(&str, MediaType)] = {
    use Compression::{Gzip, Uncompressed, Zstd};
    &[
        (
            "application/vnd.oci.image.index.v1+json",
            MediaType::OciIndex,
        ),
        (
            "application/vnd.oci.image.manifest.v1+json",
            MediaType::OciManifest,
        ),
        (
            "application/vnd.oci.image.config.v1+json",
            MediaType::OciConfig,
        ),
        (
            "application/vnd.oci.image.layer.v1.tar",
            MediaType::OciLayer(Uncompressed),
        ),
        (
            "application/vnd.oci.image.layer.v1.tar+gzip",
            MediaType::OciLayer(Gzip),
        ),
        (
            "application/vnd.oci.image.layer.v1.tar+zstd",
            MediaType::OciLayer(Zstd),
        ),
        (
            "application/vnd.docker.distribution.manifest.list.v2+json",
            MediaType::DockerIndex,
        ),
        (
            "application/vnd.docker.distribution.manifest.v2+json",
            MediaType::DockerManifest,
        ),
        (
            "application/vnd.docker.container.image.v1+json",
            MediaType::DockerConfig,
        ),
        (
            "application/vnd.docker.image.rootfs.diff.tar",
            MediaType::DockerLayer(Uncompressed),
        ),
        (
            "application/vnd.docker.image.rootfs.diff.tar.gzip",
            MediaType::DockerLayer(Gzip),
        ),
        (
            "application/vnd.docker.image.rootfs.diff.tar.zstd",
            MediaType::DockerLayer(Zstd),
        ),
    ]
};

impl MediaType {
    /// The media type that `text` names.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let known = TABLE.iter().find(|(name, _)| *name == text);
        match known {
            Some((_, media_type)) => media_type.clone(),
            None if text.contains(".nondistributable.") || text.contains("rootfs.foreign.") => {
                Self::ForeignLayer(text.into())
            }
            None => Self::Other(text.into()),
        }
    }

    /// The text as it stands in documents.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::ForeignLayer(text) | Self::Other(text) => text,
            known => TABLE
                .iter()
                .find(|(_, m)| m == known)
                .map_or("", |(name, _)| name),
        }
    }

    /// An index, OCI's or Docker's.
    #[must_use]
    pub const fn is_index(&self) -> bool {
        matches!(self, Self::OciIndex | Self::DockerIndex)
    }

    /// A manifest of one image, OCI's or Docker's.
    #[must_use]
    pub const fn is_manifest(&self) -> bool {
        matches!(self, Self::OciManifest | Self::DockerManifest)
    }

    /// How the layer of this type is compressed; none when it is no layer that kiln reads.
    #[must_use]
    pub fn layer_compression(&self) -> Option<Compression> {
        match self {
            Self::OciLayer(compression) | Self::DockerLayer(compression) => Some(*compression),
            Self::ForeignLayer(text) if text.ends_with("gzip") => Some(Compression::Gzip),
            Self::ForeignLayer(text) if text.ends_with("zstd") => Some(Compression::Zstd),
            Self::ForeignLayer(_) => Some(Compression::Uncompressed),
            _ => None,
        }
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for MediaType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for MediaType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::parse(&<std::borrow::Cow<'de, str>>::deserialize(
            deserializer,
        )?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_type_reads_as_it_is_written() {
        for (text, media_type) in TABLE {
            assert_eq!(media_type.as_str(), *text);
            assert_eq!(&MediaType::parse(text), media_type);
        }
    }
}
