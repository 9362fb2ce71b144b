//! What the arguments of `build` mean in this environment; no file is read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use engine::{
    Destination, Export, ExtraHost, FilesExport, ImageExport, LayerFormat, NamedContext,
    NetworkMode, NoCache, PullPolicy, Secret, SecretSource, Ulimit,
};
use oci::{Platform, Reference};

use crate::args::build::Build;
use crate::environment::Environment;
use crate::error::{CliError, Error};
use crate::values::secret::SecretFrom;
use crate::values::{ValueError, host, output, pair, secret, size, ulimit};

/// One build, resolved; paths are absolute.
#[derive(Debug)]
pub struct BuildPlan {
    /// Where the Dockerfile is.
    pub dockerfile: DockerfileAt,
    /// Where the context is.
    pub context: ContextAt,
    /// Further contexts by name.
    pub named_contexts: BTreeMap<String, NamedContext>,
    /// The stage that is wanted.
    pub target: Option<String>,
    /// Values for `ARG`.
    pub build_args: BTreeMap<String, String>,
    /// Labels for the result.
    pub labels: BTreeMap<String, String>,
    /// Which steps run even when their results are known.
    pub no_cache: NoCache,
    /// When registries are asked about base images.
    pub pull: PullPolicy,
    /// What the result runs on.
    pub platform: Platform,
    /// Network of `RUN` steps.
    pub network: NetworkMode,
    /// Further lines of `/etc/hosts`.
    pub extra_hosts: Vec<ExtraHost>,
    /// Size of `/dev/shm`.
    pub shm_size: Option<u64>,
    /// Limits of steps.
    pub ulimits: Vec<Ulimit>,
    /// What steps may ask for.
    pub secrets: BTreeMap<String, SecretSource>,
    /// Names for the result.
    pub tags: Vec<Reference>,
    /// What becomes of the result.
    pub exports: Vec<Export>,
    /// Steps at once.
    pub jobs: Option<usize>,
    /// The time that stands for all later ones.
    pub source_date_epoch: Option<i64>,
    /// How progress is shown.
    pub progress: ProgressMode,
    /// Print the image ID alone.
    pub quiet: bool,
    /// File for the image ID.
    pub iidfile: Option<PathBuf>,
    /// File for the metadata.
    pub metadata_file: Option<PathBuf>,
}

/// Where a Dockerfile is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DockerfileAt {
    /// `Dockerfile` of the context.
    Default,
    /// At this path, from the working directory or else from the context.
    Path(PathBuf),
    /// On standard input.
    Stdin,
}

/// Where a context is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContextAt {
    /// A directory, and what was typed for it.
    Directory {
        /// Where it is.
        path: PathBuf,
        /// What was typed for it.
        typed: String,
    },
    /// There is none.
    Empty,
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgressMode {
    /// In place, on a terminal.
    Tty,
    /// As lines.
    Plain,
    /// As JSON lines.
    RawJson,
    /// Not at all.
    Quiet,
}

/// What `typed` means in `environment`.
///
/// # Errors
/// A value is none, or flags contradict each other.
pub fn plan(typed: &Build, environment: &Environment) -> Result<BuildPlan, Error> {
    let variable = |name: &str| environment.raw(name);
    let mut build_args = pair::map(&typed.build_arg, variable)?;
    let epoch = source_date_epoch(&mut build_args, environment)?;
    let (dockerfile, context) = sources(typed, environment)?;
    Ok(BuildPlan {
        dockerfile,
        context,
        named_contexts: named_contexts(typed, environment)?,
        target: typed.target.clone().filter(|target| !target.is_empty()),
        build_args,
        labels: pair::map(&typed.label, |_| Some(String::new()))?,
        no_cache: no_cache(typed)?,
        pull: pull(typed.pull.as_deref())?,
        platform: platform(&typed.platform, environment)?,
        network: network("--network", &typed.network)?,
        extra_hosts: hosts(&typed.add_host)?,
        shm_size: shm_size(typed.shm_size.as_deref())?,
        ulimits: each(&typed.ulimit, "--ulimit", ulimit::parse)?,
        secrets: secrets(typed, environment)?,
        tags: typed
            .tag
            .iter()
            .map(|name| output::tag(name))
            .collect::<Result<_, _>>()?,
        exports: exports(typed, epoch, environment)?,
        jobs: jobs(typed.jobs.as_deref())?,
        source_date_epoch: epoch,
        progress: progress(typed, environment)?,
        quiet: typed.quiet,
        iidfile: typed
            .iidfile
            .as_ref()
            .map(|path| environment.absolute(Path::new(path))),
        metadata_file: typed
            .metadata_file
            .as_ref()
            .map(|path| environment.absolute(Path::new(path))),
    })
}

