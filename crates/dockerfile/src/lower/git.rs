//! Git repositories as sources of `ADD` and as contexts: `https://host/repo.git#ref:subdir`,
//! `git@host:repo`, and the same with `?ref=…&subdir=…`.

use graph::{GitSource, SourceOp};

use super::error::LowerError;
use super::url::{Parts, decode};
use crate::path;
use crate::quote::quote;

/// A repository and what is wanted of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Repository {
    url: String,
    reference: Option<String>,
    subdirectory: Option<String>,
    checksum: Option<String>,
    keep_git_directory: Option<bool>,
    without_submodules: bool,
    /// The checksum is taken for what the reference leads to, without asking.
    fetch_by_commit: bool,
}

/// Why a repository cannot be used; the words are BuildKit's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GitError {
    /// An option without a value.
    #[error("query {} has no value", quote(.0))]
    NoValue(String),
    /// An option twice.
    #[error("query {} has multiple values", quote(.0))]
    SeveralValues(String),
    /// No option of repositories.
    #[error("unexpected query {}", quote(.0))]
    Unknown(String),
    /// A value that the option does not take.
    #[error("invalid {key} value: {}", quote(.value))]
    Value {
        /// The option.
        key: String,
        /// Its value.
        value: String,
    },
    /// The same said twice, and differently.
    #[error("{key} conflicts: {} vs {}", quote(.first), quote(.second))]
    Conflict {
        /// Of what.
        key: &'static str,
        /// One value.
        first: String,
        /// The other.
        second: String,
    },
    /// A branch and a tag.
    #[error("branch conflicts with tag")]
    BranchAndTag,
    /// Times of the checkout, which would be others in each build.
    #[error("mtime=checkout is not supported by kiln: files have the time of their commit")]
    CheckoutTime,
    /// A commit that is to be fetched by its name, and has none.
    #[error("fetch-by-commit requires a checksum or a commit SHA ref")]
    NoCommit,
    /// A commit that is to be fetched by its name, of which only the beginning is known.
    #[error("fetch-by-commit requires a full commit SHA checksum, got {}", quote(.0))]
    PartOfCommit(String),
}

/// The repository that `context` names, if it names one: as `ADD` reads it, or
/// `github.com/user/repository`.
///
/// # Errors
/// It names one in a way that is wrong.
pub fn git_context(
    context: &str,
    keep_git_directory: Option<bool>,
) -> Result<Option<GitSource>, GitError> {
    let of_github = || {
        let is_repository = context.starts_with("github.com/");
        is_repository.then(|| format!("https://{context}"))
    };
    let repository = match of_github() {
        Some(url) => Repository::read(&Parts::split(&url))?,
        None => parse(context)?,
    };
    let source = |repository: Repository| {
        let keep = repository.keep_git_directory.or(keep_git_directory);
        let checksum = repository.checksum.clone();
        repository.source(keep == Some(true), checksum)
    };
    repository.map(source).transpose()
}

/// Reads a source; none when it is no repository.
pub(super) fn parse(source: &str) -> Result<Option<Repository>, GitError> {
    if source.starts_with("./") || source.starts_with("../") || !source.contains(':') {
        return Ok(None);
    }
    let parts = Parts::split(source);
    let is_repository = match scheme(source).as_deref() {
        Some("http" | "https") => parts
            .path
            .as_ref()
            .is_some_and(|path| path.ends_with(".git")),
        Some("ssh" | "git") => parts.path.is_some(),
        Some(_) => false,
        None => is_scp_style(parts.location),
    };
    if is_repository {
        Repository::read(&parts)
    } else {
        Ok(None)
    }
}

impl Repository {
    /// None when the fragment cannot be decoded.
    fn read(parts: &Parts<'_>) -> Result<Option<Self>, GitError> {
        let Some(fragment) = decode(parts.fragment) else {
            return Ok(None);
        };
        let (reference, subdirectory) = fragment.split_once(':').unwrap_or((&fragment, ""));
        let mut repository = Self {
            url: parts.location.to_owned(),
            reference: filled(reference),
            subdirectory: filled(path::absolute("/", subdirectory).trim_start_matches('/')),
            ..Self::default()
        };
        repository.read_query(parts.query)?;
        Ok(Some(repository))
    }

