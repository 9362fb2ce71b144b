//! Sources of a graph as BuildKit names them, for whoever decides about sources by their names.

use std::collections::BTreeMap;

use bollard_buildkit_proto::pb;
use graph::{GitSource, Graph, HttpSource, ImageSource, PullPolicy, SourceOp};
use oci::Platform;

use super::git::{HEADER, TOKEN};
use super::source;
use crate::error::Problem;
use crate::load::Given;
use crate::options::Options;

type Attrs = BTreeMap<String, String>;

/// What BuildKit calls a source; none of an archive, which is on this machine already.
#[must_use]
pub fn name_source(op: &SourceOp) -> Option<pb::SourceOp> {
    let (identifier, attrs) = match op {
        SourceOp::Image(image) => (
            format!("docker-image://{}", image.reference),
            of_image(image),
        ),
        SourceOp::Local(local) => (format!("local://{}", local.name), Attrs::new()),
        SourceOp::Git(git) => (git_identifier(git), of_git(git)),
        SourceOp::Http(http) => (http.url.clone(), of_http(http)),
        SourceOp::Archive(_) => return None,
    };
    Some(pb::SourceOp { identifier, attrs })
}

/// The platform that a source is for, if it is for one.
#[must_use]
pub fn source_platform(op: &SourceOp) -> Option<pb::Platform> {
    let SourceOp::Image(ImageSource { platform, .. }) = op else {
        return None;
    };
    Some(pb::Platform {
        architecture: platform.architecture.clone(),
        os: platform.os.clone(),
        variant: platform.variant.clone(),
        os_version: platform.os_version.clone(),
        os_features: Vec::new(),
    })
}

/// The source that takes the place of `op`, by its name.
///
/// # Errors
/// There is no such source.
pub fn read_source(named: &pb::SourceOp, op: &SourceOp) -> Result<SourceOp, Problem> {
    let (platform, pull) = match op {
        SourceOp::Image(image) => (image.platform.clone(), image.pull),
        _ => (Platform::host(), PullPolicy::default()),
    };
    let options = Options {
        platform: Some(platform),
        pull,
        ..Options::default()
    };
    source(
        named,
        &Given {
            options: &options,
            graph: &Graph::default(),
            platform: None,
            inputs: &[],
        },
    )
}

/// A source that is for no platform, by its name.
///
/// # Errors
/// There is no such source.
pub fn read_remote(named: &pb::SourceOp) -> Result<SourceOp, Problem> {
    source(
        named,
        &Given {
            options: &Options::default(),
            graph: &Graph::default(),
            platform: None,
            inputs: &[],
        },
    )
}

fn of_image(image: &ImageSource) -> Attrs {
    match image.pull {
        PullPolicy::Always => Attrs::from([("image.resolvemode".to_owned(), "pull".to_owned())]),
        PullPolicy::Missing | PullPolicy::Newer | PullPolicy::Never => Attrs::new(),
    }
}

/// The host and the path, without who asks; the rest of the URL is an attribute.
fn git_identifier(git: &GitSource) -> String {
    let without_user = |place: &str| {
        let (host, path) = place.split_once('/').unwrap_or((place, ""));
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        format!("{host}/{path}")
    };
    let place = match git.url.split_once("://") {
        Some((_, place)) => without_user(place),
        // As in `user@host:path`.
        None => match git.url.split_once(':') {
            Some((host, path)) => without_user(&format!("{host}/{}", path.trim_start_matches('/'))),
            None => git.url.clone(),
        },
    };
    let reference = git.reference.as_deref().unwrap_or_default();
    let fragment = match git.subdirectory.as_deref() {
        Some(subdirectory) => format!("#{reference}:{subdirectory}"),
        None if reference.is_empty() => String::new(),
        None => format!("#{reference}"),
    };
    format!("git://{place}{fragment}")
}

