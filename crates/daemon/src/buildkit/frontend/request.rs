//! The options of `dockerfile.v0`, each with its meaning. What is not here is refused by name.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use engine::{
    About, DockerfileIn, ExtraHost, NetworkMode, NoCache, PullPolicy, Remote, Resources, Sbom,
    Ulimit, git_context,
};
use oci::{ImageConfig, Platform, Reference};
use tonic::Status;

use super::inputs::Inputs;
use super::{Directory, values};
use crate::buildkit::attestations;
use crate::buildkit::builds::Job;
use crate::buildkit::caches::{self, Import};
use crate::buildkit::errors;
use crate::buildkit::options::{Options, go_bool};

/// What a client calls the directory of the build, and that of the Dockerfile.
const CONTEXT: &str = "context";
const DOCKERFILE: &str = "dockerfile";

/// Where a build begins: what has to be known before it is known who reads the Dockerfile.
pub(super) struct Entry {
    pub(super) context: Source,
    /// Where the Dockerfile is.
    pub(super) definition: Place,
    /// Its path there.
    pub(super) filename: String,
    target: Option<String>,
    platform: Option<String>,
    /// Sessions that offer directories, where it is not that of the build.
    sessions: BTreeMap<String, String>,
    /// What directories are known by from one build to the next, where it is not their session's.
    shared_keys: BTreeMap<String, String>,
}

/// The argument that says who reads the file, and what kiln's own front end is called there.
pub(super) const SYNTAX: &str = "BUILDKIT_SYNTAX";
pub(super) const OWN: &str = "dockerfile.v0";

/// What a client asks for, read but not fetched.
pub(super) struct Request {
    pub(super) entry: Entry,
    pub(super) named_contexts: BTreeMap<String, NamedSource>,
    pub(super) target: Option<String>,
    pub(super) platforms: Vec<Platform>,
    pub(super) indexed: bool,
    pub(super) build_args: BTreeMap<String, String>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) no_cache: NoCache,
    pub(super) pull: PullPolicy,
    pub(super) network: NetworkMode,
    pub(super) hostname: Option<String>,
    pub(super) extra_hosts: Vec<ExtraHost>,
    pub(super) shm_size: Option<u64>,
    pub(super) ulimits: Vec<Ulimit>,
    pub(super) resources: Resources,
    pub(super) cache_from: Vec<Import>,
    pub(super) source_date_epoch: Option<i64>,
    pub(super) sbom: Option<Sbom>,
    /// What is asked for in place of a build.
    pub(super) subrequest: Option<String>,
}

/// Where the files of the build are.
pub(super) enum Source {
    /// In this directory of the client's.
    Client(String),
    /// Elsewhere, and in which directory there if it is not all of it.
    Remote(Remote, Option<String>),
    /// In the input of this name.
    Input(String),
}

/// Where the Dockerfile is.
pub(super) enum Place {
    /// In this directory of the client's.
    Client(String),
    /// Among the files of the build.
    Context,
    /// In the input of this name.
    Input(String),
}

/// What a named context is.
pub(super) enum NamedSource {
    Client(String),
    Image(Reference),
    /// In a store of the client's.
    Layout(llb::Layout),
    Remote(Remote),
    /// The input of this name, and what is said of it as an image.
    Input(String, Option<Box<ImageConfig>>),
}

impl Request {
    /// # Errors
    /// An option is unknown or makes no sense.
    pub(super) fn read(mut options: Options, inputs: &Inputs, job: &Job) -> Result<Self, Status> {
        let options = &mut options;
        capabilities(options)?;
        // For provenance, of which the whole build was asked before.
        options.family("vcs:");
        attestations::provenance(options.all())?;
        let sbom = attestations::sbom(options.all())?;
        options.family(attestations::OPTION);
        let mut build_args = options.family("build-arg:");
        // Another front end was asked first, and asks for this one, whatever the file says.
        if options.any("cmdline").is_some() {
            build_args.insert(SYNTAX.to_owned(), OWN.to_owned());
        }
        let (platforms, indexed) = platforms(options)?;
        let request = Self {
            entry: Entry::take(options, &build_args, inputs)?,
            named_contexts: named_contexts(options, inputs)?,
            target: options.one("target"),
            platforms,
            indexed,
            labels: options.family("label:"),
            no_cache: no_cache(options),
            pull: pull(options)?,
            network: network(options, job)?,
            hostname: options.one("hostname"),
            extra_hosts: values::hosts(options)?,
            shm_size: options.parsed("shm-size", "expected bytes")?,
            ulimits: values::ulimits(options)?,
            resources: values::resources(options)?,
            cache_from: cache_from(options)?,
            source_date_epoch: build_args
                .get("SOURCE_DATE_EPOCH")
                .and_then(|text| text.parse().ok()),
            sbom,
            subrequest: options.one("requestid"),
            build_args,
        };
        options.end()?;
        Ok(request)
    }
}

