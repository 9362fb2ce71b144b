//! Puts an image together from its config and its layers: config, manifest, and their bytes.
//!
//! No clock: the times are those at which the layers were made, or `SOURCE_DATE_EPOCH`, so that
//! the same layers always make the same image.

use std::collections::BTreeMap;
use std::time::SystemTime;

use oci::{
    Compression, Descriptor, DiffId, History, ImageConfig, Manifest, MediaType, RootFs, annotation,
};

use crate::clock::{from_epoch, rfc3339};
use crate::error::EngineError;

/// A layer of an image to be.
#[derive(Debug, Clone)]
pub(crate) struct ImageLayer {
    /// Of its uncompressed tar.
    pub(crate) diff_id: DiffId,
    /// Its blob.
    pub(crate) blob: Descriptor,
    /// When it was made.
    pub(crate) created: SystemTime,
    /// Later times in it became this one, in seconds.
    pub(crate) latest: Option<i64>,
}

/// The documents of an image.
#[derive(Debug, Clone)]
pub(crate) struct Assembled {
    pub(crate) config: Vec<u8>,
    pub(crate) config_descriptor: Descriptor,
    pub(crate) manifest: Vec<u8>,
    pub(crate) manifest_descriptor: Descriptor,
}

/// Whose media types the manifest has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Oci,
    Docker,
}

/// Puts together the image with the process defaults and the history of `config`, and a manifest
/// with these annotations.
///
/// The history entries of a base image come first, unchanged: `inherited` of them.
pub(crate) fn assemble(
    config: &ImageConfig,
    inherited: usize,
    layers: &[ImageLayer],
    epoch: Option<i64>,
    dialect: Dialect,
    annotations: BTreeMap<String, String>,
) -> Result<Assembled, EngineError> {
    let mut config = config.clone();
    config.rootfs = RootFs {
        diff_ids: layers.iter().map(|layer| layer.diff_id).collect(),
        ..RootFs::default()
    };
    date(&mut config, inherited, layers, epoch);
    let config = to_json(&config)?;
    let config_type = match dialect {
        Dialect::Oci => MediaType::OciConfig,
        Dialect::Docker => MediaType::DockerConfig,
    };
    let config_descriptor = Descriptor::of(config_type, &config);
    let manifest_type = match dialect {
        Dialect::Oci => MediaType::OciManifest,
        Dialect::Docker => MediaType::DockerManifest,
    };
    let manifest = to_json(&Manifest {
        schema_version: 2,
        media_type: Some(manifest_type.clone()),
        artifact_type: None,
        config: config_descriptor.clone(),
        layers: layers.iter().map(|layer| spoken(layer, dialect)).collect(),
        subject: None,
        annotations,
    })?;
    let manifest_descriptor = Descriptor::of(manifest_type, &manifest);
    Ok(Assembled {
        config,
        config_descriptor,
        manifest,
        manifest_descriptor,
    })
}

pub(super) fn to_json<T: serde::Serialize>(document: &T) -> Result<Vec<u8>, EngineError> {
    oci::to_canonical_json(document).map_err(EngineError::Serialize)
}

/// The descriptor in the media types of `dialect`; the bytes are the same in both.
fn spoken(layer: &ImageLayer, dialect: Dialect) -> Descriptor {
    let blob = &layer.blob;
    let media_type = match (blob.media_type.layer_compression(), dialect) {
        (None, _) => blob.media_type.clone(),
        (Some(compression), Dialect::Oci) => MediaType::OciLayer(compression),
        (Some(compression), Dialect::Docker) => MediaType::DockerLayer(compression),
    };
    let mut spoken = Descriptor::new(media_type, blob.digest, blob.size);
    // Docker's descriptors have no annotations.
    if let (Some(latest), Dialect::Oci) = (layer.latest, dialect) {
        let name = annotation::REWRITTEN_TIMESTAMP.to_owned();
        spoken.annotations.insert(name, latest.to_string());
    }
    spoken
}

/// Dates the entries that this build made: each with its layer's time, one without a layer with
/// that of the layer before it.
fn date(config: &mut ImageConfig, inherited: usize, layers: &[ImageLayer], epoch: Option<i64>) {
    pad_history(config, inherited, layers.len());
    let mut layers = layers.iter();
    let mut last = None;
    for (place, entry) in config.history.iter_mut().enumerate() {
        if !entry.empty_layer {
            last = layers.next().map(|layer| layer.created).or(last);
        }
        if place < inherited {
            continue;
        }
        let time = epoch.map(from_epoch).or(last);
        entry.created = time.map(rfc3339);
    }
    let newest = epoch.map(from_epoch).or(last).map(rfc3339);
    config.created = newest.or_else(|| config.created.take());
}

/// Images without a history for each of their layers exist; Docker gives those an empty entry.
fn pad_history(config: &mut ImageConfig, inherited: usize, layers: usize) {
    let told = config
        .history
        .iter()
        .filter(|entry| !entry.empty_layer)
        .count();
    let place = inherited.min(config.history.len());
    for _ in told..layers {
        config.history.insert(place, History::default());
    }
}

/// The media type of a layer blob in this compression.
pub(crate) const fn layer_type(compression: Compression) -> MediaType {
    MediaType::OciLayer(compression)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_what_the_build_made() {
        let entry = |text: &str, empty_layer| History {
            created_by: text.to_owned(),
            empty_layer,
            ..History::default()
        };
        let config = ImageConfig {
            architecture: "amd64".to_owned(),
            os: "linux".to_owned(),
            history: vec![
                History {
                    created: Some("2001-01-01T00:00:00Z".to_owned()),
                    ..entry("base", false)
                },
                entry("ENV a=b", true),
                entry("RUN x", false),
                entry("CMD", true),
            ],
            ..ImageConfig::default()
        };
        let layer = |name: &str, seconds| ImageLayer {
            diff_id: DiffId(oci::Digest::of(name.as_bytes())),
            blob: Descriptor::of(MediaType::DockerLayer(Compression::Gzip), name.as_bytes()),
            created: from_epoch(seconds),
            latest: None,
        };
        let layers = [layer("base", 10), layer("x", 20)];
        let times = |epoch| {
            let image =
                assemble(&config, 1, &layers, epoch, Dialect::Oci, BTreeMap::new()).unwrap();
            let config: ImageConfig = serde_json::from_slice(&image.config).unwrap();
            let times = config
                .history
                .into_iter()
                .map(|entry| entry.created.unwrap());
            times.chain(config.created).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            times(None),
            "2001-01-01T00:00:00Z 1970-01-01T00:00:10Z 1970-01-01T00:00:20Z 1970-01-01T00:00:20Z 1970-01-01T00:00:20Z"
        );
        assert_eq!(
            times(Some(5)),
            "2001-01-01T00:00:00Z 1970-01-01T00:00:05Z 1970-01-01T00:00:05Z 1970-01-01T00:00:05Z 1970-01-01T00:00:05Z"
        );
    }
}
