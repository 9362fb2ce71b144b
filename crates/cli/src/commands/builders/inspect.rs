//! `kiln builder inspect`.

use std::time::{Duration, SystemTime};

use client::messages::GcPolicy;

use super::known::Known;
use super::status::{Loading, boot, load};
use super::{Session, patience};
use crate::args::builders::Inspect;
use crate::error::Error;
use crate::ui::{human, table};

/// Shows a builder and what its nodes say.
pub(super) fn run(session: &mut Session<'_, '_>, args: &Inspect) -> Result<(), Error> {
    let known = Known::wanted(session, args.name.as_ref(), &args.chosen)?;
    let patience = patience(&args.patience)?;
    if args.bootstrap {
        boot(session, &known, patience)?;
    }
    let mut text = String::new();
    for builder in load(session, vec![known], patience)? {
        let group = &builder.known.group;
        let mut head = vec![row("Name", &group.name), row("Driver", &group.driver)];
        if let Some(at) = builder.known.last_activity {
            head.push(row("Last Activity", &shown(at)));
        }
        text += &aligned(&head);
        text += "\nNodes:\n";
        let nodes: Vec<String> = builder.nodes.iter().map(of_node).collect();
        text += &nodes.join("\n");
    }
    session.ui.print(&text)
}

fn of_node(loading: &Loading) -> String {
    let node = &loading.node;
    let mut rows = vec![row("Name", &node.name), row("Endpoint", &node.endpoint)];
    let options = node.driver_opts.iter();
    let options: Vec<String> = options
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    if !options.is_empty() {
        rows.push(row("Driver Options", &options.join(" ")));
    }
    let status = match &loading.status {
        Err(error) => {
            rows.push(row("Error", error));
            return aligned(&rows);
        }
        Ok(status) => status,
    };
    rows.push(row("Status", loading.word()));
    for (name, value) in [
        ("BuildKit daemon flags", node.flags.join(" ")),
        ("BuildKit version", status.version.clone()),
        ("Platforms", loading.platforms().join(", ")),
    ] {
        if !value.is_empty() {
            rows.push(row(name, &value));
        }
    }
    let mut text = aligned(&rows);
    if !status.labels.is_empty() {
        let labels = status.labels.iter();
        let labels: Vec<String> = labels.map(|(name, value)| row(name, value)).collect();
        text += &format!("Labels:\n{}", indented(&labels));
    }
    for (number, rule) in status.gc.iter().enumerate() {
        text += &format!("GC Policy rule#{number}:\n{}", indented(&of_rule(rule)));
    }
    text
}

fn of_rule(rule: &GcPolicy) -> Vec<String> {
    let mut rows = vec![row("All", &rule.all.to_string())];
    if !rule.filters.is_empty() {
        rows.push(row("Filters", &rule.filters.join(" ")));
    }
    if let Ok(nanos @ 1..) = u64::try_from(rule.keep_duration) {
        rows.push(row("Keep Duration", &hours(Duration::from_nanos(nanos))));
    }
    for (name, bytes) in [
        ("Reserved Space", rule.reserved_space),
        ("Max Used Space", rule.max_used_space),
        ("Min Free Space", rule.min_free_space),
    ] {
        if let Ok(bytes @ 1..) = u64::try_from(bytes) {
            rows.push(row(name, &human::binary_size(bytes)));
        }
    }
    rows
}

fn row(name: &str, value: &str) -> String {
    // What others wrote does not break the page.
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let value: String = value.chars().map(plain).collect();
    format!("{name}:\t{value}\n")
}

fn aligned(rows: &[String]) -> String {
    table::align_by(&rows.concat(), 0, 1)
}

fn indented(rows: &[String]) -> String {
    let rows: Vec<String> = rows.iter().map(|row| format!("\t{row}")).collect();
    table::align_by(&rows.concat(), 0, 1)
}

/// As Go prints a time.
fn shown(at: SystemTime) -> String {
    let at = jiff::Timestamp::try_from(at).unwrap_or_default();
    at.strftime("%Y-%m-%d %H:%M:%S +0000 UTC").to_string()
}

/// As Go prints a duration of whole seconds: `48h0m0s`.
fn hours(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, minutes) => format!("{minutes}m{seconds}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
    }
}
