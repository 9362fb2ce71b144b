//! Nodes: stages, and images that `--from` names, with what each starts from.

use std::borrow::Cow;
use std::collections::BTreeMap;

use oci::{Platform, PlatformError, Reference};

use super::error::LowerError;
use super::globals::Globals;
use super::options::{NamedContext, Options};
use crate::Span;
use crate::diagnostic::Diagnostic;
use crate::instruction::{Instruction, InstructionKind};
use crate::lint::{CheckOptions, Declared, Finding, report};
use crate::quote::quote;
use crate::stage::Stage;
use crate::suggest;
use crate::word::{Expanded, Lex, Variables as _};

/// Index of a node.
pub(super) type NodeId = usize;

/// A stage, or an image that `--from` names.
#[derive(Debug)]
pub(super) struct Node {
    /// As people see it: the stage's name or `stage-N`; empty when it is the only one.
    pub(super) name: String,
    /// What it starts from.
    pub(super) base: Base,
    /// What it is for, when the `FROM` says so.
    pub(super) platform: Option<Platform>,
    /// Where it was written; none for images in `RUN --mount`.
    pub(super) span: Option<Span>,
    /// What `check` comments say there.
    pub(super) comments: Vec<String>,
    /// Its instructions with what they copy from.
    pub(super) steps: Vec<NodeStep>,
    /// Nodes that its instructions name, with the lines that do.
    pub(super) needs: Vec<(NodeId, Span)>,
    /// Steps that people are shown.
    pub(super) total: usize,
    /// Its steps run even when their results are known.
    pub(super) ignore_cache: bool,
    /// `ONBUILD` triggers of its base are among its steps.
    pub(super) triggered: bool,
    /// It stands for a stage that a named context replaces.
    pub(super) replaced: bool,
}

/// What a node starts from.
#[derive(Debug, Clone)]
pub(super) enum Base {
    Scratch,
    Stage(NodeId),
    Image {
        /// As it was written, with variables expanded.
        written: String,
        reference: Reference,
    },
    Context {
        /// The key under which it was given.
        key: String,
        context: NamedContext,
    },
}

/// An instruction of a node.
#[derive(Debug)]
pub(super) struct NodeStep {
    pub(super) instruction: Instruction,
    /// By source that it names: one for `COPY --from`, one for each mount.
    pub(super) from: Vec<From>,
    /// It is an `ONBUILD` trigger.
    pub(super) triggered: bool,
}

/// What an instruction copies or mounts from.
#[derive(Debug, Clone, Default)]
pub(super) struct From {
    /// With variables expanded; empty for the context.
    pub(super) name: String,
    pub(super) node: Option<NodeId>,
}

/// What making a node of a stage needs.
pub(super) struct Inputs<'a> {
    pub(super) options: &'a Options,
    pub(super) globals: &'a Globals,
    pub(super) check: &'a CheckOptions,
    pub(super) escape: char,
}

impl NodeStep {
    /// The instruction as people are told it: with the stage that `--from` came to.
    pub(super) fn told_text(&self) -> Cow<'_, str> {
        let text = self.instruction.text.as_str();
        match (&self.instruction.kind, self.from.as_slice()) {
            (InstructionKind::Copy(_, options), [from]) if options.from.contains('$') => {
                Cow::Owned(text.replacen(&options.from, &from.name, 1))
            }
            _ => Cow::Borrowed(text),
        }
    }
}

