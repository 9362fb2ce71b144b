//! Wildcards in paths, with the meaning of Go's `filepath.Match`: `*`, `?`, `[a-z]`, `[^a-z]`, and
//! `\` before a character that stands for itself. None of them matches a slash.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use super::{Dir, Found, Tree};
use crate::file::{FileError, Kind};

/// Whether `pattern` has a wildcard.
#[must_use]
pub fn has_wildcards(pattern: &OsStr) -> bool {
    let mut bytes = pattern.as_bytes().iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => {
                bytes.next();
            }
            b'*' | b'?' | b'[' => return true,
            _ => {}
        }
    }
    false
}

/// Whether `pattern` matches all of `name`, one component of a path. A malformed pattern matches
/// nothing.
#[must_use]
pub fn matches(pattern: &OsStr, name: &OsStr) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut at, mut taken) = (0, 0);
    // Where to go on after the last `*` when a match fails: it then takes one byte more.
    let mut star: Option<(usize, usize)> = None;
    loop {
        if at < pattern.len() && pattern[at] == b'*' {
            star = Some((at + 1, taken));
            at += 1;
            continue;
        }
        if at == pattern.len() && taken == name.len() {
            return true;
        }
        match one(&pattern[at..], &name[taken..]) {
            One::Match {
                pattern: p,
                name: n,
            } => {
                at += p;
                taken += n;
            }
            One::Malformed => return false,
            One::Differs => match star {
                Some((after, from)) if from < name.len() => {
                    star = Some((after, from + 1));
                    (at, taken) = (after, from + 1);
                }
                _ => return false,
            },
        }
    }
}

/// How the first element of a pattern matches the start of a name.
enum One {
    /// It does, by these many bytes.
    Match {
        pattern: usize,
        name: usize,
    },
    Differs,
    Malformed,
}

fn one(pattern: &[u8], name: &[u8]) -> One {
    let differs_or = |length: usize, is_match: bool, name: usize| {
        if is_match && name > 0 {
            One::Match {
                pattern: length,
                name,
            }
        } else {
            One::Differs
        }
    };
    match pattern {
        [] => One::Differs,
        [b'?', ..] => differs_or(1, true, character(name)),
        [b'[', ..] => match class(pattern, &name[..character(name)]) {
            Some((length, is_match)) => differs_or(length, is_match, character(name)),
            None => One::Malformed,
        },
        [b'\\'] => One::Malformed,
        [b'\\', byte, ..] => differs_or(2, name.first() == Some(byte), name.len().min(1)),
        [byte, ..] => differs_or(1, name.first() == Some(byte), name.len().min(1)),
    }
}

/// The length of a class and whether it has the character; none if it is malformed.
pub(super) fn class(pattern: &[u8], name: &[u8]) -> Option<(usize, bool)> {
    let mut at = 1;
    let negated = pattern.get(at) == Some(&b'^');
    at += usize::from(negated);
    let mut found = false;
    let start = at;
    loop {
        match pattern.get(at)? {
            b']' if at > start => return Some((at + 1, found != negated)),
            _ => {
                let (low, next) = class_character(pattern, at)?;
                let (high, next) = match pattern.get(next)? {
                    b'-' => class_character(pattern, next + 1)?,
                    _ => (low, next),
                };
                found |= !name.is_empty() && low <= name && name <= high;
                at = next;
            }
        }
    }
}

fn class_character(pattern: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let at = match pattern.get(at)? {
        b'-' | b']' => return None,
        b'\\' => at + 1,
        _ => at,
    };
    let length = character(pattern.get(at..)?);
    (length > 0).then(|| (&pattern[at..at + length], at + length))
}

/// The length of the first UTF-8 character; what is no UTF-8 counts byte by byte.
pub(super) fn character(text: &[u8]) -> usize {
    let length = match text.first() {
        None => return 0,
        Some(0xc2..=0xdf) => 2,
        Some(0xe0..=0xef) => 3,
        Some(0xf0..=0xf4) => 4,
        Some(_) => 1,
    };
    match text.get(..length) {
        Some(character) if std::str::from_utf8(character).is_ok() => length,
        _ => 1,
    }
}

impl Tree {
    /// The paths that `pattern` matches, sorted. Links are followed up to the first component with
    /// a wildcard (in the last one only if `follow` says so), not beyond. A pattern without wildcards
    /// gives itself, whether it exists or not.
    ///
    /// # Errors
    /// A directory cannot be read.
    pub fn glob(&self, pattern: &Path, follow: bool) -> Result<Vec<PathBuf>, FileError> {
        let components: Vec<&OsStr> = pattern
            .components()
            .filter_map(|component| match component {
                Component::Normal(name) => Some(name),
                Component::ParentDir => Some(OsStr::new("..")),
                _ => None,
            })
            .collect();
        let Some(first) = components.iter().position(|name| has_wildcards(name)) else {
            return Ok(vec![components.iter().collect()]);
        };
        let fixed: PathBuf = components[..first].iter().collect();
        let resolved = self.lookup(&fixed, follow)?;
        let mut paths = Vec::new();
        if matches!(resolved.found, Found::Directory) {
            below(&resolved.dir, &components[first..], &mut paths)?;
        }
        Ok(paths)
    }
}

fn below(dir: &Dir, patterns: &[&OsStr], paths: &mut Vec<PathBuf>) -> Result<(), FileError> {
    let Some((pattern, rest)) = patterns.split_first() else {
        return Ok(());
    };
    for entry in dir.entries()? {
        if !matches(pattern, &entry.name) {
            continue;
        }
        if rest.is_empty() {
            paths.push(dir.join(&entry.name));
        } else if entry.kind == Kind::Directory {
            below(&dir.enter(&entry)?, rest, paths)?;
        }
    }
    Ok(())
}
