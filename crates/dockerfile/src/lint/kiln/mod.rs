//! Checks that only kiln has. They are about what a build does wrong or keeps too much of, and look
//! at every stage, needed or not.
//!
//! They would rather miss something than cry wolf: what a script says in another way than most do is
//! taken to be meant.

mod install;
mod packages;
mod script;

use super::{CheckOptions, Finding, report};
use crate::diagnostic::Diagnostic;
use crate::instruction::{Instruction, InstructionKind};
use crate::parser::Parsed;
use crate::stage::Stage;

use script::Script;

/// What a stage starts from, once variables have their values.
pub(crate) enum FinalName {
    /// An image by this name.
    Image(String),
    /// Something else, or nobody knows.
    Other,
}

/// Adds what the checks find; `base` tells what a stage starts from.
pub(crate) fn check_kiln(
    parsed: &Parsed,
    base: impl Fn(&Stage) -> FinalName,
    found: &mut Vec<Diagnostic>,
) {
    let options = &parsed.directives.check;
    let kept = kept_stages(&parsed.stages);
    for (stage, is_kept) in parsed.stages.iter().zip(kept) {
        let here = options.with_comments(&stage.comments);
        if let FinalName::Image(image) = base(stage)
            && is_latest(&image)
        {
            report(
                found,
                &here,
                stage.span,
                &Finding::LatestBaseImage { image },
            );
        }
        for instruction in &stage.instructions {
            if let Some(script) = Script::of(instruction) {
                check_script(found, options, instruction, &script, stage, is_kept);
            }
        }
        for (span, comments, finding) in install::before(stage) {
            report(found, &options.with_comments(comments), span, &finding);
        }
    }
}

fn check_script(
    found: &mut Vec<Diagnostic>,
    options: &CheckOptions,
    instruction: &Instruction,
    script: &Script<'_>,
    stage: &Stage,
    is_kept: bool,
) {
    let here = options.with_comments(&instruction.comments);
    let lists = is_kept.then(|| packages::kept_lists(script)).flatten();
    let findings = [
        lists,
        cd(script),
        sudo(script),
        install::without_cache(script, stage),
    ];
    for finding in findings.iter().flatten() {
        report(found, &here, instruction.span, finding);
    }
}

/// A script that only goes somewhere first, and does not come back.
fn cd(script: &Script<'_>) -> Option<Finding> {
    let changes = |program: &str| matches!(program, "cd" | "pushd" | "popd");
    let [first, rest @ ..] = script.commands.as_slice() else {
        return None;
    };
    let [_, directory] = first.words.as_slice() else {
        return None;
    };
    let is_passing = script.is_heredoc
        || first.program() != "cd"
        || first.nested
        || directory.starts_with(['-', '$', '`', '~'])
        || ["/tmp", "/var/tmp"]
            .iter()
            .any(|temporary| directory.starts_with(temporary))
        || rest.iter().any(|command| changes(command.program()));
    (!is_passing).then(|| Finding::CdInsteadOfWorkdir {
        directory: directory.clone(),
    })
}

fn sudo(script: &Script<'_>) -> Option<Finding> {
    let mut commands = script.commands.iter();
    let uses = commands.any(|command| command.program() == "sudo");
    uses.then_some(Finding::SudoInRun)
}

/// A name without a tag and a digest, or with the tag `latest`.
fn is_latest(image: &str) -> bool {
    if image.contains('@') {
        return false;
    }
    let last = image.rsplit('/').next().unwrap_or(image);
    last.split_once(':').is_none_or(|(_, tag)| tag == "latest")
}

/// Which stages end in an image: those that nobody uses, and what they start from.
fn kept_stages(stages: &[Stage]) -> Vec<bool> {
    let mut kept = vec![true; stages.len()];
    let mut bases = vec![None; stages.len()];
    for (index, stage) in stages.iter().enumerate() {
        bases[index] = find_stage(&stages[..index], &stage.base);
        let copied = stage.instructions.iter().flat_map(sources);
        let copied = copied.filter_map(|name| find_stage(stages, name));
        for used in copied.chain(bases[index]) {
            kept[used] = false;
        }
    }
    if let Some(last) = kept.last_mut() {
        *last = true;
    }
    for index in (0..stages.len()).rev() {
        if let Some(base) = bases[index].filter(|_| kept[index]) {
            kept[base] = true;
        }
    }
    kept
}

fn find_stage(stages: &[Stage], name: &str) -> Option<usize> {
    let by_number = name.parse().ok().filter(|index| *index < stages.len());
    let has_name = |stage: &Stage| {
        let own = stage.name.as_deref();
        own.is_some_and(|own| own.eq_ignore_ascii_case(name))
    };
    by_number.or_else(|| stages.iter().rposition(has_name))
}

/// What an instruction copies or mounts from.
fn sources(instruction: &Instruction) -> Vec<&str> {
    match &instruction.kind {
        InstructionKind::Copy(_, options) => vec![options.from.as_str()],
        InstructionKind::Run(run) => {
            let fields = run.mounts.iter().flat_map(|mount| mount.split(','));
            fields
                .filter_map(|field| field.strip_prefix("from="))
                .collect()
        }
        _ => Vec::new(),
    }
}
