//! Where the files of a build come from.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use graph::{GitSource, SourceOp};
use oci::{ImageConfig, Reference};

use super::BuildRequest;
use crate::build::Definition;

/// Where `COPY` without `--from` reads.
#[derive(Debug, Clone, Default)]
pub enum Context {
    /// A directory of this machine, without what the patterns exclude.
    Directory {
        /// Where it is.
        path: PathBuf,
        /// The text of the ignore file that applies.
        ignore: String,
    },
    /// There are no files.
    #[default]
    Empty,
    /// Files that are brought in first ([`crate::Engine::bring_in`]).
    Remote {
        /// From where.
        from: Remote,
        /// The Dockerfile among them; none when the request has its text already.
        dockerfile: Option<DockerfileIn>,
        /// The directory among them whose files are the context, which need not have the Dockerfile.
        subdirectory: Option<String>,
    },
    /// Files that were brought in.
    Source(SourceOp),
    /// What further steps make.
    Steps(Steps),
}

/// A further context.
#[derive(Debug, Clone)]
pub enum NamedContext {
    /// A directory of this machine.
    Directory(PathBuf),
    /// The file system of an image.
    Image(Reference),
    /// The file system of an image in an OCI layout.
    Layout(LayoutImage),
    /// Files that are brought in first ([`crate::Engine::bring_in`]).
    Remote(Remote),
    /// Files that were brought in.
    Source(SourceOp),
    /// What further steps make.
    Steps(Steps),
    /// The same for each platform of the request, in their order.
    EachSteps(Vec<Steps>),
    /// What another build makes, whose steps become part of this one ([`crate::Build::plan`]).
    Build(Box<BuildRequest>),
}

/// Steps of which no Dockerfile tells, as a context.
#[derive(Debug, Clone, Default)]
pub struct Steps {
    /// The steps.
    pub definition: Definition,
    /// Directories of this machine, by the names of the local sources in it. No such name is that
    /// of a further context.
    pub directories: BTreeMap<String, PathBuf>,
    /// What is said of the result as an image, for stages that start from it.
    pub config: Option<Box<ImageConfig>>,
    /// Some of the steps may have all rights, since the build that they are of may have such steps.
    /// Those of the build that goes on from them may not for that.
    pub allow_insecure: bool,
}

/// An image in an OCI layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayoutImage {
    /// The directory of the layout.
    pub path: PathBuf,
    /// The name that its index has for the image; `latest`, or the only one, when none.
    pub tag: Option<String>,
    /// What it must be.
    pub digest: Option<oci::Digest>,
}

/// Where the files of a context come from.
#[derive(Debug, Clone)]
pub enum Remote {
    /// A tar, compressed or not, that the client sends.
    Stream(ByteStream),
    /// A tar at a URL, or else a Dockerfile.
    Url(String),
    /// A repository.
    Git(GitSource),
}

/// A Dockerfile in a context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DockerfileIn {
    /// `Dockerfile`, or else `dockerfile`.
    Default,
    /// At this path.
    Path(PathBuf),
}

/// Bytes that the client sends.
#[derive(Clone)]
pub struct ByteStream(Arc<Mutex<Bytes>>);

/// Where the bytes of a stream are.
enum Bytes {
    /// They come once.
    Once(Option<Box<dyn Read + Send>>),
    /// In a file, for each who asks.
    File(Arc<File>),
}

/// A file that was opened once, from its start on.
struct FromStart {
    file: Arc<File>,
    at: u64,
}

impl Read for FromStart {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let count = self.file.read_at(into, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl ByteStream {
    /// Of what `read` gives, once.
    #[must_use]
    pub fn new(read: impl Read + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Bytes::Once(Some(Box::new(read))))))
    }

    /// Of a file, which is the context of several builds where others need its result.
    #[must_use]
    pub fn of_file(file: File) -> Self {
        Self(Arc::new(Mutex::new(Bytes::File(Arc::new(file)))))
    }

    /// The bytes; nothing the second time unless they are those of a file.
    #[must_use]
    pub fn take(&self) -> Box<dyn Read + Send> {
        let mut bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *bytes {
            Bytes::Once(read) => read.take().unwrap_or_else(|| Box::new(std::io::empty())),
            Bytes::File(file) => {
                let file = Arc::clone(file);
                Box::new(FromStart { file, at: 0 })
            }
        }
    }
}

impl fmt::Debug for ByteStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ByteStream(…)")
    }
}
