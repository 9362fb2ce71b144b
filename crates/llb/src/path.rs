//! Paths in ops, as BuildKit cleans them: by their text alone, always from the root.

/// `path` from the root, without `.`, `..` and empty components.
pub(crate) fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// The same; a slash at its end, which asks for a directory, stays.
pub(crate) fn clean_destination(path: &str) -> String {
    let mut cleaned = clean(path);
    if (path.ends_with('/') || path.ends_with("/.")) && cleaned != "/" {
        cleaned.push('/');
    }
    cleaned
}

/// `path` from `directory`.
pub(crate) fn within(directory: &str, path: &str) -> String {
    if path.starts_with('/') {
        clean(path)
    } else {
        clean(&format!("{directory}/{path}"))
    }
}

/// The last component.
pub(crate) fn base(path: &str) -> &str {
    path.rsplit('/').find(|part| !part.is_empty()).unwrap_or("")
}

/// It may be a pattern, or has escaped characters, so that it has to be read as one.
pub(crate) fn is_pattern(path: &str) -> bool {
    graph::has_wildcards(path) || path.contains('\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        for (path, cleaned, destination) in [
            ("", "/", "/"),
            (".", "/", "/"),
            ("/", "/", "/"),
            ("a/./b//c", "/a/b/c", "/a/b/c"),
            ("../../a/", "/a", "/a/"),
            ("/a/.", "/a", "/a/"),
            ("/a/..", "/", "/"),
        ] {
            let found = (clean(path), clean_destination(path));
            assert_eq!(
                found,
                (cleaned.to_owned(), destination.to_owned()),
                "{path}"
            );
        }
        assert_eq!(within("/x/y", "../z"), "/x/z");
        assert_eq!(within("/x/y", "/z"), "/z");
    }
}