impl Entry {
    /// From options of which others may be for somebody else.
    ///
    /// # Errors
    /// One makes no sense.
    pub(super) fn read(mut options: Options, inputs: &Inputs) -> Result<Self, Status> {
        let build_args = options.family("build-arg:");
        Ok(Self {
            target: options.one("target"),
            platform: options.one("platform"),
            ..Self::take(&mut options, &build_args, inputs)?
        })
    }

    fn take(
        options: &mut Options,
        build_args: &BTreeMap<String, String>,
        inputs: &Inputs,
    ) -> Result<Self, Status> {
        let (context, definition) = sources(options, build_args, inputs)?;
        Ok(Self {
            context,
            definition,
            filename: options.one("filename").unwrap_or("Dockerfile".to_owned()),
            target: None,
            platform: None,
            sessions: options.family("local-sessionid:"),
            shared_keys: options.family("sharedkey:localdir:"),
        })
    }

    /// The client's directory of this name, which is read where it is if that can be.
    ///
    /// # Errors
    /// The session that offers it does not come.
    pub(super) async fn directory(&self, job: &Job, name: &str) -> Result<Directory, Status> {
        let sent = self.sent(job, name).await?;
        Ok(Directory {
            place: sent.session.located(name).await,
            ..sent
        })
    }

    /// The client's directory of this name, of which a few files are sent.
    ///
    /// # Errors
    /// The session that offers it does not come.
    pub(super) async fn sent(&self, job: &Job, name: &str) -> Result<Directory, Status> {
        let session = match self.sessions.get(name) {
            Some(id) => job.daemon.buildkit.sessions.get(id).await?,
            None => Arc::clone(job.session()?),
        };
        let own = self.shared_keys.get(name).cloned();
        Ok(Directory {
            name: name.to_owned(),
            shared_key: own.unwrap_or_else(|| session.shared_key.clone()),
            place: None,
            session,
        })
    }

    /// What the history calls it.
    pub(super) fn about(&self) -> About {
        About {
            name: self.target.clone().unwrap_or(self.filename.clone()),
            context: match &self.context {
                Source::Client(name) | Source::Input(name) => name.clone(),
                Source::Remote(Remote::Url(url), _) => url.clone(),
                Source::Remote(Remote::Git(git), _) => git.url.clone(),
                Source::Remote(Remote::Stream(_), _) => "-".to_owned(),
            },
            dockerfile: self.filename.clone(),
            targets: self.target.iter().cloned().collect(),
            platform: self.platform.clone(),
            ..About::default()
        }
    }

    /// The Dockerfile among the files of the build.
    pub(super) fn dockerfile_in(&self) -> DockerfileIn {
        match self.filename.as_str() {
            "Dockerfile" => DockerfileIn::Default,
            other => DockerfileIn::Path(PathBuf::from(other)),
        }
    }
}

/// What the client wants the front end to have.
fn capabilities(options: &mut Options) -> Result<(), Status> {
    let wanted = options.one("frontend.caps").unwrap_or_default();
    for name in wanted.split(',').filter(|name| !name.is_empty()) {
        let name = name.trim().trim_end_matches("+forward");
        if !matches!(
            name,
            "moby.buildkit.frontend.contexts"
                | "moby.buildkit.frontend.gitquerystring"
                | "moby.buildkit.frontend.inputs"
                | "moby.buildkit.frontend.subrequests"
        ) {
            return Err(errors::capability(name));
        }
    }
    // The front end is the one that was asked for.
    options.any("source");
    Ok(())
}

fn sources(
    options: &mut Options,
    build_args: &BTreeMap<String, String>,
    inputs: &Inputs,
) -> Result<(Source, Place), Status> {
    let key = options.one("contextkey").unwrap_or(CONTEXT.to_owned());
    let forced = options.one("dockerfilekey");
    let keep_git = build_args.get("BUILDKIT_CONTEXT_KEEP_GIT_DIR");
    let keep_git = keep_git.and_then(|value| go_bool(value));
    let subdirectory = options.one("contextsubdir");
    let place = |name: Option<String>| name.map_or(Place::Context, Place::Client);
    let own = |name: Option<String>| match name {
        None if inputs.contains_key(DOCKERFILE) => Place::Input(DOCKERFILE.to_owned()),
        name => Place::Client(name.unwrap_or(DOCKERFILE.to_owned())),
    };
    let text = options.one(&key);
    let elsewhere = match &text {
        Some(text) => remote(options, &key, text, keep_git)?,
        None => None,
    };
    match elsewhere {
        // What is read of it first is the Dockerfile, wherever that is.
        Some(remote) => Ok((Source::Remote(remote, subdirectory), place(forced))),
        None if subdirectory.is_some() => {
            Err(options.refuse("contextsubdir", "name the directory itself"))
        }
        None if inputs.contains_key(CONTEXT) => {
            Ok((Source::Input(CONTEXT.to_owned()), own(forced)))
        }
        None => {
            let name = text.unwrap_or(CONTEXT.to_owned());
            Ok((Source::Client(name), own(forced)))
        }
    }
}

