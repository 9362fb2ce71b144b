//! What is told of what was removed of the cache.

use engine::{Pruned, RemovedItem, UsageKind};

use crate::commands::du;
use crate::commands::session::Session;
use crate::error::{CliError, Error};
use crate::ui::human;
use crate::ui::listing::Listing;

/// How much is told of what went of the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::commands) enum Detail {
    None,
    Ids,
    All,
}

/// In which words it is told.
pub(in crate::commands) struct Report {
    verb: &'static str,
    space: &'static str,
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
    let row = |one: &RemovedItem| {
        let kind = du::name(one.kind).to_owned();
        [kind, one.id.clone(), human::size(one.bytes)]
    };
    let shown = pruned.removed.iter().filter(|one| is_shown(one.kind));
    let words = if dry_run {
        Report::WOULD_DELETE
    } else {
        Report::DELETED
    };
    words.tell(session, detail, shown.map(row).collect(), pruned.bytes())
}

impl Report {
    /// It went.
    pub(in crate::commands) const DELETED: Self = Self {
        verb: "Deleted",
        space: "Total reclaimed space",
    };
    /// It would go.
    const WOULD_DELETE: Self = Self {
        verb: "Would delete",
        space: "Total reclaimable space",
    };

    /// Tells of each thing its kind, name and size, or the names alone, and the bytes of all.
    pub(in crate::commands) fn tell(
        &self,
        session: &mut Session<'_, '_>,
        detail: Detail,
        rows: Vec<[String; 3]>,
        total: u64,
    ) -> Result<(), Error> {
        let Self { verb, space } = self;
        if detail == Detail::All {
            let listing = Listing {
                fields: &[("Type", "TYPE"), ("ID", "ID"), ("Size", "SIZE")],
                shown: vec!["Type", "ID", "Size"],
                rows: rows.into_iter().map(Vec::from).collect(),
            };
            let table = listing.render(None).map_err(CliError::from)?;
            session.ui.print(&format!("{table}\n"))?;
        } else if !rows.is_empty() {
            let ids: String = rows.iter().map(|[_, id, _]| format!("{id}\n")).collect();
            session
                .ui
                .print(&format!("{verb} build cache objects:\n{ids}\n"))?;
        }
        session.ui.line(&format!("{space}: {}", human::size(total)))
    }
}
