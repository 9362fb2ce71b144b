//! `kiln history IMAGE`.

use std::time::SystemTime;

use api::docker::HistoryRow;
use engine::rfc3339;

use super::images::since;
use super::session::Session;
use crate::args::image::ImageHistory;
use crate::error::{CliError, Error};
use crate::keeper::since_1970;
use crate::ui::human;
use crate::ui::listing::Listing;

const MISSING: &str = "<missing>";

/// Shows what made an image, newest first.
pub(super) fn run(session: &mut Session<'_, '_>, args: &ImageHistory) -> Result<(), Error> {
    let image = args.image.as_deref().unwrap_or_default();
    let rows = session.keeper()?.image_history(image)?;
    if args.quiet {
        let ids = rows
            .iter()
            .map(|row| format!("{}\n", id(row, args.no_trunc)));
        return session.ui.print(&ids.collect::<String>());
    }
    let now = session.now();
    let listing = Listing {
        fields: &[
            ("ID", "IMAGE"),
            ("CreatedSince", "CREATED"),
            ("CreatedAt", "CREATED AT"),
            ("CreatedBy", "CREATED BY"),
            ("Size", "SIZE"),
            ("Comment", "COMMENT"),
        ],
        shown: vec!["ID", "CreatedSince", "CreatedBy", "Size", "Comment"],
        rows: rows.iter().map(|row| self::row(row, args, now)).collect(),
    };
    let text = listing
        .render(args.format.as_deref())
        .map_err(CliError::from)?;
    session.ui.print(&text)
}

fn id(row: &HistoryRow, whole: bool) -> String {
    match row.id.as_str() {
        "" => MISSING.to_owned(),
        id if whole || id == MISSING => id.to_owned(),
        id => human::short_id(id).to_owned(),
    }
}

fn row(row: &HistoryRow, args: &ImageHistory, now: SystemTime) -> Vec<String> {
    let created = since_1970(row.created);
    let at = created.map_or_else(|| "N/A".to_owned(), rfc3339);
    let created_by = row.created_by.replace('\t', " ");
    vec![
        id(row, args.no_trunc),
        if args.human {
            since(created, now)
        } else {
            at.clone()
        },
        at,
        if args.no_trunc {
            created_by
        } else {
            human::ellipsis(&created_by, 45)
        },
        if args.human {
            human::size(row.size)
        } else {
            row.size.to_string()
        },
        row.comment.clone(),
    ]
}
