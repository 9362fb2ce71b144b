//! From what a client asks for to a request of the engine: fetches the Dockerfile and the ignore
//! files, and says which copies of the client's directories are needed.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use engine::{
    AllowedDevices, Build, BuildRequest, Context, Dockerfile, LayoutImage, NamedContext,
    NetworkMode, NoCache, PullPolicy, SecretStore, SshAgent,
};
use tonic::Status;

use super::request::{Entry, NamedSource, Place, Request, Source};
use super::{Copied, Directory};
use crate::buildkit::builds::Job;
use crate::buildkit::session::files::{self, Selection};
use crate::buildkit::session::secrets::ClientSecrets;
use crate::buildkit::session::ssh::{self, Agents};
use crate::buildkit::session::upload;
use crate::buildkit::{caches, errors, layouts};

/// The ignore file of a directory.
const IGNORE: &str = ".dockerignore";

/// What the engine is asked for, and the copies that it reads, by the names of their contexts: the
/// main one's is empty.
pub(super) type Prepared = (BuildRequest, Vec<(String, Arc<Copied>)>);

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
pub(super) async fn define(job: &Job, build: &Build, entry: &Entry) -> Result<Definition, Status> {
    match &entry.definition {
        Place::Client(name) => {
            let directory = entry.directory(job, name).await?;
            definition(build, &directory, &entry.filename).await
        }
        Place::Context => Ok(Definition::default()),
    }
}

/// Fetches what else the front end needs to know.
///
/// # Errors
/// The client does not have it.
pub(super) async fn prepare(
    job: &Job,
    build: &Build,
    request: Request,
    definition: Definition,
) -> Result<Prepared, Status> {
    let entry = &request.entry;
    let mut copies = Vec::new();
    let context = match &entry.context {
        Source::Client(name) => {
            let directory = entry.directory(job, name).await?;
            let ignore = match definition.ignore {
                Some(own) => own,
                None => ignore(build, &directory).await?,
            };
            let copy = job.copy(directory, &ignore)?;
            copies.push((String::new(), Arc::clone(&copy)));
            let path = copy.path().to_owned();
            Context::Directory { path, ignore }
        }
        Source::Remote(from) => Context::Remote {
            from: upload::of_session(job.session.as_deref(), from).await?,
            dockerfile: definition
                .dockerfile
                .is_none()
                .then(|| entry.dockerfile_in()),
        },
    };
    let mut named_contexts = BTreeMap::new();
    for (name, source) in &request.named_contexts {
        let context = named(job, build, &request, (name.as_str(), source), &mut copies).await?;
        named_contexts.insert(name.clone(), context);
    }
    let dockerfile = definition.dockerfile.unwrap_or(Dockerfile {
        name: entry.filename.clone(),
        path: None,
        text: String::new(),
    });
    let agents = agents(job, ssh::names(&dockerfile.text)).await?;
    let cache_from = caches::bring_in(job, request.cache_from.clone()).await?;
    let request = BuildRequest {
        ssh: agents,
        cache_from,
        ..engine_request(job, request, dockerfile, context, named_contexts)
    };
    Ok((request, copies))
}

/// Reads the Dockerfile.
async fn definition(
    build: &Build,
    directory: &Directory,
    filename: &str,
) -> Result<Definition, Status> {
    let ignore = format!("{filename}{IGNORE}");
    let path = Path::new(filename);
    let lower = path.with_file_name("dockerfile");
    let lower = lower.to_string_lossy().into_owned();
    let has_default_name = path.file_name().is_some_and(|name| name == "Dockerfile");
    let selection = Selection {
        directory: directory.name.clone(),
        follow: [filename.to_owned(), ignore.clone()]
            .into_iter()
            .chain(has_default_name.then(|| lower.clone()))
            .collect(),
        ..Selection::default()
    };
    let task = format!("[internal] load build definition from {filename}");
    let mut files = read(build, directory, &task, &selection).await?;
    let found = files.remove(filename).or_else(|| files.remove(&lower));
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

/// The text of the ignore file in a directory of the client's; empty when there is none.
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
    let mut files = read(build, directory, &task, &selection).await?;
    let found = files.remove(IGNORE);
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
    match &read {
        Ok(_) => task.complete(),
        Err(status) => task.fail(status.message().to_owned()),
    }
    read
}

async fn named(
    job: &Job,
    build: &Build,
    request: &Request,
    (name, source): (&str, &NamedSource),
    copies: &mut Vec<(String, Arc<Copied>)>,
) -> Result<NamedContext, Status> {
    Ok(match source {
        NamedSource::Image(image) => NamedContext::Image(image.clone()),
        NamedSource::Remote(remote) => NamedContext::Remote(remote.clone()),
        NamedSource::Layout { store, digest } => NamedContext::Layout(LayoutImage {
            path: layouts::bring_in(job, store, digest, request.platform.as_ref()).await?,
            tag: None,
            digest: Some(*digest),
        }),
        NamedSource::Client(directory) => {
            let directory = request.entry.directory(job, directory).await?;
            let ignore = ignore(build, &directory).await?;
            let copy = job.copy(directory, &ignore)?;
            copies.push((name.to_owned(), Arc::clone(&copy)));
            NamedContext::Directory(copy.path().to_owned())
        }
    })
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
        platform: request.platform,
        network: request.network,
        extra_hosts: request.extra_hosts,
        shm_size: request.shm_size.filter(|size| *size > 0),
        ulimits: request.ulimits,
        source_date_epoch: request.source_date_epoch,
        ..plain_request(job)
    }
}

/// A request for nothing yet, with what the client offers to every build.
pub(in crate::buildkit) fn plain_request(job: &Job) -> BuildRequest {
    let secrets = job.session.as_ref().and_then(ClientSecrets::of);
    BuildRequest {
        dockerfile: Dockerfile {
            name: String::new(),
            path: None,
            text: String::new(),
        },
        context: Context::Empty,
        named_contexts: BTreeMap::new(),
        target: None,
        more_targets: Vec::new(),
        require: Vec::new(),
        build_args: BTreeMap::new(),
        labels: BTreeMap::new(),
        no_cache: NoCache::Off,
        pull: PullPolicy::Missing,
        platform: None,
        network: NetworkMode::Default,
        extra_hosts: Vec::new(),
        allow_insecure: false,
        allow_devices: AllowedDevices::default(),
        shm_size: None,
        ulimits: Vec::new(),
        secrets: BTreeMap::new(),
        more_secrets: secrets.map(|secrets| secrets as Arc<dyn SecretStore>),
        ssh: BTreeMap::new(),
        tags: Vec::new(),
        exports: Vec::new(),
        cache_from: Vec::new(),
        cache_to: job.terms.caches.to.clone(),
        cache_mounts_from: Vec::new(),
        cache_mounts_to: Vec::new(),
        jobs: None,
        explain: false,
        keep_failed: None,
        source_date_epoch: None,
    }
}

fn text(name: &str, bytes: Vec<u8>) -> Result<String, Status> {
    let invalid = |_| Status::invalid_argument(format!("{name} is not UTF-8"));
    String::from_utf8(bytes).map_err(invalid)
}