    fn source(
        self,
        keep_git_directory: bool,
        checksum: Option<String>,
    ) -> Result<GitSource, GitError> {
        let reference = match (self.reference, &checksum) {
            (Some(commit), _) if self.fetch_by_commit && is_commit(&commit) => Some(commit),
            (_, Some(commit)) if self.fetch_by_commit && is_commit(commit) => Some(commit.clone()),
            (_, Some(part)) if self.fetch_by_commit => {
                return Err(GitError::PartOfCommit(part.clone()));
            }
            _ if self.fetch_by_commit => return Err(GitError::NoCommit),
            (reference, _) => reference,
        };
        Ok(GitSource {
            url: self.url,
            reference,
            subdirectory: self.subdirectory,
            keep_git_directory,
            checksum,
            submodules: !self.without_submodules,
            known_hosts: None,
        })
    }

    /// The source; `keep_git_directory` and `checksum` are the flags of the instruction.
    pub(super) fn into_source(
        self,
        keep_git_directory: Option<bool>,
        checksum: &str,
    ) -> Result<SourceOp, LowerError> {
        if let (Some(flag), Some(query)) = (keep_git_directory, self.keep_git_directory)
            && flag != query
        {
            return Err(LowerError::KeepGit);
        }
        let checksum = match (filled(checksum), self.checksum.clone()) {
            (Some(flag), Some(query)) if flag != query => {
                return Err(LowerError::ChecksumMismatch(flag, query));
            }
            (flag, query) => query.or(flag),
        };
        let keep = self.keep_git_directory.or(keep_git_directory) == Some(true);
        Ok(SourceOp::Git(self.source(keep, checksum)?))
    }

    fn read_query(&mut self, query: &str) -> Result<(), GitError> {
        let mut seen: Vec<String> = Vec::new();
        let (mut tag, mut branch) = (None, None);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            // What cannot be decoded stays as it is, and is then no known key or value.
            let read = |text: &str| decode(&text.replace('+', " ")).unwrap_or(text.to_owned());
            let (key, value) = (read(key), read(value));
            if seen.contains(&key) {
                return Err(GitError::SeveralValues(key));
            }
            seen.push(key.clone());
            let is_switch = matches!(
                key.as_str(),
                "keep-git-dir" | "submodules" | "fetch-by-commit"
            );
            if value.is_empty() && !is_switch {
                return Err(GitError::NoValue(key));
            }
            match key.as_str() {
                "ref" => set(&mut self.reference, "ref", value)?,
                "subdir" => set(&mut self.subdirectory, "subdir", value)?,
                "tag" => tag = Some(prefixed("refs/tags/", &value)),
                "branch" => branch = Some(prefixed("refs/heads/", &value)),
                "checksum" | "commit" => self.checksum = Some(value),
                "keep-git-dir" => self.keep_git_directory = Some(switch(&key, &value)?),
                "submodules" => self.without_submodules = !switch(&key, &value)?,
                "fetch-by-commit" => self.fetch_by_commit = switch(&key, &value)?,
                "mtime" if value == "commit" => {}
                "mtime" if value == "checkout" => return Err(GitError::CheckoutTime),
                "mtime" => return Err(GitError::Value { key, value }),
                _ => return Err(GitError::Unknown(key)),
            }
        }
        match (tag, branch) {
            (Some(_), Some(_)) => Err(GitError::BranchAndTag),
            (Some(reference), None) | (None, Some(reference)) => {
                set(&mut self.reference, "ref", reference)
            }
            (None, None) => Ok(()),
        }
    }
}

fn set(place: &mut Option<String>, key: &'static str, value: String) -> Result<(), GitError> {
    match place {
        Some(first) if *first != value => Err(GitError::Conflict {
            key,
            first: first.clone(),
            second: value,
        }),
        _ => {
            *place = Some(value);
            Ok(())
        }
    }
}

fn switch(key: &str, value: &str) -> Result<bool, GitError> {
    match value {
        "" | "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(GitError::Value {
            key: key.to_owned(),
            value: value.to_owned(),
        }),
    }
}

/// The full name of a commit.
fn is_commit(text: &str) -> bool {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    matches!(text.len(), 40 | 64) && text.bytes().all(is_hex)
}

fn prefixed(prefix: &str, value: &str) -> String {
    if value.starts_with(prefix) {
        value.to_owned()
    } else {
        format!("{prefix}{value}")
    }
}

