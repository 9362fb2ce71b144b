//! Lowering as a conversation: it asks for images until it knows all it needs.
//!
//! `ONBUILD` triggers of an image may name further stages and images, so the answers to some
//! questions lead to others. All that can be asked at once is asked at once.

use oci::{ImageConfig, Platform, Reference};

use super::dispatch::dispatch;
use super::error::LowerError;
use super::from::KnownVariables;
use super::globals::{Globals, check_defaults};
use super::image::Lowered;
use super::options::{NamedContext, Options, context_name};
use super::table::{Base, Inputs, NodeId, Table};
use crate::Span;
use crate::diagnostic::{Diagnostic, Severity};
use crate::directive::Directive;
use crate::instruction::InstructionKind;
use crate::lint::violation;
use crate::parser::{Parsed, parse_trigger};
use crate::suggest;

/// Turns a Dockerfile into a graph.
#[derive(Debug)]
pub struct Lowering {
    pub(super) parsed: Parsed,
    pub(super) options: Options,
    pub(super) globals: Globals,
    pub(super) table: Table,
    pub(super) target: NodeId,
    pub(super) epoch: Option<i64>,
    pub(super) warnings: Vec<Diagnostic>,
    questions: Vec<Question>,
    finished: bool,
}

/// What comes next.
#[derive(Debug)]
pub enum Step {
    /// These images must be known; [`Lowering::answer`] each and step again.
    NeedImages(Vec<ImageQuestion>),
    /// There is a graph.
    Done(Box<Lowered>),
}

/// Identity of a question within one lowering.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuestionId(u32);

/// An image that must be known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageQuestion {
    /// To be given with the answer.
    pub id: QuestionId,
    /// Which image.
    pub reference: Reference,
    /// For which platform.
    pub platform: Platform,
    /// As progress shows it: `[internal] load metadata for …`.
    pub name: String,
}

/// What is known of an image.
#[derive(Debug, Clone)]
pub struct ImageAnswer {
    /// Of the question.
    pub question: QuestionId,
    /// The image's name with the digest that it has now.
    pub reference: Reference,
    /// Its config.
    pub config: ImageConfig,
    /// How many layers it has.
    pub layers: usize,
}

#[derive(Debug)]
struct Question {
    asked: ImageQuestion,
    /// Who needs it first.
    node: NodeId,
    answer: Option<ImageAnswer>,
}

impl Lowering {
    /// Begins; finds out what can be wrong without knowing an image.
    ///
    /// # Errors
    /// Everything that is wrong with the Dockerfile or does not fit the options.
    pub fn new(mut parsed: Parsed, mut options: Options) -> Result<Self, Vec<Diagnostic>> {
        let mut diagnostics = std::mem::take(&mut parsed.diagnostics);
        if let Some(syntax) = foreign_syntax(&parsed) {
            let error = LowerError::Syntax(syntax.value.clone());
            diagnostics.push(Diagnostic::error([syntax.span], &error));
        }
        normalise_contexts(&mut options, &mut diagnostics);
        if parsed.stages.is_empty() && diagnostics.is_empty() {
            return Err(about_request(LowerError::NoStages));
        }
        stop_at_errors(&mut diagnostics)?;
        check_defaults(&parsed, &options, &mut diagnostics);
        let mut globals = Globals::new(&parsed, &options)?;
        let epoch = globals.epoch(&options).map_err(about_request)?;
        let check = parsed.directives.check.clone();
        let inputs = Inputs {
            options: &options,
            globals: &globals,
            check: &check,
            escape: parsed.directives.escape,
        };
        let table = Table::new(&mut parsed, &inputs, &mut diagnostics);
        let target = table
            .target(options.target.as_deref())
            .unwrap_or_else(|error| {
                diagnostics.push(Diagnostic::error([], &error));
                0
            });
        diagnostics.extend(find_circle(&table));
        stop_at_errors(&mut diagnostics)?;
        Ok(Self {
            parsed,
            options,
            globals,
            table,
            target,
            epoch,
            warnings: diagnostics,
            questions: Vec::new(),
            finished: false,
        })
    }

