//! Why a step ran: what of its key is not as in the nearest earlier record.
//!
//! With every record its [`Facts`] are kept, and a lineage: the instruction's first word and its
//! stage. Of the latest records of a lineage the nearest is the one with the fewest differences.
//! Values of variables are kept as digests only, since people put secrets there.

mod facts;
mod listings;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use graph::{Graph, Op, SourceOp};
use snapshot::checksum::{Change, What};
use solver::{KeyParts, Step};
use store::{Eviction, Key};

use crate::engine::Inner;
use crate::error::EngineError;
use crate::session::Session;
use crate::worker::BuildWorker;

pub(crate) use facts::Facts;
use facts::{Fact, Subject};

/// Earlier records that are compared with.
const ANCESTORS: u32 = 32;
/// Those of them whose files are compared, when they are equally near.
const COMPARED: usize = 4;
/// Differences that are told one by one.
const TOLD: usize = 6;

/// What the explanations of one build know beside the steps.
#[derive(Debug)]
pub(crate) struct Explain {
    /// The steps and what they work on.
    pub(crate) graph: Arc<Graph>,
    /// Names of arguments that the Dockerfile declares or the client gave.
    pub(crate) build_args: BTreeSet<String>,
    /// The flag that makes steps run in any case.
    pub(crate) no_cache: &'static str,
    /// Where the client's directories are.
    pub(crate) session: Arc<Session>,
}

impl BuildWorker {
    /// Tells why the step has to run, if somebody is to know.
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
            return Ok(Some(format!(
                "it was asked to run in any case ({})",
                self.no_cache
            )));
        }
        let records = engine.store.records();
        let key = step.key().map(|key| key.0).unwrap_or_default();
        if let Some(eviction) = records.eviction(&key)? {
            return Ok(Some(format!("its record was evicted {}", how(&eviction))));
        }
        let own = Facts::of(parts);
        let lineage = lineage(parts);
        let ancestors = records.ancestors(&lineage, ANCESTORS)?;
        let differences = ancestors
            .iter()
            .filter_map(|ancestor| Facts::read(&ancestor.parts))
            .map(|facts| own.differences(&facts));
        Ok(Some(match nearest(engine, differences.collect())? {
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
            Subject::Setting(name) if name.starts_with("device ") => {
                format!("{name} {}", fact.change())
            }
            Subject::Setting(name) => fact.told(name),
            Subject::Mount(target) => fact.told(&format!("mount {target}")),
            Subject::Secret(id) => match (&fact.before, &fact.now) {
                (Some(_), Some(_)) => format!("secret {id} has other bytes"),
                (None, _) => format!("the bytes of secret {id} count now (cache=digest)"),
                (_, None) => format!("the bytes of secret {id} do not count any more"),
            },
            Subject::Input(number) => format!("{} is another one", self.input(step, *number)),
            Subject::Files(number) => {
                let input = self.input(step, *number);
                let files = changed_files(engine, fact, self.directory(step, *number))?;
                format!("files that it reads from {input} changed{files}")
            }
        })
    }

    /// The client's directory that an input is, if it is one.
    fn directory(&self, step: &Step, number: usize) -> Option<&Path> {
        let edge = step.vertex().inputs.get(number)?;
        match &self.graph.get(edge.vertex)?.op {
            Op::Source(SourceOp::Local(local)) => {
                let directory = self.session.directories.get(&local.name)?;
                Some(directory.as_path())
            }
            _ => None,
        }
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

/// The fewest differences; among the latest of those that have as many, those with the fewest
/// files.
fn nearest(
    engine: &Inner,
    mut candidates: Vec<Vec<Fact>>,
) -> Result<Option<Vec<Fact>>, EngineError> {
    let fewest = candidates.iter().map(Vec::len).min().unwrap_or_default();
    candidates.retain(|candidate| candidate.len() == fewest);
    candidates.truncate(COMPARED);
    if candidates.len() < 2 {
        return Ok(candidates.pop());
    }
    let mut counted = Vec::with_capacity(candidates.len());
    for candidate in candidates {
        let mut files = 0;
        for fact in &candidate {
            files += changes(engine, fact)?.map_or(0, |changes| changes.len());
        }
        counted.push((files, candidate));
    }
    let least = counted.into_iter().min_by_key(|(files, _)| *files);
    Ok(least.map(|(_, candidate)| candidate))
}

/// How files are not what they were, if it is known what they were and the fact is about them.
fn changes(engine: &Inner, fact: &Fact) -> Result<Option<Vec<Change>>, EngineError> {
    let list = |value: &Option<String>| match value.as_deref().and_then(facts::checksum) {
        Some(checksum) if matches!(fact.subject, Subject::Files(_)) => engine.listing(&checksum),
        _ => Ok(None),
    };
    Ok(match (list(&fact.before)?, list(&fact.now)?) {
        (Some(before), Some(now)) => Some(now.changes(&before)),
        _ => None,
    })
}

/// The files that changed by name, if it is known what they were; else nothing.
fn changed_files(
    engine: &Inner,
    fact: &Fact,
    directory: Option<&Path>,
) -> Result<String, EngineError> {
    let Some(changes) = changes(engine, fact)? else {
        return Ok(String::new());
    };
    let told = |change: &Change| match is_ignored(change, directory) {
        true => format!("{change} (excluded by the ignore file)"),
        false => change.to_string(),
    };
    let mut told: Vec<String> = changes.iter().take(TOLD).map(told).collect();
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

/// A file that the step does not read any more though the client has it.
fn is_ignored(change: &Change, directory: Option<&Path>) -> bool {
    let path = directory.map(|directory| directory.join(&change.path));
    change.what == What::Removed && path.is_some_and(|path| path.symlink_metadata().is_ok())
}

/// What a step and its earlier forms have in common.
pub(crate) fn lineage(parts: &KeyParts) -> Key {
    let (stage, _) = facts::split(&parts.name);
    let instruction = facts::instruction(parts);
    let word = instruction.split_whitespace().next().unwrap_or_default();
    let mut hasher = graph::ContentHasher::new("lineage");
    hasher.bytes(stage.as_bytes());
    hasher.bytes(word.as_bytes());
    *hasher.finish().as_bytes()
}
