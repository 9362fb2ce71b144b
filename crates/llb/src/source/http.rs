//! `http://…` and `https://…`: one file.

use std::collections::BTreeMap;

use graph::{HttpSource, SourceOp};

use super::unknown;
use crate::error::Problem;
use crate::path;

/// The name of a file whose URL has none; BuildKit's.
const NAMELESS: &str = "download";

pub(super) fn convert(url: &str, attrs: &BTreeMap<String, String>) -> Result<SourceOp, Problem> {
    let mut source = HttpSource {
        url: url.to_owned(),
        file_name: file_name(url),
        ..HttpSource::default()
    };
    for (key, value) in attrs {
        match key.as_str() {
            "http.checksum" => {
                let digest = value.parse();
                source.checksum = Some(digest.map_err(|e| Problem::value(key, value, e))?);
            }
            "http.filename" if value.is_empty() => {}
            "http.filename" if value.contains('/') || matches!(value.as_str(), "." | "..") => {
                return Err(Problem::value(key, value, "no name of a file"));
            }
            "http.filename" => source.file_name.clone_from(value),
            "http.perm" => source.mode = number(key, value)?.filter(|mode| *mode != 0),
            "http.uid" => source.uid = number(key, value)?.filter(|id| *id != 0),
            "http.gid" => source.gid = number(key, value)?.filter(|id| *id != 0),
            "http.authheadersecret" => {
                source.secret = Some(value.clone()).filter(|id| !id.is_empty())
            }
            _ => match key.strip_prefix("http.header.") {
                Some(name) => {
                    let name = header(key, name, value)?;
                    source.headers.insert(name, value.clone());
                }
                None => return Err(unknown(key)),
            },
        }
    }
    Ok(SourceOp::Http(source))
}

/// The name of a header field. BuildKit sends these two and drops all others.
fn header(key: &str, name: &str, value: &str) -> Result<String, Problem> {
    let name = name.to_ascii_lowercase();
    if !matches!(name.as_str(), "accept" | "user-agent") {
        return Err(Problem::unsupported(
            format!("source attribute {key:?}"),
            "leave it out: servers are sent accept and user-agent alone",
        ));
    }
    if value.chars().any(|c| c.is_control() && c != '\t') {
        return Err(Problem::value(key, value, "no value of a header field"));
    }
    Ok(name)
}

/// The last part of the path.
fn file_name(url: &str) -> String {
    let (_, rest) = url.split_once("://").unwrap_or(("", url));
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let path = rest.split_once('/').map_or("", |(_, path)| path);
    match path::base(path) {
        "" | "." | ".." => NAMELESS.to_owned(),
        name => name.to_owned(),
    }
}

/// As Go reads numbers: `0644` and `0o644` are octal, `0x1a4` is hexadecimal.
fn number(key: &str, value: &str) -> Result<Option<u32>, Problem> {
    let bad = |error: std::num::ParseIntError| Problem::value(key, value, error);
    let (digits, radix) = match value {
        _ if value.starts_with("0x") => (&value[2..], 16),
        _ if value.starts_with("0o") => (&value[2..], 8),
        _ if value.starts_with("0b") => (&value[2..], 2),
        "0" => ("0", 10),
        _ if value.starts_with('0') => (&value[1..], 8),
        _ => (value, 10),
    };
    u32::from_str_radix(digits, radix).map(Some).map_err(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_one_line() {
        let of = |value: &str| {
            let attrs = [("http.header.accept".to_owned(), value.to_owned())];
            convert("http://e.org/", &BTreeMap::from(attrs))
        };
        assert!(of("text/plain,\t*/*").is_ok());
        let refused = of("x\r\nCookie: y").unwrap_err().to_string();
        assert!(refused.ends_with("no value of a header field"), "{refused}");
    }
}
