//! `kiln history inspect`.

use std::fmt::Write as _;

use engine::{BuildStatus, HistoryStep, PastBuild, StepState, rfc3339};
use serde_json::{Map, Value, json};

use super::kept::Kept;
use super::{Session, duration, ls, why, word};
use crate::args::history::Inspect;
use crate::commands::images::shown_time;
use crate::error::{CliError, Error};
use crate::ui::template::Template;
use crate::ui::{one_line, table};

/// Shows a build.
pub(super) fn run(session: &mut Session<'_, '_>, args: &Inspect) -> Result<(), Error> {
    let kept = Kept::of(session)?;
    let build = kept.build(args.build.as_deref().unwrap_or_default())?;
    let steps = kept.steps(&build)?;
    let text = match args.format.as_deref() {
        None | Some("" | "pretty") => pretty(session, &build, &steps),
        Some("json") => format!("{:#}\n", object(&build, &steps)),
        Some(text) => {
            let template = Template::parse(text).map_err(CliError::from)?;
            let line = template.render(&object(&build, &steps));
            format!("{}\n", line.map_err(CliError::from)?)
        }
    };
    session.ui.print(&text)
}

fn pretty(session: &Session<'_, '_>, build: &PastBuild, steps: &[HistoryStep]) -> String {
    let about = &build.about;
    let took = build.duration(session.now()).map(duration);
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(text, "{:<16}{}", format!("{name}:"), one_line(value));
        }
    };
    line("Name", &about.name);
    line("Build ID", &build.id);
    line("Context", &about.context);
    line("Dockerfile", &about.dockerfile);
    line("Target", &about.targets.join(", "));
    line("Platform", about.platform.as_deref().unwrap_or_default());
    line("Started", &shown_time(build.started));
    line("Duration", &took.unwrap_or_default());
    line("Status", ls::status(build.status));
    line("Build Steps", &counts(build));
    line("Error", error(build));
    line("Log", build.log_error.as_deref().unwrap_or_default());
    for image in &build.images {
        line("Image", &[&image.id, " ", &image.names.join(" ")].concat());
    }
    if !steps.is_empty() {
        text.push('\n');
        text.push_str(&table::align_by(&rows(steps), 4, 3));
        let _ = writeln!(text, "\nPrint its log: kiln history logs {}", build.id);
    }
    text
}

/// `16/16 (25% cached)`; nothing while it is not known.
fn counts(build: &PastBuild) -> String {
    let counts = build.steps;
    if counts.total == 0 {
        return String::new();
    }
    let cached = counts.cached * 100 / counts.completed.max(1);
    format!("{}/{} ({cached}% cached)", counts.completed, counts.total)
}

fn error(build: &PastBuild) -> &str {
    match build.status {
        BuildStatus::Lost => "its process died",
        _ => build.error.as_deref().unwrap_or_default(),
    }
}

fn rows(steps: &[HistoryStep]) -> String {
    let mut rows = String::from("STEP\tSTATE\tDURATION\tNAME\n");
    for step in steps {
        let took = step.duration.map(duration).unwrap_or_default();
        let name = one_line(&step.name);
        let _ = writeln!(
            rows,
            "{}\t{}\t{took}\t{name}",
            step.number,
            word(step.state)
        );
        if let Some(reason) = why::reason(step) {
            let _ = writeln!(rows, "\t\t\t  {}", one_line(&reason));
        }
    }
    rows
}

/// As buildx names things, with the steps.
fn object(build: &PastBuild, steps: &[HistoryStep]) -> Value {
    let about = &build.about;
    let mut object = Map::new();
    let mut add = |name: &str, value: Value| object.insert(name.to_owned(), value);
    add("Name", json!(about.name));
    add("Ref", json!(build.id));
    add("Context", json!(about.context));
    add("Dockerfile", json!(about.dockerfile));
    add("Target", json!(about.targets.join(",")));
    add("Platform", json!(about.platform.iter().collect::<Vec<_>>()));
    add("StartedAt", json!(rfc3339(build.started)));
    if let Some(finished) = build.finished {
        let took = finished.duration_since(build.started).unwrap_or_default();
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        add("CompletedAt", json!(rfc3339(finished)));
        add("Duration", json!(nanoseconds));
    }
    let status = match build.status {
        BuildStatus::Running => "running",
        BuildStatus::Completed => "completed",
        BuildStatus::Failed | BuildStatus::Lost => "failed",
        BuildStatus::Cancelled => "canceled",
    };
    add("Status", json!(status));
    if !error(build).is_empty() {
        add("Error", json!({"Message": error(build)}));
    }
    add("NumCompletedSteps", json!(build.steps.completed));
    add("NumTotalSteps", json!(build.steps.total));
    add("NumCachedSteps", json!(build.steps.cached));
    let images = build.images.iter();
    let images =
        images.map(|image| json!({"ID": image.id, "Digest": image.digest, "Names": image.names}));
    add("Images", images.collect());
    add("Steps", steps.iter().map(step).collect());
    Value::Object(object)
}

/// A step as JSON.
pub(super) fn step(step: &HistoryStep) -> Value {
    let mut object = Map::new();
    let mut add = |name: &str, value: Value| object.insert(name.to_owned(), value);
    add("Number", json!(step.number));
    add("Name", json!(step.name));
    add("State", json!(word(step.state)));
    add("StartedAt", json!(rfc3339(step.started)));
    if let Some(took) = step.duration {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        add("Duration", json!(nanoseconds));
    }
    if let Some(reason) = &step.reason {
        add("NotCached", json!(reason));
    }
    if let StepState::Cached(origin) = step.state {
        let from = step.imported_from.as_deref();
        let from = from.unwrap_or(crate::progress::explain::origin(origin));
        add("Cached", json!(from));
    }
    add("Shared", json!(step.shared));
    if let Some(error) = &step.error {
        add("Error", json!(error));
    }
    Value::Object(object)
}
