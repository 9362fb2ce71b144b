//! Digests of paths and patterns (`cacheContext.Checksum`).

use std::ops::Bound;

use oci::{Digest, Hasher};

use super::files::{Files, Node, What, key_of, path_of};
use super::{ContentError, Contents, FileKind, Form, header};
use crate::Selector;

/// Links followed on the way to one path.
const MAX_LINKS: usize = 255;

/// A path that counts.
struct Included<'a> {
    path: String,
    key: &'a [u8],
    /// A link there is followed.
    follow: bool,
    /// It counts; a directory does if something in it does.
    is_in: bool,
}

/// The digest of what one selector names.
pub(super) fn checksum<C: Contents>(
    files: &Files,
    selector: &Selector,
    contents: &C,
    form: Form,
) -> Result<Digest, ContentError<C::Error>> {
    let path = match selector.path.as_str() {
        "" => "/",
        path => path,
    };
    if !selector.is_filtered() {
        let key = resolve(
            files,
            &key_of(path.trim_end_matches('/')),
            selector.follow_links,
        )?;
        return of_key(files, &key, contents);
    }
    let (prefix, included) = included(files, path, selector, contents)?;
    let mut entries = Vec::with_capacity(included.len());
    for entry in included {
        let is_link = matches!(
            files.nodes.get(entry.key).map(|node| &node.what),
            Some(What::File(meta)) if matches!(meta.kind, FileKind::Symlink(_))
        );
        let key = if entry.follow && is_link {
            resolve(files, &key_of(&entry.path), selector.follow_links)?
        } else {
            entry.key.to_vec()
        };
        entries.push((entry.path, of_key(files, &key, contents)?));
    }
    if let [(only, digest)] = entries.as_slice()
        && base(path) == base(only)
    {
        return Ok(*digest);
    }
    if entries.is_empty() {
        return Ok(Digest::of(b""));
    }
    Ok(of_entries(&entries, &prefix, form))
}

fn of_entries(entries: &[(String, Digest)], prefix: &str, form: Form) -> Digest {
    let mut hasher = Hasher::new();
    for (place, (path, digest)) in entries.iter().enumerate() {
        match form {
            Form::Paths => {
                let mut key = key_of(path.strip_prefix(prefix).unwrap_or(path));
                if key.is_empty() {
                    key.push(0);
                }
                hasher.update(&key);
            }
            Form::Names => {
                if place > 0 {
                    hasher.update(&[0]);
                }
                hasher.update(base(path).as_bytes());
            }
        }
        hasher.update(digest.to_string().as_bytes());
    }
    hasher.finish()
}

fn base(path: &str) -> &str {
    match path.trim_end_matches('/').rsplit_once('/') {
        Some((_, name)) => name,
        None => path,
    }
}

/// The digest of what is at a key without links.
fn of_key<C: Contents>(
    files: &Files,
    key: &[u8],
    contents: &C,
) -> Result<Digest, ContentError<C::Error>> {
    let missing = || ContentError::Missing(path_of(key));
    let node = files.nodes.get(key).ok_or_else(missing)?;
    if let Some(known) = node.digest.get() {
        return Ok(*known);
    }
    let digest = match &node.what {
        What::Directory => of_directory(files, key, contents)?,
        What::Header(meta) => {
            let mut hasher = Hasher::new();
            if let Some(meta) = meta {
                header::feed(meta, &mut hasher);
            }
            hasher.finish()
        }
        What::File(meta) => {
            let mut hasher = Hasher::new();
            header::feed(meta, &mut hasher);
            if meta.kind == FileKind::Regular && meta.size > 0 {
                contents.feed(&path_of(key), &mut hasher)?;
            }
            hasher.finish()
        }
    };
    Ok(*node.digest.get_or_init(|| digest))
}

fn of_directory<C: Contents>(
    files: &Files,
    key: &[u8],
    contents: &C,
) -> Result<Digest, ContentError<C::Error>> {
    let mut hasher = Hasher::new();
    let mut prefix = key.to_vec();
    prefix.push(0);
    let mut next = first_from(files, Bound::Included(&prefix));
    while let Some((inner, node)) = next.filter(|(inner, _)| inner.starts_with(&prefix)) {
        hasher.update(&inner[key.len()..]);
        let digest = of_key(files, inner, contents)?;
        hasher.update(digest.to_string().as_bytes());
        next = if matches!(node.what, What::Directory) {
            let after = [inner, &[0, 0xff]].concat();
            first_from(files, Bound::Included(&after))
        } else {
            first_from(files, Bound::Excluded(inner))
        };
    }
    Ok(hasher.finish())
}

fn first_from<'a>(files: &'a Files, from: Bound<&[u8]>) -> Option<(&'a [u8], &'a Node)> {
    let mut range = files.nodes.range::<[u8], _>((from, Bound::Unbounded));
    range.next().map(|(key, node)| (key.as_slice(), node))
}

