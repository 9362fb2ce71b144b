//! What becomes of a result: BuildKit's exporters and their attributes.

use std::collections::HashMap;

use bollard_buildkit_proto::moby::buildkit::v1::{Exporter, SolveRequest};
use engine::{
    ArchiveExport, ArchiveKind, AttestationFormat, Destination, Export, FilesExport, ImageExport,
    LayerFormat,
};
use oci::{Compression, Reference};
use tonic::Status;

use super::options::Options;

/// An exporter that a client asks for.
#[derive(Debug, Clone)]
pub(super) enum Output {
    /// The engine does it.
    Image(ImageExport),
    /// An archive that is sent to the client.
    Archive {
        kind: ArchiveKind,
        names: Vec<Reference>,
        layers: LayerFormat,
        attestations: AttestationFormat,
    },
    /// A layout that is sent to the client, blob by blob.
    Layout {
        names: Vec<Reference>,
        layers: LayerFormat,
        attestations: AttestationFormat,
    },
    /// The files as one tar, sent to the client.
    Tar,
    /// The files, sent to the client.
    Files {
        /// Whether each platform has a directory of its own, if that was said.
        split: Option<bool>,
    },
}

/// The exporters of a request, in their order; a client tells its own apart by it.
///
/// # Errors
/// One is unknown, or has an attribute that kiln does not honour.
pub(super) fn outputs(request: &mut SolveRequest) -> Result<Vec<Output>, Status> {
    let mut exporters = std::mem::take(&mut request.exporters);
    let single = std::mem::take(&mut request.exporter_deprecated);
    let attrs = std::mem::take(&mut request.exporter_attrs_deprecated);
    if exporters.is_empty() && !single.is_empty() {
        exporters.push(Exporter {
            r#type: single,
            attrs,
        });
    }
    exporters.into_iter().map(output).collect()
}

impl Output {
    /// Whether each platform has a directory of its own, if that was said.
    pub(super) const fn split(&self) -> Option<bool> {
        match self {
            Self::Files { split } => *split,
            _ => None,
        }
    }

    /// What the engine is asked for, with where the client takes it.
    pub(super) fn export(&self, destination: impl FnOnce() -> Destination) -> Option<Export> {
        Some(match self {
            Self::Image(image) => Export::Image(image.clone()),
            Self::Archive {
                kind,
                names,
                layers,
                attestations,
            } => Export::Archive(ArchiveExport {
                kind: *kind,
                names: names.clone(),
                destination: destination(),
                layers: *layers,
                attestations: *attestations,
            }),
            Self::Tar => Export::Files(FilesExport::Tar(destination())),
            Self::Files { .. } | Self::Layout { .. } => return None,
        })
    }
}

fn output(exporter: Exporter) -> Result<Output, Status> {
    let Exporter {
        r#type: kind,
        attrs,
    } = exporter;
    let attrs: HashMap<String, String> = attrs;
    let mut attrs = Options::new(attrs, format!("the exporter {kind:?}"));
    let output = match kind.as_str() {
        "image" | "moby" => image(&mut attrs)?,
        "oci" => archive(&mut attrs, ArchiveKind::Oci)?,
        "docker" => archive(&mut attrs, ArchiveKind::Docker)?,
        "tar" => Output::Tar,
        "local" => {
            if attrs.one("mode").is_some_and(|mode| mode != "copy") {
                return Err(attrs.refuse("mode", "remove what should not be there first"));
            }
            Output::Files {
                split: attrs.flag("platform-split")?,
            }
        }
        _ => {
            let message = format!("the exporter {kind:?} is not provided by kiln");
            return Err(Status::unimplemented(message));
        }
    };
    attrs.end()?;
    Ok(output)
}

fn image(attrs: &mut Options) -> Result<Output, Status> {
    // Layers are always unpacked when something needs them; by which digest a client calls the
    // image is its own affair.
    attrs.flag("unpack")?;
    attrs.flag("prefer-image-digest")?;
    let push = attrs.flag("push")?.unwrap_or(false);
    if attrs.flag("push-by-digest")? == Some(true) {
        return Err(attrs.refuse("push-by-digest", "push under a tag"));
    }
    Ok(Output::Image(ImageExport {
        names: names(attrs)?,
        push,
        store: attrs.flag("store")?.unwrap_or(true),
        layers: layers(attrs, true)?,
        attestations: attestations(attrs, AttestationFormat::IMAGE)?,
    }))
}

