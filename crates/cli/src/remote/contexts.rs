//! Directories, archives and repositories of a build, as its builder is told of them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use client::{Bytes, Directory, Store};
use engine::{BuildRequest, Context, Dockerfile, DockerfileIn, LayoutImage, NamedContext, Remote};

use super::offers::{Disk, Memory};
use super::refuse;
use super::stores::Blobs;
use crate::args::build::Build;
use crate::error::Error;
use crate::values::pair;

/// What a front end calls the main context, and the Dockerfile's directory.
const CONTEXT: &str = "context";
const DOCKERFILE: &str = "dockerfile";
/// Where a front end finds what the session uploads.
const UPLOADS: &str = "http://buildkit-session/";

/// What is said of contexts, and what is offered for them.
#[derive(Debug, Default)]
pub(super) struct Contexts {
    pub(super) options: HashMap<String, String>,
    pub(super) directories: HashMap<String, Arc<dyn Directory>>,
    pub(super) uploads: HashMap<String, Bytes>,
    /// By what the builder calls them.
    pub(super) stores: HashMap<String, Arc<dyn Store>>,
    /// The main context, if it is a directory.
    pub(super) main: Option<PathBuf>,
}

/// The contexts of `request`, which was typed as `typed`.
pub(super) fn contexts(typed: &Build, request: &mut BuildRequest) -> Result<Contexts, Error> {
    let mut contexts = Contexts::default();
    let dockerfile = &request.dockerfile;
    match std::mem::replace(&mut request.context, Context::Empty) {
        Context::Directory { path, ignore } => {
            contexts.definition(dockerfile, &ignore);
            contexts.offer(CONTEXT, Disk(path.clone()));
            contexts.main = Some(path);
        }
        Context::Empty => {
            contexts.definition(dockerfile, "");
            contexts.offer(CONTEXT, Memory::default());
        }
        Context::Remote {
            from,
            dockerfile: within,
            ..
        } => {
            contexts.remote(from, &typed.context)?;
            match within {
                Some(DockerfileIn::Default) => {}
                Some(DockerfileIn::Path(path)) => contexts.file_name(&path),
                None => {
                    contexts.put("dockerfilekey", DOCKERFILE);
                    contexts.definition(dockerfile, "");
                }
            }
        }
        Context::Source(_) | Context::Steps(_) => {
            return Err(refuse("a source", "name a context"));
        }
    }
    for (name, context) in &request.named_contexts {
        contexts.named(name, context, typed)?;
    }
    Ok(contexts)
}

impl Contexts {
    fn put(&mut self, name: &str, value: impl Into<String>) {
        self.options.insert(name.to_owned(), value.into());
    }

    fn offer(&mut self, name: &str, directory: impl Directory + 'static) {
        self.directories
            .insert(name.to_owned(), Arc::new(directory));
    }

    fn file_name(&mut self, path: &Path) {
        self.put("filename", path.to_string_lossy());
    }

    /// Offers the Dockerfile, and as its own the ignore file that applies: the builder need not look
    /// for another one.
    fn definition(&mut self, dockerfile: &Dockerfile, ignore: &str) {
        let Dockerfile { name, text, .. } = dockerfile;
        let own = format!("{name}.dockerignore");
        let files = [(name.as_str(), text.as_str()), (&own, ignore)];
        self.offer(DOCKERFILE, Memory::of(&files));
        self.put("filename", name);
    }

    /// Offers a layout; what leads to the image in it.
    fn layout(&mut self, layout: &LayoutImage) -> Result<String, Error> {
        let digest = layout.entry()?;
        let store = format!("layout{}", self.stores.len());
        self.stores
            .insert(format!("oci:{store}"), Blobs::of(&layout.path));
        Ok(format!("oci-layout://{store}@{digest}"))
    }

    fn remote(&mut self, from: Remote, typed: &str) -> Result<(), Error> {
        match from {
            Remote::Url(url) => self.put(CONTEXT, url),
            Remote::Git(_) => self.put(CONTEXT, typed),
            Remote::Stream(stream) => {
                self.put(CONTEXT, format!("{UPLOADS}{CONTEXT}"));
                self.uploads
                    .insert(CONTEXT.to_owned(), Bytes::new(stream.take()));
            }
        }
        Ok(())
    }

    fn named(&mut self, name: &str, context: &NamedContext, typed: &Build) -> Result<(), Error> {
        let value = match context {
            NamedContext::Directory(path) => {
                // A directory of the build's own names would be taken for that.
                let local = match name {
                    CONTEXT | DOCKERFILE => format!("_{name}"),
                    other => other.to_owned(),
                };
                self.offer(&local, Disk(path.clone()));
                format!("local:{local}")
            }
            NamedContext::Image(image) => format!("docker-image://{image}"),
            NamedContext::Layout(layout) => self.layout(layout)?,
            NamedContext::Remote(_) => of_name(name, typed)?,
            NamedContext::Build(_) => {
                return Err(refuse(
                    &format!("the context {name}, which is another target's result,"),
                    "build it in kiln's own process, without --builder and KILN_HOST",
                ));
            }
            NamedContext::Source(_) | NamedContext::Steps(_) | NamedContext::EachSteps(_) => {
                return Err(refuse("a source", "name a context"));
            }
        };
        self.put(&format!("context:{name}"), value);
        Ok(())
    }
}

/// The value that was typed for the context of this name.
fn of_name(name: &str, typed: &Build) -> Result<String, Error> {
    for text in typed.build_context.iter().rev() {
        let (typed, value) = pair::context(text)?;
        if typed == name || typed.strip_suffix(":latest") == Some(name) {
            return Ok(value.to_owned());
        }
    }
    Err(refuse(&format!("the context {name}"), "name it in full"))
}
