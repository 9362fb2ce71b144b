//! `ONBUILD` triggers: what a base keeps for those who start from it runs before their own
//! instructions.

use super::driver::Lowering;
use super::error::LowerError;
use super::from::KnownVariables;
use super::node::{Base, NodeId};
use super::options::NamedContext;
use crate::Span;
use crate::diagnostic::Diagnostic;
use crate::instruction::InstructionKind;
use crate::limits::MAX_TRIGGERS;
use crate::parser::parse_trigger;

impl Lowering {
    /// Adds the triggers of bases that are known; whether they name further nodes.
    pub(super) fn add_triggers(&mut self, reachable: &[bool]) -> Result<bool, Vec<Diagnostic>> {
        let mut named = false;
        for id in (0..reachable.len()).filter(|id| reachable[*id]) {
            let node = &self.table.nodes[id];
            if node.triggered || node.replaced || id >= self.table.stages {
                continue;
            }
            let Some(triggers) = self.triggers(id) else {
                continue;
            };
            self.table.nodes[id].triggered = true;
            if triggers.is_empty() {
                continue;
            }
            let span = self.table.nodes[id].span.unwrap_or_default();
            named |= self
                .add_node_triggers(id, &triggers, span)
                .map_err(|error| vec![Diagnostic::error([span], &error)])?;
        }
        Ok(named)
    }

    /// The triggers of what a node starts from; none while that is not known.
    fn triggers(&self, id: NodeId) -> Option<Vec<String>> {
        match &self.table.nodes[id].base {
            Base::Stage(base) => {
                let steps = &self.table.nodes[*base];
                // The base's own triggers do not matter: they cannot hold an ONBUILD.
                let steps = steps.steps.iter().filter(|step| !step.triggered);
                let kept = steps.filter_map(|step| match &step.instruction.kind {
                    InstructionKind::Onbuild(expression) => Some(expression.clone()),
                    _ => None,
                });
                Some(kept.collect())
            }
            Base::Context {
                context: NamedContext::Steps(steps),
                ..
            } => {
                let config = steps.config.as_deref();
                Some(config.map_or_else(Vec::new, |config| config.config.on_build.clone()))
            }
            _ if self.wanted_image(id).is_none() => Some(Vec::new()),
            _ => Some(self.image(id)?.config.config.on_build.clone()),
        }
    }

    fn add_node_triggers(
        &mut self,
        id: NodeId,
        triggers: &[String],
        span: Span,
    ) -> Result<bool, LowerError> {
        if triggers.len() > MAX_TRIGGERS {
            return Err(LowerError::TooManyTriggers);
        }
        let mut steps = Vec::with_capacity(triggers.len());
        for trigger in triggers {
            let instruction = parse_trigger(trigger, span)?;
            let known = KnownVariables::of_file(&self.parsed, &self.options, &self.globals);
            let expand = |written: &str| known.expand(written);
            steps.push(self.table.step(instruction, true, &expand)?);
        }
        self.table.add_triggers(id, steps, &self.options)
    }
}
