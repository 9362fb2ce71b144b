//! Answers as text, laid out as buildx lays them out; what to do about a finding is kiln's own line.

use engine::{Change, Diagnostic, Outline, OutlineMount, Source, Target};

use crate::error::Error;
use crate::ui::table::align_by;

/// What was rewritten.
pub(super) fn changes(changes: &[Change], source: &Source) -> String {
    let mut text = match changes.len() {
        0 => return String::new(),
        1 => "1 fault has been fixed.\n".to_owned(),
        count => format!("{count} faults have been fixed.\n"),
    };
    for change in changes {
        let place = format!("{}:{}: {}", source.name, change.line, change.rule);
        let what = match (change.before.trim(), change.after.as_str()) {
            ("", "") => "removed an empty line".to_owned(),
            (before, "") => format!("removed `{before}`"),
            (before, after) => format!("`{before}` is now `{after}`"),
        };
        text.push_str(&format!(" - {place}: {what}\n"));
    }
    text.push('\n');
    text
}

/// The warnings; nothing when there are none but errors follow.
pub(super) fn check(warnings: &[&Diagnostic], fails: bool, source: &Source) -> String {
    let mut text = match (warnings.len(), fails) {
        (0, true) => return String::new(),
        (0, false) => return "Check complete, no warnings found.\n".to_owned(),
        (1, _) => "Check complete, 1 warning has been found!\n".to_owned(),
        (count, _) => format!("Check complete, {count} warnings have been found!\n"),
    };
    for warning in warnings {
        text.push_str(&format!("\nWARNING: {}", warning.rule.unwrap_or_default()));
        if let Some(url) = warning.url() {
            text.push_str(&format!(" - {url}"));
        }
        text.push_str(&format!("\n{}", body(warning, source)));
    }
    if fails {
        text.push('\n');
    }
    text
}

/// All errors as one.
pub(super) fn errors(errors: &[&Diagnostic], source: &Source) -> Option<Error> {
    let (last, others) = errors.split_last()?;
    let others = others
        .iter()
        .map(|error| format!("ERROR: {}\n", body(error, source)));
    let mut dressed = Error::new(body(last, source).trim_end());
    dressed.excerpt = others.collect();
    Some(dressed)
}

/// What it is, what to do, and where.
fn body(diagnostic: &Diagnostic, source: &Source) -> String {
    let mut text = format!("{}\n", diagnostic.message);
    if let Some(help) = &diagnostic.help {
        text.push_str(&format!("fix: {help}\n"));
    }
    text.push_str(&diagnostic.excerpt(source).unwrap_or_default());
    text
}

/// What a target takes.
pub(super) fn outline(outline: &Outline) -> String {
    let mut text = String::new();
    if outline.name.is_some() || outline.description.is_some() {
        let name = outline.name.as_deref().unwrap_or("(default)");
        let mut rows = format!("TARGET:\t{name}\n");
        if let Some(description) = &outline.description {
            rows.push_str(&format!("DESCRIPTION:\t{description}\n"));
        }
        text.push_str(&align_by(&rows, 0, 1));
        text.push('\n');
    }
    if !outline.args.is_empty() {
        let mut rows = "BUILD ARG\tVALUE\tDESCRIPTION\n".to_owned();
        for arg in &outline.args {
            let value = arg.value.as_deref().unwrap_or_default();
            let description = arg.description.as_deref().unwrap_or_default();
            rows.push_str(&format!("{}\t{value}\t{description}\n", arg.name));
        }
        text.push_str(&align_by(&rows, 0, 3));
        text.push('\n');
    }
    text.push_str(&mounts("SECRET", &outline.secrets));
    text.push_str(&mounts("SSH", &outline.ssh));
    text
}

fn mounts(title: &str, mounts: &[OutlineMount]) -> String {
    if mounts.is_empty() {
        return String::new();
    }
    let mut rows = format!("{title}\tREQUIRED\n");
    for mount in mounts {
        let required = if mount.required { "true" } else { "" };
        rows.push_str(&format!("{}\t{required}\n", mount.id));
    }
    format!("{}\n", align_by(&rows, 0, 3))
}

/// The stages.
pub(super) fn targets(targets: &[Target]) -> String {
    let mut rows = "TARGET\tDESCRIPTION\n".to_owned();
    for target in targets {
        let name = match (&target.name, target.is_default) {
            (None, true) => "(default)".to_owned(),
            (Some(name), true) => format!("{name} (default)"),
            (name, false) => name.clone().unwrap_or_default(),
        };
        let description = target.description.as_deref().unwrap_or_default();
        rows.push_str(&format!("{name}\t{description}\n"));
    }
    align_by(&rows, 0, 1)
}
