//! Goes through the stages that are needed, in the order of the file, and makes vertices.
//!
//! A stage that fails ends with its first error; stages that do not need it are still looked at,
//! so that all errors are found at once.

use std::borrow::Cow;
use std::collections::BTreeMap;

use graph::Written;

use super::budget::Budget;
use super::copy::ignored;
use super::done::Done;
use super::driver::Lowering;
use super::error::LowerError;
use super::image::{Lowered, Results, TargetImage};
use super::name::{Masked, Named, Shown, StepNames, shown};
use super::node::{Base, NodeId, NodeStep};
use super::outline::Noted;
use super::run::proxies;
use super::scan::Asking;
use super::scope::Scope;
use super::source::Sources;
use crate::Span;
use crate::diagnostic::{Diagnostic, in_order};
use crate::ignore::Patterns;
use crate::instruction::InstructionKind;
use crate::lint::{Declared, Finding, report};
use crate::suggest;
use crate::word::{Expanded, Lex};

/// What is made while going through the stages.
pub(super) struct Dispatcher<'a> {
    pub(super) lowering: &'a Lowering,
    pub(super) sources: Sources,
    pub(super) done: Done,
    pub(super) lex: Lex,
    pub(super) budget: Budget,
    /// What every step is given beside its environment.
    pub(super) proxy: BTreeMap<String, String>,
    /// Patterns of what the build context leaves out.
    pub(super) ignored: Option<Patterns>,
    pub(super) warnings: Vec<Diagnostic>,
    pub(super) noted: Noted,
    pub(super) asking: Asking,
}

/// The stage that is gone through.
pub(super) struct Stage<'a> {
    pub(super) scope: Scope,
    pub(super) names: StepNames,
    pub(super) name: &'a str,
    pub(super) ignore_cache: bool,
    /// Where the last of each was, to tell when there are several.
    pub(super) cmd: Option<Span>,
    pub(super) entrypoint: Option<Span>,
    pub(super) healthcheck: Option<Span>,
}

/// The instruction that is gone through.
#[derive(Clone, Copy)]
pub(super) struct Current<'a> {
    pub(super) step: &'a NodeStep,
    pub(super) span: Span,
}

/// Makes the graph.
pub(super) fn dispatch(
    lowering: &mut Lowering,
    reachable: &[bool],
) -> Result<Lowered, Vec<Diagnostic>> {
    let nodes = lowering.table.nodes.iter().zip(reachable);
    let steps = nodes.filter_map(|(node, reachable)| reachable.then_some(node.total));
    let mut dispatcher = Dispatcher {
        sources: Sources::with_capacity(steps.sum()),
        done: Done::new(&lowering.table, reachable, lowering.wanted.targets()),
        lex: Lex::new(lowering.parsed.directives.escape),
        budget: Budget::default(),
        proxy: proxies(&lowering.options.build_args),
        ignored: ignored(&lowering.options.context),
        warnings: Vec::new(),
        noted: Noted::default(),
        asking: Asking::default(),
        lowering,
    };
    let mut errors = dispatcher.images(reachable);
    for id in (0..lowering.table.stages).filter(|id| reachable[*id]) {
        if let Err(error) = dispatcher.stage(id) {
            errors.extend(error);
        }
    }
    let results = dispatcher.results().unwrap_or_else(|error| {
        errors.push(Diagnostic::error([], &error));
        None
    });
    let outline = dispatcher.noted.into_outline(lowering, reachable);
    let (sources, warnings) = (dispatcher.sources, dispatcher.warnings);
    lowering.warnings.extend(warnings);
    lowering.warnings = in_order(std::mem::take(&mut lowering.warnings));
    lowering.warnings.dedup();
    errors.extend(lowering.violation());
    match results {
        Some(results) if errors.is_empty() => Ok(Lowered::new(lowering, results, sources, outline)),
        _ => {
            // What is likely a mistake may be the reason for the error.
            errors.extend_from_slice(&lowering.warnings);
            Err(in_order(errors))
        }
    }
}

