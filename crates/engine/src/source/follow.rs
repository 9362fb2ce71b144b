//! Which files of a client's directory are meant by paths whose symbolic links are followed.

use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};

use snapshot::{Found, Kind, Tree, has_wildcards, matches};

use crate::error::EngineError;

/// Links followed for one path, as in BuildKit.
const MAX_LINKS: usize = 255;

/// A path on its way.
#[derive(Debug, Clone)]
struct Walk {
    /// What is behind it, without links.
    at: PathBuf,
    /// The components ahead, the next one last.
    ahead: Vec<OsString>,
    links: usize,
}

/// Patterns of what `paths` name in `tree`: links on the way, and what they lead to. Components may
/// have wildcards; what is missing is named as well.
pub(crate) fn follow_links(tree: &Tree, paths: &[String]) -> Result<Vec<String>, EngineError> {
    let mut named = Vec::new();
    let mut walks: Vec<Walk> = paths.iter().map(|path| Walk::new(path.as_ref())).collect();
    while let Some(mut walk) = walks.pop() {
        let Some(part) = walk.ahead.pop() else {
            named.push(walk.at);
            continue;
        };
        if has_wildcards(&part) {
            walk.branch(tree, &part, &mut walks)?;
        } else {
            named.extend(walk.enter(tree, part)?);
            walks.push(walk);
        }
    }
    named.sort();
    named.dedup();
    Ok(named.iter().map(|path| literal(path)).collect())
}

impl Walk {
    fn new(path: &Path) -> Self {
        Self {
            at: PathBuf::new(),
            ahead: parts(path),
            links: 0,
        }
    }

    /// Goes on to `part`; the link, if that is one.
    fn enter(&mut self, tree: &Tree, part: OsString) -> Result<Option<PathBuf>, EngineError> {
        if part == ".." {
            self.at.pop();
            return Ok(None);
        }
        let next = self.at.join(part);
        let resolved = tree.lookup(&next, false)?;
        let link = match &resolved.found {
            Found::File(entry, stat) if stat.kind == Kind::Symlink => entry,
            _ => {
                self.at = next;
                return Ok(None);
            }
        };
        self.links += 1;
        if self.links > MAX_LINKS {
            return Err(EngineError::TooManyLinks(next));
        }
        let target = resolved.dir.read_link(link)?;
        if target.is_absolute() {
            self.at = PathBuf::new();
        }
        self.ahead.extend(parts(&target));
        Ok(Some(next))
    }

    /// Goes on to all that `pattern` matches.
    fn branch(
        &self,
        tree: &Tree,
        pattern: &OsStr,
        walks: &mut Vec<Self>,
    ) -> Result<(), EngineError> {
        let resolved = tree.lookup(&self.at, false)?;
        if !matches!(resolved.found, Found::Directory) {
            return Ok(());
        }
        for entry in resolved.dir.entries()?.iter() {
            if !matches(pattern, &entry.name) {
                continue;
            }
            let mut walk = self.clone();
            // A name is no pattern, whatever it is.
            if has_wildcards(&entry.name) {
                walk.at.push(&entry.name);
            } else {
                walk.ahead.push(entry.name.clone());
            }
            walks.push(walk);
        }
        Ok(())
    }
}

/// The components, the first one last.
fn parts(path: &Path) -> Vec<OsString> {
    let parts = path.components().rev().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    });
    parts.collect()
}

/// A pattern that matches this path alone.
fn literal(path: &Path) -> String {
    let mut pattern = String::new();
    for char in path.to_string_lossy().chars() {
        if matches!(char, '*' | '?' | '[' | '\\') {
            pattern.push('\\');
        }
        pattern.push(char);
    }
    pattern
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_and_what_they_lead_to_are_named() {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path();
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::fs::write(root.join("a/b/file"), "").unwrap();
        symlink("../a/b", root.join("a/up")).unwrap();
        symlink("/a/up/file", root.join("link")).unwrap();
        symlink("circle", root.join("circle")).unwrap();
        symlink("../../..", root.join("out")).unwrap();
        std::fs::write(root.join("x[1]"), "").unwrap();
        let tree = Tree::directory(root).unwrap();
        let check = |path: &str, expected: &str| {
            let named = match follow_links(&tree, &[path.to_owned()]) {
                Ok(named) => named.join(" "),
                Err(error) => error.to_string(),
            };
            assert_eq!(named, expected, "{path}");
        };
        check("a/b/file", "a/b/file");
        check("/a/../a/b", "a/b");
        check("link", "a/b/file a/up link");
        check("a/u*/file", "a/b/file a/up");
        check("missing/x", "missing/x");
        check("x[1]", "");
        check("*[[]*", "x\\[1]");
        check("out", " out");
        check("circle", "too many symbolic links at circle");
    }
}
