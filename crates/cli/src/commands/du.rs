//! `kiln du`, which docker calls `system df`.

use engine::{Usage, UsageItem, UsageKind};

use super::elsewhere;
use super::images::seconds_since;
use super::session::Session;
use crate::args::system::Du;
use crate::error::{CliError, Error};
use crate::ui::human;
use crate::ui::listing::Listing;

const KINDS: &[(UsageKind, &str)] = &[
    (UsageKind::Blob, "Blobs"),
    (UsageKind::Snapshot, "Snapshots"),
    (UsageKind::Container, "Containers"),
    (UsageKind::CacheMount, "Cache mounts"),
    (UsageKind::Download, "Downloads"),
    (UsageKind::Build, "Past builds"),
    (UsageKind::Database, "Database"),
    (UsageKind::Temporary, "Temporary"),
    (UsageKind::Other, "Other"),
];

/// Shows what the store takes on disk, or the cache of a builder that is another process.
pub(super) fn run(session: &mut Session<'_, '_>, args: &Du) -> Result<(), Error> {
    let listing = match session.builder.take() {
        Some(builder) => elsewhere::usage(session, &builder, args.verbose)?,
        None => {
            let usage = session.engine()?.usage()?;
            match args.verbose {
                true => items(session, &usage),
                false => sums(&usage),
            }
        }
    };
    let text = listing
        .render(args.format.as_deref())
        .map_err(CliError::from)?;
    session.ui.print(&text)
}

/// A kind of things in the plural.
pub(super) fn name(kind: UsageKind) -> &'static str {
    let found = KINDS.iter().find(|(known, _)| *known == kind);
    found.map_or("Cache records", |(_, name)| name)
}

fn sums(usage: &Usage) -> Listing {
    let of_kind = |kind: UsageKind| usage.items.iter().filter(move |item| item.kind == kind);
    let size = |item: &UsageItem| (item.bytes, item.is_reclaimable());
    let rows = KINDS.iter();
    let rows = rows.map(|(kind, name)| sum(name, of_kind(*kind).map(size)));
    let total = sum("Total", usage.items.iter().map(size));
    sums_of(rows.chain([total]).collect())
}

/// A row of sums over things, each with its bytes and whether they can be had back.
pub(super) fn sum(name: &str, things: impl Iterator<Item = (u64, bool)>) -> Vec<String> {
    let (mut count, mut active, mut bytes, mut free) = (0, 0, 0_u64, 0_u64);
    for (size, is_reclaimable) in things {
        count += 1;
        // A daemon may say any number.
        bytes = bytes.saturating_add(size);
        match is_reclaimable {
            true => free = free.saturating_add(size),
            false => active += 1,
        }
    }
    vec![
        name.to_owned(),
        count.to_string(),
        active.to_string(),
        human::size(bytes),
        reclaimable(bytes, free),
        bytes.to_string(),
    ]
}

/// The list of such rows.
pub(super) fn sums_of(rows: Vec<Vec<String>>) -> Listing {
    Listing {
        fields: &[
            ("Type", "TYPE"),
            ("TotalCount", "TOTAL"),
            ("Active", "ACTIVE"),
            ("Size", "SIZE"),
            ("Reclaimable", "RECLAIMABLE"),
            ("Bytes", "BYTES"),
        ],
        shown: vec!["Type", "TotalCount", "Active", "Size", "Reclaimable"],
        rows,
    }
}

fn reclaimable(bytes: u64, reclaimable: u64) -> String {
    match (u128::from(reclaimable) * 100).checked_div(bytes.into()) {
        Some(percent) => format!("{} ({percent}%)", human::size(reclaimable)),
        None => human::size(reclaimable),
    }
}

fn items(session: &Session<'_, '_>, usage: &Usage) -> Listing {
    let used = |item: &UsageItem| match item.used {
        Some(time) => format!(
            "{} ago",
            human::duration(seconds_since(time, session.now()))
        ),
        None => String::new(),
    };
    let row = |item: &UsageItem| {
        vec![
            name(item.kind).to_owned(),
            item.id.clone(),
            human::size(item.bytes),
            used(item),
            item.is_reclaimable().to_string(),
            item.description.clone(),
            item.bytes.to_string(),
        ]
    };
    items_of(usage.items.iter().map(row).collect())
}

/// The list of things, each with its kind, its name, its size, its last use, whether it can be had
/// back, what it is of, and its size in bytes.
pub(super) fn items_of(rows: Vec<Vec<String>>) -> Listing {
    Listing {
        fields: &[
            ("Type", "TYPE"),
            ("ID", "ID"),
            ("Size", "SIZE"),
            ("LastUsed", "LAST USED"),
            ("Reclaimable", "RECLAIMABLE"),
            ("Description", "DESCRIPTION"),
            ("Bytes", "BYTES"),
        ],
        shown: vec![
            "Type",
            "ID",
            "Size",
            "LastUsed",
            "Reclaimable",
            "Description",
        ],
        rows,
    }
}
