//! Answers as JSON, in the form of BuildKit's. What kiln adds has names that BuildKit does not use:
//! `fixed`, `errors`, of which `buildError` is the first, and in each finding `fix`, `fixable` and `place`.
//!
//! Lines count from 1, as in BuildKit. Characters count from 0 and in UTF-16 units, and the end is
//! behind the last, as editors have it.

use base64::Engine as _;
use daemon::view::call::{Location, Position, Range, location};
use engine::{Change, Diagnostic, Dockerfile, EngineError, Place, Severity, Source, Span, rule};
use serde::Serialize;

use crate::error::Error;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Check {
    warnings: Vec<Warning>,
    sources: Vec<SourceInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    build_error: Option<BuildError>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<BuildError>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fixed: Vec<Fixed>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Fixed {
    rule_name: &'static str,
    line: u32,
    before: String,
    after: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Warning {
    rule_name: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    detail: String,
    location: Location,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    fixable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<Range>,
}

#[derive(Clone, Serialize)]
struct BuildError {
    message: String,
    location: Location,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<Range>,
}

#[derive(Serialize)]
struct SourceInfo {
    filename: String,
    data: String,
    language: &'static str,
}

/// What was found.
pub(super) fn check(
    changes: &[Change],
    warnings: &[&Diagnostic],
    errors: &[&Diagnostic],
    source: &Source,
) -> Result<String, Error> {
    let errors: Vec<BuildError> = errors.iter().map(|error| of_error(error, source)).collect();
    print(&Check {
        warnings: warnings
            .iter()
            .map(|warning| of_warning(warning, source))
            .collect(),
        sources: vec![SourceInfo {
            filename: source.name.clone(),
            data: base64(&source.text),
            language: "Dockerfile",
        }],
        build_error: errors.first().cloned(),
        errors,
        fixed: changes
            .iter()
            .map(|change| Fixed {
                rule_name: change.rule,
                line: change.line,
                before: change.before.clone(),
                after: change.after.clone(),
            })
            .collect(),
    })
}

/// What ended a build, as one line that fits among those of its progress.
pub(in crate::commands) fn error_line(
    error: &EngineError,
    dockerfile: &Dockerfile,
) -> Result<String, Error> {
    #[derive(Serialize)]
    struct Line {
        errors: Vec<BuildError>,
    }
    let source = Source {
        name: dockerfile.name.clone(),
        text: dockerfile.text.clone(),
    };
    let errors = match error {
        EngineError::Dockerfile(diagnostics) => diagnostics
            .iter()
            .filter(|diagnostic| diagnostic.severity == Severity::Error)
            .map(|diagnostic| of_error(diagnostic, &source))
            .collect(),
        EngineError::Step { step } => {
            let at = step.locations.iter();
            let spans: Vec<Span> = at
                .map(|at| Span::lines(at.first_line, at.last_line))
                .collect();
            vec![BuildError {
                message: step.error.to_string(),
                location: location(&spans),
                fix: None,
                place: None,
            }]
        }
        other => vec![BuildError {
            message: other.to_string(),
            location: location(&[]),
            fix: None,
            place: None,
        }],
    };
    match serde_json::to_string(&Line { errors }) {
        Ok(line) => Ok(format!("{line}\n")),
        Err(error) => Err(Error::new(error.to_string())),
    }
}

fn of_warning(warning: &Diagnostic, source: &Source) -> Warning {
    let name = warning.rule.unwrap_or_default();
    let known = rule(name);
    Warning {
        rule_name: name,
        description: known.map_or("", |rule| rule.description),
        url: warning.url(),
        detail: warning.message.clone(),
        location: location(&warning.spans),
        fix: warning.help.clone(),
        fixable: known.is_some_and(|rule| rule.is_mechanical),
        place: place(warning, source),
    }
}

fn of_error(error: &Diagnostic, source: &Source) -> BuildError {
    BuildError {
        message: error.message.clone(),
        location: location(&error.spans),
        fix: error.help.clone(),
        place: place(error, source),
    }
}

fn place(diagnostic: &Diagnostic, source: &Source) -> Option<Range> {
    let Place { line, start, end } = diagnostic.place(source)?;
    let text = source.text.split('\n').nth(line.checked_sub(1)? as usize)?;
    let position = |byte: usize| {
        let before = text.get(..byte)?;
        Some(Position {
            line,
            character: Some(before.encode_utf16().count()),
        })
    };
    Some(Range {
        start: position(start)?,
        end: position(end)?,
    })
}

fn print(answer: &impl Serialize) -> Result<String, Error> {
    match serde_json::to_string_pretty(answer) {
        Ok(text) => Ok(format!("{text}\n")),
        Err(error) => Err(Error::new(error.to_string())),
    }
}

fn base64(text: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(text)
}
