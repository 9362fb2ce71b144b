//! `kiln du`, which docker calls `system df`.

use engine::{Usage, UsageItem, UsageKind};

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

/// Shows what the store takes on disk.
pub(super) fn run(session: &mut Session<'_, '_>, args: &Du) -> Result<(), Error> {
    let usage = session.engine()?.usage()?;
    let text = if args.verbose {
        items(session, &usage)
    } else {
        sums(&usage)
    };
    let text = text
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
    let mut rows: Vec<Vec<String>> = Vec::new();
    for (kind, name) in KINDS {
        let sum = usage.of(*kind);
        let of_kind = usage.items.iter().filter(|item| item.kind == *kind);
        let active = of_kind.filter(|item| !item.is_reclaimable()).count();
        rows.push(vec![
            (*name).to_owned(),
            sum.count.to_string(),
            active.to_string(),
            human::size(sum.bytes),
            reclaimable(sum.bytes, sum.reclaimable),
            sum.bytes.to_string(),
        ]);
    }
    let total = usage.total();
    rows.push(vec![
        "Total".to_owned(),
        total.count.to_string(),
        usage
            .items
            .iter()
            .filter(|item| !item.is_reclaimable())
            .count()
            .to_string(),
        human::size(total.bytes),
        reclaimable(total.bytes, total.reclaimable),
        total.bytes.to_string(),
    ]);
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
    match (reclaimable * 100).checked_div(bytes) {
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
        rows: usage.items.iter().map(row).collect(),
    }
}
