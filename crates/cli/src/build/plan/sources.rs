//! Where the Dockerfile, the context and further contexts are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use engine::NamedContext;
use oci::Reference;

use super::{ContextAt, DockerfileAt};
use crate::args::build::Build;
use crate::environment::Environment;
use crate::error::{CliError, Error};
use crate::values::{ValueError, pair};

pub(super) fn sources(
    typed: &Build,
    environment: &Environment,
) -> Result<(DockerfileAt, ContextAt), Error> {
    let dockerfile = match typed.file.as_deref() {
        None | Some("") => DockerfileAt::Default,
        Some("-") => DockerfileAt::Stdin,
        Some(path) => DockerfileAt::Path(PathBuf::from(path)),
    };
    if typed.context == "-" {
        return match dockerfile {
            DockerfileAt::Stdin => Err(Error::new(
                "invalid argument: can't use stdin for both build context and dockerfile",
            )),
            DockerfileAt::Path(_) => Err(CliError::Unsupported(
                "kiln does not support --file with a context from standard input".to_owned(),
            )
            .into()),
            DockerfileAt::Default => Ok((DockerfileAt::Stdin, ContextAt::Empty)),
        };
    }
    if is_remote(&typed.context) {
        return Err(CliError::Unsupported(format!(
            "kiln does not support the remote context {:?}: check it out and name its directory",
            typed.context
        ))
        .into());
    }
    let context = ContextAt::Directory {
        path: environment.absolute(Path::new(&typed.context)),
        typed: typed.context.clone(),
    };
    Ok((dockerfile, context))
}

fn is_remote(context: &str) -> bool {
    [
        "http://",
        "https://",
        "git://",
        "ssh://",
        "git@",
        "oci-layout://",
        "docker-image://",
    ]
    .iter()
    .any(|scheme| context.starts_with(scheme))
}

pub(super) fn named_contexts(
    typed: &Build,
    environment: &Environment,
) -> Result<BTreeMap<String, NamedContext>, Error> {
    let mut contexts = BTreeMap::new();
    for text in &typed.build_context {
        let (name, value) = pair::context(text)?;
        let unnamed = |_| ValueError::ContextName(name.to_owned());
        let key = name.parse::<Reference>().map_err(unnamed)?.familiar();
        let key = key.strip_suffix(":latest").unwrap_or(&key).to_owned();
        let context = match value.strip_prefix("docker-image://") {
            Some(image) => {
                let reference: Reference = image.parse().map_err(|source| ValueError::Tag {
                    name: image.to_owned(),
                    source,
                })?;
                NamedContext::Image(reference.with_default_tag())
            }
            None if is_remote(value) || value.starts_with("target:") => {
                let (name, value) = (name.to_owned(), value.to_owned());
                return Err(ValueError::ContextKind { name, value }.into());
            }
            None => NamedContext::Directory(environment.absolute(Path::new(value))),
        };
        contexts.insert(key, context);
    }
    Ok(contexts)
}
