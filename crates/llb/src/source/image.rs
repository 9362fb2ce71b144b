//! `docker-image://name`

use std::collections::BTreeMap;

use bollard_buildkit_proto::pb;
use graph::{ImageSource, PullPolicy, SourceOp};
use oci::{Digest, Platform, Reference};

use super::unknown;
use crate::error::Problem;
use crate::load::Given;

pub(super) fn convert(
    name: &str,
    attrs: &BTreeMap<String, String>,
    given: &Given<'_>,
) -> Result<SourceOp, Problem> {
    let reference: Reference = name
        .parse()
        .map_err(|error| Problem::value("docker-image://", name, error))?;
    if reference.tag().is_none() && reference.digest().is_none() {
        return Err(Problem::Invalid(format!("image {name:?}: object required")));
    }
    let (reference, pull) = image_attributes(attrs, reference, given.options.pull)?;
    Ok(SourceOp::Image(ImageSource {
        reference,
        platform: platform(given),
        pull,
    }))
}

/// The image, and when registries are asked about it, as the attributes of its source say; what they
/// are silent about stays.
///
/// # Errors
/// One is unknown or makes no sense.
pub fn image_attributes(
    attrs: &BTreeMap<String, String>,
    mut reference: Reference,
    mut policy: PullPolicy,
) -> Result<(Reference, PullPolicy), Problem> {
    for (key, value) in attrs {
        match key.as_str() {
            "image.resolvemode" => policy = pull(key, value, policy)?,
            "image.checksum" => reference = pinned(reference, key, value)?,
            // It says for how long the builder keeps the image, which its use decides here.
            "image.recordtype"
                if matches!(value.as_str(), "" | "regular" | "internal" | "frontend") => {}
            "image.recordtype" => return Err(Problem::value(key, value, "unknown record type")),
            _ => return Err(unknown(key)),
        }
    }
    Ok((reference, policy))
}

/// What an op, or who asks for an image, says that it is for.
#[must_use]
pub fn normalised(platform: &pb::Platform) -> Platform {
    let mut wanted = Platform::new(&platform.os, &platform.architecture, &platform.variant);
    wanted.os_version.clone_from(&platform.os_version);
    wanted.normalised()
}

/// The platform of the image.
pub(super) fn platform(given: &Given<'_>) -> Platform {
    let default = || {
        given
            .options
            .platform
            .clone()
            .unwrap_or_else(Platform::host)
    };
    let named = given.platform.map(normalised);
    named.unwrap_or_else(|| default().normalised())
}

fn pull(key: &str, value: &str, default: PullPolicy) -> Result<PullPolicy, Problem> {
    match value {
        "" | "default" => Ok(default),
        "pull" => Ok(PullPolicy::Always),
        "local" => Ok(PullPolicy::Missing),
        _ => Err(Problem::value(key, value, "invalid resolvemode")),
    }
}

fn pinned(reference: Reference, key: &str, value: &str) -> Result<Reference, Problem> {
    let digest: Digest = value
        .parse()
        .map_err(|error| Problem::value(key, value, error))?;
    match reference.digest() {
        Some(other) if other != digest => {
            Err(Problem::value(key, value, format!("the name has {other}")))
        }
        _ => Ok(reference.with_digest(digest)),
    }
}