fn of_git(git: &GitSource) -> Attrs {
    let usual = [
        ("git.fullurl", git.url.as_str()),
        ("git.authtokensecret", TOKEN),
        ("git.authheadersecret", HEADER),
    ];
    let usual = usual.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let mut attrs = Attrs::from(usual);
    let mut put = |key: &str, value: String| attrs.insert(key.to_owned(), value);
    if is_ssh(&git.url) {
        put("git.mountsshsock", "default".to_owned());
    }
    if git.keep_git_directory {
        put("git.keepgitdir", "true".to_owned());
    }
    if !git.submodules {
        put("git.skipsubmodules", "true".to_owned());
    }
    if let Some(checksum) = &git.checksum {
        put("git.checksum", checksum.clone());
    }
    if let Some(hosts) = &git.known_hosts {
        put("git.knownsshhosts", hosts.clone());
    }
    attrs
}

fn is_ssh(url: &str) -> bool {
    url.starts_with("ssh://") || !url.contains("://")
}

fn of_http(http: &HttpSource) -> Attrs {
    let mut attrs = Attrs::from([("http.filename".to_owned(), http.file_name.clone())]);
    let mut put = |key: &str, value: String| attrs.insert(key.to_owned(), value);
    if let Some(checksum) = &http.checksum {
        put("http.checksum", checksum.to_string());
    }
    if let Some(mode) = http.mode {
        put("http.perm", format!("0{mode:o}"));
    }
    let ids = [("http.uid", http.uid), ("http.gid", http.gid)];
    for (key, id) in ids {
        if let Some(id) = id {
            put(key, id.to_string());
        }
    }
    if let Some(secret) = &http.secret {
        put("http.authheadersecret", secret.clone());
    }
    for (name, value) in &http.headers {
        put(&format!("http.header.{name}"), value.clone());
    }
    attrs
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Its name and attributes, and the source that they are read to.
    fn shown(op: &SourceOp) -> String {
        let named = name_source(op).unwrap();
        if !matches!(op, SourceOp::Local(_)) {
            assert_eq!(read_source(&named, op).unwrap(), *op);
        }
        let attrs = named.attrs.iter();
        let attrs: Vec<String> = attrs
            .map(|(key, value)| format!(" {key}={value}"))
            .collect();
        named.identifier + &attrs.concat()
    }

    #[test]
    fn sources_have_the_names_of_buildkit() {
        let git = |url: &str, reference: &str, subdirectory: &str| {
            let filled = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
            SourceOp::Git(GitSource {
                url: url.to_owned(),
                reference: filled(reference),
                subdirectory: filled(subdirectory),
                keep_git_directory: !subdirectory.is_empty(),
                checksum: None,
                submodules: subdirectory.is_empty(),
                known_hosts: None,
            })
        };
        let image = |pull| {
            SourceOp::Image(ImageSource {
                reference: "alpine:3".parse().unwrap(),
                platform: Platform::new("linux", "arm64", ""),
                pull,
            })
        };
        let http = HttpSource {
            url: "https://e.org/a?b".to_owned(),
            file_name: "c".to_owned(),
            mode: Some(0o644),
            uid: Some(7),
            secret: Some("s".to_owned()),
            ..HttpSource::default()
        };
        for (op, expected) in [
            (
                image(PullPolicy::Missing),
                "docker-image://docker.io/library/alpine:3",
            ),
            (
                image(PullPolicy::Always),
                "docker-image://docker.io/library/alpine:3 image.resolvemode=pull",
            ),
            (
                git("https://u:p@e.org:81/a/b.git", "main", ""),
                "git://e.org:81/a/b.git#main git.authheadersecret=GIT_AUTH_HEADER \
                 git.authtokensecret=GIT_AUTH_TOKEN git.fullurl=https://u:p@e.org:81/a/b.git",
            ),
            (
                git("git@e.org:a/b.git", "", "d"),
                "git://e.org/a/b.git#:d git.authheadersecret=GIT_AUTH_HEADER \
                 git.authtokensecret=GIT_AUTH_TOKEN git.fullurl=git@e.org:a/b.git \
                 git.keepgitdir=true git.mountsshsock=default git.skipsubmodules=true",
            ),
            (
                SourceOp::Http(http),
                "https://e.org/a?b http.authheadersecret=s http.filename=c http.perm=0644 http.uid=7",
            ),
            (
                SourceOp::Local(graph::LocalSource {
                    name: "context".to_owned(),
                    include: Vec::new(),
                    exclude: Vec::new(),
                    follow: Vec::new(),
                }),
                "local://context",
            ),
        ] {
            assert_eq!(shown(&op), expected);
        }
    }
}
