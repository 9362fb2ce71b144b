//! What becomes of a result: BuildKit's exporters and their attributes.

use std::collections::HashMap;

use bollard_buildkit_proto::moby::buildkit::v1::{Exporter, SolveRequest};
use engine::{
    Annotation, Annotations, ArchiveExport, ArchiveKind, AttestationFormat, Destination, Export,
    FilesExport, ImageExport, Latest, LayerFormat, Times,
};
use oci::{Compression, Reference};
use tonic::Status;

use super::options::Options;

/// What front ends are told about times.
pub(super) const EPOCH: &str = "build-arg:SOURCE_DATE_EPOCH";

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
        times: Times,
        annotations: Annotations,
    },
    /// A layout that is sent to the client, blob by blob.
    Layout {
        names: Vec<Reference>,
        layers: LayerFormat,
        attestations: AttestationFormat,
        times: Times,
        annotations: Annotations,
    },
    /// The files as one tar, sent to the client.
    Tar {
        latest: Latest,
        statement_prefix: String,
    },
    /// The files, sent to the client.
    Files {
        /// Whether each platform has a directory of its own, if that was said.
        split: Option<bool>,
        latest: Latest,
        statement_prefix: String,
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
    let usual = asked(request);
    let outputs = exporters.into_iter();
    outputs.map(|exporter| output(exporter, usual)).collect()
}

/// The latest time of what is exported where an exporter says nothing of it: what the front end was
/// told, so that it holds for steps too that no front end makes.
fn asked(request: &SolveRequest) -> Latest {
    let text = request.frontend_attrs.get(EPOCH);
    text.and_then(|text| latest(text)).unwrap_or_default()
}

/// Seconds since 1970; nothing stands for no time.
fn latest(text: &str) -> Option<Latest> {
    match text {
        "" => Some(Latest::Any),
        text => text.parse().ok().map(Latest::Seconds),
    }
}

impl Output {
    /// What the engine is asked for, with where the client takes it.
    pub(super) fn export(&self, destination: impl FnOnce() -> Destination) -> Option<Export> {
        Some(match self {
            Self::Image(image) => Export::Image(image.clone()),
            Self::Archive {
                kind,
                names,
                layers,
                attestations,
                times,
                annotations,
            } => Export::Archive(ArchiveExport {
                kind: *kind,
                names: names.clone(),
                destination: destination(),
                layers: *layers,
                attestations: *attestations,
                times: *times,
                annotations: annotations.clone(),
            }),
            Self::Tar {
                latest,
                statement_prefix,
            } => Export::Files(FilesExport::Tar {
                destination: destination(),
                latest: *latest,
                statement_prefix: statement_prefix.clone(),
            }),
            Self::Files { .. } | Self::Layout { .. } => return None,
        })
    }
}

