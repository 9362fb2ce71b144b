//! What the build cache takes on disk, and its removal.

use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use bollard_buildkit_proto::moby::buildkit::v1::{DiskUsageRequest, PruneRequest, UsageRecord};
use engine::{
    Engine, EngineError, Need, PruneFilter, PruneRule, RemovedItem, Told, UsageItem, UsageKind,
};
use tonic::Status;

use super::blocking::blocking;
use super::status::timestamp;
use crate::docker::Daemon;

/// What the cache has.
///
/// # Errors
/// Only a part is asked for, or the store cannot be read.
pub(super) async fn usage(
    daemon: &Arc<Daemon>,
    request: DiskUsageRequest,
) -> Result<Vec<UsageRecord>, Status> {
    let is_filtered = request.filter.iter().any(|filter| !filter.is_empty());
    if is_filtered || request.age_limit != 0 {
        return Err(Status::unimplemented(
            "a part of the disk usage is not provided by kiln: ask for all of it",
        ));
    }
    let engine = daemon.open().await?;
    let usage = blocking(move || engine.usage()).await?;
    Ok(usage.items.into_iter().filter_map(record).collect())
}

/// Removes what the request says; what is gone.
///
/// # Errors
/// A filter is malformed, or the store cannot be written.
pub(super) async fn prune(
    daemon: &Arc<Daemon>,
    request: PruneRequest,
) -> Result<Vec<UsageRecord>, Status> {
    let rule = rule(request)?;
    let engine = daemon.open().await?;
    let pruned = blocking(move || prune_with(&engine, rule)).await?;
    Ok(pruned.into_iter().map(gone).collect())
}

fn prune_with(engine: &Engine, rule: PruneRule) -> Result<Vec<RemovedItem>, EngineError> {
    let mut request = engine::PruneRequest::new(engine.now());
    request.everything = rule.is_everything();
    request.rules = vec![rule];
    Ok(engine.prune(&request)?.removed)
}

fn rule(request: PruneRequest) -> Result<PruneRule, Status> {
    let filters = request.filter.iter().filter(|text| !text.is_empty());
    let filters = filters.map(|text| PruneFilter::from_str(text));
    let filters: Result<_, _> = filters.collect();
    let bytes = |bytes: i64| {
        let value = u64::try_from(bytes).ok().filter(|bytes| *bytes > 0)?;
        let text = format!("{value} bytes");
        Some(Told { value, text })
    };
    let unused = u64::try_from(request.keep_duration).ok();
    let unused = unused.filter(|nanoseconds| *nanoseconds > 0);
    Ok(PruneRule {
        name: "prune".to_owned(),
        all: request.all,
        filters: filters.map_err(|error| Status::invalid_argument(error.to_string()))?,
        unused_for: unused.map(|nanoseconds| Told {
            value: Duration::from_nanos(nanoseconds),
            text: format!("{:?}", Duration::from_nanos(nanoseconds)),
        }),
        reserved: bytes(request.reserved_space),
        max_used: bytes(request.max_used_space),
        min_free: bytes(request.min_free_space),
    })
}

/// What BuildKit calls the kind; none of what is not of its cache.
const fn kind(kind: UsageKind) -> Option<&'static str> {
    match kind {
        UsageKind::Snapshot | UsageKind::Blob | UsageKind::Record => Some("regular"),
        UsageKind::CacheMount => Some("exec.cachemount"),
        UsageKind::Download => Some("internal"),
        _ => None,
    }
}

/// What images and containers need is theirs, not the cache's.
fn record(item: UsageItem) -> Option<UsageRecord> {
    if item.need == Need::Others {
        return None;
    }
    Some(UsageRecord {
        record_type: kind(item.kind)?.to_owned(),
        id: item.id,
        mutable: item.kind == UsageKind::CacheMount,
        in_use: item.need == Need::Builds,
        size: i64::try_from(item.bytes).unwrap_or(i64::MAX),
        last_used_at: item.used.map(timestamp),
        description: item.description,
        ..UsageRecord::default()
    })
}

fn gone(item: RemovedItem) -> UsageRecord {
    UsageRecord {
        record_type: kind(item.kind).unwrap_or_default().to_owned(),
        id: item.id,
        size: i64::try_from(item.bytes).unwrap_or(i64::MAX),
        ..UsageRecord::default()
    }
}
