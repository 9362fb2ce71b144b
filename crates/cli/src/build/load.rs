//! The files that a build plan names: the Dockerfile, the ignore file that applies, and the
//! directories that must be there.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use engine::{
    BuildRequest, ByteStream, Context, Dockerfile, DockerfileIn, NamedContext, Remote, SshAgent,
    SshKeys, archive,
};

use super::plan::{AgentAt, BuildPlan, ContextAt, DockerfileAt};
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
        ssh: agents(plan.ssh)?,
        ..plan.request
    })
}

fn check_directories(plan: &BuildPlan) -> Result<(), Error> {
    for (name, context) in &plan.request.named_contexts {
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
    let ContextAt::Path { path, typed, .. } = &plan.context else {
        return of_stdin(&plan.dockerfile, stdin);
    };
    let file = dockerfile_path(plan, environment);
    let from = match remote(plan) {
        Some(remote) => remote.clone(),
        None if path.is_dir() => return of_directory(&plan.dockerfile, file, path, stdin),
        None => {
            let not_found = || format!("unable to prepare context: path {typed:?} not found");
            let archive = archive_file(path).ok_or_else(|| Error::new(not_found()))?;
            Remote::Stream(ByteStream::of_file(archive))
        }
    };
    of_remote(&plan.dockerfile, file, from, stdin)
}

/// Where the context is when it is not on this machine.
pub(super) fn remote(plan: &BuildPlan) -> Option<&Remote> {
    match &plan.context {
        ContextAt::Path { path, remote, .. } if !path.is_dir() => remote.as_ref(),
        ContextAt::Path { .. } | ContextAt::Stdin => None,
    }
}

/// The file of this machine that the Dockerfile is read from; none when it is in no such file.
#[must_use]
pub fn dockerfile_path(plan: &BuildPlan, environment: &Environment) -> Option<PathBuf> {
    match (&plan.context, &plan.dockerfile) {
        (ContextAt::Stdin, _) => None,
        (ContextAt::Path { path, .. }, dockerfile) if path.is_dir() => {
            find_dockerfile(dockerfile, path, environment)
        }
        (_, DockerfileAt::Path(path)) if path.is_absolute() => Some(path.clone()),
        _ => None,
    }
}

/// The ignore files of which the first that is there applies.
pub(super) fn ignore_files(dockerfile: Option<&Path>, context: &Path) -> Vec<PathBuf> {
    let of_dockerfile = dockerfile.map(|path| {
        let mut name = path.as_os_str().to_owned();
        name.push(".dockerignore");
        PathBuf::from(name)
    });
    let of_context = context.join(".dockerignore");
    of_dockerfile.into_iter().chain([of_context]).collect()
}

/// Agents, whose sockets and keys must be there.
///
/// # Errors
/// One is not.
pub(crate) fn agents(plan: BTreeMap<String, AgentAt>) -> Result<BTreeMap<String, SshAgent>, Error> {
    plan.into_iter()
        .map(|(id, at)| {
            let paths = match at {
                AgentAt::Default(socket) => vec![socket],
                AgentAt::Paths(paths) => paths,
            };
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
    file: Option<PathBuf>,
    directory: &Path,
    stdin: impl Read,
) -> Result<(Dockerfile, Context), Error> {
    let dockerfile = match &file {
        Some(path) => read_dockerfile(path)?,
        None => given_dockerfile(dockerfile, stdin)?,
    };
    let context = Context::Directory {
        ignore: ignore_text(file.as_deref(), directory)?,
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
        subdirectory: None,
    };
    Ok((unknown(), context))
}

fn of_remote(
    dockerfile: &DockerfileAt,
    file: Option<PathBuf>,
    from: Remote,
    stdin: impl Read,
) -> Result<(Dockerfile, Context), Error> {
    let (text, within) = match (dockerfile, file) {
        (_, Some(path)) => (read_dockerfile(&path)?, None),
        (DockerfileAt::Stdin | DockerfileAt::Text(_), _) => {
            (given_dockerfile(dockerfile, stdin)?, None)
        }
        (DockerfileAt::Path(path), _) => (unknown(), Some(DockerfileIn::Path(path.clone()))),
        (DockerfileAt::Default, _) => (unknown(), Some(DockerfileIn::Default)),
    };
    let context = Context::Remote {
        from,
        dockerfile: within,
        subdirectory: None,
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
    for path in ignore_files(dockerfile, context) {
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
