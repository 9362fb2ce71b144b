//! Lowering as a conversation: it asks for images until it knows all it needs.
//!
//! `ONBUILD` triggers of an image may name further stages and images, so the answers to some
//! questions lead to others. All that can be asked at once is asked at once.

use std::collections::BTreeMap;

use graph::SourceOp;
use oci::{ImageConfig, Platform, Reference};

use super::circle::find_circle;
use super::dispatch::dispatch;
use super::epoch::{self, Epoch};
use super::error::LowerError;
use super::globals::{Globals, check_defaults};
use super::image::Lowered;
use super::node::{Base, Inputs, NodeId};
use super::options::{Checks, NamedContext, Options};
use super::request;
use super::table::{Table, Wanted};
use crate::diagnostic::{Diagnostic, Severity, in_order};
use crate::lint::{check_kiln, check_parsed, violation};
use crate::parser::Parsed;
use crate::suggest;

/// Turns a Dockerfile into a graph.
#[derive(Debug)]
pub struct Lowering {
    pub(super) parsed: Parsed,
    pub(super) options: Options,
    pub(super) globals: Globals,
    pub(super) table: Table,
    pub(super) wanted: Wanted,
    pub(super) epoch: Epoch,
    pub(super) warnings: Vec<Diagnostic>,
    questions: Vec<Question>,
    /// Questions by the image that they are about.
    asked: BTreeMap<Reference, Vec<QuestionId>>,
}

/// What comes next.
#[derive(Debug)]
pub enum Step {
    /// These images must be known; [`Lowering::answer`] each and step again.
    NeedImages(Vec<ImageQuestion>),
    /// The time of this must be known: [`Lowering::set_epoch`] and step again.
    NeedTime(Box<SourceOp>),
    /// There is a graph.
    Done(Box<Lowered>),
}

/// Identity of a question within one lowering.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuestionId(usize);

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
    /// The answer is that nobody knows.
    is_unknown: bool,
}

impl Lowering {
    /// Begins; finds out what can be wrong without knowing an image.
    ///
    /// # Errors
    /// Everything that is wrong with the Dockerfile or does not fit the options.
    pub fn new(mut parsed: Parsed, mut options: Options) -> Result<Self, Vec<Diagnostic>> {
        let mut diagnostics = std::mem::take(&mut parsed.diagnostics);
        request::settle(&mut parsed, &mut options, &mut diagnostics);
        check_parsed(&parsed, &mut diagnostics);
        if parsed.stages.is_empty() && !has_errors(&diagnostics) {
            return Err(about_request(LowerError::NoStages));
        }
        stop_at_errors(&mut diagnostics)?;
        check_defaults(&parsed, &options, &mut diagnostics);
        let mut globals = Globals::new(&parsed, &options)?;
        let epoch = Epoch::new(&mut globals, &parsed, &mut options).map_err(|error| vec![error])?;
        let check = parsed.directives.check.clone();
        let inputs = Inputs {
            options: &options,
            globals: &globals,
            check: &check,
            escape: parsed.directives.escape,
        };
        if options.checks == Checks::All {
            check_kiln(
                &parsed,
                |stage| globals.base(stage, &inputs),
                &mut diagnostics,
            );
        }
        let mut table = Table::new(&mut parsed, &inputs, &mut diagnostics);
        let (wanted, errors) = table.wanted(&options);
        let errors = errors.iter().map(|error| Diagnostic::error([], error));
        diagnostics.extend(errors);
        diagnostics.extend(find_circle(&table));
        table.settle_names();
        stop_at_errors(&mut diagnostics)?;
        Ok(Self {
            parsed,
            options,
            globals,
            table,
            wanted,
            epoch,
            warnings: diagnostics,
            questions: Vec::new(),
            asked: BTreeMap::new(),
        })
    }

    /// Goes on as far as what is known allows.
    ///
    /// # Errors
    /// Everything that is wrong in stages that the target needs.
    pub fn step(&mut self) -> Result<Step, Vec<Diagnostic>> {
        if let Epoch::Of(op) = &self.epoch {
            return Ok(Step::NeedTime(op.clone()));
        }
        loop {
            let reachable = self.reachable();
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
            return Ok(Step::Done(Box::new(dispatch(self, &reachable)?)));
        }
    }

