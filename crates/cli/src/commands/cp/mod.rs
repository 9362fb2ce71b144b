//! `kiln cp`: files between a container and this machine.
//!
//! Both ways go through a tar, whose one root member is renamed on the way ([`rewrite`]) so that it
//! lands where docker would put it ([`place`]).

mod place;
mod rewrite;

use std::fs;
use std::io::{self, PipeReader, PipeWriter};
use std::path::{Path, PathBuf};

use engine::{EngineError, FileKind, Owners, pack_files, unpack_files};

use super::session::Session;
use crate::args::container::Cp;
use crate::error::{CliError, Error, io_text};
use crate::keeper::Keeper;
use crate::ui::{self, human};

use place::{At, CopyError, Placement, SourceKind, base, is_contents, parent, place};
use rewrite::{Owner, Rewrite, rewrite};

/// Copies.
pub(super) fn run(session: &mut Session<'_, '_>, args: &Cp) -> Result<(), Error> {
    if args.source.is_empty() {
        return Err(Error::new("source can not be empty"));
    }
    if args.destination.is_empty() {
        return Err(Error::new("destination can not be empty"));
    }
    match (split(&args.source), split(&args.destination)) {
        ((Some(_), _), (Some(_), _)) => {
            Err(Error::new("copying between containers is not supported"))
        }
        ((None, _), (None, _)) => Err(Error::new("must specify at least one container source")),
        ((Some(container), source), (None, destination)) => {
            from_container(session, args, (container, source), destination)
        }
        ((None, source), (Some(container), destination)) => {
            to_container(session, args, source, (container, destination))
        }
    }
}

/// `CONTAINER:PATH`; a path with a colon needs a `/` or `.` at its start.
fn split(argument: &str) -> (Option<&str>, &str) {
    match argument.split_once(':') {
        Some((container, path)) if !argument.starts_with(['/', '.']) => (Some(container), path),
        _ => (None, argument),
    }
}

fn from_container(
    session: &mut Session<'_, '_>,
    args: &Cp,
    (container, source): (&str, &str),
    destination: &str,
) -> Result<(), Error> {
    let keeper = session.keeper()?;
    let (source, named) = follow_in_container(&keeper, args, container, source)?;
    let stat = keeper.path_stat(container, &source)??;
    let kind = match stat.kind {
        FileKind::Directory => SourceKind::Directory,
        _ => SourceKind::File,
    };
    let at_root = base(&source).is_empty();
    if destination == "-" {
        let name = (!at_root && !is_contents(&source)).then(|| base(&source).to_owned());
        let owner = Owner::Kept;
        let plan = Rewrite {
            name,
            strip: !at_root,
            owner,
        };
        return read_container(&keeper, container, &source, plan, |tar| {
            io::copy(&mut { tar }, &mut ui::stream()).map_err(CliError::Output)?;
            Ok(())
        });
    }
    let target = session.environment.absolute(Path::new(destination));
    let target_text = with_tail(&target.to_string_lossy(), destination);
    let at = local_target(&target)?;
    let Placement { directory, name } = place(&source, named.as_deref(), kind, &target_text, at)?;
    if !Path::new(&directory).is_dir() {
        return Err(Error::new(format!(
            "invalid output path: directory {directory:?} does not exist"
        )));
    }
    let owner = if args.archive {
        Owner::Kept
    } else {
        Owner::Of(
            rustix::process::geteuid().as_raw(),
            rustix::process::getegid().as_raw(),
        )
    };
    let plan = Rewrite {
        name,
        strip: !at_root,
        owner,
    };
    let bytes = read_container(&keeper, container, &source, plan, |tar| {
        let mut counted = Counted { tar, bytes: 0 };
        unpack_files(&mut counted, Path::new(&directory), Owners::Archive)?;
        Ok(counted.bytes)
    })?;
    report(session, args, bytes, &target_text);
    Ok(())
}

fn to_container(
    session: &mut Session<'_, '_>,
    args: &Cp,
    source: &str,
    (container, destination): (&str, &str),
) -> Result<(), Error> {
    let keeper = session.keeper()?;
    let (destination, at) = container_target(&keeper, container, destination)?;
    let owner = if args.archive {
        Owner::Kept
    } else {
        Owner::Of(0, 0)
    };
    if source == "-" {
        if at != At::Directory {
            return Err(Error::new(format!(
                "destination \"{container}:{destination}\" must be a directory"
            )));
        }
        return keeper.write_path(container, &destination, ui::input());
    }
    let absolute = session.environment.absolute(Path::new(source));
    let typed = with_tail(&absolute.to_string_lossy(), source);
    let (path, named) = local_source(&typed, args.follow_link)?;
    let is_directory = fs::symlink_metadata(&path)
        .map_err(|error| Error::new(format!("lstat {typed}: {}", io_text(&error))))?
        .is_dir();
    if typed.ends_with('/') && !is_directory {
        return Err(Error::new(format!("lstat {typed}: not a directory")));
    }
    let kind = if is_directory {
        SourceKind::Directory
    } else {
        SourceKind::File
    };
    let Placement { directory, name } = place(&typed, named.as_deref(), kind, &destination, at)?;
    let plan = Rewrite {
        name,
        strip: true,
        owner,
    };
    let bytes = write_container(&keeper, container, &directory, plan, move |tar| {
        pack_files(&path, "x".into(), tar)
    })?;
    report(session, args, bytes, &format!("{container}:{destination}"));
    Ok(())
}