fn archive(attrs: &mut Options, kind: ArchiveKind) -> Result<Output, Status> {
    attrs.flag("prefer-image-digest")?;
    if attrs.flag("tar")? == Some(false) {
        if kind == ArchiveKind::Docker {
            return Err(attrs.refuse("tar=false", "use type=oci, or take the archive"));
        }
        return Ok(Output::Layout {
            names: names(attrs)?,
            layers: layers(attrs, true)?,
            attestations: attestations(attrs, AttestationFormat::ARCHIVE)?,
        });
    }
    Ok(Output::Archive {
        kind,
        names: names(attrs)?,
        layers: layers(attrs, kind == ArchiveKind::Oci)?,
        attestations: attestations(attrs, AttestationFormat::ARCHIVE)?,
    })
}

/// How attestations are written, where it is not what is `usual`.
fn attestations(
    attrs: &mut Options,
    usual: AttestationFormat,
) -> Result<AttestationFormat, Status> {
    Ok(AttestationFormat {
        inline: attrs.flag("attestation-inline")?.unwrap_or(usual.inline),
        artifact: attrs.flag("oci-artifact")?.unwrap_or(usual.artifact),
    })
}

fn names(attrs: &mut Options) -> Result<Vec<Reference>, Status> {
    let text = attrs.one("name").unwrap_or_default();
    let names = text.split(',').filter(|name| !name.is_empty());
    let parse = |name: &str| {
        let parsed: Result<Reference, _> = name.parse();
        let parsed = parsed.map_err(|error| attrs.invalid("name", name, &error.to_string()))?;
        match parsed.digest() {
            Some(_) => Err(attrs.invalid("name", name, "expected a name without a digest")),
            None => Ok(parsed.with_default_tag()),
        }
    };
    names.map(parse).collect()
}

/// How layers are written; of its attributes `source-date-epoch` repeats what front ends are told.
pub(super) fn layers(attrs: &mut Options, oci: bool) -> Result<LayerFormat, Status> {
    let compression = match attrs.one("compression").as_deref() {
        None | Some("gzip") => Compression::Gzip,
        Some("zstd") => Compression::Zstd,
        Some("uncompressed") => Compression::Uncompressed,
        Some(other) => {
            let expected = "expected gzip, zstd or uncompressed";
            return Err(attrs.invalid("compression", other, expected));
        }
    };
    let level: Option<i32> = attrs.parsed("compression-level", "expected a number")?;
    let range = match compression {
        Compression::Gzip => 0..=9,
        Compression::Zstd => 0..=22,
        Compression::Uncompressed => 0..=0,
    };
    if let Some(level) = level.filter(|level| !range.contains(level)) {
        let expected = format!("expected {} to {}", range.start(), range.end());
        return Err(attrs.invalid("compression-level", &level.to_string(), &expected));
    }
    Ok(LayerFormat {
        compression,
        level,
        force: attrs.flag("force-compression")?.unwrap_or(false),
        oci_media_types: attrs.flag("oci-mediatypes")?.unwrap_or(oci),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: &str, attrs: &[(&str, &str)]) -> Result<Output, String> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        output(Exporter {
            r#type: kind.to_owned(),
            attrs: attrs.iter().map(owned).collect(),
        })
        .map_err(|status| status.message().to_owned())
    }

    #[test]
    fn attributes_are_honoured_or_refused() {
        let image = of("image", &[("name", "a,b:1"), ("push", "true")]).unwrap();
        let Output::Image(image) = image else {
            panic!("{image:?}");
        };
        let names: Vec<String> = image.names.iter().map(ToString::to_string).collect();
        assert_eq!(
            names,
            ["docker.io/library/a:latest", "docker.io/library/b:1"]
        );
        assert!(image.push && image.store);

        for (kind, attrs, message) in [
            (
                "image",
                ("annotation.a", "b"),
                "annotation.a of the exporter \"image\" is not provided by kiln: build without it",
            ),
            (
                "docker",
                ("tar", "false"),
                "tar=false of the exporter \"docker\" is not provided by kiln: use type=oci, or take \
                 the archive",
            ),
            (
                "oci",
                ("compression-level", "10"),
                "invalid value \"10\" of compression-level of the exporter \"oci\": expected 0 to 9",
            ),
            (
                "docker",
                ("name", "A"),
                "invalid value \"A\" of name of the exporter \"docker\": invalid reference format: \
                 repository name (library/A) must be lowercase",
            ),
        ] {
            assert_eq!(of(kind, &[attrs]).unwrap_err(), message);
        }
        assert!(of("estargz", &[]).unwrap_err().contains("estargz"));
    }
}
