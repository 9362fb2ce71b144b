//! Answers about a Dockerfile as JSON, in the form of BuildKit's.
//!
//! Lines count from 1, as in BuildKit.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use engine::{Dockerfile, Outline, OutlineMount, Span, Target};
use serde::Serialize;

/// Where something is in a file.
#[derive(Debug, Clone, Serialize)]
pub struct Location {
    /// Its lines.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ranges: Vec<Range>,
}

/// From one place to another.
#[derive(Debug, Clone, Serialize)]
pub struct Range {
    /// The first.
    pub start: Position,
    /// The last.
    pub end: Position,
}

/// A place in a file.
#[derive(Debug, Clone, Serialize)]
pub struct Position {
    /// Its line, from 1.
    pub line: u32,
    /// Its character in the line, from 0 and in UTF-16 units, when that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub character: Option<usize>,
}

#[derive(Serialize)]
struct OutlineAnswer {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    args: Vec<Arg>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    secrets: Vec<Mount>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ssh: Vec<Mount>,
    sources: Vec<String>,
}

#[derive(Serialize)]
struct Arg {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    location: Location,
}

#[derive(Serialize)]
struct Mount {
    name: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    required: bool,
    location: Location,
}

#[derive(Serialize)]
struct Targets {
    targets: Vec<TargetAnswer>,
    sources: Vec<String>,
}

#[derive(Serialize)]
struct TargetAnswer {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    default: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    base: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    platform: String,
    location: Location,
}

/// What a target takes.
///
/// # Errors
/// None that is known of.
pub fn outline(outline: &Outline, dockerfile: &Dockerfile) -> Result<String, serde_json::Error> {
    let args = outline.args.iter().map(|arg| Arg {
        name: arg.name.clone(),
        description: arg.description.clone(),
        value: arg.value.clone().filter(|value| !value.is_empty()),
        location: location(&[arg.span]),
    });
    serde_json::to_string_pretty(&OutlineAnswer {
        name: outline.name.clone(),
        description: outline.description.clone(),
        args: args.collect(),
        secrets: mounts(&outline.secrets),
        ssh: mounts(&outline.ssh),
        sources: vec![STANDARD.encode(&dockerfile.text)],
    })
}

/// The stages.
///
/// # Errors
/// None that is known of.
pub fn targets(targets: &[Target], dockerfile: &Dockerfile) -> Result<String, serde_json::Error> {
    let targets = targets.iter().map(|target| TargetAnswer {
        name: target.name.clone(),
        default: target.is_default,
        description: target.description.clone(),
        base: target.base.clone(),
        platform: target.platform.clone(),
        location: location(&[target.span]),
    });
    serde_json::to_string_pretty(&Targets {
        targets: targets.collect(),
        sources: vec![STANDARD.encode(&dockerfile.text)],
    })
}

/// The lines of `spans`.
#[must_use]
pub fn location(spans: &[Span]) -> Location {
    let position = |line| Position {
        line,
        character: None,
    };
    let ranges = spans.iter().map(|span| Range {
        start: position(span.first_line),
        end: position(span.last_line),
    });
    Location {
        ranges: ranges.collect(),
    }
}

fn mounts(mounts: &[OutlineMount]) -> Vec<Mount> {
    let mounts = mounts.iter().map(|mount| Mount {
        name: mount.id.clone(),
        required: mount.required,
        location: location(&[mount.span]),
    });
    mounts.collect()
}
