//! The submodules of a tree: where they are and which commits of them.

use std::collections::HashMap;
use std::path::{Component, Path};

use super::Wanted;
use super::command::{GitError, Repository};
use crate::error::EngineError;

/// The submodules of the tree of `parent`.
pub(super) async fn list(
    repository: &Repository<'_>,
    parent: &Wanted,
    depth: usize,
) -> Result<Vec<Wanted>, EngineError> {
    let listed = repository
        .run("read", &["ls-tree", "-r", "-z", &parent.commit])
        .await?;
    let listed = String::from_utf8_lossy(&listed);
    let links: Vec<(&str, &str)> = listed.split('\0').filter_map(link).collect();
    if links.is_empty() {
        return Ok(Vec::new());
    }
    let blob = format!("--blob={}:.gitmodules", parent.commit);
    let wanted = r"^submodule\..*\.(path|url)$";
    let settings = repository
        .run("read", &["config", "-z", &blob, "--get-regexp", wanted])
        .await
        .unwrap_or_default();
    let urls = urls(&String::from_utf8_lossy(&settings));
    let of_link = |(commit, path): (&str, &str)| {
        let refuse = |why| {
            EngineError::from(GitError::Submodule {
                path: path.to_owned(),
                why,
            })
        };
        if !Path::new(path)
            .components()
            .all(|c| matches!(c, Component::Normal(_)))
        {
            return Err(refuse("its path leads elsewhere"));
        }
        if parent.depth >= depth {
            return Err(refuse("too many submodules within each other"));
        }
        let url = urls
            .get(path)
            .ok_or_else(|| refuse("no url found in .gitmodules"))?;
        Ok(Wanted {
            url: resolve(&parent.url, url)
                .ok_or_else(|| refuse("its url is not one of a remote"))?,
            commit: commit.to_owned(),
            place: parent.place.join(path),
            depth: parent.depth + 1,
        })
    };
    links.into_iter().map(of_link).collect()
}

/// `160000 commit COMMIT<tab>PATH`
fn link(entry: &str) -> Option<(&str, &str)> {
    let (kind, path) = entry.split_once('\t')?;
    Some((kind.strip_prefix("160000 commit ")?, path))
}

/// URLs by path, of settings such as `submodule.NAME.path<newline>PATH<nul>`.
fn urls(settings: &str) -> HashMap<String, String> {
    let mut by_name: HashMap<&str, (Option<&str>, Option<&str>)> = HashMap::new();
    for setting in settings.split('\0') {
        let Some((key, value)) = setting.split_once('\n') else {
            continue;
        };
        let Some((name, kind)) = key.rsplit_once('.') else {
            continue;
        };
        let entry = by_name.entry(name).or_default();
        match kind {
            "path" => entry.0 = Some(value),
            _ => entry.1 = Some(value),
        }
    }
    by_name
        .into_values()
        .filter_map(|(path, url)| Some((path?.trim_end_matches('/').to_owned(), url?.to_owned())))
        .collect()
}

/// The URL of a submodule, which may be relative to its parent's; none when it is not that of a
/// remote.
fn resolve(parent: &str, url: &str) -> Option<String> {
    if !url.starts_with("./") && !url.starts_with("../") {
        let schemes = ["http://", "https://", "git://", "ssh://"];
        let is_remote = schemes.iter().any(|scheme| url.starts_with(scheme));
        let is_scp = url.split_once(':').is_some_and(|(host, path)| {
            !host.contains('/') && !host.starts_with('-') && !path.starts_with([':', '/'])
        });
        return (is_remote || is_scp).then(|| url.to_owned());
    }
    let (mut base, mut rest) = (parent.trim_end_matches('/'), url);
    loop {
        if let Some(next) = rest.strip_prefix("./") {
            rest = next;
        } else if let Some(next) = rest.strip_prefix("../") {
            rest = next;
            let cut = base.rfind(['/', ':'])?;
            // Not into the host, nor into the scheme.
            if base[..cut].ends_with('/') || base[..cut].ends_with(':') {
                return None;
            }
            base = &base[..cut];
        } else {
            break;
        }
    }
    let is_scp_root = !base.contains(':') && parent.contains(':') && !parent.contains("://");
    let separator = if is_scp_root { ':' } else { '/' };
    Some(format!("{base}{separator}{}", rest.trim_end_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_urls() {
        for (parent, url, expected) in [
            (
                "https://e.org/a/b.git",
                "../c.git",
                Some("https://e.org/a/c.git"),
            ),
            (
                "https://e.org/a/b.git",
                "./c",
                Some("https://e.org/a/b.git/c"),
            ),
            (
                "https://e.org/a/b.git",
                "../../x/c",
                Some("https://e.org/x/c"),
            ),
            ("https://e.org/b", "../../../c", None),
            ("git@e.org:a/b.git", "../c.git", Some("git@e.org:a/c.git")),
            ("git@e.org:b.git", "../c.git", Some("git@e.org:c.git")),
            (
                "https://e.org/b",
                "https://f.org/c",
                Some("https://f.org/c"),
            ),
            ("https://e.org/b", "git@f.org:c", Some("git@f.org:c")),
            ("https://e.org/b", "/etc", None),
            ("https://e.org/b", "file:///etc", None),
            ("https://e.org/b", "ext::sh -c x", None),
            ("https://e.org/b", "-x:y", None),
        ] {
            assert_eq!(resolve(parent, url).as_deref(), expected, "{parent} {url}");
        }
    }

    #[test]
    fn settings() {
        let found = urls("submodule.a.b.path\nx/y\0submodule.a.b.url\n../z\0submodule.c.url\nq\0");
        assert_eq!(
            found,
            HashMap::from([("x/y".to_owned(), "../z".to_owned())])
        );
    }
}
