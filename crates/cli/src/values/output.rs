//! `-o type=…,attribute=value,…`, `-o DIR` and `-o -`.
//!
//! Every attribute that is not honoured is an error that names it. Paths stay as they were typed.

use std::path::PathBuf;

use engine::{
    ArchiveExport, ArchiveKind, AttestationFormat, Destination, Export, FilesExport, ImageExport,
    LayerFormat,
};
use oci::{Compression, Reference};

use super::{ValueError, csv, go_bool};

/// An output, and what it says about times.
#[derive(Debug, Clone)]
pub struct Output {
    /// What becomes of the result.
    pub export: Export,
    /// `rewrite-timestamp`, when it was given.
    pub rewrite_timestamp: Option<bool>,
}

/// The output that `text` describes.
///
/// # Errors
/// It is malformed, of an unknown type, or has an attribute that kiln does not honour.
pub fn parse(text: &str) -> Result<Output, ValueError> {
    let fields = csv::fields(text)?;
    if fields.len() == 1 && fields[0] == text && !text.starts_with("type=") {
        return Ok(short_form(text));
    }
    let mut attributes = Attributes::default();
    for field in &fields {
        let (key, value) = field
            .split_once('=')
            .ok_or_else(|| ValueError::OutputField(field.clone()))?;
        attributes.take(&key.trim().to_lowercase(), value)?;
    }
    attributes.output()
}

/// The tag that `name` is.
///
/// # Errors
/// It is no reference, or has a digest.
pub fn tag(name: &str) -> Result<Reference, ValueError> {
    let reference: Reference = name.parse().map_err(|source| ValueError::Tag {
        name: name.to_owned(),
        source,
    })?;
    if reference.digest().is_some() {
        return Err(ValueError::TagDigest(name.to_owned()));
    }
    Ok(reference.with_default_tag())
}

fn short_form(text: &str) -> Output {
    let files = if text == "-" {
        FilesExport::Tar(Destination::Stdout)
    } else {
        FilesExport::Directory {
            path: PathBuf::from(text),
            split: None,
        }
    };
    Output {
        export: Export::Files(files),
        rewrite_timestamp: None,
    }
}

/// What was typed, before the type is known.
#[derive(Default)]
struct Attributes {
    kind: Option<String>,
    destination: Option<String>,
    names: Vec<Reference>,
    push: Option<bool>,
    store: Option<bool>,
    directory: bool,
    compression: Option<Compression>,
    level: Option<i32>,
    force: Option<bool>,
    oci_media_types: Option<bool>,
    oci_artifact: Option<bool>,
    attestation_inline: Option<bool>,
    rewrite_timestamp: Option<bool>,
    platform_split: Option<bool>,
    /// Every attribute in order, to name those that the type does not have.
    seen: Vec<String>,
}

const LAYERS: &[&str] = &[
    "name",
    "compression",
    "compression-level",
    "force-compression",
    "oci-mediatypes",
    "oci-artifact",
    "attestation-inline",
    "rewrite-timestamp",
];

impl Attributes {
    fn take(&mut self, key: &str, value: &str) -> Result<(), ValueError> {
        let boolean =
            || go_bool(value).ok_or_else(|| invalid(key, value, "expected true or false"));
        match key {
            "type" => self.kind = Some(value.to_owned()),
            "dest" => self.destination = Some(value.to_owned()),
            "name" => {
                for name in value.split(',') {
                    self.names.push(tag(name)?);
                }
            }
            "push" => self.push = Some(boolean()?),
            "store" => self.store = Some(boolean()?),
            "tar" => self.directory = !boolean()?,
            "compression" => self.compression = Some(compression(key, value)?),
            "compression-level" => {
                let level = value.parse();
                self.level = Some(level.map_err(|_| invalid(key, value, "expected a number"))?);
            }
            "force-compression" => self.force = Some(boolean()?),
            "oci-mediatypes" => self.oci_media_types = Some(boolean()?),
            "oci-artifact" => self.oci_artifact = Some(boolean()?),
            "attestation-inline" => self.attestation_inline = Some(boolean()?),
            "platform-split" => self.platform_split = Some(boolean()?),
            "rewrite-timestamp" => self.rewrite_timestamp = Some(boolean()?),
            _ => {}
        }
        if key != "type" {
            self.seen.push(key.to_owned());
        }
        Ok(())
    }

