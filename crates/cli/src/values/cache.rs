//! `--cache-from` and `--cache-to`: `type=…,attribute=value,…`, or the name of an image.
//!
//! Every attribute that is not honoured is an error that names it. Paths stay as they were typed.

use std::path::PathBuf;

use engine::{CacheExport, CacheFrom, CacheMode, CacheMountsTo, CacheTo, LayerFormat, LayoutCache};
use oci::{Compression, Digest, Reference};

use super::output::{check_level, compression};
use super::{ValueError, csv, go_bool};

/// The tag of a cache in a directory when none is given.
const TAG: &str = "latest";

/// Caches of Docker's that kiln does not speak to, and what to do instead.
const ELSEWHERE: &[(&str, &str)] = &[
    (
        "gha",
        "use type=local with a directory that actions/cache keeps, or type=registry",
    ),
    (
        "s3",
        "use type=local and copy the directory, or type=registry",
    ),
    (
        "azblob",
        "use type=local and copy the directory, or type=registry",
    ),
];

/// The cache that `text` of a `--cache-from` names.
///
/// # Errors
/// It is malformed, of an unknown type, or has an attribute that kiln does not honour.
pub fn from(text: &str) -> Result<CacheFrom, ValueError> {
    let fields = Fields::parse(text)?;
    match fields.kind.as_str() {
        "registry" => {
            fields.allow(&["ref"])?;
            Ok(CacheFrom::Registry(fields.reference()?))
        }
        "local" => {
            fields.allow(&["src", "tag", "digest"])?;
            let digest = fields.get("digest").map(|value| {
                let malformed = |_| fields.invalid("digest", "expected sha256 and 64 characters");
                value.parse::<Digest>().map_err(malformed)
            });
            fields.layout("src", digest.transpose()?)
        }
        "inline" => Err(fields.unknown("an inline cache is read with type=registry,ref=IMAGE")),
        _ => Err(fields.elsewhere()),
    }
}

/// The cache that `text` of a `--cache-to` names.
///
/// # Errors
/// It is malformed, of an unknown type, or has an attribute that kiln does not honour.
pub fn to(text: &str) -> Result<CacheTo, ValueError> {
    const LAYERS: &[&str] = &[
        "mode",
        "compression",
        "compression-level",
        "force-compression",
        "image-manifest",
        "oci-mediatypes",
        "ignore-error",
    ];
    let fields = Fields::parse(text)?;
    match fields.kind.as_str() {
        "inline" => {
            fields.allow(&["mode"])?;
            match fields.mode()? {
                CacheMode::Min => Ok(CacheTo::Inline),
                CacheMode::Max => Err(fields.invalid(
                    "mode",
                    "an image holds the results that it is made of: use type=registry for all",
                )),
            }
        }
        "registry" => {
            fields.allow(&[LAYERS, &["ref"]].concat())?;
            let reference = fields.own_reference()?;
            fields.export(CacheFrom::Registry(reference))
        }
        "local" => {
            fields.allow(&[LAYERS, &["dest", "tag", "reset"]].concat())?;
            fields.export(fields.layout("dest", None)?)
        }
        _ => Err(fields.elsewhere()),
    }
}

/// Where the cache mounts go that `text` of a `--cache-mounts-to` names.
///
/// # Errors
/// It is malformed, of an unknown type, or has an attribute that kiln does not honour.
pub fn mounts_to(text: &str) -> Result<CacheMountsTo, ValueError> {
    const TARS: &[&str] = &["compression", "compression-level", "ignore-error"];
    let mut fields = Fields::parse(text)?;
    if fields.get("compression").is_none() {
        // Nobody but kiln reads them.
        let zstd = ("compression".to_owned(), "zstd".to_owned());
        fields.values.push(zstd);
    }
    let to = match fields.kind.as_str() {
        "registry" => {
            fields.allow(&[TARS, &["ref"]].concat())?;
            CacheFrom::Registry(fields.own_reference()?)
        }
        "local" => {
            fields.allow(&[TARS, &["dest", "tag"]].concat())?;
            fields.layout("dest", None)?
        }
        "inline" => return Err(fields.unknown("use type=registry or type=local")),
        _ => return Err(fields.elsewhere()),
    };
    let LayerFormat {
        compression, level, ..
    } = fields.layers(true, false)?;
    Ok(CacheMountsTo {
        to,
        compression,
        level,
        ignore_error: fields.flag("ignore-error", false)?,
    })
}

/// What was typed.
struct Fields {
    kind: String,
    values: Vec<(String, String)>,
}

