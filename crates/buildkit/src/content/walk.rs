//! Digests of paths and patterns (`cacheContext.Checksum`).

use std::ops::Bound;

use oci::{Digest, Hasher};

use super::files::{Files, Node, What, key_of, path_of};
use super::included::included;
use super::{ContentError, Contents, FileKind, Form, header};
use crate::Selector;

/// Links followed on the way to one path.
const MAX_LINKS: usize = 255;

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
pub(super) fn resolve<E>(
    files: &Files,
    key: &[u8],
    follow: bool,
) -> Result<Vec<u8>, ContentError<E>> {
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
