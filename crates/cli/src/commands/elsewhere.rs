//! What a builder that is another process keeps, and its removal, over BuildKit's API.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use client::messages::{DiskUsageRequest, PruneRequest, Timestamp, UsageRecord};
use client::{Client, Failure};
use engine::{PruneRule, Told};

use super::du;
use super::images::seconds_since;
use super::prune::{Detail, Report};
use super::session::{Session, block_on};
use crate::error::Error;
use crate::remote::{Builder, Host};
use crate::ui::human;
use crate::ui::listing::Listing;

/// What the builder's cache takes, on all of its nodes: each record, or the sums of each type.
pub(super) fn usage(
    session: &Session<'_, '_>,
    builder: &Builder,
    each: bool,
) -> Result<Listing, Error> {
    let mut records = Vec::new();
    for node in &builder.nodes {
        let request = DiskUsageRequest::default();
        let ask = async move |client: Client| client.disk_usage(request).await;
        records.extend(ask_builder(&node.host, ask)?);
    }
    Ok(match each {
        true => items(session, &records),
        false => sums(&records),
    })
}

/// What a builder is asked for that is to remove what `rule` says.
pub(super) fn prune_request(rule: &PruneRule, filter: Option<String>) -> PruneRequest {
    let most = |bytes: &Option<Told<u64>>| {
        let bytes = bytes.as_ref().map(|bytes| bytes.value);
        i64::try_from(bytes.unwrap_or_default()).unwrap_or(i64::MAX)
    };
    let unused = rule.unused_for.as_ref();
    let unused = unused.map(|unused| unused.value.as_nanos());
    PruneRequest {
        filter: filter.into_iter().collect(),
        all: rule.all,
        keep_duration: i64::try_from(unused.unwrap_or_default()).unwrap_or(i64::MAX),
        reserved_space: most(&rule.reserved),
        max_used_space: most(&rule.max_used),
        min_free_space: most(&rule.min_free),
    }
}

/// Has the builder remove what `request` says; of each thing its kind, name and size, and the bytes
/// of all.
pub(super) fn pruned(host: &Host, request: PruneRequest) -> Result<(Vec<[String; 3]>, u64), Error> {
    let ask = async move |client: Client| client.prune(request).await;
    let gone = ask_builder(host, ask)?;
    let row = |record: &UsageRecord| {
        let size = human::size(bytes(record.size));
        [record.record_type.clone(), record.id.clone(), size]
    };
    let total = sum(gone.iter());
    Ok((gone.iter().map(row).collect(), total))
}

/// Has the builder remove what `request` says, on all of its nodes, and shows what that was.
pub(super) fn prune(
    session: &mut Session<'_, '_>,
    builder: &Builder,
    request: &PruneRequest,
    each: bool,
) -> Result<(), Error> {
    let (mut rows, mut total) = (Vec::new(), 0);
    for node in &builder.nodes {
        let (gone, bytes) = pruned(&node.host, request.clone())?;
        rows.extend(gone);
        total += bytes;
    }
    let detail = if each { Detail::All } else { Detail::Ids };
    Report::DELETED.tell(session, detail, rows, total)
}

fn sums(records: &[UsageRecord]) -> Listing {
    let size = |record: &&UsageRecord| (bytes(record.size), !record.in_use);
    let mut types: BTreeMap<&str, Vec<&UsageRecord>> = BTreeMap::new();
    for record in records {
        types.entry(&record.record_type).or_default().push(record);
    }
    let rows = types.iter();
    let rows = rows.map(|(name, records)| du::sum(name, records.iter().map(size)));
    let total = du::sum("Total", records.iter().map(|record| size(&record)));
    du::sums_of(rows.chain([total]).collect())
}

fn items(session: &Session<'_, '_>, records: &[UsageRecord]) -> Listing {
    let row = |record: &UsageRecord| {
        let used = record.last_used_at.as_ref();
        vec![
            record.record_type.clone(),
            record.id.clone(),
            human::size(bytes(record.size)),
            used.map(|used| ago(session, used)).unwrap_or_default(),
            (!record.in_use).to_string(),
            record.description.clone(),
            bytes(record.size).to_string(),
        ]
    };
    du::items_of(records.iter().map(row).collect())
}

/// What the builder answers.
pub(super) fn ask_builder<T>(
    host: &Host,
    ask: impl AsyncFnOnce(Client) -> Result<T, Failure>,
) -> Result<T, Error> {
    block_on(async move {
        let client = Client::connect(&host.address, host.way).await;
        ask(client?)
            .await
            .map_err(|failure| Error::new(failure.message))
    })?
}

/// `2 hours ago`.
pub(super) fn ago(session: &Session<'_, '_>, at: &Timestamp) -> String {
    let seconds = u64::try_from(at.seconds).unwrap_or_default();
    let used = UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
    let since = seconds_since(used.unwrap_or(UNIX_EPOCH), session.now());
    format!("{} ago", human::duration(since))
}

/// The bytes of all; a builder may say any number.
pub(super) fn sum<'a>(records: impl Iterator<Item = &'a UsageRecord>) -> u64 {
    records.fold(0, |sum, record| sum.saturating_add(bytes(record.size)))
}

/// A size as the API has it: below nought is nothing.
pub(super) fn bytes(size: i64) -> u64 {
    u64::try_from(size).unwrap_or_default()
}