/// The network that `text` names.
///
/// # Errors
/// It names none that kiln has.
pub fn network(flag: &'static str, text: &str) -> Result<NetworkMode, Error> {
    match text {
        "" | "default" | "bridge" => Ok(NetworkMode::Default),
        "none" => Ok(NetworkMode::None),
        "host" => Ok(NetworkMode::Host),
        _ => Err(choice(
            flag,
            text,
            "kiln has the networks default, none and host",
        )),
    }
}

/// The one platform of `--platform`, else of the environment, else this machine's.
///
/// # Errors
/// There are several, or it is none.
pub fn platform(texts: &[String], environment: &Environment) -> Result<Platform, Error> {
    let default = environment
        .text("DOCKER_DEFAULT_PLATFORM")?
        .map(str::to_owned);
    let typed: Vec<&str> = texts.iter().flat_map(|text| text.split(',')).collect();
    match (typed.as_slice(), default) {
        ([], None) => Ok(Platform::host()),
        ([], Some(default)) => parse_platform(&default),
        ([one], _) => parse_platform(one),
        (several, _) => {
            let message = "kiln builds for one platform at a time";
            Err(choice("--platform", &several.join(","), message))
        }
    }
}

/// Each host and address of `--add-host`.
///
/// # Errors
/// A value is none.
pub fn hosts(texts: &[String]) -> Result<Vec<ExtraHost>, Error> {
    Ok(each(texts, "--add-host", host::parse)?
        .into_iter()
        .flatten()
        .collect())
}

fn parse_platform(text: &str) -> Result<Platform, Error> {
    text.parse::<Platform>()
        .map_err(|error| Error::new(error.to_string()))
}

fn each<T>(
    texts: &[String],
    flag: &'static str,
    parse: impl Fn(&str) -> Result<T, ValueError>,
) -> Result<Vec<T>, Error> {
    let one = |text: &String| {
        parse(text).map_err(|source| {
            let value = text.clone();
            CliError::Flag {
                flag,
                value,
                source,
            }
        })
    };
    Ok(texts.iter().map(one).collect::<Result<_, _>>()?)
}

fn sources(typed: &Build, environment: &Environment) -> Result<(DockerfileAt, ContextAt), Error> {
    let dockerfile = match typed.file.as_deref() {
        None | Some("") => DockerfileAt::Default,
        Some("-") => DockerfileAt::Stdin,
        Some(path) => DockerfileAt::Path(PathBuf::from(path)),
    };
    if typed.context == "-" {
        return match dockerfile {
            DockerfileAt::Stdin => Err(Error::new(
                "invalid argument: can't use stdin for both build context and dockerfile",
            )),
            DockerfileAt::Path(_) => Err(CliError::Unsupported(
                "kiln does not support --file with a context from standard input".to_owned(),
            )
            .into()),
            DockerfileAt::Default => Ok((DockerfileAt::Stdin, ContextAt::Empty)),
        };
    }
    if is_remote(&typed.context) {
        return Err(CliError::Unsupported(format!(
            "kiln does not support the remote context {:?}: check it out and name its directory",
            typed.context
        ))
        .into());
    }
    let context = ContextAt::Directory {
        path: environment.absolute(Path::new(&typed.context)),
        typed: typed.context.clone(),
    };
    Ok((dockerfile, context))
}

fn is_remote(context: &str) -> bool {
    [
        "http://",
        "https://",
        "git://",
        "ssh://",
        "git@",
        "oci-layout://",
        "docker-image://",
    ]
    .iter()
    .any(|scheme| context.starts_with(scheme))
}

fn named_contexts(
    typed: &Build,
    environment: &Environment,
) -> Result<BTreeMap<String, NamedContext>, Error> {
    let mut contexts = BTreeMap::new();
    for text in &typed.build_context {
        let (name, value) = pair::context(text)?;
        let unnamed = |_| ValueError::ContextName(name.to_owned());
        let key = name.parse::<Reference>().map_err(unnamed)?.familiar();
        let key = key.strip_suffix(":latest").unwrap_or(&key).to_owned();
        let context = match value.strip_prefix("docker-image://") {
            Some(image) => {
                let reference: Reference = image.parse().map_err(|source| ValueError::Tag {
                    name: image.to_owned(),
                    source,
                })?;
                NamedContext::Image(reference.with_default_tag())
            }
            None if is_remote(value) || value.starts_with("target:") => {
                let (name, value) = (name.to_owned(), value.to_owned());
                return Err(ValueError::ContextKind { name, value }.into());
            }
            None => NamedContext::Directory(environment.absolute(Path::new(value))),
        };
        contexts.insert(key, context);
    }
    Ok(contexts)
}

