//! Past builds of a builder, from its records.

use std::time::SystemTime;

use client::Client;
use client::messages::{BuildHistoryRecord, Descriptor};
use engine::{About, BuildStatus, HistoryImage, PastBuild, StepCounts};
use oci::{Digest, Document};

use super::progress::time;

/// Bytes of an index or a manifest.
const MAX_DOCUMENT: usize = 4 << 20;
/// What a cancelled build ends with.
const CANCELLED: &str = "context canceled";
/// What says of a manifest that it is not an image but about one.
const ABOUT: &str = "vnd.docker.reference.type";

/// What a record tells of a build, without what it made.
pub(crate) fn past(record: &BuildHistoryRecord) -> PastBuild {
    let number = |count: i32| usize::try_from(count).unwrap_or_default();
    let failure = record.error.as_ref().map(|error| error.message.clone());
    PastBuild {
        id: record.r#ref.clone(),
        about: About::recorded(&record.frontend, &record.frontend_attrs),
        status: match &failure {
            _ if record.completed_at.is_none() => BuildStatus::Running,
            None => BuildStatus::Completed,
            Some(message) if message.contains(CANCELLED) => BuildStatus::Cancelled,
            Some(_) => BuildStatus::Failed,
        },
        started: record.created_at.map_or(SystemTime::UNIX_EPOCH, time),
        finished: record.completed_at.map(time),
        error: failure,
        steps: StepCounts {
            total: number(record.num_total_steps),
            completed: number(record.num_completed_steps),
            cached: number(record.num_cached_steps),
        },
        images: Vec::new(),
        log_error: None,
        warnings: number(record.num_warnings),
        attachments: Vec::new(),
        pinned: record.pinned,
    }
}

/// The images that a build made. Their IDs are in their manifests, which the builder may not have
/// any more.
pub(crate) async fn images(client: &Client, record: &BuildHistoryRecord) -> Vec<HistoryImage> {
    let mut results: Vec<(i64, &Descriptor)> = match &record.result {
        Some(info) => info.results.iter().map(|(at, one)| (*at, one)).collect(),
        None => Vec::new(),
    };
    results.sort_by_key(|(at, _)| *at);
    let mut images = Vec::new();
    for (at, descriptor) in results {
        let exporter = usize::try_from(at).ok();
        let exporter = exporter.and_then(|at| record.exporters.get(at));
        let names = exporter.and_then(|exporter| exporter.attrs.get("name"));
        let names = names.map(String::as_str).unwrap_or_default().split(',');
        images.push(HistoryImage {
            id: id(client, &descriptor.digest).await.unwrap_or_default(),
            digest: descriptor.digest.clone(),
            names: names
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect(),
            exporter: exporter
                .map_or("image", |exporter| &exporter.r#type)
                .to_owned(),
        });
    }
    images
}

/// The digest of the configuration that the manifest leads to; of an index that of the first image.
async fn id(client: &Client, digest: &str) -> Option<String> {
    match document(client, digest).await? {
        Document::Manifest(manifest) => Some(manifest.config.digest.to_string()),
        Document::Index(index) => {
            let mut manifests = index.manifests.iter();
            let first = manifests.find(|one| !one.annotations.contains_key(ABOUT))?;
            match document(client, &first.digest.to_string()).await? {
                Document::Manifest(manifest) => Some(manifest.config.digest.to_string()),
                Document::Index(_) => None,
            }
        }
    }
}

async fn document(client: &Client, digest: &str) -> Option<Document> {
    let wanted: Digest = digest.parse().ok()?;
    let bytes = client.document(digest, MAX_DOCUMENT).await.ok()?;
    (Digest::of(&bytes) == wanted)
        .then(|| Document::parse(&bytes, None).ok())
        .flatten()
}
