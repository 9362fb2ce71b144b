//! From what a client asks for to a request of the engine: fetches the Dockerfile and the ignore
//! files, and says which copies of the client's directories are needed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::{
    Build, BuildRequest, Context, Dockerfile, NamedContext, SecretStore, SshAgent, Steps, Task,
};
use tonic::{Code, Status};

use super::inputs::{self, Input, Inputs};
use super::request::{Entry, NamedSource, Place, Request, Source};
use super::{Contexts, Directory};
use crate::buildkit::builds::Job;
use crate::buildkit::layouts::StoredImage;
use crate::buildkit::session::files::{self, Selection};
use crate::buildkit::session::secrets::ClientSecrets;
use crate::buildkit::session::ssh::{self, Agents};
use crate::buildkit::session::upload;
use crate::buildkit::{caches, errors, policy};

/// The ignore file of a directory.
const IGNORE: &str = ".dockerignore";

/// What the engine is asked for, and the copies that it reads, by the names of their contexts: the
/// main one's is empty.
pub(super) type Prepared = (BuildRequest, Contexts);

/// The client's files that say what is built.
#[derive(Default)]
pub(super) struct Definition {
    pub(super) dockerfile: Option<Dockerfile>,
    /// The ignore file that lies beside it, for it alone.
    ignore: Option<String>,
}

/// Fetches the files that say what is built, as far as they are the client's.
///
/// # Errors
/// The client does not have them.
pub(super) async fn define(
    job: &Arc<Job>,
    build: &Build,
    entry: &Entry,
    inputs: &Inputs,
) -> Result<Definition, Status> {
    match &entry.definition {
        Place::Client(name) => {
            let admitted = job.engine.admit_directory(name).await;
            admitted.map_err(|error| errors::status(&error, None))?;
            let directory = entry.sent(job, name).await?;
            definition(build, &directory, &entry.filename).await
        }
        Place::Input(name) => {
            let wanted = definition_files(&entry.filename);
            let files = inputs::files(job, build, (name, inputs), &wanted).await?;
            of_files(&entry.filename, files)
        }
        Place::Context => Ok(Definition::default()),
    }
}

/// Fetches what else the front end needs to know.
///
/// # Errors
/// The client does not have it.
pub(super) async fn prepare(
    job: &Arc<Job>,
    build: &Build,
    request: Request,
    (definition, inputs): (Definition, &Inputs),
) -> Result<Prepared, Status> {
    let mut offered = Offered::default();
    let context = match &request.entry.context {
        Source::Client(name) => {
            let directory = request.entry.directory(job, name).await?;
            let ignore = match definition.ignore {
                Some(own) => own,
                None => ignore(build, &directory).await?,
            };
            let path = offered.directory(job, String::new(), directory, &ignore)?;
            Context::Directory { path, ignore }
        }
        Source::Remote(from, subdirectory) => Context::Remote {
            subdirectory: subdirectory.clone(),
            from: upload::of_session(job.session.as_deref(), from).await?,
            dockerfile: definition
                .dockerfile
                .is_none()
                .then(|| request.entry.dockerfile_in()),
        },
        Source::Input(name) => {
            let input = inputs::input(job, build, (name, inputs)).await?;
            Context::Steps(offered.input(input))
        }
    };
    let named_contexts = named(job, build, &request, inputs, &mut offered).await?;
    let dockerfile = definition.dockerfile.unwrap_or(Dockerfile {
        name: request.entry.filename.clone(),
        path: None,
        text: String::new(),
    });
    offered.agents.extend(ssh::names(&dockerfile.text));
    let agents = agents(job, offered.agents).await?;
    let cache_from = caches::bring_in(job, request.cache_from.clone()).await?;
    let request = BuildRequest {
        ssh: agents,
        cache_from,
        ..engine_request(job, request, dockerfile, context, named_contexts)
    };
    Ok((request, offered.copies))
}

