//! Answers as text, laid out as buildx lays them out; what to do about a finding is kiln's own line.

use engine::{Change, Diagnostic, Source};

use crate::error::Error;

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
