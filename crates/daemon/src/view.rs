//! What the engine knows, as Docker's documents show it.

pub mod call;
mod container;
pub mod table;

use std::collections::BTreeSet;
use std::time::SystemTime;

use api::docker::{
    DeletedImage, HistoryRow, Image, ImageConfig, ImageSummary, PathStat, RootFs, file_mode,
};
pub(crate) use container::show_port;
pub use container::{container, containers, state, status};
use engine::{ImageDetails, Removed, rfc3339};
use oci::{ProcessConfig, Reference};
use serde_json::{Value, json};

/// All that is known of an image.
#[must_use]
pub fn image(details: ImageDetails) -> Image {
    let ImageDetails {
        summary,
        references,
        config,
        updated,
    } = details;
    let repositories: BTreeSet<String> = references.iter().map(Reference::familiar_name).collect();
    let digest = summary.digest;
    let newest = config.history.last();
    Image {
        id: summary.id.to_string(),
        repo_tags: references.iter().map(Reference::familiar).collect(),
        repo_digests: repositories
            .iter()
            .map(|name| format!("{name}@{digest}"))
            .collect(),
        comment: newest
            .map(|entry| entry.comment.clone())
            .unwrap_or_default(),
        created: config.created,
        author: config.author,
        config: image_config(config.config),
        architecture: config.architecture,
        variant: config.variant,
        os: config.os,
        size: summary.size,
        root_fs: RootFs {
            r#type: config.rootfs.kind,
            layers: config
                .rootfs
                .diff_ids
                .iter()
                .map(ToString::to_string)
                .collect(),
        },
        metadata: json!({"LastTagTime": rfc3339(updated)}),
    }
}

fn image_config(config: ProcessConfig) -> ImageConfig {
    let map = |value: Value| (value != json!({})).then_some(value);
    ImageConfig {
        user: config.user,
        exposed_ports: map(json!(config.exposed_ports)),
        env: config.env,
        cmd: config.cmd,
        healthcheck: config.healthcheck.map(|check| json!(check)),
        args_escaped: config.args_escaped,
        volumes: map(json!(config.volumes)),
        working_dir: config.working_dir,
        entrypoint: config.entrypoint,
        on_build: Some(config.on_build).filter(|triggers| !triggers.is_empty()),
        labels: map(json!(config.labels)),
        stop_signal: config.stop_signal,
        shell: config.shell,
    }
}

/// Rows of images: one for each image, with all its names.
pub(crate) fn images(all: Vec<engine::ImageSummary>) -> Vec<ImageSummary> {
    let mut rows: Vec<ImageSummary> = Vec::new();
    for image in all {
        let id = image.id.to_string();
        let tag = image.reference.as_ref().map(Reference::familiar);
        let by_digest = image
            .reference
            .as_ref()
            .map(|name| format!("{}@{}", name.familiar_name(), image.digest));
        let place = rows.iter().position(|row| row.id == id);
        let place = place.unwrap_or_else(|| {
            rows.push(ImageSummary {
                id,
                parent_id: String::new(),
                repo_tags: Vec::new(),
                repo_digests: Vec::new(),
                created: seconds(image.created.as_deref()),
                size: image.size,
                shared_size: -1,
                containers: -1,
                labels: image.labels.clone(),
            });
            rows.len() - 1
        });
        let row = &mut rows[place];
        row.repo_tags.extend(tag);
        let known = |digest: &String| row.repo_digests.contains(digest);
        let fresh = by_digest.filter(|digest| !known(digest));
        row.repo_digests.extend(fresh);
    }
    rows.sort_by_key(|row| std::cmp::Reverse(row.created));
    rows
}

/// Rows of an image's history, newest first.
#[must_use]
pub fn history(rows: Vec<engine::HistoryRow>, tags: &[Reference]) -> Vec<HistoryRow> {
    let row = |row: engine::HistoryRow| HistoryRow {
        tags: row
            .id
            .map(|_| tags.iter().map(Reference::familiar).collect()),
        id: row
            .id
            .map_or_else(|| "<missing>".to_owned(), |id| id.to_string()),
        created: seconds(row.entry.created.as_deref()),
        created_by: row.entry.created_by,
        size: row.size,
        comment: row.entry.comment,
    };
    rows.into_iter().map(row).collect()
}

/// What a removal did.
#[must_use]
pub fn removed(removed: Vec<Removed>) -> Vec<DeletedImage> {
    let row = |removed| match removed {
        Removed::Untagged(name) => DeletedImage::Untagged(Reference::familiar(&name)),
        Removed::Deleted(id) => DeletedImage::Deleted(id.to_string()),
    };
    removed.into_iter().map(row).collect()
}

/// What is told of an image that was loaded.
#[must_use]
pub fn loaded(name: &Reference) -> String {
    match name.digest() {
        Some(digest) if engine::is_untagged(name) => format!("Loaded image ID: {digest}"),
        _ => format!("Loaded image: {}", name.familiar()),
    }
}

/// What is at a path of a container.
pub(crate) fn path_stat(stat: engine::PathStat) -> PathStat {
    let time = jiff::Timestamp::from_second(stat.modified).unwrap_or_default();
    let kind = match stat.kind {
        engine::FileKind::Directory => 0o040_000,
        engine::FileKind::Symlink => 0o120_000,
        engine::FileKind::Block => 0o060_000,
        engine::FileKind::Character => 0o020_000,
        engine::FileKind::Fifo => 0o010_000,
        engine::FileKind::Socket => 0o140_000,
        engine::FileKind::File => 0o100_000,
    };
    PathStat {
        name: stat.name,
        size: stat.size,
        mode: file_mode(kind | stat.mode & 0o7777),
        mtime: time.to_string(),
        link_target: stat
            .link_target
            .map(|target| target.display().to_string())
            .unwrap_or_default(),
    }
}

/// Where there is no time: the year 1, which is none to Go.
const NO_TIME: i64 = -62_135_596_800;

/// Seconds since 1970 of a time as images have it.
fn seconds(created: Option<&str>) -> i64 {
    let time = created.and_then(|text| text.parse::<jiff::Timestamp>().ok());
    time.map_or(NO_TIME, |time| time.as_second())
}

fn since_1970(time: SystemTime) -> i64 {
    let elapsed = time.duration_since(SystemTime::UNIX_EPOCH);
    elapsed.map_or(0, |elapsed| {
        i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX)
    })
}