/// What the client offers that the build reads.
#[derive(Default)]
struct Offered {
    /// Files of its directories, by the names of their contexts.
    copies: Contexts,
    /// Names of its SSH agents.
    agents: BTreeSet<String>,
}

impl Offered {
    /// A directory, without what `ignore` excludes; where its copy is.
    fn directory(
        &mut self,
        job: &Job,
        context: String,
        directory: Directory,
        ignore: &str,
    ) -> Result<PathBuf, Status> {
        let copy = job.copy(directory, ignore)?;
        let path = copy.path().to_owned();
        self.copies.push((context, copy));
        Ok(path)
    }

    /// What the steps of an input read.
    fn input(&mut self, input: Input) -> Steps {
        self.copies.extend(input.copies);
        self.agents.extend(input.agents);
        input.steps
    }
}

/// The further contexts.
async fn named(
    job: &Arc<Job>,
    build: &Build,
    request: &Request,
    inputs: &Inputs,
    offered: &mut Offered,
) -> Result<BTreeMap<String, NamedContext>, Status> {
    let mut contexts = BTreeMap::new();
    for (name, source) in &request.named_contexts {
        let context = match source {
            NamedSource::Image(image) => NamedContext::Image(image.clone()),
            NamedSource::Remote(remote) => NamedContext::Remote(remote.clone()),
            NamedSource::Layout(layout) => {
                policy::admit_layout(job, layout).await?;
                let image = StoredImage {
                    name: name.clone(),
                    layout: layout.clone(),
                    platforms: request.platforms.clone(),
                };
                NamedContext::Image(job.stored_image(build, image).await?)
            }
            NamedSource::Client(directory) => {
                let directory = request.entry.directory(job, directory).await?;
                let ignore = ignore(build, &directory).await?;
                let path = offered.directory(job, name.clone(), directory, &ignore)?;
                NamedContext::Directory(path)
            }
            NamedSource::Input(input, config) => {
                let input = inputs::input(job, build, (input, inputs)).await?;
                NamedContext::Steps(Steps {
                    config: config.clone(),
                    ..offered.input(input)
                })
            }
        };
        contexts.insert(name.clone(), context);
    }
    Ok(contexts)
}

/// Reads the Dockerfile.
async fn definition(
    build: &Build,
    directory: &Directory,
    filename: &str,
) -> Result<Definition, Status> {
    let selection = Selection {
        directory: directory.name.clone(),
        follow: definition_files(filename),
        ..Selection::default()
    };
    let task = format!("[internal] load build definition from {filename}");
    let files = read(build, directory, &task, &selection).await?;
    of_files(filename, files)
}

/// The files that may say what is built: the Dockerfile, its ignore file, and what stands in for a
/// Dockerfile of the default name.
fn definition_files(filename: &str) -> Vec<String> {
    let has_default_name = Path::new(filename)
        .file_name()
        .is_some_and(|name| name == "Dockerfile");
    [filename.to_owned(), format!("{filename}{IGNORE}")]
        .into_iter()
        .chain(has_default_name.then(|| in_lower_case(filename)))
        .collect()
}

fn in_lower_case(filename: &str) -> String {
    let lower = Path::new(filename).with_file_name("dockerfile");
    lower.to_string_lossy().into_owned()
}

fn of_files(filename: &str, mut files: BTreeMap<String, Vec<u8>>) -> Result<Definition, Status> {
    let ignore = format!("{filename}{IGNORE}");
    let found = files.remove(filename);
    let found = found.or_else(|| files.remove(&in_lower_case(filename)));
    let missing = || {
        let message =
            format!("failed to read dockerfile: open {filename}: no such file or directory");
        Status::not_found(message)
    };
    Ok(Definition {
        dockerfile: Some(Dockerfile {
            name: filename.to_owned(),
            path: None,
            text: text(filename, found.ok_or_else(missing)?)?,
        }),
        ignore: files
            .remove(&ignore)
            .map(|bytes| text(&ignore, bytes))
            .transpose()?,
    })
}

