//! What a pattern or a filtered directory has (`cacheContext.includedPaths`).

use std::ops::Bound;

use graph::matches_pattern;

use super::files::{Files, Node, What, key_of, path_of};
use super::walk::resolve;
use super::{ContentError, Contents};
use crate::Selector;

/// A path that counts.
pub(super) struct Included<'a> {
    pub(super) path: String,
    pub(super) key: &'a [u8],
    /// A link there is followed.
    pub(super) follow: bool,
    /// It counts; a directory does if something in it does.
    is_in: bool,
}

/// What `selector` takes of `path`, with the prefix that does not count.
pub(super) fn included<'a, C: Contents>(
    files: &'a Files,
    path: &str,
    selector: &Selector,
    contents: &C,
) -> Result<(String, Vec<Included<'a>>), ContentError<C::Error>> {
    // Of the root only what is in it counts.
    let path = if path == "/" { "" } else { path };
    let prefix = match selector.wildcard {
        true => plain_part(path),
        false => path.to_owned(),
    };
    let resolved = resolve(files, &key_of(&prefix), selector.wildcard)?;
    let shown = path_of(&resolved);
    let from = match prefix.is_empty() {
        true => Vec::new(),
        false => resolved,
    };
    let all = files
        .nodes
        .range::<[u8], _>((Bound::Included(from.as_slice()), Bound::Unbounded));
    let mut gathered = Gathered::new(path, selector);
    for (key, node) in all {
        let mut name = path_of(key);
        if let Some(after) = name.strip_prefix(&shown) {
            name = format!("{prefix}{after}");
        }
        if !gathered.visit(key, node, name, contents)? {
            break;
        }
    }
    gathered.entries.retain(|entry| entry.is_in);
    Ok((prefix, gathered.entries))
}

/// What was found so far, in the order of the keys.
struct Gathered<'a, 's> {
    path: &'s str,
    selector: &'s Selector,
    entries: Vec<Included<'a>>,
    /// Directories on the way, by their place in `entries`.
    parents: Vec<usize>,
    /// The last path that the pattern matched, whose files are taken without it.
    last_match: String,
}

/// Where a path is, seen from what is asked for.
enum Place {
    Within(String),
    Beside,
    Behind,
}

impl<'a, 's> Gathered<'a, 's> {
    const fn new(path: &'s str, selector: &'s Selector) -> Self {
        Self {
            path,
            selector,
            entries: Vec::new(),
            parents: Vec::new(),
            last_match: String::new(),
        }
    }

    /// Takes the next path, if it counts; says whether one behind it may.
    fn visit<C: Contents>(
        &mut self,
        key: &'a [u8],
        node: &Node,
        mut name: String,
        contents: &C,
    ) -> Result<bool, ContentError<C::Error>> {
        let is_header = matches!(node.what, What::Header(_));
        if is_header {
            name.pop();
            if name.is_empty() && self.path.is_empty() {
                return Ok(true);
            }
        }
        self.leave(&name);
        let within = match self.place(&name) {
            Place::Within(within) => within,
            Place::Beside => return Ok(true),
            Place::Behind => return Ok(false),
        };
        let counts = self.counts(&within, contents)?;
        if counts || is_header {
            let is_in = counts && !matches!(node.what, What::Directory);
            self.take(key, name, is_in);
        }
        if is_header {
            self.parents.push(self.entries.len() - 1);
        }
        Ok(true)
    }

    /// Forgets the directories that `name` is not in.
    fn leave(&mut self, name: &str) {
        while let Some(last) = self.parents.last()
            && !is_beneath(name, &self.entries[*last].path)
        {
            self.parents.pop();
        }
    }

    fn place(&mut self, name: &str) -> Place {
        if !self.selector.wildcard {
            let is_within = name == self.path || is_beneath(name, self.path);
            return match is_within {
                true => Place::Within(relative(name, self.path)),
                false => Place::Behind,
            };
        }
        if self.last_match.is_empty() || !is_beneath(name, &self.last_match) {
            if !self.path.is_empty() && !matches_pattern(self.path, name) {
                return Place::Beside;
            }
            name.clone_into(&mut self.last_match);
        }
        Place::Within(relative(name, &self.last_match))
    }

    fn counts<C: Contents>(
        &self,
        within: &str,
        contents: &C,
    ) -> Result<bool, ContentError<C::Error>> {
        let Selector {
            include, exclude, ..
        } = self.selector;
        let is_included = include.is_empty() || contents.matches(include, within)?;
        Ok(is_included && (exclude.is_empty() || !contents.matches(exclude, within)?))
    }

    fn take(&mut self, key: &'a [u8], path: String, is_in: bool) {
        if is_in {
            for parent in &self.parents {
                self.entries[*parent].is_in = true;
            }
        }
        self.entries.push(Included {
            path,
            key,
            follow: self.parents.is_empty() && self.selector.follow_links,
            is_in,
        });
    }
}

fn is_beneath(name: &str, directory: &str) -> bool {
    let after = name.strip_prefix(directory);
    after.is_some_and(|after| after.starts_with('/'))
}

fn relative(name: &str, within: &str) -> String {
    let name = format!("{name}/");
    let name = name.strip_prefix(&format!("{within}/")).unwrap_or(&name);
    name.trim_end_matches('/').to_owned()
}

/// The part of a pattern before its first wildcard.
fn plain_part(pattern: &str) -> String {
    let mut plain = String::new();
    for part in pattern.split('/').skip(1) {
        if graph::has_wildcards(part) {
            break;
        }
        plain.push('/');
        plain.push_str(part);
    }
    plain
}
