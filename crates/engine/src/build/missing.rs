//! Why a file that a step copies from the build context is not there: it has another name, or the
//! ignore file leaves it out.

use std::fs;
use std::path::{Component, Path, PathBuf};

use dockerfile::InstructionKind;
use dockerfile::ignore::Patterns;
use snapshot::SelectError;
use snapshot::checksum::ChecksumError;
use snapshot::copy::CopyError;

use crate::error::{EngineError, StepFailure};
use crate::request::{Context, Dockerfile};

/// What to do about `error`, which ended a build of `dockerfile`, when it is that a file of the
/// context was not found.
#[must_use]
pub fn explain_missing(
    error: &EngineError,
    dockerfile: &Dockerfile,
    context: &Context,
) -> Option<String> {
    let EngineError::Step { step } = error else {
        return None;
    };
    let path = missing_path(&step.error)?;
    let Context::Directory {
        path: directory,
        ignore,
    } = context
    else {
        return None;
    };
    if !copies_from_context(dockerfile, step) {
        return None;
    }
    let patterns = Patterns::parse(ignore).ok()?;
    let components = Path::new(path).components();
    let path: PathBuf = components
        .filter(|component| matches!(component, Component::Normal(_)))
        .collect();
    let shown = path.to_str()?;
    if patterns.excludes(shown) && fs::symlink_metadata(directory.join(&path)).is_ok() {
        return Some(format!(
            "{shown} is there, but .dockerignore excludes it: add !{shown} to have it"
        ));
    }
    let nearest = nearest(directory, &path, &patterns)?;
    Some(format!("did you mean {}?", nearest.display()))
}

fn missing_path(error: &EngineError) -> Option<&str> {
    match error {
        // What is copied is read for its key first.
        EngineError::Copy(CopyError::Select(SelectError::NotFound(path)))
        | EngineError::CacheKey {
            source: ChecksumError::Select(SelectError::NotFound(path)),
            ..
        } => path.to_str(),
        _ => None,
    }
}

fn copies_from_context(dockerfile: &Dockerfile, step: &StepFailure) -> bool {
    let Some(location) = step.locations.first() else {
        return false;
    };
    let parsed = dockerfile::parse(dockerfile.text.as_bytes());
    let mut instructions = parsed.stages.iter().flat_map(|stage| &stage.instructions);
    let at_fault =
        instructions.find(|instruction| instruction.span.first_line == location.first_line);
    match at_fault.map(|instruction| &instruction.kind) {
        Some(InstructionKind::Copy(_, options)) => options.from.is_empty(),
        Some(InstructionKind::Add(..)) => true,
        _ => false,
    }
}

/// The path that is there and nearest to `wanted`, name by name.
fn nearest(directory: &Path, wanted: &Path, patterns: &Patterns) -> Option<PathBuf> {
    let mut found = PathBuf::new();
    for component in wanted.components() {
        let name = component.as_os_str();
        let next = found.join(name);
        if directory.join(&next).exists() {
            found = next;
            continue;
        }
        let names: Vec<String> = fs::read_dir(directory.join(&found))
            .ok()?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| {
                let path = found.join(name);
                !path.to_str().is_some_and(|path| patterns.excludes(path))
            })
            .collect();
        let name = name.to_str()?;
        let same = names.iter().find(|other| other.eq_ignore_ascii_case(name));
        let near = || dockerfile::nearest(name, names.iter().map(String::as_str));
        found.push(same.map(String::as_str).or_else(near)?);
    }
    (found != wanted).then_some(found)
}
