//! The stages by name and number, what each starts from and what it needs.
//!
//! Images named by `--from` are nodes like stages are, after the stages; numbers name only stages.

use std::collections::BTreeMap;

use oci::{Platform, Reference};

use super::error::LowerError;
use super::from::KnownVariables;
use super::globals::Globals;
use super::options::{NamedContext, Options};
use crate::Span;
use crate::diagnostic::Diagnostic;
use crate::instruction::{Instruction, InstructionKind, mount_from};
use crate::lint::{CheckOptions, Finding, report};
use crate::parser::Parsed;
use crate::stage::Stage;
use crate::suggest;
use crate::word::{Expanded, Lex, Variables as _};

/// Index of a node.
pub(super) type NodeId = usize;

/// Stages, and images that `--from` names.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Stages in order, then images.
    pub(super) nodes: Vec<Node>,
    /// How many of them are stages.
    pub(super) stages: usize,
    /// The last stage of each name.
    by_name: BTreeMap<String, NodeId>,
    /// Images that `--from` named.
    outside: BTreeMap<String, NodeId>,
    /// Nodes that only make the names of steps longer; see [`Table::settle_names`].
    unnamed_sources: usize,
}

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

/// What making a table needs.
pub(super) struct Inputs<'a> {
    pub(super) options: &'a Options,
    pub(super) globals: &'a Globals,
    pub(super) check: &'a CheckOptions,
    pub(super) escape: char,
}

impl Table {
    /// Takes the stages out of `parsed`; adds what is wrong to `diagnostics`.
    pub(super) fn new(
        parsed: &mut Parsed,
        inputs: &Inputs<'_>,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Self {
        let mut table = Self::default();
        for (index, stage) in parsed.stages.iter().enumerate() {
            let node = table.node(index, stage, inputs, diagnostics);
            if let Some(name) = &stage.name {
                table.by_name.insert(name.clone(), index);
            }
            table.nodes.push(node);
        }
        table.stages = table.nodes.len();
        let mut known = KnownVariables::new(parsed, inputs.options, inputs.globals);
        for (index, stage) in parsed.stages.iter_mut().enumerate() {
            known.begin_stage(table.base_stage(index));
            if table.nodes[index].replaced {
                continue;
            }
            for instruction in std::mem::take(&mut stage.instructions) {
                let span = instruction.span;
                known.pass(&instruction.kind);
                let step = table.step(instruction, false, &|written| known.expand(written));
                match step.and_then(|step| table.add_step(index, step, inputs.options)) {
                    Ok(()) => {}
                    Err(error @ LowerError::StageIndex(_)) => {
                        diagnostics.push(Diagnostic::error([], &error));
                    }
                    Err(error) => diagnostics.push(Diagnostic::error([span], &error)),
                }
            }
        }
        table.settle_names();
        table
    }

    /// The stage of this name, in any case.
    pub(super) fn stage(&self, name: &str) -> Option<NodeId> {
        self.by_name.get(&name.to_lowercase()).copied()
    }

