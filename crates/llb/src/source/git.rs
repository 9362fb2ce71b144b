//! `git://host/path#ref:subdirectory`

use std::collections::BTreeMap;

use graph::{GitSource, SourceOp};

use super::{is_true, unknown};
use crate::error::Problem;
use crate::path;

/// The secrets that git is given if the client has them.
pub(super) const TOKEN: &str = "GIT_AUTH_TOKEN";
pub(super) const HEADER: &str = "GIT_AUTH_HEADER";

pub(super) fn convert(name: &str, attrs: &BTreeMap<String, String>) -> Result<SourceOp, Problem> {
    let (location, fragment) = name.split_once('#').unwrap_or((name, ""));
    let (reference, subdirectory) = fragment.split_once(':').unwrap_or((fragment, ""));
    let mut source = GitSource {
        url: remote(location),
        reference: filled(reference),
        subdirectory: filled(path::clean(subdirectory).trim_start_matches('/')),
        keep_git_directory: false,
        checksum: None,
        submodules: true,
        known_hosts: None,
    };
    let mut by_commit = false;
    for (key, value) in attrs {
        match key.as_str() {
            "git.fullurl" => source.url = remote(value),
            "git.keepgitdir" => source.keep_git_directory = is_true(key, value)?,
            "git.checksum" => source.checksum = filled(value),
            "git.skipsubmodules" => source.submodules = !is_true(key, value)?,
            "git.fetchbycommit" => by_commit = is_true(key, value)?,
            "git.knownsshhosts" => source.known_hosts = filled(value),
            "git.mtime" if value.is_empty() || value == "commit" => {}
            "git.authtokensecret" if value == TOKEN => {}
            "git.authheadersecret" if value == HEADER => {}
            "git.mountsshsock" if value == "default" => {}
            "git.mtime" => {
                return Err(Problem::unsupported(
                    format!("git.mtime={value}"),
                    "files have the time of their commit",
                ));
            }
            "git.authtokensecret" | "git.authheadersecret" => {
                return Err(Problem::unsupported(
                    format!("{key}={value}"),
                    "offer the secret as GIT_AUTH_TOKEN or GIT_AUTH_HEADER",
                ));
            }
            "git.mountsshsock" => {
                return Err(Problem::unsupported(
                    format!("{key}={value}"),
                    "offer the agent as default",
                ));
            }
            _ => return Err(unknown(key)),
        }
    }
    if by_commit {
        source.reference = Some(commit(&source)?);
    }
    Ok(SourceOp::Git(source))
}

/// What git takes; HTTPS unless it says otherwise.
fn remote(location: &str) -> String {
    let is_ssh = || {
        let user = location.split_once('@').map(|(user, _)| user);
        let is_user = user.is_some_and(|user| !user.contains(['/', ':']) && !user.is_empty());
        is_user
            && location
                .split_once('@')
                .is_some_and(|(_, rest)| rest.contains(':'))
    };
    if location.contains("://") || is_ssh() {
        location.to_owned()
    } else {
        format!("https://{location}")
    }
}

/// The commit that is fetched by its own name.
fn commit(source: &GitSource) -> Result<String, Problem> {
    let names = [source.reference.as_ref(), source.checksum.as_ref()];
    let mut names = names.into_iter().flatten();
    let commit = names.find(|name| is_commit(name)).cloned();
    commit.ok_or_else(|| {
        Problem::Invalid("git.fetchbycommit: it requires a checksum or a commit SHA ref".to_owned())
    })
}

fn is_commit(text: &str) -> bool {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    matches!(text.len(), 40 | 64) && text.bytes().all(is_hex)
}

fn filled(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}
