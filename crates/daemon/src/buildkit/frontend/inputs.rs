//! Inputs of a front end: file systems that the client defines step by step. A build goes on from
//! their steps, so what nothing needs of them is not made.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bollard_buildkit_proto::pb;
use engine::{Build, EngineError, FilesError, Steps};
use tonic::Status;

use super::Contexts;
use super::definition::{self, Defined};
use crate::buildkit::builds::Job;
use crate::buildkit::errors;

/// Definitions by the names of the inputs.
pub(in crate::buildkit) type Inputs = HashMap<String, pb::Definition>;

/// An input, and what its steps read of what the client offers.
#[derive(Default)]
pub(super) struct Input {
    pub(super) steps: Steps,
    /// Files of directories, by the names of the local sources among the steps.
    pub(super) copies: Contexts,
    /// Names of SSH agents.
    pub(super) agents: BTreeSet<String>,
}

/// The input of this name.
///
/// # Errors
/// There is none, or its definition is wrong.
pub(super) async fn input(
    job: &Arc<Job>,
    build: &Build,
    (name, inputs): (&str, &Inputs),
) -> Result<Input, Status> {
    let Some(defined) = read(job, build, (name, inputs)).await? else {
        return Ok(Input::default());
    };
    let directories = defined.copies.iter();
    let directories = directories.map(|(name, copy)| (name.clone(), copy.path().to_owned()));
    Ok(Input {
        agents: defined.agents(),
        steps: Steps {
            directories: directories.collect(),
            definition: defined.definition,
            config: None,
            allow_insecure: job.terms.insecure,
        },
        copies: defined.copies,
    })
}

/// Those of the files at `paths` that an input has. It is made for that.
///
/// # Errors
/// As [`input`], it is empty, or a step of it fails.
pub(super) async fn files(
    job: &Arc<Job>,
    build: &Build,
    (name, inputs): (&str, &Inputs),
    paths: &[String],
) -> Result<BTreeMap<String, Vec<u8>>, Status> {
    let mut found = BTreeMap::new();
    let Some(defined) = read(job, build, (name, inputs)).await? else {
        let message = format!("invalid nil input definition to definition op: {name} is empty");
        return Err(Status::invalid_argument(message));
    };
    let failed = |error| errors::status(&error, None);
    let made = defined.plan(job, build, Vec::new()).await?;
    let evaluated = made.evaluate(job).await?;
    let files = build.files(&evaluated).await.map_err(failed)?;
    for path in paths {
        match files.read(&format!("/{path}"), None) {
            Ok(bytes) => drop(found.insert(path.clone(), bytes)),
            Err(EngineError::Files(FilesError::Missing { .. })) => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(found)
}

/// None when it is empty.
async fn read(
    job: &Arc<Job>,
    build: &Build,
    (name, inputs): (&str, &Inputs),
) -> Result<Option<Defined>, Status> {
    let missing = || Status::invalid_argument(format!("invalid input {name}"));
    let given = inputs.get(name).ok_or_else(missing)?;
    if given.def.is_empty() {
        return Ok(None);
    }
    // No context that a Dockerfile may name has a space in its name.
    let prefix = format!("input {name} ");
    definition::read(job, build, given, &prefix).await.map(Some)
}