    /// Names of nodes, for suggestions.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let names = self.nodes.iter().map(|node| node.name.as_str());
        names.filter(|name| !name.is_empty())
    }

    /// The stage that a build is to make.
    pub(super) fn target(&self, name: Option<&str>) -> Result<NodeId, LowerError> {
        match name {
            None => Ok(self.stages.saturating_sub(1)),
            Some(name) => self.stage(name).ok_or_else(|| LowerError::Target {
                name: name.to_owned(),
                hint: suggest::hint(name, self.names()),
            }),
        }
    }

    /// The stage that a node starts from.
    pub(super) fn base_stage(&self, id: NodeId) -> Option<NodeId> {
        match self.nodes[id].base {
            Base::Stage(base) => Some(base),
            _ => None,
        }
    }

    /// All that a node needs, itself included.
    pub(super) fn reachable(&self, from: NodeId) -> Vec<bool> {
        let mut reached = vec![false; self.nodes.len()];
        let mut open = vec![from];
        while let Some(id) = open.pop() {
            if std::mem::replace(&mut reached[id], true) {
                continue;
            }
            open.extend(self.base_stage(id));
            open.extend(self.nodes[id].needs.iter().map(|(node, _)| *node));
        }
        reached
    }

    /// An instruction with what it copies from; `expand` gives names their variables' values.
    pub(super) fn step(
        &mut self,
        instruction: Instruction,
        triggered: bool,
        expand: &dyn Fn(&str) -> Result<String, LowerError>,
    ) -> Result<NodeStep, LowerError> {
        let from = match &instruction.kind {
            InstructionKind::Copy(_, options) if !options.from.is_empty() => {
                let name = expand(&options.from)?;
                let node = match name.parse::<i64>() {
                    Ok(index) => self.stage_by_index(index)?,
                    Err(_) => self.stage_or_image(&name),
                };
                let node = Some(node);
                vec![From { name, node }]
            }
            InstructionKind::Run(run) => {
                let mut from = Vec::with_capacity(run.mounts.len());
                for mount in &run.mounts {
                    let name = expand(&mount_from(mount)?)?;
                    if name.is_empty() {
                        self.unnamed_sources += 1;
                        from.push(From::default());
                    } else {
                        let node = Some(self.stage_or_image(&name));
                        from.push(From { name, node });
                    }
                }
                from
            }
            _ => Vec::new(),
        };
        Ok(NodeStep {
            instruction,
            from,
            triggered,
        })
    }

    /// Adds an instruction to a node; new nodes that it names get their base.
    pub(super) fn add_step(
        &mut self,
        id: NodeId,
        step: NodeStep,
        options: &Options,
    ) -> Result<(), LowerError> {
        self.note_needs(id, &step);
        let result = self.settle_outside(step.instruction.span, &step, options);
        self.nodes[id].steps.push(step);
        result
    }

    /// Adds `ONBUILD` triggers before the instructions of a node; whether they name nodes.
    pub(super) fn add_triggers(
        &mut self,
        id: NodeId,
        steps: Vec<NodeStep>,
        options: &Options,
    ) -> Result<bool, LowerError> {
        let mut named = false;
        for step in &steps {
            self.note_needs(id, step);
            self.settle_outside(step.instruction.span, step, options)?;
            named |= step.from.iter().any(|from| from.node.is_some());
        }
        let node = &mut self.nodes[id];
        node.total += steps.len();
        node.steps.splice(0..0, steps);
        Ok(named)
    }

    fn note_needs(&mut self, id: NodeId, step: &NodeStep) {
        for from in &step.from {
            let Some(needed) = from.node else { continue };
            let needs = &mut self.nodes[id].needs;
            match needs.iter_mut().find(|(node, _)| *node == needed) {
                Some((_, span)) => *span = step.instruction.span,
                None => needs.push((needed, step.instruction.span)),
            }
        }
    }

    fn stage_by_index(&self, index: i64) -> Result<NodeId, LowerError> {
        usize::try_from(index)
            .ok()
            .filter(|index| *index < self.stages)
            .ok_or(LowerError::StageIndex(index))
    }

    fn stage_or_image(&mut self, name: &str) -> NodeId {
        if let Some(stage) = self.stage(name) {
            return stage;
        }
        if let Some(known) = self.outside.get(name) {
            return *known;
        }
        let id = self.nodes.len();
        self.outside.insert(name.to_owned(), id);
        self.nodes.push(Node::outside());
        id
    }

    /// Finds out what new nodes that an instruction names are.
    fn settle_outside(
        &mut self,
        span: Span,
        step: &NodeStep,
        options: &Options,
    ) -> Result<(), LowerError> {
        for from in &step.from {
            let Some(id) = from.node.filter(|id| *id >= self.stages) else {
                continue;
            };
            if self.nodes[id].span.is_none() {
                self.nodes[id].base = outside_base(&from.name, options)?;
                self.nodes[id].span = Some(span);
            }
        }
        Ok(())
    }

    /// A lone stage has no name, since there is nothing to tell it from. Images and mounts count.
    fn settle_names(&mut self) {
        if self.nodes.len() + self.unnamed_sources == 1 {
            self.nodes[0].name.clear();
        }
    }

    fn node(
        &self,
        index: usize,
        stage: &Stage,
        inputs: &Inputs<'_>,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Node {
        let fail = |error: LowerError, diagnostics: &mut Vec<Diagnostic>| {
            diagnostics.push(Diagnostic::error([stage.span], &error));
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
        let base = match self.base(stage, wanted, inputs, diagnostics) {
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
        Node {
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

    fn base(
        &self,
        stage: &Stage,
        platform: &Platform,
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
        if let Some(stage) = self.by_name.get(&name) {
            return Ok(Base::Stage(*stage));
        }
        if name == "scratch" {
            return Ok(Base::Scratch);
        }
        image_base(&name, platform, inputs.options)
    }
}

impl Node {
    fn outside() -> Self {
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

fn outside_base(name: &str, options: &Options) -> Result<Base, LowerError> {
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
            error,
            hint: hint().unwrap_or_default(),
        })
}

fn check_variables(
    stage: &Stage,
    word: &Expanded,
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
            name: name.clone(),
            nearest: nearest.map(str::to_owned),
        };
        report(diagnostics, &here, stage.span, &finding);
    }
}

fn check_platform(
    stage: &Stage,
    word: &Expanded,
    inputs: &Inputs<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    const TARGET: &str = "TARGETPLATFORM";
    let here = inputs.check.with_comments(&stage.comments);
    let only_target = word.unmatched.is_empty()
        && word.matched.len() == 1
        && word.matched.contains(TARGET)
        && inputs.globals.env.get(TARGET) == Some(&word.text);
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
            let platform = word.text.clone();
            let finding = Finding::FromPlatformFlagConstDisallowed { platform };
            report(diagnostics, &here, stage.span, &finding);
        }
    }
}
