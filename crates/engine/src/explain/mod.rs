//! Why a step ran: what of its key is not as in the nearest earlier record.
//!
//! With every record its [`Facts`] are kept, and a lineage: the instruction's first word and its
//! stage. Of the latest records of a lineage the nearest is the one with the fewest differences.
//! Values of variables are kept as digests only, since people put secrets there.

mod facts;
mod listings;

use std::collections::BTreeSet;
use std::sync::Arc;

use graph::{Graph, Op, SourceOp};
use solver::{KeyParts, Step};
use store::{Eviction, Key};

use crate::engine::Inner;
use crate::error::EngineError;
use crate::worker::BuildWorker;

pub(crate) use facts::Facts;
use facts::{Fact, Subject};

/// Earlier records that are compared with.
const ANCESTORS: u32 = 32;
/// Differences that are told one by one.
const TOLD: usize = 6;

/// What the explanations of one build know beside the steps.
#[derive(Debug)]
pub(crate) struct Explain {
    /// The steps and what they work on.
    pub(crate) graph: Arc<Graph>,
    /// Names of arguments that the client gave.
    pub(crate) build_args: BTreeSet<String>,
}

impl BuildWorker {
    /// Tells why the step has to run, if the build is asked to.
    pub(crate) async fn explain(&self, step: &Step) -> Result<(), EngineError> {
        let Some(explain) = &self.explain else {
            return Ok(());
        };
        if matches!(step.vertex().op, Op::Source(_)) {
            return Ok(());
        }
        let (engine, explain) = (Arc::clone(&self.engine), Arc::clone(explain));
        let step = step.clone();
        crate::blocking(move || {
            if let Some(reason) = explain.reason(&engine, &step)? {
                step.progress().explain(reason);
            }
            Ok(())
        })
        .await?
    }
}

impl Explain {
    /// Why; nothing of a step without a key, which always runs.
    fn reason(&self, engine: &Inner, step: &Step) -> Result<Option<String>, EngineError> {
        let Some(parts) = step.parts() else {
            return Ok(None);
        };
        if step.vertex().meta.ignore_cache {
            let asked = "it was asked to run in any case (--no-cache or --no-cache-filter)";
            return Ok(Some(asked.to_owned()));
        }
        let records = engine.store.records();
        let key = step.key().map(|key| key.0).unwrap_or_default();
        if let Some(eviction) = records.eviction(&key)? {
            return Ok(Some(format!("its record was evicted {}", how(&eviction))));
        }
        let own = Facts::of(parts);
        let lineage = lineage(parts);
        let ancestors = records.ancestors(&lineage, ANCESTORS)?;
        let nearest = ancestors
            .iter()
            .filter_map(|ancestor| Facts::read(&ancestor.parts))
            .map(|facts| own.differences(&facts))
            .min_by_key(Vec::len);
        Ok(Some(match nearest {
            None => match records.last_eviction(&lineage)? {
                Some(last) => format!(
                    "no earlier build of it is known: the last of its kind was evicted {}",
                    how(&last)
                ),
                None => "no earlier build of it is known".to_owned(),
            },
            Some(differences) if differences.is_empty() => match records.get(&key)? {
                Some(_) => "what it builds on ran again".to_owned(),
                None => "its result is no longer in the store".to_owned(),
            },
            Some(differences) => {
                let all = differences.len();
                let mut told: Vec<String> = differences
                    .into_iter()
                    .take(TOLD)
                    .map(|fact| self.told(engine, step, &fact))
                    .collect::<Result<_, _>>()?;
                if all > told.len() {
                    told.push(format!("and {} more", all - told.len()));
                }
                told.join("; ")
            }
        }))
    }

    fn told(&self, engine: &Inner, step: &Step, fact: &Fact) -> Result<String, EngineError> {
        Ok(match &fact.subject {
            Subject::Instruction => match &fact.before {
                Some(before) => format!("the instruction was {before}"),
                None => "the instruction is new".to_owned(),
            },
            Subject::Variable(name) => {
                let kind = if self.build_args.contains(name) {
                    "build argument"
                } else {
                    "variable"
                };
                format!("{kind} {name} {}", fact.change())
            }
            Subject::Setting(name) => format!("{name} {}", fact.change()),
            Subject::Input(number) => format!("{} is another one", self.input(step, *number)),
            Subject::Files(number) => {
                let input = self.input(step, *number);
                let files = changed_files(engine, fact)?;
                format!("files that it reads from {input} changed{files}")
            }
        })
    }

    /// An input as people know it.
    fn input(&self, step: &Step, number: usize) -> String {
        let vertex = step.vertex().inputs.get(number);
        let vertex = vertex.and_then(|edge| self.graph.get(edge.vertex));
        match vertex.map(|vertex| (&vertex.op, &vertex.meta.name)) {
            Some((Op::Source(SourceOp::Image(image)), _)) => {
                let name = image.reference.familiar_name();
                match image.reference.tag() {
                    Some(tag) => format!("base image {name}:{tag}"),
                    None => format!("base image {name}"),
                }
            }
            Some((Op::Source(SourceOp::Local(local)), _)) if local.name == "context" => {
                "the build context".to_owned()
            }
            Some((Op::Source(SourceOp::Local(local)), _)) => format!("context {}", local.name),
            Some((_, name)) => format!("the result of {name}"),
            None => "an input".to_owned(),
        }
    }
}

/// The files that changed by name, if it is known what they were; else nothing.
fn changed_files(engine: &Inner, fact: &Fact) -> Result<String, EngineError> {
    let list = |value: &Option<String>| match value.as_deref().and_then(facts::checksum) {
        Some(checksum) => engine.listing(&checksum),
        None => Ok(None),
    };
    let (Some(before), Some(now)) = (list(&fact.before)?, list(&fact.now)?) else {
        return Ok(String::new());
    };
    let changes = now.changes(&before);
    let mut told: Vec<String> = changes.iter().take(TOLD).map(ToString::to_string).collect();
    match changes.len() {
        0 => return Ok(String::new()),
        all if all > told.len() => told.push(format!("and {} more", all - told.len())),
        _ => {}
    }
    Ok(format!(": {}", told.join(", ")))
}

/// When and by what a record went.
fn how(eviction: &Eviction) -> String {
    let at = crate::clock::to_the_minute(eviction.evicted);
    format!("on {at} by {}", eviction.cause)
}

/// What a step and its earlier forms have in common.
pub(crate) fn lineage(parts: &KeyParts) -> Key {
    let (stage, instruction) = facts::split(&parts.name);
    let word = instruction.split_whitespace().next().unwrap_or_default();
    let mut hasher = graph::ContentHasher::new("lineage");
    hasher.bytes(stage.as_bytes());
    hasher.bytes(word.as_bytes());
    *hasher.finish().as_bytes()
}
