//! `kiln history ls`.

use std::time::SystemTime;

use engine::{BuildStatus, PastBuild, rfc3339};
use serde_json::{Map, Value, json};

use super::filter::Filter;
use super::kept::Kept;
use super::{Session, duration};
use crate::args::history::Ls;
use crate::commands::images::seconds_since;
use crate::error::{CliError, Error};
use crate::ui::human;
use crate::ui::listing::Listing;
use crate::ui::one_line;

/// How much of a name a table shows, as in buildx.
const NAME: usize = 36;

/// Lists builds.
pub(super) fn run(session: &mut Session<'_, '_>, args: &Ls) -> Result<(), Error> {
    let now = session.now();
    let filters: Vec<Filter> = args
        .filter
        .iter()
        .map(|text| Filter::parse(text, now))
        .collect::<Result<_, _>>()?;
    let mut builds = Kept::of(session)?.builds()?;
    builds.retain(|build| filters.iter().all(|filter| filter.passes(build, now)));
    // What goes on comes first.
    builds.sort_by_key(|build| build.status != BuildStatus::Running);
    if args.quiet {
        let ids = builds.iter().map(|build| format!("{}\n", build.id));
        return session.ui.print(&ids.collect::<String>());
    }
    if args.format.as_deref() == Some("json") {
        let lines = builds.iter().map(|build| format!("{}\n", json(build)));
        return session.ui.print(&lines.collect::<String>());
    }
    let format = args.format.as_deref();
    let is_table = format.is_none_or(|format| format.is_empty() || format.starts_with("table"));
    let listing = Listing {
        fields: &[
            ("Ref", "BUILD ID"),
            ("Name", "NAME"),
            ("Status", "STATUS"),
            ("CreatedAt", "CREATED AT"),
            ("Duration", "DURATION"),
            ("Steps", "STEPS"),
            ("Cached", "CACHED"),
            ("Error", "ERROR"),
        ],
        shown: vec!["Ref", "Name", "Status", "CreatedAt", "Duration"],
        rows: builds
            .iter()
            .map(|build| row(build, is_table && !args.no_trunc, now))
            .collect(),
    };
    let text = listing.render(format).map_err(CliError::from)?;
    session.ui.print(&text)
}

/// A status as buildx's table has it.
pub(super) const fn status(status: BuildStatus) -> &'static str {
    match status {
        BuildStatus::Running => "Running",
        BuildStatus::Completed => "Completed",
        BuildStatus::Failed | BuildStatus::Lost => "Error",
        BuildStatus::Cancelled => "Canceled",
    }
}

fn row(build: &PastBuild, cuts: bool, now: SystemTime) -> Vec<String> {
    let name = one_line(&build.about.name);
    let created = human::duration(seconds_since(build.started, now));
    let mut took = build.duration(now).map(duration).unwrap_or_default();
    if build.status == BuildStatus::Running {
        took.push('+');
    }
    vec![
        build.id.clone(),
        if cuts {
            without_beginning(&name, NAME)
        } else {
            name
        },
        status(build.status).to_owned(),
        format!("{created} ago"),
        took,
        build.steps.total.to_string(),
        build.steps.cached.to_string(),
        one_line(build.error.as_deref().unwrap_or_default()),
    ]
}

fn json(build: &PastBuild) -> Value {
    let mut object = Map::new();
    let mut add = |name: &str, value: Value| object.insert(name.to_owned(), value);
    add("ref", json!(build.id));
    add("name", json!(build.about.name));
    add("status", json!(status(build.status)));
    add("created_at", json!(rfc3339(build.started)));
    if let Some(finished) = build.finished {
        add("completed_at", json!(rfc3339(finished)));
    }
    add("total_steps", json!(build.steps.total));
    add("completed_steps", json!(build.steps.completed));
    add("cached_steps", json!(build.steps.cached));
    Value::Object(object)
}

/// `..nd of a long name`.
fn without_beginning(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return text.to_owned();
    }
    let kept = text.chars().skip(length + 2 - width);
    "..".chars().chain(kept).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_lose_their_beginning() {
        assert_eq!(without_beginning("abcdef", 6), "abcdef");
        assert_eq!(without_beginning("abcdefg", 6), "..defg");
    }
}