impl Node {
    /// A stage; `earlier` are the stages before it by name.
    pub(super) fn of_stage(
        index: usize,
        stage: &Stage,
        earlier: &BTreeMap<String, NodeId>,
        inputs: &Inputs<'_>,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Self {
        let fail = |error: LowerError, diagnostics: &mut Vec<Diagnostic>| {
            let help = match error {
                LowerError::BlankBase(_) => why_blank(stage, inputs),
                _ => None,
            };
            diagnostics.push(Diagnostic::error([stage.span], &error).with_help(help));
        };
        let platform = platform(stage, inputs, diagnostics).unwrap_or_else(|error| {
            fail(error, diagnostics);
            None
        });
        let wanted = platform
            .as_ref()
            .unwrap_or_else(|| inputs.options.platform());
        let replaced = stage
            .name
            .as_deref()
            .and_then(|name| inputs.options.named_context(name, wanted));
        let base = match stage_base(stage, wanted, earlier, inputs, diagnostics) {
            Ok(base) => base,
            Err(error) => {
                fail(error, diagnostics);
                Base::Scratch
            }
        };
        let starts_with_image = !matches!(base, Base::Scratch | Base::Stage(_));
        let steps = stage.instructions.iter();
        let steps = steps
            .filter(|instruction| instruction.kind.is_step())
            .count();
        Self {
            name: stage
                .name
                .clone()
                .unwrap_or_else(|| format!("stage-{index}")),
            replaced: replaced.is_some(),
            total: match replaced {
                Some(_) => 0,
                None => usize::from(starts_with_image) + steps,
            },
            base: match replaced {
                Some((key, context)) => Base::Context { key, context },
                None => base,
            },
            platform,
            span: Some(stage.span),
            comments: stage.comments.clone(),
            steps: Vec::new(),
            needs: Vec::new(),
            ignore_cache: inputs.options.ignores_cache(stage.name.as_deref()),
            triggered: false,
        }
    }

    /// An image that `--from` names; what it is, is found out later.
    pub(super) fn outside() -> Self {
        Self {
            name: String::new(),
            base: Base::Scratch,
            platform: None,
            span: None,
            comments: Vec::new(),
            steps: Vec::new(),
            needs: Vec::new(),
            total: 0,
            ignore_cache: false,
            triggered: false,
            replaced: false,
        }
    }
}

