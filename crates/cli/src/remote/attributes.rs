//! Exporters by the names and attributes that BuildKit has for them.

use std::collections::HashMap;
use std::sync::Arc;

use client::Output;
use client::messages::Exporter;
use engine::{
    Annotations, ArchiveExport, ArchiveKind, AttestationFormat, Destination, Export, FilesExport,
    ImageExport, Latest, LayerFormat, Times,
};
use oci::{Compression, Reference};

use super::outputs::{File, Stdout, Unpacked};
use super::refuse;
use crate::error::Error;

pub(super) type Attributes = HashMap<String, String>;

/// An exporter, and where the client takes what it sends.
pub(super) fn exporter(
    export: &Export,
    tags: &[Reference],
) -> Result<(Exporter, Option<Arc<dyn Output>>), Error> {
    let (kind, attrs, output): (_, _, Option<Arc<dyn Output>>) = match export {
        Export::Image(export) => ("image", image(export, tags), None),
        Export::Archive(export) => {
            let ArchiveExport {
                kind,
                names,
                destination,
                layers,
                attestations,
                times,
                annotations,
            } = export;
            let (kind, oci) = match kind {
                ArchiveKind::Oci => ("oci", true),
                ArchiveKind::Docker => ("docker", false),
            };
            let mut attrs = format(layers, oci);
            stated(&mut attrs, *attestations, AttestationFormat::ARCHIVE);
            dated(&mut attrs, *times);
            annotate(&mut attrs, annotations);
            name(&mut attrs, tags.iter().chain(names));
            (kind, attrs, Some(place(destination)?))
        }
        Export::Files(FilesExport::Tar {
            destination,
            latest,
            statement_prefix,
        }) => {
            let attrs = of_files(*latest, statement_prefix);
            ("tar", attrs, Some(place(destination)?))
        }
        // As a tar they come in one stream.
        Export::Files(FilesExport::Directory { split: Some(_), .. }) => {
            return Err(refuse("platform-split", "build in this process"));
        }
        Export::Files(FilesExport::Directory {
            path,
            split: None,
            latest,
            statement_prefix,
        }) => {
            let unpacked = Unpacked(path.clone());
            let attrs = of_files(*latest, statement_prefix);
            ("tar", attrs, Some(Arc::new(unpacked)))
        }
    };
    let exporter = Exporter {
        r#type: kind.to_owned(),
        attrs,
    };
    Ok((exporter, output))
}

fn image(export: &ImageExport, tags: &[Reference]) -> Attributes {
    let ImageExport {
        names,
        push,
        by_digest,
        insecure,
        store,
        layers,
        attestations,
        times,
        annotations,
    } = export;
    let mut attrs = format(layers, true);
    stated(&mut attrs, *attestations, AttestationFormat::IMAGE);
    dated(&mut attrs, *times);
    annotate(&mut attrs, annotations);
    name(&mut attrs, tags.iter().chain(names));
    if *push {
        attrs.insert("push".to_owned(), "true".to_owned());
    }
    if *by_digest {
        attrs.insert("push-by-digest".to_owned(), "true".to_owned());
    }
    if *insecure {
        attrs.insert("registry.insecure".to_owned(), "true".to_owned());
    }
    if !store {
        attrs.insert("store".to_owned(), "false".to_owned());
    }
    attrs
}

fn annotate(attrs: &mut Attributes, annotations: &Annotations) {
    attrs.extend(
        annotations
            .iter()
            .map(|one| (one.attribute(), one.value.clone())),
    );
}

fn name<'a>(attrs: &mut Attributes, names: impl Iterator<Item = &'a Reference>) {
    let names: Vec<String> = names.map(Reference::to_string).collect();
    if !names.is_empty() {
        attrs.insert("name".to_owned(), names.join(","));
    }
}

/// How layers are written, as far as it is not what is usual; media types are OCI's unless `oci` is
/// false.
pub(super) fn format(layers: &LayerFormat, oci: bool) -> Attributes {
    let LayerFormat {
        compression,
        level,
        force,
        oci_media_types,
    } = layers;
    let mut attrs = Attributes::new();
    let mut put = |name: &str, value: String| attrs.insert(name.to_owned(), value);
    match compression {
        Compression::Gzip => None,
        Compression::Zstd => put("compression", "zstd".to_owned()),
        Compression::Uncompressed => put("compression", "uncompressed".to_owned()),
    };
    if let Some(level) = level {
        put("compression-level", level.to_string());
    }
    if *force {
        put("force-compression", "true".to_owned());
    }
    if *oci_media_types != oci {
        put("oci-mediatypes", oci_media_types.to_string());
    }
    attrs
}

/// How attestations are written, as far as it is not what is `usual`.
fn stated(attrs: &mut Attributes, how: AttestationFormat, usual: AttestationFormat) {
    let pairs = [
        ("attestation-inline", how.inline, usual.inline),
        ("oci-artifact", how.artifact, usual.artifact),
    ];
    for (name, value, usual) in pairs {
        if value != usual {
            attrs.insert(name.to_owned(), value.to_string());
        }
    }
}

/// What becomes of times, as far as something was said.
fn dated(attrs: &mut Attributes, times: Times) {
    attrs.extend(of_files(times.latest, ""));
    if let Some(rewrite) = times.rewrite {
        attrs.insert("rewrite-timestamp".to_owned(), rewrite.to_string());
    }
}

fn of_files(latest: Latest, statement_prefix: &str) -> Attributes {
    let latest = match latest {
        Latest::OfBuild => None,
        Latest::Any => Some(String::new()),
        Latest::Seconds(seconds) => Some(seconds.to_string()),
    };
    let prefix = Some(statement_prefix.to_owned()).filter(|prefix| !prefix.is_empty());
    let pairs = [
        ("source-date-epoch", latest),
        ("attestation-prefix", prefix),
    ];
    let said = pairs.into_iter();
    said.filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect()
}

fn place(destination: &Destination) -> Result<Arc<dyn Output>, Error> {
    match destination {
        Destination::File(path) => Ok(Arc::new(File(path.clone()))),
        Destination::Stdout => Ok(Arc::new(Stdout)),
        Destination::Directory(_) => Err(refuse(
            "a layout in a directory (tar=false)",
            "take the archive and unpack it",
        )),
        Destination::Stream(_) => Err(refuse("a stream", "name a file")),
    }
}