fn filled(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// In lower case; none when the source does not begin with one.
fn scheme(source: &str) -> Option<String> {
    let (scheme, _) = source.split_once("://")?;
    let plain = !scheme.is_empty() && scheme.bytes().all(|b| b.is_ascii_alphanumeric());
    plain.then(|| scheme.to_ascii_lowercase())
}

/// `user@host:path`
fn is_scp_style(location: &str) -> bool {
    let Some((user, rest)) = location.split_once('@') else {
        return false;
    };
    let Some((host, _)) = rest.split_once(':') else {
        return false;
    };
    let word = |text: &str, more: &str| {
        !text.is_empty()
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || more.contains(c))
    };
    word(user, "-_") && word(host, "-.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &str, expected: &str) {
        let shown = match parse(source) {
            Ok(None) => "no repository".to_owned(),
            Ok(Some(repository)) => {
                let part = |part: &Option<String>| part.clone().unwrap_or_default();
                format!(
                    "{} {}:{} {} {:?}",
                    repository.url,
                    part(&repository.reference),
                    part(&repository.subdirectory),
                    part(&repository.checksum),
                    repository.keep_git_directory
                )
            }
            Err(error) => error.to_string(),
        };
        assert_eq!(shown, expected, "{source}");
    }

    #[test]
    fn sources() {
        for (source, expected) in [
            ("https://e.org/a.git", "https://e.org/a.git :  None"),
            (
                "https://e.org/a.git#v1:sub/dir",
                "https://e.org/a.git v1:sub/dir  None",
            ),
            ("https://e.org/a.git#:../x", "https://e.org/a.git :x  None"),
            ("git@e.org:me/a.git#main", "git@e.org:me/a.git main:  None"),
            ("git@e.org:me/a", "git@e.org:me/a :  None"),
            ("ssh://git@e.org/a", "ssh://git@e.org/a :  None"),
            ("git://e.org/a", "git://e.org/a :  None"),
            ("https://e.org/a.tar.gz", "no repository"),
            ("http://e.org/a.git/x", "no repository"),
            ("github.com/me/a", "no repository"),
            ("./a@b:c.git", "no repository"),
            ("a@b/c:d", "no repository"),
            ("ftp://e.org/a.git", "no repository"),
            (
                "https://e.org/a.git?tag=v1&subdir=x&commit=abc&keep-git-dir",
                "https://e.org/a.git refs/tags/v1:x abc Some(true)",
            ),
            (
                "https://e.org/a.git?branch=b",
                "https://e.org/a.git refs/heads/b:  None",
            ),
            (
                "https://e.org/a.git?ref=a#b",
                "ref conflicts: \"b\" vs \"a\"",
            ),
            (
                "https://e.org/a.git?tag=a&branch=b",
                "branch conflicts with tag",
            ),
            ("https://e.org/a.git?x=1", "unexpected query \"x\""),
            ("https://e.org/a.git?ref", "query \"ref\" has no value"),
            (
                "https://e.org/a.git?ref=a&ref=b",
                "query \"ref\" has multiple values",
            ),
            (
                "https://e.org/a.git?mtime=never",
                "invalid mtime value: \"never\"",
            ),
            (
                "https://e.org/a.git?mtime=checkout",
                "mtime=checkout is not supported by kiln: files have the time of their commit",
            ),
            (
                "https://e.org/a.git?fetch-by-commit=maybe",
                "invalid fetch-by-commit value: \"maybe\"",
            ),
        ] {
            check(source, expected);
        }
    }
    #[test]
    fn contexts() {
        for (context, expected) in [
            ("github.com/me/a", "https://github.com/me/a - true"),
            (
                "github.com/me/a#main:x",
                "https://github.com/me/a main true",
            ),
            (
                "https://e.org/a.git?submodules=false",
                "https://e.org/a.git - false",
            ),
            (
                "https://e.org/a.git?branch=b&fetch-by-commit&commit=0123456789012345678901234567890123456789",
                "https://e.org/a.git 0123456789012345678901234567890123456789 true",
            ),
            (
                "https://e.org/a.git?fetch-by-commit&commit=012345",
                "fetch-by-commit requires a full commit SHA checksum, got \"012345\"",
            ),
            (
                "https://e.org/a.git?fetch-by-commit=1#main",
                "fetch-by-commit requires a checksum or a commit SHA ref",
            ),
            (
                "https://e.org/a.git?fetch-by-commit=0#main",
                "https://e.org/a.git main true",
            ),
            ("https://e.org/a", "no repository"),
            ("github.community/a", "no repository"),
            (".", "no repository"),
        ] {
            let shown = match git_context(context, None) {
                Ok(None) => "no repository".to_owned(),
                Ok(Some(git)) => {
                    let reference = git.reference.as_deref().unwrap_or("-");
                    format!("{} {reference} {}", git.url, git.submodules)
                }
                Err(error) => error.to_string(),
            };
            assert_eq!(shown, expected, "{context}");
        }
    }
}
