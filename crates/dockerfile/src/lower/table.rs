//! The stages by name and number, and what each needs.
//!
//! Images named by `--from` are nodes like stages are, after the stages; numbers name only stages.

use std::collections::BTreeMap;

use super::error::LowerError;
use super::from::KnownVariables;
use super::node::{Base, From, Inputs, Node, NodeId, NodeStep, outside_base};
use super::options::Options;
use crate::Span;
use crate::diagnostic::Diagnostic;
use crate::instruction::{Instruction, InstructionKind, mount_from};
use crate::parser::Parsed;
use crate::suggest;

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

/// What a build is to make, by node.
#[derive(Debug)]
pub(super) struct Wanted {
    /// The one that a build has always.
    pub(super) target: NodeId,
    /// Further ones, with results of their own.
    pub(super) more: Vec<NodeId>,
    /// What must succeed beside them.
    pub(super) required: Vec<NodeId>,
}

impl Wanted {
    /// Everything that a result is made of.
    pub(super) fn targets(&self) -> impl Iterator<Item = NodeId> {
        [self.target].into_iter().chain(self.more.iter().copied())
    }

    pub(super) fn all(&self) -> impl Iterator<Item = NodeId> {
        self.targets().chain(self.required.iter().copied())
    }
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
            let node = Node::of_stage(index, stage, &table.by_name, inputs, diagnostics);
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
            let instructions = std::mem::take(&mut stage.instructions);
            table.nodes[index].steps.reserve_exact(instructions.len());
            for instruction in instructions {
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

    /// What a build is to make.
    pub(super) fn wanted(&self, options: &Options) -> (Wanted, Vec<LowerError>) {
        let mut errors = Vec::new();
        let last = self.stages.saturating_sub(1);
        let hint = |name: &str| suggest::hint(name, self.names());
        let mut target = |name: &String| {
            let stage = self.stage(name);
            if stage.is_none() {
                errors.push(LowerError::Target {
                    name: name.clone(),
                    hint: hint(name),
                });
            }
            stage.unwrap_or(last)
        };
        let mut wanted = Wanted {
            target: options.target.as_ref().map_or(last, &mut target),
            more: options.more_targets.iter().map(&mut target).collect(),
            required: Vec::new(),
        };
        for name in &options.require {
            match self.stage(name) {
                Some(stage) => wanted.required.push(stage),
                None => errors.push(LowerError::Required {
                    name: name.clone(),
                    hint: hint(name),
                }),
            }
        }
        (wanted, errors)
    }

    /// The stage that a node starts from.
    pub(super) fn base_stage(&self, id: NodeId) -> Option<NodeId> {
        match self.nodes[id].base {
            Base::Stage(base) => Some(base),
            _ => None,
        }
    }

    /// All that nodes need, themselves included.
    pub(super) fn reachable(&self, from: impl IntoIterator<Item = NodeId>) -> Vec<bool> {
        let mut reached = vec![false; self.nodes.len()];
        let mut open: Vec<NodeId> = from.into_iter().collect();
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
        node.total += steps
            .iter()
            .filter(|step| step.instruction.kind.is_step())
            .count();
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
    pub(super) fn settle_names(&mut self) {
        if self.nodes.len() + self.unnamed_sources == 1 {
            self.nodes[0].name.clear();
        }
    }
}
