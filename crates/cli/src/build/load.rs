//! The files that a build plan names: the Dockerfile, the ignore file that applies, and the
//! directories that must be there.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use engine::{
    BuildRequest, ByteStream, Context, Dockerfile, DockerfileIn, KeepFailed, NamedContext, Remote,
    SshAgent, SshKeys, archive,
};

use super::plan::{BuildPlan, ContextAt, DockerfileAt, OnFailure};
use crate::environment::Environment;
use crate::error::{Error, io_text};

/// More than any Dockerfile or ignore file has.
const MAX_TEXT: u64 = 16 << 20;

/// Reads what `plan` names, standard input from `stdin`.
///
/// # Errors
/// A file or directory is not there, or is not what it should be.
pub fn load(
    plan: BuildPlan,
    environment: &Environment,
    stdin: impl Read + Send + 'static,
) -> Result<BuildRequest, Error> {
    check_directories(&plan)?;
    let (dockerfile, context) = sources(&plan, environment, stdin)?;
    Ok(BuildRequest {
        dockerfile,
        context,
        named_contexts: plan.named_contexts,
        target: plan.target,
        more_targets: plan.more_targets,
        require: plan.require,
        build_args: plan.build_args,
        labels: plan.labels,
        no_cache: plan.no_cache,
        pull: plan.pull,
        platforms: plan.platforms,
        indexed: false,
        network: plan.network,
        default_network: plan.default_network,
        allow_host_network: plan.allowed.host_network,
        extra_hosts: plan.extra_hosts,
        allow_insecure: plan.allowed.insecure,
        allow_devices: plan.allowed.devices,
        shm_size: plan.shm_size,
        ulimits: plan.ulimits,
        resources: plan.resources,
        secrets: plan.secrets,
        more_secrets: None,
        ssh: agents(plan.ssh)?,
        tags: plan.tags,
        exports: plan.exports,
        cache_from: plan.cache_from,
        cache_to: plan.cache_to,
        cache_mounts_from: plan.cache_mounts_from,
        cache_mounts_to: plan.cache_mounts_to,
        jobs: plan.jobs,
        explain: plan.explain,
        keep_failed: (plan.on_failure != OnFailure::Discard).then(KeepFailed::default),
        source_date_epoch: plan.source_date_epoch,
        provenance: plan.provenance,
    })
}

fn check_directories(plan: &BuildPlan) -> Result<(), Error> {
    for (name, context) in &plan.named_contexts {
        if let NamedContext::Directory(path) = context
            && !path.is_dir()
        {
            let path = path.display();
            return Err(Error::new(format!(
                "failed to get build context {name}: path \"{path}\" is no directory"
            )));
        }
    }
    Ok(())
}

/// The Dockerfile and the context, wherever they are.
fn sources(
    plan: &BuildPlan,
    environment: &Environment,
    stdin: impl Read + Send + 'static,
) -> Result<(Dockerfile, Context), Error> {
    match &plan.context {
        ContextAt::Stdin => of_stdin(&plan.dockerfile, stdin),
        ContextAt::Path { path, .. } if path.is_dir() => {
            of_directory(&plan.dockerfile, path, environment, stdin)
        }
        ContextAt::Path {
            remote: Some(remote),
            ..
        } => of_remote(&plan.dockerfile, remote.clone(), environment, stdin),
        ContextAt::Path { path, typed, .. } => {
            let not_found = || format!("unable to prepare context: path {typed:?} not found");
            let archive = archive_file(path).ok_or_else(|| Error::new(not_found()))?;
            let stream = Remote::Stream(ByteStream::new(archive));
            of_remote(&plan.dockerfile, stream, environment, stdin)
        }
    }
}

/// The file that the Dockerfile is read from; nothing when it is no file of this machine.
///
/// # Errors
/// It cannot be told.
pub fn dockerfile_path(
    plan: &BuildPlan,
    environment: &Environment,
) -> Result<Option<PathBuf>, Error> {
    match &plan.context {
        ContextAt::Path { path, .. } if path.is_dir() => {
            Ok(find_dockerfile(&plan.dockerfile, path, environment))
        }
        _ => Ok(None),
    }
}