/// The context that is elsewhere, if `text` names one.
fn remote(
    options: &Options,
    name: &str,
    text: &str,
    keep_git: Option<bool>,
) -> Result<Option<Remote>, Status> {
    match git_context(text, keep_git) {
        Ok(Some(git)) => Ok(Some(Remote::Git(git))),
        Ok(None) if text.starts_with("http://") || text.starts_with("https://") => {
            Ok(Some(Remote::Url(text.to_owned())))
        }
        Ok(None) => Ok(None),
        Err(error) => Err(options.invalid(name, text, &error.to_string())),
    }
}

/// A name may be that of a context for one platform alone: `name::os/arch`.
fn named_contexts(
    options: &mut Options,
    inputs: &Inputs,
) -> Result<BTreeMap<String, NamedSource>, Status> {
    let given = options.family("context:");
    let metadata = options.family("input-metadata:");
    let mut contexts = BTreeMap::new();
    for (name, text) in given {
        let option = format!("context:{name}");
        let source = match text.split_once(':') {
            Some(("local", directory)) => NamedSource::Client(directory.to_owned()),
            Some(("input", input)) if inputs.contains_key(input) => {
                let config = match metadata.get(input) {
                    Some(json) => values::input_config(options, input, json)?,
                    None => None,
                };
                NamedSource::Input(input.to_owned(), config)
            }
            Some(("input", input)) => {
                let message = format!("invalid input {input} for {name}");
                return Err(Status::invalid_argument(message));
            }
            Some(("docker-image", image)) => {
                let image = image.trim_start_matches("//");
                let parsed: Result<Reference, _> = image.parse();
                let invalid = |error: oci::ReferenceError| {
                    options.invalid(&option, &text, &error.to_string())
                };
                NamedSource::Image(parsed.map_err(invalid)?.with_default_tag())
            }
            Some(("oci-layout", layout)) => {
                let layout = layout.trim_start_matches("//");
                let store = layout.split([':', '@']).next().unwrap_or_default();
                let invalid =
                    |problem: llb::Problem| options.invalid(&option, &text, &problem.to_string());
                NamedSource::Layout(llb::Layout::read(layout, store).map_err(invalid)?)
            }
            _ => match remote(options, &option, &text, None)? {
                Some(remote) => NamedSource::Remote(remote),
                None => {
                    let instead =
                        "use a directory, docker-image://, oci-layout://, a repository or a URL";
                    return Err(options.refuse(&format!("{option}={text}"), instead));
                }
            },
        };
        contexts.insert(name, source);
    }
    Ok(contexts)
}

/// What the result is for, each once, and whether an index leads to it even if that is one.
fn platforms(options: &mut Options) -> Result<(Vec<Platform>, bool), Status> {
    let mut platforms = Vec::new();
    let texts = options.one("platform").unwrap_or_default();
    for text in texts.split(',').filter(|text| !text.is_empty()) {
        let parsed: Result<Platform, _> = text.parse();
        let invalid = |_| options.invalid("platform", text, "expected OS/ARCHITECTURE");
        let platform = parsed.map_err(invalid)?;
        if !platforms.contains(&platform) {
            platforms.push(platform);
        }
    }
    let indexed = options.flag("multi-platform")?;
    if indexed == Some(false) && platforms.len() > 1 {
        let message = "conflicting config: returning multiple target platforms is not allowed";
        return Err(Status::invalid_argument(message));
    }
    Ok((platforms, indexed == Some(true)))
}

/// Without stages it is about all of them.
fn no_cache(options: &mut Options) -> NoCache {
    match options.any("no-cache") {
        None => NoCache::Off,
        Some(stages) if stages.is_empty() => NoCache::All,
        Some(stages) => NoCache::Stages(stages.split(',').map(str::to_owned).collect()),
    }
}

fn pull(options: &mut Options) -> Result<PullPolicy, Status> {
    match options.one("image-resolve-mode").as_deref() {
        None | Some("default" | "local") => Ok(PullPolicy::Missing),
        Some("pull") => Ok(PullPolicy::Always),
        Some(other) => Err(options.invalid(
            "image-resolve-mode",
            other,
            "expected default, pull or local",
        )),
    }
}

fn network(options: &mut Options, job: &Job) -> Result<NetworkMode, Status> {
    match options.one("force-network-mode").as_deref() {
        None | Some("sandbox" | "default") => Ok(NetworkMode::Default),
        Some("none") => Ok(NetworkMode::None),
        Some("host") if job.terms.host_network => Ok(NetworkMode::Host),
        Some("host") => Err(Status::permission_denied("network.host is not allowed")),
        Some(other) => Err(options.invalid(
            "force-network-mode",
            other,
            "expected sandbox, none or host",
        )),
    }
}

fn cache_from(options: &mut Options) -> Result<Vec<Import>, Status> {
    let mut from = match options.one("cache-imports") {
        Some(json) => caches::imports(&json)?,
        None => Vec::new(),
    };
    let names = options.one("cache-from").unwrap_or_default();
    for name in names.split(',').filter(|name| !name.is_empty()) {
        let attrs = [("ref".to_owned(), name.to_owned())];
        let import = caches::import("registry", attrs.into())?;
        if !from.contains(&import) {
            from.push(import);
        }
    }
    Ok(from)
}
