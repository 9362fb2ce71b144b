//! One past build in the words of BuildKit's protocol.

use std::collections::HashMap;
use std::time::SystemTime;

use bollard_buildkit_proto::google::rpc;
use bollard_buildkit_proto::moby::buildkit::v1::{
    BuildHistoryRecord, BuildResultInfo, Descriptor, Exporter,
};
use engine::{Attachment, BuildStatus, Engine, EngineError, HistoryBuild, HistoryImage, PastBuild};
use oci::{Digest, Document};
use prost::Message as _;
use tonic::{Code, Status};

use crate::buildkit::status::timestamp;

/// The media type of a failure with its details. The spelling is BuildKit's.
const FAILURE: &str = "application/vnd.googeapis.google.rpc.status+proto";
/// By which a client knows what an attestation states.
const PREDICATE: &str = "in-toto.io/predicate-type";
/// What clients know a cancelled build by.
const CANCELLED: &str = "context canceled";

/// A build with its record.
pub(super) type Recorded = (HistoryBuild, BuildHistoryRecord);

/// The failure of a build as it is kept with it.
pub(in crate::buildkit) fn attached(status: &Status) -> Attachment {
    let data = match status.details() {
        [] => rpc::Status {
            code: status.code().into(),
            message: status.message().to_owned(),
            details: Vec::new(),
        }
        .encode_to_vec(),
        details => details.to_vec(),
    };
    Attachment {
        media_type: FAILURE.to_owned(),
        predicate: None,
        data,
    }
}

/// The record of a build.
///
/// # Errors
/// The store cannot be read.
pub(super) fn record(
    engine: &Engine,
    build: &HistoryBuild,
) -> Result<BuildHistoryRecord, EngineError> {
    let build = &build.past;
    let number = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
    let failure = build.attachments.iter().find(|kept| is_failure(kept));
    Ok(BuildHistoryRecord {
        r#ref: build.id.clone(),
        frontend: build.about.frontend.clone(),
        frontend_attrs: options(build),
        exporters: build.images.iter().map(exporter).collect(),
        error: error(build, failure),
        created_at: Some(timestamp(build.started)),
        completed_at: ended(build).map(timestamp),
        result: result(engine, build)?,
        pinned: build.pinned,
        num_cached_steps: number(build.steps.cached),
        num_total_steps: number(build.steps.total),
        num_completed_steps: number(build.steps.completed),
        num_warnings: number(build.warnings),
        external_error: failure.map(descriptor),
        ..BuildHistoryRecord::default()
    })
}

/// What was asked for; of a build that was typed as its client would have sent it.
fn options(build: &PastBuild) -> HashMap<String, String> {
    let about = &build.about;
    if !about.frontend.is_empty() || !about.options.is_empty() {
        return about.options.clone().into_iter().collect();
    }
    let mut options = HashMap::from([
        ("context".to_owned(), about.context.clone()),
        ("filename".to_owned(), about.dockerfile.clone()),
    ]);
    let more = [
        ("target", about.targets.first()),
        ("platform", about.platform.as_ref()),
    ];
    for (name, value) in more {
        let value = value.cloned();
        options.extend(value.map(|value| (name.to_owned(), value)));
    }
    options
}

/// What made an image, as far as it says what the image is called.
fn exporter(image: &HistoryImage) -> Exporter {
    let names = image.names.join(",");
    Exporter {
        r#type: image.exporter.clone(),
        attrs: HashMap::from([("name".to_owned(), names)]),
    }
}

/// When it ended; a build whose process died has no such time, and ended no earlier than it began.
fn ended(build: &PastBuild) -> Option<SystemTime> {
    match build.status {
        BuildStatus::Running => None,
        _ => Some(build.finished.unwrap_or(build.started)),
    }
}

fn error(build: &PastBuild, failure: Option<&Attachment>) -> Option<rpc::Status> {
    let (code, message) = match build.status {
        BuildStatus::Running | BuildStatus::Completed => return None,
        BuildStatus::Cancelled => (Code::Cancelled, CANCELLED.to_owned()),
        BuildStatus::Lost => (Code::Unknown, "the process of the build died".to_owned()),
        BuildStatus::Failed => (Code::Unknown, build.error.clone().unwrap_or_default()),
    };
    let kept = failure.and_then(|failure| rpc::Status::decode(failure.data.as_slice()).ok());
    let own = rpc::Status {
        code: code.into(),
        message,
        details: Vec::new(),
    };
    Some(match kept.filter(|_| build.status == BuildStatus::Failed) {
        Some(kept) => rpc::Status {
            details: Vec::new(),
            ..kept
        },
        None => own,
    })
}

/// What it made, as far as the store has it.
fn result(engine: &Engine, build: &PastBuild) -> Result<Option<BuildResultInfo>, EngineError> {
    let mut results = HashMap::new();
    for (place, image) in (0_i64..).zip(&build.images) {
        let found = manifest(engine, image)?;
        results.extend(found.map(|descriptor| (place, descriptor)));
    }
    let attestations = build.attachments.iter();
    let attestations = attestations.filter(|kept| kept.predicate.is_some());
    let info = BuildResultInfo {
        result_deprecated: results.get(&0).cloned(),
        attestations: attestations.map(descriptor).collect(),
        results,
    };
    let is_something = !info.results.is_empty() || !info.attestations.is_empty();
    Ok(is_something.then_some(info))
}

fn manifest(engine: &Engine, image: &HistoryImage) -> Result<Option<Descriptor>, EngineError> {
    let Ok(digest) = image.digest.parse::<Digest>() else {
        return Ok(None);
    };
    let Some(bytes) = engine.document(&digest)? else {
        return Ok(None);
    };
    let media_type = match Document::parse(&bytes, None) {
        Ok(Document::Manifest(manifest)) => manifest.media_type,
        Ok(Document::Index(index)) => index.media_type,
        Err(_) => return Ok(None),
    };
    let media_type = media_type.unwrap_or(oci::MediaType::OciManifest);
    Ok(Some(Descriptor {
        media_type: media_type.as_str().to_owned(),
        digest: image.digest.clone(),
        size: size(bytes.len()),
        annotations: HashMap::new(),
    }))
}

fn descriptor(kept: &Attachment) -> Descriptor {
    let predicate = kept.predicate.clone();
    let predicate = predicate.map(|predicate| (PREDICATE.to_owned(), predicate));
    Descriptor {
        media_type: kept.media_type.clone(),
        digest: Digest::of(&kept.data).to_string(),
        size: size(kept.data.len()),
        annotations: predicate.into_iter().collect(),
    }
}

fn is_failure(kept: &Attachment) -> bool {
    kept.media_type == FAILURE
}

fn size(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