    fn output(self) -> Result<Output, ValueError> {
        let kind = self.kind.clone().ok_or(ValueError::OutputType)?;
        let export = match kind.as_str() {
            "image" => self.image(&kind, false)?,
            "registry" => self.image(&kind, true)?,
            "docker" if self.destination.is_none() => self.image(&kind, false)?,
            "docker" => self.archive(&kind, ArchiveKind::Docker)?,
            "oci" => self.archive(&kind, ArchiveKind::Oci)?,
            "local" => {
                self.allow(&kind, &[&["dest", "platform-split"]])?;
                let path = self.destination.as_deref();
                let path = path.ok_or_else(|| ValueError::OutputDestination(kind.clone()))?;
                Export::Files(FilesExport::Directory {
                    path: PathBuf::from(path),
                    split: self.platform_split,
                })
            }
            "tar" => {
                self.allow(&kind, &[&["dest"]])?;
                Export::Files(FilesExport::Tar(self.destination()))
            }
            _ => return Err(ValueError::OutputTypeUnknown(kind)),
        };
        Ok(Output {
            export,
            rewrite_timestamp: self.rewrite_timestamp,
        })
    }

    fn image(&self, kind: &str, push: bool) -> Result<Export, ValueError> {
        let own: &[&str] = if kind == "docker" {
            &[]
        } else {
            &["push", "store"]
        };
        self.allow(kind, &[LAYERS, own])?;
        Ok(Export::Image(ImageExport {
            names: self.names.clone(),
            push: self.push.unwrap_or(push),
            store: self.store.unwrap_or(true),
            layers: self.layers(kind != "docker")?,
            attestations: self.attestations(AttestationFormat::IMAGE),
        }))
    }

    fn archive(&self, kind: &str, archive: ArchiveKind) -> Result<Export, ValueError> {
        self.allow(kind, &[LAYERS, &["dest", "tar"]])?;
        let destination = match (self.directory, &self.destination) {
            (true, Some(path)) if path != "-" => Destination::Directory(PathBuf::from(path)),
            (true, _) => return Err(ValueError::OutputDestination(kind.to_owned())),
            (false, _) => self.destination(),
        };
        Ok(Export::Archive(ArchiveExport {
            kind: archive,
            names: self.names.clone(),
            destination,
            layers: self.layers(archive == ArchiveKind::Oci)?,
            attestations: self.attestations(AttestationFormat::ARCHIVE),
        }))
    }

    fn destination(&self) -> Destination {
        match self.destination.as_deref() {
            None | Some("-") => Destination::Stdout,
            Some(path) => Destination::File(PathBuf::from(path)),
        }
    }

    fn layers(&self, oci_media_types: bool) -> Result<LayerFormat, ValueError> {
        let compression = self.compression.unwrap_or(Compression::Gzip);
        check_level(compression, self.level)?;
        Ok(LayerFormat {
            compression,
            level: self.level,
            force: self.force.unwrap_or(false),
            oci_media_types: self.oci_media_types.unwrap_or(oci_media_types),
        })
    }

    fn attestations(&self, usual: AttestationFormat) -> AttestationFormat {
        AttestationFormat {
            inline: self.attestation_inline.unwrap_or(usual.inline),
            artifact: self.oci_artifact.unwrap_or(usual.artifact),
        }
    }

    fn allow(&self, kind: &str, lists: &[&[&str]]) -> Result<(), ValueError> {
        let known = |key: &String| lists.iter().any(|list| list.contains(&key.as_str()));
        match self.seen.iter().find(|key| !known(key)) {
            Some(key) => Err(ValueError::Attribute {
                key: key.clone(),
                kind: kind.to_owned(),
            }),
            None => Ok(()),
        }
    }
}

/// Levels are those that the compression has.
pub(super) fn check_level(compression: Compression, level: Option<i32>) -> Result<(), ValueError> {
    let (range, expected) = match compression {
        Compression::Gzip => (0..=9, "gzip has levels 0 to 9"),
        Compression::Zstd => (0..=22, "zstd has levels 0 to 22"),
        Compression::Uncompressed => (0..=0, "uncompressed layers have no level"),
    };
    match level.filter(|level| !range.contains(level)) {
        Some(level) => Err(invalid("compression-level", &level.to_string(), expected)),
        None => Ok(()),
    }
}

/// How layers are compressed.
pub(super) fn compression(key: &str, value: &str) -> Result<Compression, ValueError> {
    match value {
        "uncompressed" => Ok(Compression::Uncompressed),
        "gzip" => Ok(Compression::Gzip),
        "zstd" => Ok(Compression::Zstd),
        _ => Err(invalid(key, value, "expected gzip, zstd or uncompressed")),
    }
}

fn invalid(key: &str, value: &str, expected: &'static str) -> ValueError {
    ValueError::AttributeValue {
        key: key.to_owned(),
        value: value.to_owned(),
        expected,
    }
}