fn output(exporter: Exporter, usual: Latest) -> Result<Output, Status> {
    let Exporter {
        r#type: kind,
        attrs,
    } = exporter;
    let attrs: HashMap<String, String> = attrs;
    let mut attrs = Options::new(attrs, format!("the exporter {kind:?}"));
    let latest = latest_of(&mut attrs, usual)?;
    let output = match kind.as_str() {
        "image" | "moby" => image(&mut attrs, latest)?,
        "oci" => archive(&mut attrs, ArchiveKind::Oci, latest)?,
        "docker" => archive(&mut attrs, ArchiveKind::Docker, latest)?,
        "tar" => Output::Tar {
            latest,
            statement_prefix: statement_prefix(&mut attrs)?,
        },
        "local" => {
            if attrs.one("mode").is_some_and(|mode| mode != "copy") {
                return Err(attrs.refuse("mode", "remove what should not be there first"));
            }
            Output::Files {
                split: attrs.flag("platform-split")?,
                latest,
                statement_prefix: statement_prefix(&mut attrs)?,
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

/// The latest time of what is exported; `usual` where nothing is said.
fn latest_of(attrs: &mut Options, usual: Latest) -> Result<Latest, Status> {
    const NAME: &str = "source-date-epoch";
    let Some(text) = attrs.any(NAME) else {
        return Ok(usual);
    };
    latest(&text).ok_or_else(|| attrs.invalid(NAME, &text, "expected seconds since 1970"))
}

fn times(attrs: &mut Options, latest: Latest) -> Result<Times, Status> {
    Ok(Times {
        latest,
        rewrite: attrs.flag("rewrite-timestamp")?,
    })
}

fn image(attrs: &mut Options, latest: Latest) -> Result<Output, Status> {
    // Layers are always unpacked when something needs them; by which digest a client calls the
    // image is its own affair.
    attrs.flag("unpack")?;
    attrs.flag("prefer-image-digest")?;
    let push = attrs.flag("push")?.unwrap_or(false);
    let by_digest = attrs.flag("push-by-digest")?.unwrap_or(false);
    if attrs.flag("name-canonical")? == Some(true) && !by_digest {
        return Err(attrs.refuse("name-canonical", "it is told by its digest in any case"));
    }
    Ok(Output::Image(ImageExport {
        names: names(attrs)?,
        push,
        by_digest,
        insecure: attrs.flag("registry.insecure")?.unwrap_or(false),
        store: attrs.flag("store")?.unwrap_or(true),
        layers: layers(attrs, true)?,
        attestations: attestations(attrs, AttestationFormat::IMAGE)?,
        times: times(attrs, latest)?,
        annotations: annotations(attrs)?,
    }))
}

fn archive(attrs: &mut Options, kind: ArchiveKind, latest: Latest) -> Result<Output, Status> {
    attrs.flag("prefer-image-digest")?;
    if attrs.flag("tar")? == Some(false) {
        if kind == ArchiveKind::Docker {
            return Err(attrs.refuse("tar=false", "use type=oci, or take the archive"));
        }
        return Ok(Output::Layout {
            names: names(attrs)?,
            layers: layers(attrs, true)?,
            attestations: attestations(attrs, AttestationFormat::ARCHIVE)?,
            times: times(attrs, latest)?,
            annotations: annotations(attrs)?,
        });
    }
    Ok(Output::Archive {
        kind,
        names: names(attrs)?,
        layers: layers(attrs, kind == ArchiveKind::Oci)?,
        attestations: attestations(attrs, AttestationFormat::ARCHIVE)?,
        times: times(attrs, latest)?,
        annotations: annotations(attrs)?,
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

/// What names of statements begin with that lie beside files.
fn statement_prefix(attrs: &mut Options) -> Result<String, Status> {
    const NAME: &str = "attestation-prefix";
    let prefix = attrs.one(NAME).unwrap_or_default();
    match engine::is_name_prefix(&prefix) {
        true => Ok(prefix),
        false => Err(attrs.invalid(NAME, &prefix, "expected what a file name begins with")),
    }
}

/// What the image is to say of itself.
fn annotations(attrs: &mut Options) -> Result<Annotations, Status> {
    const FAMILY: &str = "annotation";
    let family = attrs.family(FAMILY).into_iter();
    let read = family.map(|(rest, value)| {
        let name = format!("{FAMILY}{rest}");
        let read = Annotation::from_attribute(&name, &value);
        let read = read.map_err(|error| attrs.invalid(&name, &value, &error.to_string()))?;
        read.ok_or_else(|| attrs.refuse(&name, "build without it"))
    });
    read.collect()
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

/// How layers are written.
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
        let exporter = Exporter {
            r#type: kind.to_owned(),
            attrs: attrs.iter().map(owned).collect(),
        };
        output(exporter, Latest::OfBuild).map_err(|status| status.message().to_owned())
    }

    #[test]
    fn exporters_say_more_than_front_ends_of_times() {
        let image = |attrs: &[(&str, &str)]| match of("oci", attrs).unwrap() {
            Output::Archive { times, .. } => times,
            other => panic!("{other:?}"),
        };
        let latest = |latest, rewrite| Times { latest, rewrite };
        let on = Some(true);
        for (attrs, expected) in [
            (&[][..], latest(Latest::OfBuild, None)),
            (
                &[("rewrite-timestamp", "true")][..],
                latest(Latest::OfBuild, on),
            ),
            (&[("source-date-epoch", "")][..], latest(Latest::Any, None)),
            (
                &[("source-date-epoch", "7"), ("rewrite-timestamp", "0")][..],
                latest(Latest::Seconds(7), Some(false)),
            ),
        ] {
            assert_eq!(image(attrs), expected, "{attrs:?}");
        }
        let error = of("tar", &[("source-date-epoch", "noon")]).unwrap_err();
        assert!(error.contains("seconds since 1970"), "{error}");

        for (text, expected) in [
            ("5", Latest::Seconds(5)),
            ("", Latest::Any),
            ("context", Latest::OfBuild),
        ] {
            let mut request = SolveRequest {
                exporter_deprecated: "tar".to_owned(),
                ..SolveRequest::default()
            };
            request
                .frontend_attrs
                .insert(EPOCH.to_owned(), text.to_owned());
            let outputs = outputs(&mut request).unwrap();
            assert!(
                matches!(&outputs[..], [Output::Tar { latest, .. }] if *latest == expected),
                "{outputs:?}"
            );
        }
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
        assert!(image.push && image.store && !image.insecure);
        let insecure = of("image", &[("registry.insecure", "true")]).unwrap();
        assert!(matches!(insecure, Output::Image(image) if image.insecure));

        for (kind, attrs, message) in [
            (
                "image",
                ("annotations.a", "b"),
                "annotations.a of the exporter \"image\" is not provided by kiln: build without it",
            ),
            (
                "image",
                ("name-canonical", "true"),
                "name-canonical of the exporter \"image\" is not provided by kiln: it is told by its \
                 digest in any case",
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