impl Fields {
    /// A bare name is a registry's, as it is for Docker.
    fn parse(text: &str) -> Result<Self, ValueError> {
        let fields = csv::fields(text)?;
        if let [only] = fields.as_slice()
            && !only.contains('=')
        {
            return Ok(Self {
                kind: "registry".to_owned(),
                values: vec![("ref".to_owned(), only.clone())],
            });
        }
        let (mut kind, mut values) = (None, Vec::new());
        for field in &fields {
            let (key, value) = field
                .split_once('=')
                .ok_or_else(|| ValueError::OutputField(field.clone()))?;
            match key.trim().to_lowercase().as_str() {
                "type" => kind = Some(value.to_owned()),
                key => values.push((key.to_owned(), value.to_owned())),
            }
        }
        let kind = kind.ok_or_else(|| ValueError::CacheType(text.to_owned()))?;
        Ok(Self { kind, values })
    }

    fn get(&self, key: &str) -> Option<&str> {
        let mut given = self.values.iter().rev();
        let found = given.find(|(known, _)| known == key);
        found.map(|(_, value)| value.as_str())
    }

    fn allow(&self, known: &[&str]) -> Result<(), ValueError> {
        match self
            .values
            .iter()
            .find(|(key, _)| !known.contains(&key.as_str()))
        {
            Some((key, _)) => Err(ValueError::CacheAttribute {
                key: key.clone(),
                kind: self.kind.clone(),
            }),
            None => Ok(()),
        }
    }

    fn flag(&self, key: &'static str, default: bool) -> Result<bool, ValueError> {
        match self.get(key) {
            Some(value) => {
                go_bool(value).ok_or_else(|| self.invalid(key, "expected true or false"))
            }
            None => Ok(default),
        }
    }

    /// A name that content is put under.
    fn own_reference(&self) -> Result<Reference, ValueError> {
        let reference = self.reference()?;
        if reference.digest().is_some() {
            return Err(self.invalid("ref", "expected a name without a digest"));
        }
        Ok(reference)
    }

    fn export(&self, to: CacheFrom) -> Result<CacheTo, ValueError> {
        let flag = |key, default| self.flag(key, default);
        let oci_media_types = flag("oci-mediatypes", true)?;
        let image_manifest = flag("image-manifest", oci_media_types)?;
        if image_manifest && !oci_media_types {
            return Err(self.invalid("image-manifest", "it needs oci-mediatypes=true"));
        }
        Ok(CacheTo::Export(CacheExport {
            to,
            mode: self.mode()?,
            layers: self.layers(oci_media_types, flag("force-compression", false)?)?,
            image_manifest,
            ignore_error: flag("ignore-error", false)?,
            reset: flag("reset", false)?,
        }))
    }

    fn layers(&self, oci_media_types: bool, force: bool) -> Result<LayerFormat, ValueError> {
        let compression = match self.get("compression") {
            Some(value) => compression("compression", value)?,
            None => Compression::Gzip,
        };
        let level = match self.get("compression-level") {
            Some(value) => {
                let malformed = |_| self.invalid("compression-level", "expected a number");
                Some(value.parse().map_err(malformed)?)
            }
            None => None,
        };
        check_level(compression, level)?;
        Ok(LayerFormat {
            compression,
            level,
            force,
            oci_media_types,
        })
    }

    fn mode(&self) -> Result<CacheMode, ValueError> {
        match self.get("mode") {
            None | Some("min") => Ok(CacheMode::Min),
            Some("max") => Ok(CacheMode::Max),
            Some(_) => Err(self.invalid("mode", "expected min or max")),
        }
    }

    fn reference(&self) -> Result<Reference, ValueError> {
        let name = self.required("ref")?;
        let reference: Reference = name.parse().map_err(|source| ValueError::Tag {
            name: name.to_owned(),
            source,
        })?;
        Ok(reference.with_default_tag())
    }

    fn layout(&self, key: &'static str, digest: Option<Digest>) -> Result<CacheFrom, ValueError> {
        Ok(CacheFrom::Layout(LayoutCache {
            path: PathBuf::from(self.required(key)?),
            tag: self.get("tag").unwrap_or(TAG).to_owned(),
            digest,
        }))
    }

    fn required(&self, key: &'static str) -> Result<&str, ValueError> {
        let given = self.get(key).filter(|value| !value.is_empty());
        given.ok_or_else(|| ValueError::CacheRequires {
            key,
            kind: self.kind.clone(),
        })
    }

    fn invalid(&self, key: &str, expected: &'static str) -> ValueError {
        ValueError::CacheValue {
            key: key.to_owned(),
            value: self.get(key).unwrap_or_default().to_owned(),
            expected,
        }
    }

    /// The error of a type that kiln does not have.
    fn elsewhere(&self) -> ValueError {
        let known = ELSEWHERE.iter().find(|(kind, _)| *kind == self.kind);
        self.unknown(known.map_or(
            "kiln has registry, local and, for --cache-to, inline",
            |(_, instead)| instead,
        ))
    }

    fn unknown(&self, instead: &'static str) -> ValueError {
        ValueError::CacheKind {
            kind: self.kind.clone(),
            instead,
        }
    }
}

#[cfg(test)]
mod tests;