    /// Goes on as far as what is known allows.
    ///
    /// # Errors
    /// Everything that is wrong in stages that the target needs.
    pub fn step(&mut self) -> Result<Step, Vec<Diagnostic>> {
        loop {
            let reachable = self.table.reachable(self.target);
            self.ask(&reachable);
            let open: Vec<ImageQuestion> = self
                .questions
                .iter()
                .filter(|question| question.answer.is_none())
                .map(|question| question.asked.clone())
                .collect();
            let triggered = self.add_triggers(&reachable)?;
            if triggered {
                continue;
            }
            if !open.is_empty() {
                return Ok(Step::NeedImages(open));
            }
            let lowered = dispatch(self, &reachable)?;
            self.finished = true;
            return Ok(Step::Done(Box::new(lowered)));
        }
    }

    /// Takes the answer to a question; one to a question that was not asked is dropped.
    pub fn answer(&mut self, answer: ImageAnswer) {
        if let Some(question) = self.questions.get_mut(answer.question.0 as usize) {
            question.answer = Some(answer);
        }
    }

    /// The error that it is when an image cannot be had, because of `reason`.
    #[must_use]
    pub fn refuse(&self, question: QuestionId, reason: &str) -> Diagnostic {
        let question = self.questions.get(question.0 as usize);
        let node = question.map(|question| &self.table.nodes[question.node]);
        let name = match node.map(|node| &node.base) {
            Some(Base::Image { written, .. }) => written.clone(),
            Some(Base::Context { key, .. }) => key.clone(),
            _ => String::new(),
        };
        let options = self.table.names().chain(COMMON_IMAGES.iter().copied());
        let error = LowerError::Image {
            hint: suggest::hint(&name, options),
            reason: reason.to_owned(),
            name,
        };
        Diagnostic::error(node.and_then(|node| node.span), &error)
    }

    /// The text, for excerpts.
    #[must_use]
    pub const fn source(&self) -> &crate::Source {
        &self.parsed.source
    }

    /// What is known of the image that a node starts from.
    pub(super) fn image(&self, id: NodeId) -> Option<&ImageAnswer> {
        let (reference, platform) = self.wanted_image(id)?;
        let same = |question: &&Question| {
            question.asked.reference == *reference && question.asked.platform == platform
        };
        self.questions.iter().find(same)?.answer.as_ref()
    }

    fn wanted_image(&self, id: NodeId) -> Option<(&Reference, Platform)> {
        let node = &self.table.nodes[id];
        let platform = node
            .platform
            .as_ref()
            .unwrap_or_else(|| self.options.platform());
        match &node.base {
            Base::Image { reference, .. }
            | Base::Context {
                context: NamedContext::Image(reference),
                ..
            } => Some((reference, platform.clone())),
            _ => None,
        }
    }

    fn ask(&mut self, reachable: &[bool]) {
        for id in (0..reachable.len()).filter(|id| reachable[*id]) {
            let Some((reference, platform)) = self.wanted_image(id) else {
                continue;
            };
            let same = |question: &Question| {
                question.asked.reference == *reference && question.asked.platform == platform
            };
            if self.questions.iter().any(same) {
                continue;
            }
            let Ok(number) = u32::try_from(self.questions.len()) else {
                return;
            };
            let asked = ImageQuestion {
                id: QuestionId(number),
                reference: reference.clone(),
                name: self.question_name(id, reference, &platform),
                platform,
            };
            self.questions.push(Question {
                asked,
                node: id,
                answer: None,
            });
        }
    }

    fn question_name(&self, id: NodeId, reference: &Reference, platform: &Platform) -> String {
        match &self.table.nodes[id].base {
            Base::Context { key, .. } => format!("[context {key}] load metadata for {reference}"),
            _ if self.options.multi_platform => {
                format!("[{platform} internal] load metadata for {reference}")
            }
            _ => format!("[internal] load metadata for {reference}"),
        }
    }

