//! Where the Dockerfile, the context and further contexts are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use engine::{LayoutImage, NamedContext, Remote, Steps, git_context};
use oci::Reference;

use super::{ContextAt, DockerfileAt};
use crate::args::build::Build;
use crate::environment::Environment;
use crate::error::Error;
use crate::values::{ValueError, pair};

pub(super) fn sources(
    typed: &Build,
    environment: &Environment,
) -> Result<(DockerfileAt, ContextAt), Error> {
    let dockerfile = match typed.file.as_deref() {
        _ if typed.dockerfile_text.is_some() => {
            DockerfileAt::Text(typed.dockerfile_text.clone().unwrap_or_default())
        }
        None | Some("") => DockerfileAt::Default,
        Some("-") => DockerfileAt::Stdin,
        Some(path) => DockerfileAt::Path(PathBuf::from(path)),
    };
    if typed.context == "-" {
        return match dockerfile {
            DockerfileAt::Stdin => Err(Error::new(
                "invalid argument: can't use stdin for both build context and dockerfile",
            )),
            dockerfile => Ok((dockerfile, ContextAt::Stdin)),
        };
    }
    let remote = remote(&typed.context, keeps_git(typed))?;
    let context = ContextAt::Path {
        path: environment.absolute(Path::new(&typed.context)),
        typed: typed.context.clone(),
        remote,
    };
    Ok((dockerfile, context))
}

/// What `context` is if there is no such directory.
fn remote(context: &str, keep_git: Option<bool>) -> Result<Option<Remote>, Error> {
    let git = git_context(context, keep_git).map_err(|error| Error::new(error.to_string()))?;
    let is_url = context.starts_with("http://") || context.starts_with("https://");
    Ok(match git {
        Some(git) => Some(Remote::Git(git)),
        None => is_url.then(|| Remote::Url(context.to_owned())),
    })
}

/// What the build argument says about `.git` of a context.
fn keeps_git(typed: &Build) -> Option<bool> {
    let mut values = typed.build_arg.iter().rev();
    match values.find_map(|arg| arg.strip_prefix("BUILDKIT_CONTEXT_KEEP_GIT_DIR="))? {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

pub(super) fn named_contexts(
    typed: &Build,
    environment: &Environment,
) -> Result<BTreeMap<String, NamedContext>, Error> {
    let mut contexts = BTreeMap::new();
    for text in &typed.build_context {
        let (name, value) = pair::context(text)?;
        let context = named_context(name, value, environment)?;
        contexts.insert(context_key(name)?, context);
    }
    for name in &typed.result_contexts {
        // Whoever builds puts the build in its place.
        let unknown = NamedContext::Steps(Steps::default());
        contexts.insert(context_key(name)?, unknown);
    }
    Ok(contexts)
}

/// What a context of this name stands in for.
///
/// # Errors
/// No stage or image can have that name.
pub(crate) fn context_key(name: &str) -> Result<String, Error> {
    let unnamed = |_| ValueError::ContextName(name.to_owned());
    let key = name.parse::<Reference>().map_err(unnamed)?.familiar();
    Ok(key.strip_suffix(":latest").unwrap_or(&key).to_owned())
}

fn named_context(
    name: &str,
    value: &str,
    environment: &Environment,
) -> Result<NamedContext, Error> {
    if let Some(image) = value.strip_prefix("docker-image://") {
        let reference: Reference = image.parse().map_err(|source| ValueError::Tag {
            name: image.to_owned(),
            source,
        })?;
        return Ok(NamedContext::Image(reference.with_default_tag()));
    }
    if let Some(layout) = value.strip_prefix("oci-layout://") {
        return Ok(NamedContext::Layout(layout_image(layout, environment)?));
    }
    if value.starts_with("target:") {
        let (name, value) = (name.to_owned(), value.to_owned());
        return Err(ValueError::ContextKind { name, value }.into());
    }
    let path = environment.absolute(Path::new(value));
    Ok(match remote(value, None)? {
        Some(remote) if !path.is_dir() => NamedContext::Remote(remote),
        _ => NamedContext::Directory(path),
    })
}

/// `path[:tag][@digest]`
fn layout_image(text: &str, environment: &Environment) -> Result<LayoutImage, Error> {
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => {
            let parsed = digest.parse().map_err(|error| {
                Error::new(format!(
                    "invalid digest {digest:?} of an OCI layout: {error}"
                ))
            })?;
            (rest, Some(parsed))
        }
        None => (text, None),
    };
    let (path, tag) = match rest.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => (path, Some(tag.to_owned())),
        _ => (rest, None),
    };
    Ok(LayoutImage {
        path: environment.absolute(Path::new(path)),
        tag,
        digest,
    })
}
