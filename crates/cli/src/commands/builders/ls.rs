//! `kiln builder ls`.

use super::known::Known;
use super::status::{Loaded, Loading, load};
use super::{Session, patience, platforms};
use crate::args::builders::Ls;
use crate::error::{CliError, Error};
use crate::ui::listing::Listing;

/// What stands before a node in a table.
const INDENT: &str = " \\_ ";

/// Lists builders with what their nodes say.
pub(super) fn run(session: &mut Session<'_, '_>, args: &Ls) -> Result<(), Error> {
    let current = Known::current(session)?.group.name;
    let patience = patience(&args.patience)?;
    let all = load(session, Known::all(session)?, patience)?;
    let is_current = |builder: &Loaded| builder.known.group.name == current;
    let format = args.format.as_deref();
    if format == Some("json") {
        let lines = all.iter();
        let lines = lines.map(|one| format!("{}\n", one.to_json(is_current(one))));
        return session.ui.print(&lines.collect::<String>());
    }
    let is_table = format.is_none_or(|format| format.is_empty() || format.starts_with("table"));
    let mut rows = Vec::new();
    for builder in &all {
        rows.push(head(builder, is_table && is_current(builder)));
        let nodes = builder.nodes.iter();
        rows.extend(nodes.map(|node| row(node, is_table, is_table && !args.no_trunc)));
    }
    let listing = Listing {
        fields: &[
            ("Name", "NAME/NODE"),
            ("DriverEndpoint", "DRIVER/ENDPOINT"),
            ("Status", "STATUS"),
            ("Buildkit", "BUILDKIT"),
            ("Platforms", "PLATFORMS"),
            ("LastActivity", "LAST ACTIVITY"),
            ("Error", "ERROR"),
        ],
        shown: vec!["Name", "DriverEndpoint", "Status", "Buildkit", "Platforms"],
        rows,
    };
    let text = listing.render(format).map_err(CliError::from)?;
    session.ui.print(&text)?;
    if is_table {
        tell_errors(session, &all);
    }
    Ok(())
}

fn head(builder: &Loaded, star: bool) -> Vec<String> {
    let known = &builder.known;
    let star = if star { "*" } else { "" };
    let at = known.last_activity.map(engine::rfc3339);
    vec![
        format!("{}{star}", known.group.name),
        known.group.driver.clone(),
        String::new(),
        String::new(),
        String::new(),
        at.unwrap_or_default(),
        String::new(),
    ]
}

fn row(loading: &Loading, is_table: bool, cuts: bool) -> Vec<String> {
    let indent = if is_table { INDENT } else { "" };
    let node = &loading.node;
    let all = loading.platforms();
    let (version, error) = match &loading.status {
        Ok(status) => (status.version.clone(), String::new()),
        Err(error) => (String::new(), error.clone()),
    };
    vec![
        format!("{indent}{}", node.name),
        format!("{indent}{}", node.endpoint),
        loading.word().to_owned(),
        version,
        match cuts {
            true => platforms::shortened(&all),
            false => all.join(", "),
        },
        String::new(),
        error,
    ]
}

fn tell_errors(session: &mut Session<'_, '_>, all: &[Loaded]) {
    let mut is_first = true;
    for builder in all {
        let name = &builder.known.group.name;
        for Loading { node, status } in &builder.nodes {
            let Err(error) = status else { continue };
            if std::mem::take(&mut is_first) {
                session.ui.say("");
            }
            let node = &node.name;
            let text = format!("Failed to get status for {name} ({node}): {error}");
            session.ui.say(&text);
        }
    }
}
