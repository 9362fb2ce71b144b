//! Paths inside an image: slashes only, cleaned by their text alone, as Go's `path` package does.

/// The shortest path that means the same; `.` when nothing is left.
pub(crate) fn clean(path: &str) -> String {
    if is_clean(path) {
        return path.to_owned();
    }
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => match parts.last() {
                Some(&last) if last != ".." => {
                    parts.pop();
                }
                _ if rooted => {}
                _ => parts.push(".."),
            },
            part => parts.push(part),
        }
    }
    match (rooted, parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => parts.join("/"),
    }
}

/// An absolute path that is clean, which most are.
fn is_clean(path: &str) -> bool {
    let Some(rest) = path.strip_prefix('/') else {
        return false;
    };
    let is_plain = |part: &str| !matches!(part, "" | "." | "..");
    rest.is_empty() || rest.split('/').all(is_plain)
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
        clean(&joined)
    }
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

/// A path has characters that make it a pattern, other than escaped ones.
pub(crate) fn has_wildcards(path: &str) -> bool {
    let mut characters = path.chars();
    while let Some(character) = characters.next() {
        match character {
            '*' | '?' | '[' => return true,
            '\\' => {
                characters.next();
            }
            _ => {}
        }
    }
    false
}