impl Dispatcher<'_> {
    /// What the targets came to, when all did.
    fn results(&mut self) -> Result<Option<Results>, LowerError> {
        let wanted = &self.lowering.wanted;
        let mut targets = Vec::with_capacity(1 + wanted.more.len());
        for id in wanted.targets() {
            let Some(scope) = self.done.take(id, &mut self.budget)? else {
                return Ok(None);
            };
            let scan = self.scan(id)?;
            targets.push(TargetImage::new(self.lowering, id, scope, scan));
        }
        let required = wanted.required.iter();
        let required = required.filter_map(|id| self.done.edge(*id)?).collect();
        let more = targets.split_off(1);
        Ok(targets.pop().map(|target| Results {
            target,
            more,
            required,
        }))
    }

    /// Images that `--from` names: they are there before any stage.
    fn images(&mut self, reachable: &[bool]) -> Vec<Diagnostic> {
        let mut errors = Vec::new();
        for id in (self.lowering.table.stages..reachable.len()).filter(|id| reachable[*id]) {
            let mut names = StepNames::new(String::new(), 0, false);
            match self.begin(id, &mut names) {
                Ok(scope) => self.done.end(id, scope),
                Err(error) => {
                    let span = self.lowering.table.nodes[id].span;
                    errors.push(Diagnostic::error(span, &error));
                }
            }
        }
        errors
    }

    /// Goes through a stage. A stage that needs one that failed fails without an error of its own.
    fn stage(&mut self, id: NodeId) -> Result<(), Option<Diagnostic>> {
        let lowering = self.lowering;
        let node = &lowering.table.nodes[id];
        let at = |span: Option<Span>, error: LowerError| Some(Diagnostic::error(span, &error));
        let outside = lowering.table.stages;
        let was_tried = |needed: NodeId| needed < id || needed >= outside;
        let failed = |needed: NodeId| was_tried(needed) && self.done.edge(needed).is_none();
        let base = match node.base {
            Base::Stage(base) => Some(base),
            _ => None,
        };
        if base
            .into_iter()
            .chain(node.needs.iter().map(|(node, _)| *node))
            .any(failed)
        {
            return Err(None);
        }
        let multi_platform = lowering.options.multi_platform;
        let mut names = StepNames::new(node.name.clone(), node.total, multi_platform);
        let scope = self
            .begin(id, &mut names)
            .map_err(|error| at(node.span, error))?;
        let mut stage = Stage {
            scope,
            names,
            name: &node.name,
            ignore_cache: node.ignore_cache,
            cmd: None,
            entrypoint: None,
            healthcheck: None,
        };
        if !node.replaced {
            stage.scope.apply_config();
        }
        for step in &node.steps {
            let span = step.instruction.span;
            self.instruction(&mut stage, Current { step, span })
                .map_err(|error| at(Some(span), error))?;
        }
        let globals = &lowering.globals;
        self.asking.note(id, &node.name, &stage.scope, globals);
        self.done.end(id, stage.scope);
        Ok(())
    }

    fn instruction(&mut self, stage: &mut Stage<'_>, at: Current<'_>) -> Result<(), LowerError> {
        stage.names.triggered = at.step.triggered;
        match &at.step.instruction.kind {
            InstructionKind::Add(transfer, options) => self.add(stage, at, transfer, options),
            InstructionKind::Arg(args) => self.arg(stage, at, args),
            InstructionKind::Cmd(command) => self.cmd(stage, at, command),
            InstructionKind::Copy(transfer, options) => self.copy(stage, at, transfer, options),
            InstructionKind::Entrypoint(command) => self.entrypoint(stage, at, command),
            InstructionKind::Env(pairs) => self.env(stage, at, pairs),
            InstructionKind::Expose(ports) => self.expose(stage, at, ports),
            InstructionKind::Healthcheck(health) => self.healthcheck(stage, at, health),
            InstructionKind::Label(pairs) => self.label(stage, at, pairs),
            InstructionKind::Maintainer(author) => {
                self.maintainer(stage, author);
                Ok(())
            }
            InstructionKind::Onbuild(expression) => {
                let on_build = &mut stage.scope.image.config.config.on_build;
                on_build.push(expression.clone());
                Ok(())
            }
            InstructionKind::Run(run) => self.run(stage, at, run),
            InstructionKind::Shell(shell) => {
                self.shell(stage, shell);
                Ok(())
            }
            InstructionKind::StopSignal(signal) => self.stop_signal(stage, at, signal),
            InstructionKind::User(user) => self.user(stage, at, user),
            InstructionKind::Volume(paths) => self.volume(stage, at, paths),
            InstructionKind::Workdir(path) => self.workdir(stage, at, path),
        }
    }

    /// A word with its variables expanded.
    pub(super) fn expand<'w>(
        &mut self,
        stage: &Stage<'_>,
        at: Current<'_>,
        word: &'w str,
    ) -> Result<Cow<'w, str>, LowerError> {
        self.expand_with(self.lex, stage, at, word)
    }

    /// The same for a word that is read in another way.
    pub(super) fn expand_with<'w>(
        &mut self,
        lex: Lex,
        stage: &Stage<'_>,
        at: Current<'_>,
        word: &'w str,
    ) -> Result<Cow<'w, str>, LowerError> {
        let expanded = lex.expand(word, &stage.scope.env)?;
        self.budget.spend(expanded.text.len())?;
        self.check_undefined(stage, at, &expanded);
        Ok(expanded.text)
    }

    /// The instruction as people are shown it, with its number and after `prefix`; it stays the
    /// next one.
    pub(super) fn step_name(
        &mut self,
        stage: &Stage<'_>,
        at: Current<'_>,
        prefix: &str,
    ) -> Result<Named, LowerError> {
        let text = at.step.told_text();
        let scope = &stage.scope;
        let variables = Masked {
            variables: &scope.env,
            secrets: &[],
        };
        let Shown { mut text, written } = shown(self.lex, &text, &variables);
        self.spend_on_names(&text, written.as_deref())?;
        if !prefix.is_empty() {
            text = Cow::Owned([prefix, &text].concat());
        }
        let name = stage.names.current(&text, &scope.platform, &scope.env);
        Ok(Named { name, written })
    }

    /// Accounts for what people are told of a step.
    pub(super) fn spend_on_names(
        &mut self,
        text: &str,
        written: Option<&Written>,
    ) -> Result<(), LowerError> {
        let variables = written.map_or(&[][..], |written| &written.variables);
        let values: usize = variables.iter().map(|(_, value)| value.len()).sum();
        self.budget.spend(text.len() + values)
    }

    pub(super) fn report(&mut self, comments: &[String], span: Span, finding: &Finding) {
        let check = &self.lowering.parsed.directives.check;
        let here = check.with_comments(comments);
        report(&mut self.warnings, &here, span, finding);
    }

    pub(super) fn report_at(&mut self, at: Current<'_>, finding: &Finding) {
        self.report(&at.step.instruction.comments, at.span, finding);
    }

    fn check_undefined(&mut self, stage: &Stage<'_>, at: Current<'_>, word: &Expanded<'_>) {
        for name in &word.unmatched {
            if stage.scope.args.iter().any(|arg| arg.key == *name) {
                continue;
            }
            let declared = self.lowering.globals.declared(name);
            if stage.scope.is_open && declared == Declared::Nowhere {
                continue;
            }
            let nearest = suggest::nearest(name, stage.scope.env.keys());
            let finding = Finding::UndefinedVar {
                name: (*name).to_owned(),
                nearest: nearest.map(str::to_owned),
                declared,
            };
            self.report_at(at, &finding);
        }
    }
}
