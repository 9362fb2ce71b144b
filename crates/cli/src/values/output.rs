//! `-o type=…,attribute=value,…`, `-o DIR` and `-o -`.
//!
//! Every attribute that is not honoured is an error that names it. Paths stay as they were typed.

use std::path::PathBuf;

use engine::{
    Annotation, Annotations, ArchiveExport, ArchiveKind, AttestationFormat, Destination, Export,
    FilesExport, ImageExport, Latest, LayerFormat, Times,
};
use oci::{Compression, Reference};

use super::{ValueError, csv, go_bool};

/// The output that `text` describes.
///
/// # Errors
/// It is malformed, of an unknown type, or has an attribute that kiln does not honour.
pub fn parse(text: &str) -> Result<Export, ValueError> {
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

fn short_form(text: &str) -> Export {
    Export::Files(if text == "-" {
        FilesExport::Tar {
            destination: Destination::Stdout,
            latest: Latest::OfBuild,
            statement_prefix: String::new(),
        }
    } else {
        FilesExport::Directory {
            path: PathBuf::from(text),
            split: None,
            latest: Latest::OfBuild,
            statement_prefix: String::new(),
        }
    })
}

/// What was typed, before the type is known.
#[derive(Default)]
struct Attributes {
    kind: Option<String>,
    destination: Option<String>,
    names: Vec<Reference>,
    push: Option<bool>,
    store: Option<bool>,
    by_digest: Option<bool>,
    insecure: Option<bool>,
    canonical: Option<bool>,
    directory: bool,
    compression: Option<Compression>,
    level: Option<i32>,
    force: Option<bool>,
    oci_media_types: Option<bool>,
    oci_artifact: Option<bool>,
    attestation_inline: Option<bool>,
    times: Times,
    platform_split: Option<bool>,
    statement_prefix: String,
    annotations: Annotations,
    /// Every attribute in order, to name those that the type does not have.
    seen: Vec<String>,
}

/// As which attributes of annotations are seen, whatever they are about.
const ANNOTATION: &str = "annotation";
const ANNOTATIONS: &str = "expected annotation-TYPE[PLATFORM].KEY with the type manifest, \
                           manifest-descriptor, index or index-descriptor";

const LAYERS: &[&str] = &[
    "name",
    ANNOTATION,
    "compression",
    "compression-level",
    "force-compression",
    "oci-mediatypes",
    "oci-artifact",
    "attestation-inline",
    "rewrite-timestamp",
    "source-date-epoch",
];

const FILES: &[&str] = &["dest", "source-date-epoch", "attestation-prefix"];

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
            "push-by-digest" => self.by_digest = Some(boolean()?),
            "registry.insecure" => self.insecure = Some(boolean()?),
            "name-canonical" => self.canonical = Some(boolean()?),
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
            "attestation-prefix" if engine::is_name_prefix(value) => {
                value.clone_into(&mut self.statement_prefix);
            }
            "attestation-prefix" => {
                return Err(invalid(key, value, "expected what a file name begins with"));
            }
            "platform-split" => self.platform_split = Some(boolean()?),
            "rewrite-timestamp" => self.times.rewrite = Some(boolean()?),
            "source-date-epoch" => self.times.latest = latest(key, value)?,
            _ => {
                let annotation = Annotation::from_attribute(key, value);
                let annotation = annotation.map_err(|_| invalid(key, value, ANNOTATIONS))?;
                if let Some(annotation) = annotation {
                    self.annotations.extend([annotation]);
                    self.seen.push(ANNOTATION.to_owned());
                    return Ok(());
                }
            }
        }
        if key != "type" {
            self.seen.push(key.to_owned());
        }
        Ok(())
    }

    fn output(self) -> Result<Export, ValueError> {
        let kind = self.kind.clone().ok_or(ValueError::OutputType)?;
        Ok(match kind.as_str() {
            "image" => self.image(&kind, false)?,
            "registry" => self.image(&kind, true)?,
            "docker" if self.destination.is_none() => self.image(&kind, false)?,
            "docker" => self.archive(&kind, ArchiveKind::Docker)?,
            "oci" => self.archive(&kind, ArchiveKind::Oci)?,
            "local" => {
                self.allow(&kind, &[FILES, &["platform-split"]])?;
                let path = self.destination.as_deref();
                let path = path.ok_or_else(|| ValueError::OutputDestination(kind.clone()))?;
                Export::Files(FilesExport::Directory {
                    path: PathBuf::from(path),
                    split: self.platform_split,
                    latest: self.times.latest,
                    statement_prefix: self.statement_prefix,
                })
            }
            "tar" => {
                self.allow(&kind, &[FILES])?;
                Export::Files(FilesExport::Tar {
                    destination: self.destination(),
                    latest: self.times.latest,
                    statement_prefix: self.statement_prefix,
                })
            }
            _ => return Err(ValueError::OutputTypeUnknown(kind)),
        })
    }

    fn image(&self, kind: &str, push: bool) -> Result<Export, ValueError> {
        let own: &[&str] = if kind == "docker" {
            &[]
        } else {
            &[
                "push",
                "store",
                "push-by-digest",
                "name-canonical",
                "registry.insecure",
            ]
        };
        self.allow(kind, &[LAYERS, own])?;
        let by_digest = self.by_digest.unwrap_or(false);
        if self.canonical == Some(true) && !by_digest {
            let expected = "only what is pushed with push-by-digest=true is named by its digest";
            return Err(invalid("name-canonical", "true", expected));
        }
        Ok(Export::Image(ImageExport {
            names: self.names.clone(),
            push: self.push.unwrap_or(push),
            by_digest,
            insecure: self.insecure.unwrap_or(false),
            store: self.store.unwrap_or(true),
            layers: self.layers(kind != "docker")?,
            attestations: self.attestations(AttestationFormat::IMAGE),
            times: self.times,
            annotations: self.annotations.clone(),
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
            times: self.times,
            annotations: self.annotations.clone(),
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

/// Seconds since 1970; none when nothing is to be changed.
fn latest(key: &str, value: &str) -> Result<Latest, ValueError> {
    match value {
        "" => Ok(Latest::Any),
        value => match value.parse() {
            Ok(seconds) => Ok(Latest::Seconds(seconds)),
            Err(_) => Err(invalid(key, value, "expected seconds since 1970")),
        },
    }
}

fn invalid(key: &str, value: &str, expected: &'static str) -> ValueError {
    ValueError::AttributeValue {
        key: key.to_owned(),
        value: value.to_owned(),
        expected,
    }
}