    /// Adds the triggers of bases that are known; whether they name further nodes.
    fn add_triggers(&mut self, reachable: &[bool]) -> Result<bool, Vec<Diagnostic>> {
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

/// Images that people mean when they misspell a name.
const COMMON_IMAGES: &[&str] = &[
    "alpine",
    "alpine:latest",
    "busybox",
    "busybox:latest",
    "centos",
    "centos:latest",
    "debian",
    "debian:latest",
    "golang",
    "golang:latest",
    "ubuntu",
    "ubuntu:latest",
    "fedora",
    "fedora:latest",
];

/// The image that is to read the file, when it is not this crate that can.
fn foreign_syntax(parsed: &Parsed) -> Option<&Directive> {
    const BUILT_IN: &[&str] = &[
        "docker.io/docker/dockerfile",
        "docker.io/docker/dockerfile-upstream",
    ];
    let syntax = parsed.directives.syntax.as_ref()?;
    let built_in = syntax.value == "dockerfile.v0"
        || syntax.value.parse::<Reference>().is_ok_and(|reference| {
            BUILT_IN.contains(&reference.without_tag().to_string().as_str())
        });
    (!built_in).then_some(syntax)
}

/// Gives contexts their shortest names, by which they are looked up.
fn normalise_contexts(options: &mut Options, diagnostics: &mut Vec<Diagnostic>) {
    for (key, context) in std::mem::take(&mut options.named_contexts) {
        let (name, platform) = match key.split_once("::") {
            Some((name, platform)) => (name, Some(platform)),
            None => (key.as_str(), None),
        };
        match context_name(name) {
            Some(name) => {
                let platform = platform.map(|platform| format!("::{platform}"));
                let key = format!("{name}{}", platform.unwrap_or_default());
                options.named_contexts.insert(key, context);
            }
            None => {
                let error = LowerError::ContextName(key.clone());
                diagnostics.push(Diagnostic::error([], &error));
            }
        }
    }
}

/// The first circle among the nodes that instructions name, with the lines that make it.
fn find_circle(table: &Table) -> Option<Diagnostic> {
    let mut visited = vec![false; table.nodes.len()];
    let mut on_path = vec![false; table.nodes.len()];
    for start in 0..table.nodes.len() {
        // Each entry: a node, the next of its needs to look at, and the line that led to it.
        let mut path: Vec<(NodeId, usize, Option<Span>)> = Vec::new();
        if !std::mem::replace(&mut visited[start], true) {
            on_path[start] = true;
            path.push((start, 0, None));
        }
        while let Some((id, next, _)) = path.last_mut() {
            let Some(&(needed, span)) = table.nodes[*id].needs.get(*next) else {
                on_path[*id] = false;
                path.pop();
                continue;
            };
            *next += 1;
            if on_path[needed] {
                let spans = path.iter().filter_map(|(_, _, span)| *span).chain([span]);
                let name = match table.nodes[start].name.as_str() {
                    "" => format!("stage-{start}"),
                    name => name.to_owned(),
                };
                return Some(Diagnostic::error(spans, &LowerError::Circle(name)));
            }
            if !std::mem::replace(&mut visited[needed], true) {
                on_path[needed] = true;
                path.push((needed, 0, Some(span)));
            }
        }
    }
    None
}

fn about_request(error: LowerError) -> Vec<Diagnostic> {
    vec![Diagnostic::error([], &error)]
}

/// Fails when there are errors among the diagnostics.
fn stop_at_errors(diagnostics: &mut Vec<Diagnostic>) -> Result<(), Vec<Diagnostic>> {
    if diagnostics.iter().any(|d| d.severity == Severity::Error) {
        Err(std::mem::take(diagnostics))
    } else {
        Ok(())
    }
}

impl Lowering {
    /// The error that warnings are, when the file says that they are to be one.
    pub(super) fn violation(&self) -> Option<Diagnostic> {
        violation(&self.parsed.directives.check, &self.warnings)
    }
}
