//! Paths inside an image: slashes only, cleaned by their text alone, as Go's `path` package does.

/// The shortest path that means the same; `.` when nothing is left.
pub(crate) fn clean(path: &str) -> String {
    if is_clean(path) {
        path.to_owned()
    } else {
        shorten(path)
    }
}

/// `path` from `directory`, cleaned; always absolute.
pub(crate) fn absolute(directory: &str, path: &str) -> String {
    if path.starts_with('/') {
        return clean(path);
    }
    let root = if directory.starts_with('/') { "" } else { "/" };
    let joined = [root, directory.trim_end_matches('/'), "/", path].concat();
    if is_clean(&joined) {
        joined
    } else {
        shorten(&joined)
    }
}

/// An absolute path that is clean, which most are.
fn is_clean(path: &str) -> bool {
    let Some(rest) = path.as_bytes().strip_prefix(b"/") else {
        return false;
    };
    let is_plain = |part: &[u8]| !matches!(part, b"" | b"." | b"..");
    rest.is_empty() || rest.split(|byte| *byte == b'/').all(is_plain)
}

fn shorten(path: &str) -> String {
    let root = usize::from(path.starts_with('/'));
    // Who asks for a directory adds a slash.
    let mut short = String::with_capacity(path.len() + 1);
    short.push_str(&path[..root]);
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if goes_up(&short[root..]) => {
                let end = short.rfind('/').unwrap_or_default();
                short.truncate(end.max(root));
            }
            ".." if root == 1 => {}
            part => {
                if short.len() > root {
                    short.push('/');
                }
                short.push_str(part);
            }
        }
    }
    if short.is_empty() {
        short.push('.');
    }
    short
}

/// Whether the last part of a clean path is one that `..` takes back.
fn goes_up(short: &str) -> bool {
    let last = short.rsplit('/').next().unwrap_or_default();
    !matches!(last, "" | "..")
}

/// The last part of a path, as Go's `path.Base`.
pub(crate) fn base(path: &str) -> &str {
    if path.is_empty() {
        return ".";
    }
    let trimmed = path.trim_end_matches('/');
    if trimmed.is_empty() {
        return "/";
    }
    trimmed.rsplit('/').next().unwrap_or(trimmed)
}
