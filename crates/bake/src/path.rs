//! Paths as text: what a path of a bake file comes to without looking at any disk.

/// The shortest path that says the same, as Go has it.
#[must_use]
pub fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => match parts.last() {
                Some(&last) if last != ".." => drop(parts.pop()),
                _ if rooted => {}
                _ => parts.push(".."),
            },
            other => parts.push(other),
        }
    }
    let joined = parts.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

/// Whether what a context says is elsewhere: a URL or a repository.
#[must_use]
pub fn is_remote(context: &str) -> bool {
    let schemes = ["http://", "https://", "git://", "ssh://"];
    schemes.iter().any(|scheme| context.starts_with(scheme))
        || context.starts_with("git@")
        || context.starts_with("github.com/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_short() {
        for (path, expected) in [
            ("", "."),
            ("./app/", "app"),
            ("a//b/../c", "a/c"),
            ("../x/./..", ".."),
            ("/../a", "/a"),
            ("/", "/"),
        ] {
            assert_eq!(clean(path), expected, "{path}");
        }
    }
}
