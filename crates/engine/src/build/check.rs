//! What a Dockerfile is found to be, without building it.
//!
//! No network is needed: what the store does not know of a base image is left open, unless the
//! caller's pull policy says to ask for it.

use dockerfile::{Change, Diagnostic, ImageAnswer, ImageQuestion, Lowered, Lowering, Step};
use graph::PullPolicy;

use super::definition::Images;
use super::frontend::options;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::request::{BuildRequest, Dockerfile};

/// What is wrong with the Dockerfile of `request` or likely to be: errors first, then warnings,
/// each in the order of the file. Without a target every stage is looked at.
///
/// # Errors
/// The context cannot be read, or an image cannot be had that the pull policy asks for.
pub async fn check(
    request: &BuildRequest,
    engine: Option<&Engine>,
) -> Result<Vec<Diagnostic>, EngineError> {
    let options = dockerfile::Options {
        every_stage: request.target.is_none(),
        kiln_checks: true,
        ..options(request, &Images::new())?
    };
    match lower(request, options, engine).await {
        Ok(lowered) => Ok(lowered.warnings),
        Err(EngineError::Dockerfile(diagnostics)) => Ok(diagnostics),
        Err(error) => Err(error),
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
        let found = check(request, engine).await?;
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
/// The Dockerfile is wrong, or as for [`check`].
pub async fn outline(
    request: &BuildRequest,
    engine: Option<&Engine>,
) -> Result<dockerfile::Outline, EngineError> {
    let lowered = lower(request, options(request, &Images::new())?, engine).await?;
    Ok(lowered.outline)
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
    let (reference, platform) = (&question.reference, &question.platform);
    match inner.resolve_image(reference, platform, request.pull).await {
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