/// With `-L`, where a link at the end of the path leads, and the name that the copy keeps.
fn follow_in_container(
    keeper: &Keeper,
    args: &Cp,
    container: &str,
    source: &str,
) -> Result<(String, Option<String>), Error> {
    let kept = (source.to_owned(), None);
    if !args.follow_link {
        return Ok(kept);
    }
    let stat = keeper.path_stat(container, source)??;
    match stat.link_target {
        Some(target) => Ok((beside(source, &target), Some(base(source).to_owned()))),
        None => Ok(kept),
    }
}

/// Where the destination is, a link at its end followed, and what is there.
fn container_target(
    keeper: &Keeper,
    container: &str,
    destination: &str,
) -> Result<(String, At), Error> {
    let stat = |path: &str| keeper.path_stat(container, path);
    let found = match stat(destination)? {
        Ok(found) => found,
        Err(error) if error.is_missing_file() => return Ok((destination.to_owned(), At::Nothing)),
        Err(error) => return Err(error.into()),
    };
    let (path, kind) = match found.link_target {
        Some(target) => {
            let path = beside(destination, &target);
            match stat(&path)? {
                Ok(found) => (path, found.kind),
                Err(error) if error.is_missing_file() => return Ok((path, At::Nothing)),
                Err(error) => return Err(error.into()),
            }
        }
        None => (destination.to_owned(), found.kind),
    };
    match kind {
        FileKind::Directory => Ok((path, At::Directory)),
        FileKind::File => Ok((path, At::File)),
        _ => Err(Error::new(format!(
            "destination \"{container}:{destination}\" must be a directory or a regular file"
        ))),
    }
}

/// A link's target as a path from the root.
fn beside(link: &str, target: &Path) -> String {
    let joined = Path::new("/").join(parent(link)).join(target);
    joined.to_string_lossy().into_owned()
}

/// What is at the destination here; links are followed.
fn local_target(path: &Path) -> Result<At, Error> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Ok(At::Directory),
        Ok(found) if found.is_file() => Ok(At::File),
        Ok(_) => Err(Error::new(format!(
            "invalid output path: {:?} must be a directory or a regular file",
            path.display()
        ))),
        Err(_) => Ok(At::Nothing),
    }
}

/// The file to copy, and the name that the copy keeps when a link was followed. A trailing slash
/// follows a link too.
fn local_source(typed: &str, follow: bool) -> Result<(PathBuf, Option<String>), Error> {
    let failed = |error: io::Error| Error::new(format!("lstat {typed}: {}", io_text(&error)));
    if follow || typed.ends_with('/') || is_contents(typed) {
        let path = fs::canonicalize(typed).map_err(failed)?;
        return Ok((path, Some(base(typed).to_owned())));
    }
    let above = fs::canonicalize(parent(typed)).map_err(failed)?;
    Ok((above.join(base(typed)), None))
}

/// The path with the end that joining took away: `/` or `/.`.
fn with_tail(path: &str, typed: &str) -> String {
    let tail = match typed {
        "." => "/.",
        typed if typed.ends_with("/.") => "/.",
        typed if typed.ends_with('/') => "/",
        _ => "",
    };
    let bare = path
        .strip_suffix("/.")
        .unwrap_or(path)
        .trim_end_matches('/');
    format!("{bare}{tail}")
}

/// Hands the rewritten tar of `path` to `take`.
fn read_container<T>(
    keeper: &Keeper,
    container: &str,
    path: &str,
    plan: Rewrite,
    take: impl FnOnce(PipeReader) -> Result<T, Error>,
) -> Result<T, Error> {
    let (from, to) = pipe()?;
    let (rewritten, out) = pipe()?;
    let rewriting = std::thread::spawn(move || rewrite(from, out, &plan));
    let (keeper, container) = (keeper.clone(), container.to_owned());
    let path = path.to_owned();
    let reading = std::thread::spawn(move || keeper.read_path(&container, &path, to));
    let taken = take(rewritten);
    // The first that went wrong is to blame: the others only saw their streams end.
    joined(reading)??;
    let rewritten = joined(rewriting)?;
    let taken = taken?;
    rewritten.map_err(|error| Error::new(error.to_string()))?;
    Ok(taken)
}

/// Unpacks the rewritten tar that `give` writes; the bytes of it.
fn write_container(
    keeper: &Keeper,
    container: &str,
    directory: &str,
    plan: Rewrite,
    give: impl FnOnce(PipeWriter) -> Result<(), EngineError> + Send + 'static,
) -> Result<u64, Error> {
    let (from, to) = pipe()?;
    let (rewritten, out) = pipe()?;
    let giving = std::thread::spawn(move || give(to));
    let rewriting = std::thread::spawn(move || rewrite(from, out, &plan));
    let written = keeper.write_path(container, directory, rewritten);
    let given = joined(giving)?;
    let bytes = joined(rewriting)?;
    given?;
    written?;
    bytes.map_err(|error| Error::new(error.to_string()))
}

fn pipe() -> Result<(PipeReader, PipeWriter), Error> {
    Ok(io::pipe().map_err(CliError::Runtime)?)
}

fn joined<T>(thread: std::thread::JoinHandle<T>) -> Result<T, Error> {
    thread
        .join()
        .map_err(|_| Error::new("a thread ended early"))
}

struct Counted<R> {
    tar: R,
    bytes: u64,
}

impl<R: io::Read> io::Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.tar.read(buffer)?;
        self.bytes += read as u64;
        Ok(read)
    }
}

fn report(session: &mut Session<'_, '_>, args: &Cp, bytes: u64, to: &str) {
    if !args.quiet && session.environment.terminals.stdout {
        let size = human::size(bytes);
        session
            .ui
            .say(&format!("Successfully copied {size} to {to}"));
    }
}

impl From<CopyError> for Error {
    fn from(error: CopyError) -> Self {
        Self::new(error.to_string())
    }
}
