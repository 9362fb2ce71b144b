//! What is told of what was removed of the cache.

use engine::{Pruned, RemovedItem, UsageKind};

use crate::commands::du;
use crate::commands::session::Session;
use crate::error::{CliError, Error};
use crate::ui::human;
use crate::ui::listing::Listing;

/// How much is told of what went of the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    None,
    Ids,
    All,
}

/// Tells what was removed, or would be.
pub(super) fn report(
    session: &mut Session<'_, '_>,
    pruned: &Pruned,
    detail: Detail,
    dry_run: bool,
) -> Result<(), Error> {
    let is_shown = |kind| match detail {
        Detail::None => false,
        Detail::Ids => matches!(kind, UsageKind::Record | UsageKind::CacheMount),
        Detail::All => true,
    };
    let shown: Vec<_> = pruned
        .removed
        .iter()
        .filter(|one| is_shown(one.kind))
        .collect();
    let (deleted, reclaimed) = if dry_run {
        ("Would delete", "Total reclaimable space")
    } else {
        ("Deleted", "Total reclaimed space")
    };
    if detail == Detail::All {
        let row = |one: &&RemovedItem| {
            let kind = du::name(one.kind).to_owned();
            vec![kind, one.id.clone(), human::size(one.bytes)]
        };
        removed(session, shown.iter().map(row).collect())?;
    } else if !shown.is_empty() {
        let ids: String = shown.iter().map(|one| format!("{}\n", one.id)).collect();
        session
            .ui
            .print(&format!("{deleted} build cache objects:\n{ids}\n"))?;
    }
    let size = human::size(pruned.bytes());
    session.ui.line(&format!("{reclaimed}: {size}"))
}

/// Shows each thing that was removed: its kind, its name and its size.
pub(in crate::commands) fn removed(
    session: &mut Session<'_, '_>,
    rows: Vec<Vec<String>>,
) -> Result<(), Error> {
    let listing = Listing {
        fields: &[("Type", "TYPE"), ("ID", "ID"), ("Size", "SIZE")],
        shown: vec!["Type", "ID", "Size"],
        rows,
    };
    let table = listing.render(None).map_err(CliError::from)?;
    session.ui.print(&format!("{table}\n"))
}
