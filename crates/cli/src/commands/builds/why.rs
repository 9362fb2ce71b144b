//! `kiln history why`.

use std::fmt::Write as _;

use engine::{HistoryStep, StepState};
use serde_json::Value;

use super::kept::Kept;
use super::{Session, duration, inspect, word};
use crate::args::history::Why;
use crate::error::{CliError, Error};
use crate::progress::explain::origin;
use crate::ui::one_line;
use crate::ui::template::Template;

/// Says why.
pub(super) fn run(session: &mut Session<'_, '_>, args: &Why) -> Result<(), Error> {
    let kept = Kept::of(session)?;
    kept.refuse_there("kiln history why", "`kiln history inspect` shows the steps")?;
    let build = kept.build(args.build.as_deref().unwrap_or_default())?;
    let mut steps = kept.steps(&build)?;
    if let Some(wanted) = &args.step {
        steps.retain(|step| is_meant(step, wanted));
        if steps.is_empty() {
            return Err(
                Error::new(format!("build {} has no step {wanted:?}", build.id))
                    .hint(format!("`kiln history inspect {}` lists them", build.id)),
            );
        }
    }
    let text = match args.format.as_deref() {
        None | Some("" | "pretty") => steps.iter().map(pretty).collect(),
        Some("json") => {
            let steps: Value = steps.iter().map(inspect::step).collect();
            format!("{steps:#}\n")
        }
        Some(text) => {
            let template = Template::parse(text).map_err(CliError::from)?;
            let mut lines = String::new();
            for step in &steps {
                let line = template.render(&inspect::step(step));
                lines.push_str(&line.map_err(CliError::from)?);
                lines.push('\n');
            }
            lines
        }
    };
    session.ui.print(&text)
}

/// By number, with or without `#`, or by a part of its name.
fn is_meant(step: &HistoryStep, wanted: &str) -> bool {
    match wanted.trim_start_matches('#').parse::<usize>() {
        Ok(number) => step.number == number,
        Err(_) => step.name.to_lowercase().contains(&wanted.to_lowercase()),
    }
}

fn pretty(step: &HistoryStep) -> String {
    let mut text = format!("#{} {}", step.number, one_line(&step.name));
    if !matches!(step.state, StepState::Cached(_)) {
        let _ = write!(text, "\n   {}", word(step.state));
        if let Some(took) = step.duration {
            let _ = write!(text, " in {}", duration(took));
        }
    }
    if let Some(reason) = reason(step) {
        let _ = write!(text, "\n   {}", one_line(&reason));
    }
    if let Some(error) = &step.error {
        let _ = write!(text, "\n   {}", one_line(error));
    }
    text.push('\n');
    text
}

/// Why a step ran, or where its result was; nothing of what is done in every build.
pub(super) fn reason(step: &HistoryStep) -> Option<String> {
    match (&step.reason, step.state) {
        (_, StepState::Cached(from)) => Some(match &step.imported_from {
            Some(cache) => format!("cached: found in {cache}"),
            None => format!("cached: {}", origin(from)),
        }),
        (Some(reason), _) if step.shared => Some(format!(
            "not cached: {reason} (run together with another build)"
        )),
        (Some(reason), _) => Some(format!("not cached: {reason}")),
        (None, _) if step.shared => Some("another build ran it for both".to_owned()),
        (None, _) => None,
    }
}
