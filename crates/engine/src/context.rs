//! What a local context is made of: the files that steps can read, and what the ignore file keeps from
//! them, each with the pattern that does.

use std::path::{Path, PathBuf};

use dockerfile::ignore::{Directory, Patterns};
use snapshot::{Dir, Kind, Tree};

use crate::error::EngineError;
use crate::request::{BuildRequest, Context};

/// The files of a context, by path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContextFiles {
    /// Those that steps can read, directories left out.
    pub files: Vec<ContextFile>,
    /// What they cannot; what is beneath a directory that is left out whole counts with it.
    pub excluded: Vec<ExcludedFile>,
}

/// A file that steps can read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextFile {
    /// Its path in the context.
    pub path: PathBuf,
    /// What it is.
    pub kind: Kind,
    /// Bytes of content.
    pub size: u64,
}

/// A file or directory that steps cannot read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExcludedFile {
    /// Its path in the context.
    pub path: PathBuf,
    /// What it is.
    pub kind: Kind,
    /// How many files it is, directories left out.
    pub files: u64,
    /// Bytes of content in all of them.
    pub size: u64,
    /// The pattern that has the last word.
    pub pattern: String,
}

/// The files of the main context of `request`.
///
/// # Errors
/// It is no directory of this machine, or cannot be read.
pub fn context_files(request: &BuildRequest) -> Result<ContextFiles, EngineError> {
    let (path, ignore) = match &request.context {
        Context::Directory { path, ignore } => (path, ignore),
        Context::Empty => return Ok(ContextFiles::default()),
        Context::Remote { .. } | Context::Source(_) | Context::Steps(_) => {
            return Err(EngineError::Unsupported {
                what: "a list of the files of a context that is no directory of this machine"
                    .to_owned(),
                instead: "name a directory",
            });
        }
    };
    let patterns = Patterns::parse(ignore)?;
    let root = Tree::directory(path)?.lookup(Path::new("/"), false)?.dir;
    let mut found = ContextFiles::default();
    list(&root, Some(&patterns.root()), &mut found)?;
    found.files.sort_by(|a, b| a.path.cmp(&b.path));
    found.excluded.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// The patterns that the text of an ignore file has, as others understand them.
///
/// # Errors
/// One is malformed.
pub fn ignore_lines(text: &str) -> Result<Vec<String>, EngineError> {
    Ok(Patterns::parse(text)?.to_lines())
}

/// Lists what is in a directory. One is open at each depth, of which there are only so many.
fn list(
    directory: &Dir,
    ignore: Option<&Directory>,
    found: &mut ContextFiles,
) -> Result<(), EngineError> {
    for entry in directory.entries()? {
        let name = entry.name.to_string_lossy();
        let is_directory = entry.kind == Kind::Directory;
        let verdict = ignore.map(|ignore| ignore.verdict(&name, is_directory));
        let verdict = verdict.unwrap_or_default();
        let path = directory.path().join(&entry.name);
        if is_directory && !verdict.skip {
            let inside = ignore.map(|ignore| ignore.enter(&name));
            let inside = inside.filter(|inside| !inside.is_whole());
            list(&directory.enter(&entry)?, inside.as_ref(), found)?;
            continue;
        }
        let pattern = ignore.and_then(|ignore| ignore.excluded_by(&name));
        match pattern.filter(|_| verdict.excluded) {
            Some(pattern) => {
                let (files, size) = if is_directory {
                    measure(&directory.enter(&entry)?)?
                } else {
                    (1, directory.stat(&entry)?.size)
                };
                found.excluded.push(ExcludedFile {
                    path,
                    kind: entry.kind,
                    files,
                    size,
                    pattern,
                });
            }
            None => found.files.push(ContextFile {
                path,
                kind: entry.kind,
                size: directory.stat(&entry)?.size,
            }),
        }
    }
    Ok(())
}

/// How many files a directory is, and their bytes.
fn measure(directory: &Dir) -> Result<(u64, u64), EngineError> {
    let (mut files, mut size) = (0, 0);
    for entry in directory.entries()? {
        if entry.kind == Kind::Directory {
            let inside = measure(&directory.enter(&entry)?)?;
            files += inside.0;
            size += inside.1;
        } else {
            files += 1;
            size += directory.stat(&entry)?.size;
        }
    }
    Ok((files, size))
}
