//! Checks that need no values of variables: they look at every stage, needed or not.

use std::collections::BTreeSet;

use super::{CheckOptions, Finding, report};
use crate::Span;
use crate::diagnostic::Diagnostic;
use crate::instruction::InstructionKind;
use crate::parser::Parsed;
use crate::stage::Stage;

/// Adds what the checks find.
pub(crate) fn check_parsed(parsed: &Parsed, found: &mut Vec<Diagnostic>) {
    let options = &parsed.directives.check;
    for span in &parsed.empty_continuations {
        report(found, options, *span, &Finding::NoEmptyContinuation);
    }
    for meta in &parsed.meta_args {
        let keys: Vec<&str> = meta.args.iter().map(|arg| arg.key.as_str()).collect();
        check_description(found, options, &meta.comments, meta.span, "ARG", &keys);
    }
    for stage in &parsed.stages {
        check_stage(found, options, stage);
    }
    check_names(found, options, &parsed.stages);
    check_casing(found, options, &parsed.stages);
}

fn check_stage(found: &mut Vec<Diagnostic>, options: &CheckOptions, stage: &Stage) {
    let here = options.with_comments(&stage.comments);
    if let (Some(name), Some(written_as)) = (&stage.written_name, &stage.written_as) {
        if *name != name.to_lowercase() {
            let finding = Finding::StageNameCasing { name: name.clone() };
            report(found, &here, stage.span, &finding);
        }
        let same_case = match casing(&stage.written) {
            Some(Casing::Lower) => *written_as == written_as.to_lowercase(),
            Some(Casing::Upper) => *written_as == written_as.to_uppercase(),
            None => true,
        };
        if !same_case {
            let finding = Finding::FromAsCasing {
                from: stage.written.clone(),
                r#as: written_as.clone(),
            };
            report(found, &here, stage.span, &finding);
        }
        let keys = [stage.name.as_deref().unwrap_or_default()];
        check_description(found, options, &stage.comments, stage.span, "FROM", &keys);
    }
    for instruction in &stage.instructions {
        let here = options.with_comments(&instruction.comments);
        match &instruction.kind {
            InstructionKind::Maintainer(_) => {
                report(
                    found,
                    &here,
                    instruction.span,
                    &Finding::MaintainerDeprecated,
                );
            }
            InstructionKind::Arg(args) => {
                let keys: Vec<&str> = args.iter().map(|arg| arg.key.as_str()).collect();
                let comments = &instruction.comments;
                check_description(found, options, comments, instruction.span, "ARG", &keys);
            }
            _ => {}
        }
    }
}

/// A comment right above a definition that does not begin with its name is likely misspelt.
fn check_description(
    found: &mut Vec<Diagnostic>,
    options: &CheckOptions,
    comments: &[String],
    span: Span,
    instruction: &'static str,
    keys: &[&str],
) {
    let Some(comment) = comments.last() else {
        return;
    };
    let first = comment.split(' ').next().unwrap_or_default();
    if keys.contains(&first) {
        return;
    }
    let name = match keys {
        [] => return,
        [key] => (*key).to_owned(),
        _ => "<arg_key>".to_owned(),
    };
    let here = options.with_comments(comments);
    let finding = Finding::InvalidDefinitionDescription { instruction, name };
    report(found, &here, span, &finding);
}

fn check_names(found: &mut Vec<Diagnostic>, options: &CheckOptions, stages: &[Stage]) {
    let mut seen = BTreeSet::new();
    for stage in stages {
        let Some(name) = &stage.name else { continue };
        if matches!(name.as_str(), "context" | "scratch") {
            let finding = Finding::ReservedStageName { name: name.clone() };
            report(found, options, stage.span, &finding);
        }
        if !seen.insert(name) {
            let finding = Finding::DuplicateStageName { name: name.clone() };
            report(found, options, stage.span, &finding);
        }
    }
}

fn check_casing(found: &mut Vec<Diagnostic>, options: &CheckOptions, stages: &[Stage]) {
    let written = || {
        stages.iter().flat_map(|stage| {
            let instructions = stage.instructions.iter();
            let own = std::iter::once((stage.written.as_str(), stage.span));
            own.chain(instructions.map(|i| (i.written(), i.span)))
        })
    };
    let count = |wanted| {
        let matching = written().filter(|(word, _)| casing(word) == Some(wanted));
        matching.count()
    };
    let lower = count(Casing::Lower) > count(Casing::Upper);
    for (word, span) in written() {
        let (matches, casing) = if lower {
            (casing(word) == Some(Casing::Lower), "lowercase")
        } else {
            (casing(word) == Some(Casing::Upper), "uppercase")
        };
        if !matches {
            let finding = Finding::ConsistentInstructionCasing {
                written: word.to_owned(),
                casing,
            };
            report(found, options, span, &finding);
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Casing {
    Lower,
    Upper,
}

fn casing(word: &str) -> Option<Casing> {
    if !word.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Some(Casing::Lower)
    } else if !word.bytes().any(|byte| byte.is_ascii_lowercase()) {
        Some(Casing::Upper)
    } else {
        None
    }
}