fn no_cache(typed: &Build) -> Result<NoCache, Error> {
    let stages: Vec<String> = typed
        .no_cache_filter
        .iter()
        .flat_map(|text| text.split(','))
        .map(str::to_owned)
        .collect();
    match (typed.no_cache, stages.is_empty()) {
        (true, false) => Err(CliError::Conflict("--no-cache", "--no-cache-filter").into()),
        (true, true) => Ok(NoCache::All),
        (false, false) => Ok(NoCache::Stages(stages)),
        (false, true) => Ok(NoCache::Off),
    }
}

fn pull(text: Option<&str>) -> Result<PullPolicy, Error> {
    match text {
        Some("always" | "true" | "1") => Ok(PullPolicy::Always),
        None | Some("missing" | "false" | "0") => Ok(PullPolicy::Missing),
        Some("newer") => Ok(PullPolicy::Newer),
        Some("never") => Ok(PullPolicy::Never),
        Some(other) => Err(choice(
            "--pull",
            other,
            "expected always, missing, newer or never",
        )),
    }
}

fn shm_size(text: Option<&str>) -> Result<Option<u64>, Error> {
    let Some(text) = text else { return Ok(None) };
    let bytes = size::bytes(text).map_err(|source| CliError::Flag {
        flag: "--shm-size",
        value: text.to_owned(),
        source,
    })?;
    Ok(Some(bytes).filter(|bytes| *bytes > 0))
}

fn jobs(text: Option<&str>) -> Result<Option<usize>, Error> {
    let Some(text) = text else { return Ok(None) };
    match text.parse::<usize>() {
        Ok(jobs) if jobs > 0 => Ok(Some(jobs)),
        _ => Err(choice("--jobs", text, "expected a number from 1 up")),
    }
}

fn secrets(
    typed: &Build,
    environment: &Environment,
) -> Result<BTreeMap<String, SecretSource>, Error> {
    let mut secrets = BTreeMap::new();
    for secret in each(&typed.secret, "--secret", secret::parse)? {
        let of_variable = |name: &str| {
            let value = environment.variables.get(std::ffi::OsStr::new(name))?;
            Some(SecretSource::Value(Secret::new(
                value.clone().into_encoded_bytes(),
            )))
        };
        let of_file = |path: &str| SecretSource::File(environment.absolute(Path::new(path)));
        let source = match &secret.from {
            SecretFrom::File(path) => of_file(path),
            SecretFrom::Env(name) => of_variable(name).ok_or_else(|| {
                let id = &secret.id;
                Error::new(format!(
                    "secret {id}: environment variable {name:?} is not set"
                ))
            })?,
            SecretFrom::Named => of_variable(&secret.id).unwrap_or_else(|| of_file(&secret.id)),
        };
        secrets.insert(secret.id, source);
    }
    Ok(secrets)
}

/// What becomes of the result: an image in the store when nothing else is said.
fn exports(
    typed: &Build,
    epoch: Option<i64>,
    environment: &Environment,
) -> Result<Vec<Export>, Error> {
    let mut exports = Vec::new();
    for text in &typed.output {
        let output = output::parse(text).map_err(|source| CliError::Flag {
            flag: "--output",
            value: text.clone(),
            source,
        })?;
        let expected = match (output.rewrite_timestamp, epoch) {
            (Some(true), None) => Some("rewrite-timestamp=true needs SOURCE_DATE_EPOCH"),
            (Some(false), Some(_)) => {
                Some("with SOURCE_DATE_EPOCH kiln always rewrites timestamps")
            }
            _ => None,
        };
        if let Some(expected) = expected {
            return Err(choice("--output", text, expected));
        }
        exports.push(absolute(output.export, environment));
    }
    let stores = |export: &Export| matches!(export, Export::Image(_));
    if typed.push {
        let mut pushed = false;
        for export in &mut exports {
            if let Export::Image(image) = export {
                image.push = true;
                pushed = true;
            }
        }
        if !pushed {
            exports.push(image(true));
        }
    }
    if (typed.load || exports.is_empty()) && !exports.iter().any(stores) {
        exports.push(image(false));
    }
    check_exports(typed, &exports, environment)?;
    Ok(exports)
}