/// Agents, whose sockets and keys must be there.
///
/// # Errors
/// One is not.
pub(crate) fn agents(
    plan: BTreeMap<String, Vec<PathBuf>>,
) -> Result<BTreeMap<String, SshAgent>, Error> {
    plan.into_iter()
        .map(|(id, paths)| {
            let agent =
                agent(&paths).map_err(|why| Error::new(format!("ssh agent {id}: {why}")))?;
            Ok((id, agent))
        })
        .collect()
}

fn agent(paths: &[PathBuf]) -> Result<SshAgent, String> {
    use std::os::unix::fs::FileTypeExt as _;
    for path in paths {
        let shown = path.display();
        match fs::metadata(path) {
            Ok(found) if !found.file_type().is_socket() => {}
            Ok(_) if paths.len() == 1 => return Ok(SshAgent::Socket(path.clone())),
            Ok(_) => return Err(format!("{shown}: a socket stands alone, without key files")),
            Err(error) => return Err(format!("{shown}: {}", io_text(&error))),
        }
    }
    SshKeys::read(paths.iter().map(PathBuf::as_path))
        .map(SshAgent::Keys)
        .map_err(|error| match std::error::Error::source(&error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        })
}

fn of_directory(
    dockerfile: &DockerfileAt,
    directory: &Path,
    environment: &Environment,
    stdin: impl Read,
) -> Result<(Dockerfile, Context), Error> {
    let (dockerfile, beside) = match find_dockerfile(dockerfile, directory, environment) {
        Some(path) => (read_dockerfile(&path)?, Some(path)),
        None => (given_dockerfile(dockerfile, stdin)?, None),
    };
    let context = Context::Directory {
        ignore: ignore_text(beside.as_deref(), directory)?,
        path: directory.to_path_buf(),
    };
    Ok((dockerfile, context))
}

/// What is no archive is the Dockerfile itself.
fn of_stdin(
    dockerfile: &DockerfileAt,
    mut stdin: impl Read + Send + 'static,
) -> Result<(Dockerfile, Context), Error> {
    let mut start = Vec::new();
    stdin
        .by_ref()
        .take(archive::START as u64)
        .read_to_end(&mut start)
        .map_err(|error| solve_error(&format!("standard input: {}", io_text(&error))))?;
    let is_archive = archive::Compression::of_archive(&start).is_some();
    let whole = io::Cursor::new(start).chain(stdin);
    if !is_archive {
        if *dockerfile != DockerfileAt::Default {
            return Err(Error::new(
                "ambiguous Dockerfile source: both stdin and flag correspond to Dockerfiles",
            ));
        }
        return Ok((dockerfile_of_stdin(whole)?, Context::Empty));
    }
    let context = Context::Remote {
        from: Remote::Stream(ByteStream::new(whole)),
        dockerfile: Some(match dockerfile {
            DockerfileAt::Path(path) => DockerfileIn::Path(path.clone()),
            _ => DockerfileIn::Default,
        }),
    };
    Ok((unknown(), context))
}

fn of_remote(
    dockerfile: &DockerfileAt,
    from: Remote,
    environment: &Environment,
    stdin: impl Read,
) -> Result<(Dockerfile, Context), Error> {
    let (text, within) = match dockerfile {
        DockerfileAt::Stdin | DockerfileAt::Text(_) => (given_dockerfile(dockerfile, stdin)?, None),
        DockerfileAt::Path(path) if path.is_absolute() => {
            (read_dockerfile(&environment.absolute(path))?, None)
        }
        DockerfileAt::Path(path) => (unknown(), Some(DockerfileIn::Path(path.clone()))),
        DockerfileAt::Default => (unknown(), Some(DockerfileIn::Default)),
    };
    let context = Context::Remote {
        from,
        dockerfile: within,
    };
    Ok((text, context))
}