/// The text of the ignore file in a directory of the client's; empty when there is none. A client
/// need not offer a directory that the build does not read, so that is found out when it is read.
async fn ignore(build: &Build, directory: &Directory) -> Result<String, Status> {
    let selection = Selection {
        directory: directory.name.clone(),
        follow: vec![IGNORE.to_owned()],
        ..Selection::default()
    };
    let task = match directory.name.as_str() {
        "context" => "[internal] load .dockerignore".to_owned(),
        other => format!("[context {other}] load .dockerignore"),
    };
    let task = build.task(&task);
    let read = match files::read(&directory.session, &selection).await {
        Err(status) if is_not_offered(&status) => Ok(BTreeMap::new()),
        read => read,
    };
    let found = ended(task, read)?.remove(IGNORE);
    found.map_or(Ok(String::new()), |bytes| text(IGNORE, bytes))
}

async fn read(
    build: &Build,
    directory: &Directory,
    name: &str,
    selection: &Selection,
) -> Result<BTreeMap<String, Vec<u8>>, Status> {
    let task = build.task(name);
    let read = files::read(&directory.session, selection).await;
    ended(task, read)
}

/// Tells how the task ended.
fn ended<T>(task: Task, outcome: Result<T, Status>) -> Result<T, Status> {
    match &outcome {
        Ok(_) => task.complete(),
        Err(status) => task.fail(status.message().to_owned()),
    }
    outcome
}

/// The client has no such directory, or none at all.
fn is_not_offered(status: &Status) -> bool {
    matches!(status.code(), Code::NotFound | Code::FailedPrecondition)
}

/// Those of the client's SSH agents that have these names.
pub(in crate::buildkit) async fn agents(
    job: &Job,
    names: impl IntoIterator<Item = String>,
) -> Result<BTreeMap<String, SshAgent>, Status> {
    let mut offered = BTreeMap::new();
    let session = job.session.as_ref();
    let Some(session) = session.filter(|session| session.has(ssh::METHOD)) else {
        return Ok(offered);
    };
    let mut agents = job.agents.lock().await;
    for name in names {
        let agents = match agents.as_mut() {
            Some(agents) => agents,
            None => {
                let directory = job.engine.kept_copy(None);
                let directory = directory.map_err(|error| errors::status(&error, None))?;
                agents.insert(Agents::new(directory))
            }
        };
        if let Some(agent) = agents.offer(session, &name).await? {
            offered.insert(name, agent);
        }
    }
    Ok(offered)
}

fn engine_request(
    job: &Job,
    request: Request,
    dockerfile: Dockerfile,
    context: Context,
    named_contexts: BTreeMap<String, NamedContext>,
) -> BuildRequest {
    BuildRequest {
        dockerfile,
        context,
        named_contexts,
        target: request.target,
        build_args: request.build_args,
        labels: request.labels,
        no_cache: request.no_cache,
        pull: request.pull,
        platforms: request.platforms,
        indexed: request.indexed,
        network: request.network,
        hostname: request.hostname,
        extra_hosts: request.extra_hosts,
        shm_size: request.shm_size.filter(|size| *size > 0),
        ulimits: request.ulimits,
        resources: request.resources,
        source_date_epoch: request.source_date_epoch,
        sbom: request.sbom,
        ..plain_request(job)
    }
}

/// A request for nothing yet, with what the client offers to every build.
pub(in crate::buildkit) fn plain_request(job: &Job) -> BuildRequest {
    let secrets = job.session.as_ref().and_then(ClientSecrets::of);
    BuildRequest {
        allow_host_network: job.terms.host_network,
        allow_insecure: job.terms.insecure,
        more_secrets: secrets.map(|secrets| secrets as Arc<dyn SecretStore>),
        cache_to: job.terms.caches.to.clone(),
        ..BuildRequest::default()
    }
}

fn text(name: &str, bytes: Vec<u8>) -> Result<String, Status> {
    let invalid = |_| Status::invalid_argument(format!("{name} is not UTF-8"));
    String::from_utf8(bytes).map_err(invalid)
}
