//! The front end `dockerfile.v0`: its options, as BuildKit's clients send them, become a request to
//! the engine. The Dockerfile is the client's, or in a context that is elsewhere. A client that is
//! its own front end sends definitions instead.

mod definition;
mod gateway;
mod inputs;
mod lint;
mod local;
mod prepare;
mod request;
mod subrequest;
mod syntax;
mod values;

use std::sync::Arc;

use engine::events::{Progress, Warning};
use engine::{
    Build, Diagnostic, Dockerfile, EngineError, Location, Planned, Provenance, Reads, Sbom,
    Severity,
};
use tonic::Status;

use super::builds::Job;
use super::caches::Exports;
use super::errors;
use super::options::Options;
use super::output::Output;
use super::policy::Policy;
use super::results::{Metadata, Results};

pub(super) use definition::{code, definition};
pub(super) use gateway::{Call, gateway};
use inputs::Inputs;
pub(super) use local::{Contexts, Directory, LocalFiles};
pub(super) use prepare::{agents, plain_request};
use request::{Entry, Request};
pub(super) use syntax::is_own;

/// What is said once for a whole build.
#[derive(Debug)]
pub(super) struct Terms {
    /// The ID of the build.
    pub(super) id: String,
    /// What becomes of the result.
    pub(super) outputs: Vec<Output>,
    /// Caches to write.
    pub(super) caches: Exports,
    /// Steps may use the machine's network as their own.
    pub(super) host_network: bool,
    /// Steps may have all rights on the machine.
    pub(super) insecure: bool,
    /// Which sources the build may have; all when none.
    pub(super) policy: Option<Policy>,
    /// What is stated about the result.
    pub(super) provenance: Option<Provenance>,
    /// By which scanner it is stated what is in it.
    pub(super) sbom: Option<Sbom>,
    /// The platforms that were asked for, as they were written.
    pub(super) platforms: Option<String>,
}

/// What a front end came to.
#[derive(Debug, Default)]
pub(super) struct Made {
    pub(super) results: Results,
    /// What clients read of them, and may change before they return them.
    pub(super) metadata: Metadata,
}

/// What the front end of a Dockerfile came to.
pub(super) enum Read {
    /// This.
    Made(Made),
    /// The Dockerfile is for another front end, with what stands after its name.
    ForAnother {
        source: String,
        command_line: String,
    },
}

/// Runs the front end.
///
/// # Errors
/// An option is unknown or makes no sense, or the Dockerfile is wrong or cannot be had.
pub(super) async fn dockerfile(
    job: &Arc<Job>,
    options: Options,
    inputs: Inputs,
) -> Result<Read, Status> {
    let entry = Entry::read(options.clone(), &inputs)?;
    let build = job.build(|| entry.about());
    let build = build.map_err(|error| errors::status(&error, None))?;
    let definition = prepare::define(job, &build, &entry, &inputs).await?;
    let text = definition
        .dockerfile
        .as_ref()
        .map(|file| file.text.as_str());
    if let Some(another) = syntax::another(&options, text.unwrap_or_default()) {
        return Ok(another);
    }
    let request = Request::read(options.clone(), &inputs, job)?;
    let subrequest = request.subrequest.clone();
    let (request, copies) = prepare::prepare(job, &build, request, (definition, &inputs)).await?;
    let brought_in = job.engine.bring_in(request, build.progress()).await;
    let mut request = brought_in.map_err(|error| errors::status(&error, None))?;
    if let Some(another) = syntax::another(&options, &request.dockerfile.text) {
        return Ok(another);
    }
    if let Some(name) = subrequest {
        let metadata = subrequest::answer(job, &request, &name).await?;
        return Ok(Read::Made(Made {
            results: Results::Nothing,
            metadata,
        }));
    }
    let planned = build.plan(&mut request).await;
    let dockerfile = &request.dockerfile;
    match &planned {
        Ok(planned) => warn(job, &build, dockerfile, planned.warnings()),
        // What is likely a mistake may be the reason for the error.
        Err(EngineError::Dockerfile(found)) => warn(job, &build, dockerfile, found),
        Err(_) => {}
    }
    let planned = planned.map_err(|error| errors::status(&error, Some(dockerfile)))?;
    Ok(Read::Made(made(&planned, copies)?))
}

/// A context that nothing reads is not brought in, nor is what nothing reads of one.
fn made(planned: &Planned, copies: Contexts) -> Result<Made, Status> {
    let wanted: Vec<&str> = planned.local_contexts().collect();
    let reads = planned.reads();
    let copies = copies.into_iter();
    let copies = copies.filter(|(name, _)| wanted.contains(&name.as_str()));
    let copies = copies.inspect(|(name, copy)| {
        copy.will_be_read(reads.get(name.as_str()).unwrap_or(&Reads::All));
    });
    let (results, metadata) = Results::of(planned, &copies.collect())?;
    Ok(Made { results, metadata })
}

/// Tells what could be done better in the Dockerfile, as clients are told by BuildKit.
fn warn(job: &Job, build: &Build, dockerfile: &Dockerfile, found: &[Diagnostic]) {
    job.narrator().about(errors::source_info(dockerfile));
    let is_warning = |one: &&Diagnostic| one.severity == Severity::Warning;
    for diagnostic in found.iter().filter(is_warning) {
        build
            .progress()
            .send(Progress::Warning(warning(diagnostic)));
    }
}

fn warning(diagnostic: &Diagnostic) -> Warning {
    let locations: Vec<Location> = diagnostic.spans.iter().map(errors::location).collect();
    let line = locations.first();
    let line = line.map(|first| format!(" (line {})", first.first_line));
    let rule = diagnostic.rule.and_then(engine::rule);
    Warning {
        vertex: None,
        message: format!("{diagnostic}{}", line.unwrap_or_default()),
        detail: rule
            .map(|rule| rule.description.to_owned())
            .into_iter()
            .collect(),
        url: diagnostic.url(),
        locations,
    }
}