/// The Dockerfile before it was brought in.
fn unknown() -> Dockerfile {
    Dockerfile {
        name: "Dockerfile".to_owned(),
        path: None,
        text: String::new(),
    }
}

/// The file at `path`, if it is an archive.
fn archive_file(path: &Path) -> Option<fs::File> {
    let mut start = Vec::new();
    let file = fs::File::open(path).ok().filter(|_| path.is_file())?;
    file.take(archive::START as u64)
        .read_to_end(&mut start)
        .ok()?;
    archive::Compression::of_archive(&start)?;
    fs::File::open(path).ok()
}

/// Where the Dockerfile is; nothing when it comes on standard input.
fn find_dockerfile(
    dockerfile: &DockerfileAt,
    context: &Path,
    environment: &Environment,
) -> Option<PathBuf> {
    match dockerfile {
        DockerfileAt::Stdin | DockerfileAt::Text(_) => None,
        DockerfileAt::Path(path) => {
            let here = environment.absolute(path);
            let in_context = context.join(path);
            let chosen = if !here.exists() && in_context.exists() {
                in_context
            } else {
                here
            };
            Some(chosen)
        }
        DockerfileAt::Default => {
            let usual = context.join("Dockerfile");
            let lower_case = context.join("dockerfile");
            let chosen = if !usual.exists() && lower_case.exists() {
                lower_case
            } else {
                usual
            };
            Some(chosen)
        }
    }
}

fn read_dockerfile(path: &Path) -> Result<Dockerfile, Error> {
    let name = path
        .file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned();
    match read_text(path) {
        Ok(text) => Ok(Dockerfile {
            name,
            path: Some(path.to_path_buf()),
            text,
        }),
        Err(error) => Err(solve_error(&format!("open {name}: {}", io_text(&error)))),
    }
}

/// The Dockerfile that is in no file.
fn given_dockerfile(at: &DockerfileAt, stdin: impl Read) -> Result<Dockerfile, Error> {
    match at {
        DockerfileAt::Text(text) => Ok(Dockerfile {
            text: text.clone(),
            ..unknown()
        }),
        _ => dockerfile_of_stdin(stdin),
    }
}

fn dockerfile_of_stdin(stdin: impl Read) -> Result<Dockerfile, Error> {
    let mut bytes = Vec::new();
    stdin
        .take(MAX_TEXT + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| solve_error(&format!("standard input: {}", io_text(&error))))?;
    let text = text(bytes)
        .map_err(|error| solve_error(&format!("standard input: {}", io_text(&error))))?;
    let name = "Dockerfile".to_owned();
    Ok(Dockerfile {
        name,
        path: None,
        text,
    })
}

fn solve_error(message: &str) -> Error {
    Error::new(format!(
        "failed to solve: failed to read dockerfile: {message}"
    ))
}

/// The ignore file of the Dockerfile, else that of the context, else nothing.
fn ignore_text(dockerfile: Option<&Path>, context: &Path) -> Result<String, Error> {
    let of_dockerfile = dockerfile.map(|path| {
        let mut name = path.as_os_str().to_owned();
        name.push(".dockerignore");
        PathBuf::from(name)
    });
    let of_context = context.join(".dockerignore");
    for path in of_dockerfile.into_iter().chain([of_context]) {
        match read_text(&path) {
            Ok(text) => return Ok(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                let path = path.display();
                return Err(Error::new(format!("open {path}: {}", io_text(&error))));
            }
        }
    }
    Ok(String::new())
}

fn read_text(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    fs::File::open(path)?
        .take(MAX_TEXT + 1)
        .read_to_end(&mut bytes)?;
    text(bytes)
}

fn text(bytes: Vec<u8>) -> io::Result<String> {
    if bytes.len() as u64 > MAX_TEXT {
        return Err(io::Error::other("more than 16 MiB"));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::other("not UTF-8"))
}
