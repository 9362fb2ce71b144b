//! Where a copy lands, by docker's rules: it depends on what the source is, on how its path ends,
//! and on what is at the destination.
//!
//! Pure: paths are texts, and what is at them was looked up before.

/// What is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SourceKind {
    Directory,
    File,
}

/// What is at a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    Nothing,
    Directory,
    File,
}

/// Where a copy lands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Placement {
    /// The directory that it goes into.
    pub(super) directory: String,
    /// Its name there; without one, what is in the source goes there and not the source itself.
    pub(super) name: Option<String>,
}

/// Why a copy can land nowhere; the words are docker's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum CopyError {
    #[error("cannot copy directory")]
    DirectoryOverFile,
    #[error("no such directory")]
    NoDirectory,
}

/// Where a copy of `source` lands; `named` is the name that it keeps when its path was resolved to
/// another.
pub(super) fn place(
    source: &str,
    named: Option<&str>,
    kind: SourceKind,
    destination: &str,
    at: At,
) -> Result<Placement, CopyError> {
    let renamed = || Placement {
        directory: parent(destination).to_owned(),
        name: Some(base(destination).to_owned()),
    };
    match (at, kind) {
        (At::Directory, _) => {
            let name = named.unwrap_or_else(|| base(source));
            let whole = !is_contents(source) && !name.is_empty();
            Ok(Placement {
                directory: destination.to_owned(),
                name: whole.then(|| name.to_owned()),
            })
        }
        (At::File, SourceKind::Directory) => Err(CopyError::DirectoryOverFile),
        (At::File, SourceKind::File) | (At::Nothing, SourceKind::Directory) => Ok(renamed()),
        (At::Nothing, SourceKind::File)
            if destination.ends_with('/') || is_contents(destination) =>
        {
            Err(CopyError::NoDirectory)
        }
        (At::Nothing, SourceKind::File) => Ok(renamed()),
    }
}

/// The path asks for what is in the directory.
pub(super) fn is_contents(path: &str) -> bool {
    path == "." || path.ends_with("/.")
}

/// The last component; nothing for the root.
pub(super) fn base(path: &str) -> &str {
    bare(path).rsplit('/').next().unwrap_or_default()
}

/// What the last component is in.
pub(super) fn parent(path: &str) -> &str {
    match bare(path).rsplit_once('/') {
        Some(("", _)) => "/",
        Some((parent, _)) => parent,
        None => ".",
    }
}

fn bare(path: &str) -> &str {
    let path = path.strip_suffix("/.").unwrap_or(path);
    path.trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dockers_rules() {
        use At::{Directory as IsDirectory, File as IsFile, Nothing};
        use SourceKind::{Directory, File};
        for (source, kind, destination, at, expected) in [
            ("/a/f", File, "/b", IsDirectory, "/b f"),
            ("/a/f", File, "/b/", IsDirectory, "/b/ f"),
            ("/a/f", File, "/b/g", IsFile, "/b g"),
            ("/a/f", File, "/b/g", Nothing, "/b g"),
            ("/a/f", File, "/g", Nothing, "/ g"),
            ("/a/f", File, "/b/g/", Nothing, "no such directory"),
            ("/a/d", Directory, "/b", IsDirectory, "/b d"),
            ("/a/d/", Directory, "/b", IsDirectory, "/b d"),
            ("/a/d/.", Directory, "/b", IsDirectory, "/b -"),
            ("/a/d", Directory, "/b/e", Nothing, "/b e"),
            ("/a/d", Directory, "/b/e/", Nothing, "/b e"),
            ("/a/d/.", Directory, "/b/e", Nothing, "/b e"),
            ("/a/d", Directory, "/b/g", IsFile, "cannot copy directory"),
            ("/a/d/.", Directory, "/b/g", IsFile, "cannot copy directory"),
            ("/", Directory, "/b", IsDirectory, "/b -"),
            ("/", Directory, "/b/e", Nothing, "/b e"),
        ] {
            let got = match place(source, None, kind, destination, at) {
                Ok(Placement { directory, name }) => {
                    format!("{directory} {}", name.as_deref().unwrap_or("-"))
                }
                Err(error) => error.to_string(),
            };
            assert_eq!(got, expected, "{source} {kind:?} {destination} {at:?}");
        }
        let kept = place("/target", Some("link"), File, "/b", IsDirectory);
        assert_eq!(kept.unwrap().name.as_deref(), Some("link"));
    }
}