/// The key that a path leads to, with links on the way followed.
fn resolve<E>(files: &Files, key: &[u8], follow: bool) -> Result<Vec<u8>, ContentError<E>> {
    if let Some(node) = files.nodes.get(key)
        && (!follow || link_of(node).is_none())
    {
        return Ok(key.to_vec());
    }
    let mut rest = path_of(key);
    let mut at = String::new();
    let mut links = 0;
    while !rest.is_empty() {
        let (name, after) = match rest.split_once('/') {
            Some((name, after)) => (name.to_owned(), after.to_owned()),
            None => (rest.clone(), String::new()),
        };
        rest = after;
        let next = joined(&at, &name);
        let link = files.nodes.get(&key_of(&next)).and_then(link_of);
        match link.filter(|_| follow || !rest.is_empty()) {
            None => at = next,
            Some(target) => {
                links += 1;
                if links > MAX_LINKS {
                    return Err(ContentError::Links(path_of(key)));
                }
                if target.starts_with('/') {
                    at.clear();
                }
                rest = format!("{target}/{rest}");
            }
        }
    }
    Ok(key_of(&at))
}

fn link_of(node: &Node) -> Option<&str> {
    match &node.what {
        What::File(meta) => match &meta.kind {
            FileKind::Symlink(target) => Some(target),
            _ => None,
        },
        _ => None,
    }
}

/// A path and one more name, which may be `..` or nothing.
fn joined(path: &str, name: &str) -> String {
    match name {
        "" | "." => path.to_owned(),
        ".." => path
            .rsplit_once('/')
            .map_or("", |(parent, _)| parent)
            .to_owned(),
        name => format!("{path}/{name}"),
    }
}

/// What a pattern or a filtered directory has, with the prefix that does not count
/// (`cacheContext.includedPaths`).
fn included<'a, C: Contents>(
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
    let mut entries: Vec<Included<'a>> = Vec::new();
    // Directories on the way, by their place in `entries`.
    let mut parents: Vec<usize> = Vec::new();
    let mut last_match = String::new();
    let from = match prefix.is_empty() {
        true => Vec::new(),
        false => resolved.clone(),
    };
    let all = files
        .nodes
        .range::<[u8], _>((Bound::Included(from.as_slice()), Bound::Unbounded));
    for (key, node) in all {
        let mut name = path_of(key);
        if let Some(after) = name.strip_prefix(&shown) {
            name = format!("{prefix}{after}");
        }
        let is_header = matches!(node.what, What::Header(_));
        if is_header {
            name.pop();
            if name.is_empty() && path.is_empty() {
                continue;
            }
        }
        while let Some(last) = parents.last()
            && !name.starts_with(&format!("{}/", entries[*last].path))
        {
            parents.pop();
        }
        let within = if selector.wildcard {
            if last_match.is_empty() || !name.starts_with(&format!("{last_match}/")) {
                if !path.is_empty() && !glob(path, &name) {
                    continue;
                }
                last_match.clone_from(&name);
            }
            relative(&name, &last_match)
        } else {
            if !format!("{name}/").starts_with(&format!("{path}/")) {
                break;
            }
            relative(&name, path)
        };
        let counts = (selector.include.is_empty()
            || contents.matches(&selector.include, &within)?)
            && (selector.exclude.is_empty() || !contents.matches(&selector.exclude, &within)?);
        if !counts && !is_header {
            continue;
        }
        let is_in = counts && !matches!(node.what, What::Directory);
        if is_in {
            for parent in &parents {
                entries[*parent].is_in = true;
            }
        }
        let follow = parents.is_empty() && selector.follow_links;
        entries.push(Included {
            path: name,
            key,
            follow,
            is_in,
        });
        if is_header {
            parents.push(entries.len() - 1);
        }
    }
    entries.retain(|entry| entry.is_in);
    Ok((prefix, entries))
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

/// Go's `path.Match`.
fn glob(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    matches(&pattern, &name)
}

fn matches(pattern: &[char], name: &[char]) -> bool {
    match pattern {
        [] => name.is_empty(),
        ['*', rest @ ..] => {
            let run = name.iter().take_while(|c| **c != '/').count();
            (0..=run).any(|skip| matches(rest, &name[skip..]))
        }
        ['?', rest @ ..] => matches!(name, [c, after @ ..] if *c != '/' && matches(rest, after)),
        ['[', rest @ ..] => match (class(rest, name.first()), name) {
            (Some((true, rest)), [_, after @ ..]) => matches(rest, after),
            _ => false,
        },
        ['\\', c, rest @ ..] | [c, rest @ ..] => {
            matches!(name, [first, after @ ..] if first == c && matches(rest, after))
        }
    }
}

/// Whether a character is in a class, and the pattern after it.
fn class<'a>(pattern: &'a [char], character: Option<&char>) -> Option<(bool, &'a [char])> {
    let character = *character?;
    let (negated, mut rest) = match pattern {
        ['^', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let mut found = false;
    let mut first = true;
    loop {
        match rest {
            [']', after @ ..] if !first => {
                return Some(((found != negated) && character != '/', after));
            }
            [] => return None,
            _ => {}
        }
        first = false;
        let (low, after) = literal(rest)?;
        let (high, after) = match after {
            ['-', after @ ..] => literal(after)?,
            after => (low, after),
        };
        found |= low <= character && character <= high;
        rest = after;
    }
}

fn literal(pattern: &[char]) -> Option<(char, &[char])> {
    match pattern {
        ['\\', c, rest @ ..] => Some((*c, rest)),
        ['-' | ']', ..] | [] => None,
        [c, rest @ ..] => Some((*c, rest)),
    }
}
