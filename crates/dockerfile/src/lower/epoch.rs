//! `SOURCE_DATE_EPOCH`: the time that stands for every time that the build makes, in seconds since
//! 1970, or what it is the time of: `context`, a named context, or a stage that does nothing but
//! bring in one thing.

use graph::SourceOp;

use super::copy::added;
use super::env::Env;
use super::error::LowerError;
use super::globals::Globals;
use super::options::{BuildContext, NamedContext, Options};
use crate::diagnostic::Diagnostic;
use crate::instruction::{Arg, InstructionKind};
use crate::parser::Parsed;
use crate::stage::Stage;
use crate::word::{Lex, Variables as _};

const EPOCH: &str = "SOURCE_DATE_EPOCH";

/// The time that stands for all others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Epoch {
    /// It is this, or there is none.
    Known(Option<i64>),
    /// It is that of something which the builder has to look at.
    Of(Box<SourceOp>),
}

impl Epoch {
    /// The time, if it is known and there is one.
    pub(super) const fn known(&self) -> Option<i64> {
        match self {
            Self::Known(epoch) => *epoch,
            Self::Of(_) => None,
        }
    }

    /// As the request or the file says. What has no time, such as files of the client's, is no epoch.
    pub(super) fn new(
        globals: &mut Globals,
        parsed: &Parsed,
        options: &mut Options,
    ) -> Result<Self, Diagnostic> {
        if options.source_date_epoch.is_some() {
            return Ok(Self::Known(options.source_date_epoch));
        }
        let given = options.build_arg(EPOCH).or_else(|| globals.env.get(EPOCH));
        let Some(value) = given.filter(|value| !value.is_empty()) else {
            return Ok(Self::Known(None));
        };
        if let Ok(seconds) = value.parse() {
            return Ok(Self::Known(Some(seconds)));
        }
        match source(value, globals, parsed, options)? {
            Some(op) => Ok(Self::Of(Box::new(op))),
            None => {
                settle(None, globals, options);
                Ok(Self::Known(None))
            }
        }
    }
}

/// Puts the epoch where its source was named, so that stages see seconds.
pub(super) fn settle(epoch: Option<i64>, globals: &mut Globals, options: &mut Options) {
    let text = epoch.map_or_else(String::new, |epoch| epoch.to_string());
    if globals.env.get(EPOCH).is_some() {
        globals.env.replace(EPOCH, &text);
    }
    if options.build_arg(EPOCH).is_some() {
        options.build_args.insert(EPOCH.to_owned(), Some(text));
    }
}

/// What `value` names, as far as that can have a time.
fn source(
    value: &str,
    globals: &Globals,
    parsed: &Parsed,
    options: &Options,
) -> Result<Option<SourceOp>, Diagnostic> {
    if value == "context" {
        return Ok(match &options.context {
            BuildContext::Source(op) => Some(op.clone()),
            BuildContext::Empty | BuildContext::Local { .. } | BuildContext::Steps(_) => None,
        });
    }
    if let Some((_, context)) = options.named_context(value, options.platform()) {
        return Ok(match context {
            NamedContext::Source(op) => Some(op),
            NamedContext::Image(_)
            | NamedContext::Scratch
            | NamedContext::Local { .. }
            | NamedContext::Steps(_) => None,
        });
    }
    let is_meant = |name: &String| name.eq_ignore_ascii_case(value);
    let mut stages = parsed.stages.iter();
    let Some(stage) = stages.find(|stage| stage.name.as_ref().is_some_and(is_meant)) else {
        let error = LowerError::Epoch(value.to_owned());
        return Err(Diagnostic::error([], &error));
    };
    match source_of(stage, globals, parsed, options) {
        Ok(op) => Ok(Some(op)),
        Err(error) => Err(Diagnostic::error([stage.span], &error)),
    }
}

/// The one thing that the stage brings in.
fn source_of(
    stage: &Stage,
    globals: &Globals,
    parsed: &Parsed,
    options: &Options,
) -> Result<SourceOp, LowerError> {
    let lex = Lex::new(parsed.directives.escape);
    let mut env = globals.env.clone();
    if lex.expand(&stage.base, &env)?.text != "scratch" {
        return Err(LowerError::EpochBase);
    }
    let mut found = None;
    for instruction in &stage.instructions {
        match &instruction.kind {
            InstructionKind::Arg(args) => declare(args, lex, options, &mut env)?,
            InstructionKind::Add(transfer, flags) => {
                let ([source], [], None) = (&transfer.sources[..], &transfer.heredocs[..], &found)
                else {
                    return Err(LowerError::EpochSources);
                };
                let source = lex.expand(source, &env)?.text;
                let checksum = lex.expand(&flags.checksum, &env)?.text;
                let op = added(&source, flags, &checksum)?;
                found = Some(op.ok_or(LowerError::EpochKind)?);
            }
            _ => {
                let written = instruction.written().to_ascii_uppercase();
                return Err(LowerError::EpochInstruction(written));
            }
        }
    }
    found.ok_or(LowerError::EpochSources)
}

fn declare(args: &[Arg], lex: Lex, options: &Options, env: &mut Env) -> Result<(), LowerError> {
    for arg in args {
        let value = match (options.build_arg(&arg.key), &arg.value) {
            (Some(given), _) => given.to_owned(),
            (None, Some(default)) => lex.expand(default, &*env)?.text.into_owned(),
            (None, None) => continue,
        };
        env.set(&arg.key, &value);
    }
    Ok(())
}