fn stage_base(
    stage: &Stage,
    platform: &Platform,
    earlier: &BTreeMap<String, NodeId>,
    inputs: &Inputs<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Result<Base, LowerError> {
    let lex = Lex::new(inputs.escape);
    let name = lex.expand(&stage.base, &inputs.globals.env)?;
    check_variables(stage, &name, inputs, diagnostics);
    let name = name.text;
    if name.is_empty() {
        return Err(LowerError::BlankBase(stage.base.clone()));
    }
    if let Some(stage) = earlier.get(&*name) {
        return Ok(Base::Stage(*stage));
    }
    if name == "scratch" {
        return Ok(Base::Scratch);
    }
    image_base(&name, platform, inputs.options)
}

/// Why the variables of a base come to nothing, and what to do.
fn why_blank(stage: &Stage, inputs: &Inputs<'_>) -> Option<String> {
    let word = Lex::new(inputs.escape)
        .expand(&stage.base, &inputs.globals.env)
        .ok()?;
    let name = word.unmatched.iter().chain(&word.matched).next()?;
    Some(match inputs.globals.declared(name) {
        Declared::Nowhere => format!("declare it before the first FROM: ARG {name}=…"),
        Declared::BeforeFrom => {
            format!("{name} has no value: give ARG {name} a default, or pass --build-arg {name}=…")
        }
        Declared::InStage(line) => format!(
            "{name} on line {line} is part of a stage, and FROM sees only what is declared before the first FROM"
        ),
    })
}

/// What a name in `--from` is when it is no stage.
pub(super) fn outside_base(name: &str, options: &Options) -> Result<Base, LowerError> {
    if name == "scratch" {
        return Ok(Base::Scratch);
    }
    image_base(name, options.platform(), options)
}

fn image_base(name: &str, platform: &Platform, options: &Options) -> Result<Base, LowerError> {
    let reference = name
        .parse::<Reference>()
        .map_err(|error| LowerError::StageName {
            name: name.to_owned(),
            error,
        })?
        .with_default_tag();
    if let Some((key, context)) = options.named_context(&reference.to_string(), platform) {
        return Ok(Base::Context { key, context });
    }
    Ok(Base::Image {
        written: name.to_owned(),
        reference,
    })
}

fn platform(
    stage: &Stage,
    inputs: &Inputs<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Result<Option<Platform>, LowerError> {
    let written = &stage.platform;
    if written.is_empty() {
        return Ok(None);
    }
    let env = &inputs.globals.env;
    let word = Lex::new(inputs.escape)
        .expand(written, env)
        .map_err(|error| LowerError::PlatformWord {
            platform: String::new(),
            error,
        })?;
    check_variables(stage, &word, inputs, diagnostics);
    check_platform(stage, &word, inputs, diagnostics);
    let hint = || {
        let hints = word.unmatched.iter();
        hints
            .map(|name| suggest::hint(name, env.keys()))
            .find(|hint| !hint.is_empty())
    };
    if word.text.is_empty() {
        return Err(LowerError::EmptyPlatform {
            written: written.clone(),
            hint: hint().unwrap_or_default(),
        });
    }
    word.text
        .parse()
        .map(Some)
        .map_err(|error| LowerError::Platform {
            written: written.clone(),
            reason: why_no_platform(&word.text, &error),
            hint: hint().unwrap_or_default(),
        })
}

fn why_no_platform(text: &str, error: &PlatformError) -> String {
    let text = quote(text);
    let reason = match error {
        PlatformError::Unknown(_) => format!("{text}: unknown operating system or architecture"),
        PlatformError::Malformed(_) => format!("{text}: cannot parse platform specifier"),
        PlatformError::System { part, .. } => format!(
            "{} is an invalid OS component of {text}: OSAndVersion specifier component must match {}",
            quote(part),
            quote(r"^([A-Za-z0-9_-]+)(?:\(([A-Za-z0-9_.%-]*)((?:\+[A-Za-z0-9_.%-]+)*)\))?$"),
        ),
        PlatformError::Part { part, .. } => format!(
            "{} is an invalid component of {text}: platform specifier component must match {}",
            quote(part),
            quote("^[A-Za-z0-9_.-]+$"),
        ),
    };
    format!("{reason}: invalid argument")
}

fn check_variables(
    stage: &Stage,
    word: &Expanded<'_>,
    inputs: &Inputs<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let here = inputs.check.with_comments(&stage.comments);
    for name in word
        .unmatched
        .iter()
        .filter(|name| !inputs.globals.knows(name))
    {
        let nearest = suggest::nearest(name, inputs.globals.names());
        let finding = Finding::UndefinedArgInFrom {
            name: (*name).to_owned(),
            nearest: nearest.map(str::to_owned),
            declared: inputs.globals.declared(name),
        };
        report(diagnostics, &here, stage.span, &finding);
    }
}

fn check_platform(
    stage: &Stage,
    word: &Expanded<'_>,
    inputs: &Inputs<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    const TARGET: &str = "TARGETPLATFORM";
    let here = inputs.check.with_comments(&stage.comments);
    let only_target = word.unmatched.is_empty()
        && word.matched.len() == 1
        && word.matched.contains(TARGET)
        && inputs.globals.env.get(TARGET) == Some(word.text.as_ref());
    if only_target {
        let finding = Finding::RedundantTargetPlatform {
            written: stage.platform.clone(),
        };
        report(diagnostics, &here, stage.span, &finding);
    }
    if word.matched.is_empty() && word.unmatched.is_empty() {
        let Ok(platform) = word.text.parse::<Platform>() else {
            return;
        };
        let name = stage.name.as_deref().unwrap_or_default();
        if !name.contains(&platform.os) && !name.contains(&platform.architecture) {
            let platform = word.text.clone().into_owned();
            let finding = Finding::FromPlatformFlagConstDisallowed { platform };
            report(diagnostics, &here, stage.span, &finding);
        }
    }
}