fn check_exports(
    typed: &Build,
    exports: &[Export],
    environment: &Environment,
) -> Result<(), Error> {
    let has_no_image = |export: &Export| matches!(export, Export::Files(_));
    if typed.iidfile.is_some() && exports.iter().any(has_no_image) {
        return Err(Error::new(
            "local and tar exporters are incompatible with image ID file",
        ));
    }
    let unnamed = |export: &Export| match export {
        Export::Image(image) => image.push && image.names.is_empty(),
        Export::Archive(_) | Export::Files(_) => false,
    };
    if typed.tag.is_empty() && exports.iter().any(unnamed) {
        return Err(Error::new("tag is needed when pushing to registry"));
    }
    let to_stdout = |export: &&Export| match export {
        Export::Archive(archive) => matches!(archive.destination, Destination::Stdout),
        Export::Files(FilesExport::Tar(destination)) => matches!(destination, Destination::Stdout),
        Export::Image(_) | Export::Files(FilesExport::Directory(_)) => false,
    };
    let streams = exports.iter().filter(to_stdout).count();
    if streams > 1 {
        return Err(Error::new("only one output can go to standard output"));
    }
    if streams > 0 && environment.terminals.stdout {
        return Err(Error::new(
            "dest file is required for this output: refusing to write to console",
        ));
    }
    if streams > 0 && typed.quiet {
        return Err(Error::new(
            "--quiet prints the image ID where the output goes: name a dest file",
        ));
    }
    Ok(())
}

fn image(push: bool) -> Export {
    Export::Image(ImageExport {
        names: Vec::new(),
        push,
        store: true,
        layers: LayerFormat::default(),
    })
}

fn absolute(export: Export, environment: &Environment) -> Export {
    let place = |destination| match destination {
        Destination::File(path) => Destination::File(environment.absolute(&path)),
        Destination::Directory(path) => Destination::Directory(environment.absolute(&path)),
        Destination::Stdout => Destination::Stdout,
    };
    match export {
        Export::Archive(mut archive) => {
            archive.destination = place(archive.destination);
            Export::Archive(archive)
        }
        Export::Files(FilesExport::Directory(path)) => {
            Export::Files(FilesExport::Directory(environment.absolute(&path)))
        }
        Export::Files(FilesExport::Tar(destination)) => {
            Export::Files(FilesExport::Tar(place(destination)))
        }
        Export::Image(image) => Export::Image(image),
    }
}

/// The build argument wins over the variable, and the variable becomes a build argument.
fn source_date_epoch(
    build_args: &mut BTreeMap<String, String>,
    environment: &Environment,
) -> Result<Option<i64>, Error> {
    const NAME: &str = "SOURCE_DATE_EPOCH";
    if !build_args.contains_key(NAME)
        && let Some(value) = environment.text(NAME)?
    {
        build_args.insert(NAME.to_owned(), value.to_owned());
    }
    match build_args.get(NAME).map(String::as_str) {
        None | Some("") => Ok(None),
        Some(text) => match text.parse::<i64>() {
            Ok(epoch) => Ok(Some(epoch)),
            Err(error) => Err(Error::new(format!(
                "invalid {NAME}: {text}: {error}: expected seconds since 1970"
            ))),
        },
    }
}

fn progress(typed: &Build, environment: &Environment) -> Result<ProgressMode, Error> {
    let of_environment = environment.text("BUILDKIT_PROGRESS")?;
    let mode = match typed.progress.as_deref() {
        None | Some("" | "auto") => of_environment.unwrap_or("auto"),
        Some(mode) => mode,
    };
    if typed.quiet {
        return match mode {
            "auto" | "quiet" | "none" => Ok(ProgressMode::Quiet),
            // A default for all builds does not contradict a flag of this one.
            _ if typed.progress.is_none() => Ok(ProgressMode::Quiet),
            mode => Err(Error::new(format!(
                "progress={mode} and quiet cannot be used together"
            ))),
        };
    }
    match mode {
        "auto" if environment.terminals.stderr => Ok(ProgressMode::Tty),
        "auto" | "plain" => Ok(ProgressMode::Plain),
        "tty" if environment.terminals.stderr => Ok(ProgressMode::Tty),
        "tty" => Err(Error::new(
            "failed to get console: provided file is not a console",
        )),
        "rawjson" => Ok(ProgressMode::RawJson),
        "quiet" | "none" => Ok(ProgressMode::Quiet),
        other => Err(choice(
            "--progress",
            other,
            "expected auto, none, plain, quiet, rawjson or tty",
        )),
    }
}

fn choice(flag: &'static str, value: &str, expected: &'static str) -> Error {
    let value = value.to_owned();
    CliError::Choice {
        flag,
        value,
        expected,
    }
    .into()
}
