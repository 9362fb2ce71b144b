//! What a Dockerfile is found to be, without building it.
//!
//! No network is needed: what the store does not know of a base image is left open, unless the
//! caller's pull policy says to ask for it.

use std::cmp::Reverse;

use dockerfile::{Change, Checks, Diagnostic, ImageAnswer, ImageQuestion, Lowered, Lowering, Step};
use graph::PullPolicy;
use oci::Platform;

use super::definition::Images;
use super::frontend::options;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::request::{BuildRequest, Dockerfile};

/// What is wrong with the Dockerfile of `request` or likely to be, by these checks: errors first,
/// then warnings, each in the order of the file. Without a target every stage is looked at. What is
/// so on any of several platforms is told once.
///
/// # Errors
/// The context cannot be read, or an image cannot be had that the pull policy asks for.
pub async fn check(
    request: &BuildRequest,
    checks: Checks,
    engine: Option<&Engine>,
) -> Result<Vec<Diagnostic>, EngineError> {
    let mut all: Vec<Diagnostic> = Vec::new();
    for platform in platforms(request) {
        let found = check_for(request, checks, platform, engine).await?;
        for one in found {
            if !all.contains(&one) {
                all.push(one);
            }
        }
    }
    if request.platforms.len() > 1 {
        all.sort_by_key(|one| (Reverse(one.severity), one.spans.first().copied()));
    }
    Ok(all)
}

async fn check_for(
    request: &BuildRequest,
    checks: Checks,
    platform: Option<Platform>,
    engine: Option<&Engine>,
) -> Result<Vec<Diagnostic>, EngineError> {
    let options = dockerfile::Options {
        every_stage: request.target.is_none(),
        checks,
        target_platform: platform,
        ..options(request, &Images::new())?
    };
    match lower(request, options, engine).await {
        Ok(lowered) => Ok(lowered.warnings),
        Err(EngineError::Dockerfile(diagnostics)) => Ok(diagnostics),
        Err(error) => Err(error),
    }
}

/// What a build is for; one that is not said is that of the machine.
fn platforms(request: &BuildRequest) -> Vec<Option<Platform>> {
    match request.platforms.as_slice() {
        [] => vec![None],
        platforms => platforms.iter().cloned().map(Some).collect(),
    }
}

/// Puts right in `request` what [`check`] finds, where that is mechanical; what was changed.
///
/// # Errors
/// As for [`check`].
pub async fn fix(
    request: &mut BuildRequest,
    engine: Option<&Engine>,
) -> Result<Vec<Change>, EngineError> {
    // A stage that is renamed, a keyword that others follow: each may bring one more round.
    const ROUNDS: usize = 8;
    let mut changes = Vec::new();
    for _ in 0..ROUNDS {
        let found = check(request, Checks::All, engine).await?;
        let fixed = dockerfile::fix(&request.dockerfile.text, &found);
        if fixed.changes.is_empty() {
            break;
        }
        request.dockerfile.text = fixed.text;
        changes.extend(fixed.changes);
    }
    Ok(changes)
}

/// What the target of `request` takes.
///
/// # Errors
/// The Dockerfile is wrong, the target takes something else on each platform, or as for [`check`].
pub async fn outline(
    request: &BuildRequest,
    engine: Option<&Engine>,
) -> Result<dockerfile::Outline, EngineError> {
    let mut merged: Option<dockerfile::Outline> = None;
    for platform in platforms(request) {
        let options = dockerfile::Options {
            target_platform: platform,
            ..options(request, &Images::new())?
        };
        let outline = lower(request, options, engine).await?.outline;
        merged = Some(match merged {
            None => outline,
            Some(other) => both(other, outline).ok_or(EngineError::OutlineOfPlatforms)?,
        });
    }
    Ok(merged.unwrap_or_default())
}

/// What the target takes on either platform; an argument that differs has no value.
fn both(
    mut one: dockerfile::Outline,
    mut other: dockerfile::Outline,
) -> Option<dockerfile::Outline> {
    for (arg, its) in one.args.iter_mut().zip(&mut other.args) {
        if arg.value != its.value {
            (arg.value, its.value) = (None, None);
        }
    }
    (one == other).then_some(one)
}

/// The stages of a Dockerfile.
///
/// # Errors
/// It cannot be read.
pub fn targets(dockerfile: &Dockerfile) -> Result<Vec<dockerfile::Target>, EngineError> {
    let parsed = dockerfile::parse(dockerfile.text.as_bytes());
    if parsed.errors().next().is_some() {
        return Err(EngineError::Dockerfile(parsed.diagnostics));
    }
    Ok(parsed.targets())
}

async fn lower(
    request: &BuildRequest,
    options: dockerfile::Options,
    engine: Option<&Engine>,
) -> Result<Box<Lowered>, EngineError> {
    let parsed = dockerfile::parse(request.dockerfile.text.as_bytes());
    // Nothing runs, so nothing needs permission.
    let options = dockerfile::Options {
        allow_insecure: true,
        ..options
    };
    let mut lowering = Lowering::new(parsed, options).map_err(EngineError::Dockerfile)?;
    loop {
        match lowering.step().map_err(EngineError::Dockerfile)? {
            Step::Done(lowered) => return Ok(lowered),
            Step::NeedTime(_) => lowering.set_epoch(None),
            Step::NeedImages(questions) => {
                for question in questions {
                    answer(request, &mut lowering, &question, engine).await?;
                }
            }
        }
    }
}

async fn answer(
    request: &BuildRequest,
    lowering: &mut Lowering,
    question: &ImageQuestion,
    engine: Option<&Engine>,
) -> Result<(), EngineError> {
    let Some(Engine(inner)) = engine else {
        lowering.leave_open(question.id);
        return Ok(());
    };
    let platform = &question.platform;
    let found = inner.find_admitted(&question.reference, platform, request.pull);
    match found.await {
        Ok(image) => lowering.answer(ImageAnswer {
            question: question.id,
            reference: image.reference.clone(),
            config: image.image.config.clone(),
            layers: image.layers.len(),
        }),
        Err(_) if request.pull == PullPolicy::Never => lowering.leave_open(question.id),
        Err(error) => {
            let refused = lowering.refuse(question.id, &error.chain());
            return Err(EngineError::Dockerfile(vec![refused]));
        }
    }
    Ok(())
}
