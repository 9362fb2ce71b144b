//! URLs, as far as `ADD` looks into them.

use super::git;
use crate::path;

/// The source is a URL that is not a git repository.
pub(super) fn is_http(source: &str) -> bool {
    (source.starts_with("http://") || source.starts_with("https://"))
        && !matches!(git::parse(source), Ok(Some(_)) | Err(_))
}

/// The name of the file that a URL names.
pub(super) fn file_name(url: &str) -> String {
    const UNNAMED: &str = "__unnamed__";
    let parts = Parts::split(url);
    match parts.path.as_deref().map(path::base) {
        None | Some("." | "/" | "..") => UNNAMED.to_owned(),
        Some(name) => name.to_owned(),
    }
}

/// A URL taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parts<'a> {
    /// All before the query.
    pub(super) location: &'a str,
    /// Decoded; none when that is not possible.
    pub(super) path: Option<String>,
    /// As it was written, without its `?`.
    pub(super) query: &'a str,
    /// As it was written, without its `#`.
    pub(super) fragment: &'a str,
}

impl<'a> Parts<'a> {
    /// `scheme://host/path?query#fragment`
    pub(super) fn split(url: &'a str) -> Self {
        let (rest, fragment) = url.split_once('#').unwrap_or((url, ""));
        let (location, query) = rest.split_once('?').unwrap_or((rest, ""));
        let after_scheme = location
            .split_once("://")
            .map_or(location, |(_, rest)| rest);
        let path = after_scheme.find('/').map_or("", |at| &after_scheme[at..]);
        Self {
            location,
            path: decode(path),
            query,
            fragment,
        }
    }
}

/// With `%XX` decoded; none when that is not possible.
pub(super) fn decode(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next()?, rest.next()?];
        let digits = std::str::from_utf8(&digits).ok()?;
        if digits.starts_with('+') {
            return None;
        }
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
    }
    String::from_utf8(bytes).ok()
}