    /// Takes the answer to a question; one to a question that was not asked is dropped.
    pub fn answer(&mut self, answer: ImageAnswer) {
        if let Some(question) = self.questions.get_mut(answer.question.0) {
            question.answer = Some(answer);
        }
    }

    /// Says what the time is that was asked for, in seconds since 1970; none goes on without.
    pub fn set_epoch(&mut self, epoch: Option<i64>) {
        epoch::settle(epoch, &mut self.globals, &mut self.options);
        self.epoch = Epoch::Known(epoch);
    }

    /// Goes on without knowing an image, for a check that is to work without it. Nothing is then
    /// said about what the image may have set.
    pub fn leave_open(&mut self, question: QuestionId) {
        if let Some(question) = self.questions.get_mut(question.0) {
            let platform = &question.asked.platform;
            question.is_unknown = true;
            question.answer = Some(ImageAnswer {
                question: question.asked.id,
                reference: question.asked.reference.clone(),
                config: ImageConfig {
                    os: platform.os.clone(),
                    architecture: platform.architecture.clone(),
                    ..ImageConfig::default()
                },
                layers: 1,
            });
        }
    }

    /// The error that it is when an image cannot be had, because of `reason`.
    #[must_use]
    pub fn refuse(&self, question: QuestionId, reason: &str) -> Diagnostic {
        let question = self.questions.get(question.0);
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

    /// The error that warnings are, when the file says that they are to be one.
    pub(super) fn violation(&self) -> Option<Diagnostic> {
        violation(&self.parsed.directives.check, &self.warnings)
    }

    /// A node starts from an image that was left open.
    pub(super) fn is_open(&self, id: NodeId) -> bool {
        let question = self.question(id);
        question.is_some_and(|question| question.is_unknown)
    }

    /// What is known of the image that a node starts from.
    pub(super) fn image(&self, id: NodeId) -> Option<&ImageAnswer> {
        self.question(id)?.answer.as_ref()
    }

    /// The image that a node starts from.
    pub(super) fn wanted_image(&self, id: NodeId) -> Option<(&Reference, &Platform)> {
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
            } => Some((reference, platform)),
            _ => None,
        }
    }

    /// What was asked about the image that a node starts from.
    fn question(&self, id: NodeId) -> Option<&Question> {
        let (reference, platform) = self.wanted_image(id)?;
        let asked = self.asked.get(reference)?.iter();
        asked
            .filter_map(|question| self.questions.get(question.0))
            .find(|question| question.asked.platform == *platform)
    }

    fn reachable(&self) -> Vec<bool> {
        if self.options.every_stage {
            vec![true; self.table.nodes.len()]
        } else {
            self.table.reachable(self.wanted.all())
        }
    }

    fn ask(&mut self, reachable: &[bool]) {
        for id in (0..reachable.len()).filter(|id| reachable[*id]) {
            let Some((reference, platform)) = self.wanted_image(id) else {
                continue;
            };
            if self.question(id).is_some() {
                continue;
            }
            let asked = ImageQuestion {
                id: QuestionId(self.questions.len()),
                name: self.question_name(id, reference, platform),
                reference: reference.clone(),
                platform: platform.clone(),
            };
            let about = self.asked.entry(asked.reference.clone()).or_default();
            about.push(asked.id);
            self.questions.push(Question {
                asked,
                node: id,
                answer: None,
                is_unknown: false,
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

fn about_request(error: LowerError) -> Vec<Diagnostic> {
    vec![Diagnostic::error([], &error)]
}

/// Fails when there are errors among the diagnostics.
fn stop_at_errors(diagnostics: &mut Vec<Diagnostic>) -> Result<(), Vec<Diagnostic>> {
    if has_errors(diagnostics) {
        Err(in_order(std::mem::take(diagnostics)))
    } else {
        Ok(())
    }
}

fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    let is_error = |diagnostic: &Diagnostic| diagnostic.severity == Severity::Error;
    diagnostics.iter().any(is_error)
}
