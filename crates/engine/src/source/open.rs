//! Contexts that are elsewhere: brought in before the Dockerfile is read, which may be among them.
//!
//! What comes of it is a request without anything remote, in which each of them is pinned: a
//! repository to its commit, an archive to its digest. The build finds both where they were put here.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use graph::{
    ArchiveSource, FileAction, FileActionKind, FileInput, FileOp, GitSource, Graph, HttpSource,
    Meta, Op, SourceOp,
};
use snapshot::{Found, Tree};
use solver::{ProgressSender, StepProgress};

use crate::build::Definition;
use crate::engine::{Engine, Inner};
use crate::error::EngineError;
use crate::output::Stack;
use crate::progress::Task;
use crate::request::{
    BuildRequest, Context, Dockerfile, DockerfileIn, NamedContext, Remote, Steps,
};
use crate::session::Session;

/// More than any Dockerfile has.
const MAX_TEXT: u64 = 16 << 20;
/// What BuildKit calls a file from a URL that is a context.
const FILE_NAME: &str = "context";

/// What a context turned out to be.
enum Opened {
    Files(SourceOp),
    /// One file that is no archive.
    File(SourceOp, oci::Digest),
}

impl Engine {
    /// Brings in contexts that are elsewhere, and reads the Dockerfile if it is among them.
    ///
    /// # Errors
    /// One of them cannot be had, or has no such Dockerfile.
    pub async fn bring_in(
        &self,
        mut request: BuildRequest,
        progress: &ProgressSender,
    ) -> Result<BuildRequest, EngineError> {
        let engine = &self.0;
        let session = Arc::new(Session::of(&request));
        if let Context::Remote {
            from,
            dockerfile,
            subdirectory,
        } = request.context.clone()
        {
            let task = Task::begin(progress, &engine.clock, &name(&from));
            let told = task.progress();
            let context = |op| match &subdirectory {
                Some(directory) => Ok(Context::Steps(part(op, directory)?)),
                None => Ok::<_, EngineError>(Context::Source(op)),
            };
            let opened = async {
                match engine.open_remote(from, &session, &told).await? {
                    Opened::Files(op) => {
                        let text = engine
                            .dockerfile_in(&op, dockerfile, &session, &told)
                            .await?;
                        Ok((context(op)?, text))
                    }
                    // The file itself is the Dockerfile, and there are no other files.
                    Opened::File(op, digest) if dockerfile.is_some() => {
                        let text = engine.text_of_blob(&digest)?;
                        Ok((context(op)?, Some(text)))
                    }
                    Opened::File(op, _) => Ok((context(op)?, None)),
                }
            };
            let opened = opened.await;
            let (context, text) = task.end(opened)?;
            request.context = context;
            request.dockerfile = text.unwrap_or(request.dockerfile);
        }
        for (key, context) in &mut request.named_contexts {
            match context.clone() {
                NamedContext::Remote(from) => {
                    let task = Task::begin(progress, &engine.clock, &named(key, &from));
                    let told = task.progress();
                    let opened = engine.open_remote(from, &session, &told).await;
                    *context = match task.end(opened)? {
                        Opened::Files(op) | Opened::File(op, _) => NamedContext::Source(op),
                    };
                }
                NamedContext::Layout(layout) => {
                    *context = NamedContext::Image(engine.open_layout(layout, key).await?);
                }
                _ => {}
            }
        }
        Ok(request)
    }
}

/// What is in a directory of a source.
fn part(op: SourceOp, directory: &str) -> Result<Steps, EngineError> {
    let mut graph = Graph::default();
    let meta = |name: &str| Meta {
        name: name.to_owned(),
        ..Meta::default()
    };
    let load = meta("[internal] load remote build context");
    let whole = graph.add(Op::Source(op), Vec::new(), load)?;
    let source = format!("/{}", directory.trim_start_matches('/'));
    let copy = FileAction {
        input: FileInput::Scratch,
        kind: FileActionKind::Copy(graph::Copy {
            follow_links: true,
            directory_contents: true,
            ..graph::Copy::plain(FileInput::Input(0), source, "/".to_owned())
        }),
        output: Some(0),
    };
    let actions = vec![copy];
    let take = meta(&format!(
        "[internal] load {directory} of remote build context"
    ));
    let root = graph.add(Op::File(FileOp { actions }), vec![whole.into()], take)?;
    Ok(Steps {
        definition: Definition {
            graph,
            root: Some(root.into()),
            required: Vec::new(),
        },
        ..Steps::default()
    })
}

impl Inner {
    async fn open_remote(
        self: &Arc<Self>,
        from: Remote,
        session: &Arc<Session>,
        told: &StepProgress,
    ) -> Result<Opened, EngineError> {
        let digest = match &from {
            Remote::Git(source) => {
                let source = SourceOp::Git(source.clone());
                return self.open_source(&source, session, told).await;
            }
            Remote::Url(url) => {
                let source = SourceOp::Http(file(url, None));
                return self.open_source(&source, session, told).await;
            }
            Remote::Stream(stream) => {
                let (engine, stream) = (Arc::clone(self), stream.clone());
                crate::blocking(move || engine.keep_stream(stream.take())).await??
            }
        };
        Ok(Opened::Files(SourceOp::Archive(ArchiveSource { digest })))
    }

    /// Opens what the build has in place of a source that somebody may have to decide about.
    async fn open_source(
        self: &Arc<Self>,
        wanted: &SourceOp,
        session: &Arc<Session>,
        told: &StepProgress,
    ) -> Result<Opened, EngineError> {
        let opened = match self.admit(wanted).await? {
            SourceOp::Git(source) => {
                let source = self.pinned(&source, session, told).await?;
                Opened::Files(SourceOp::Git(source))
            }
            SourceOp::Http(source) => {
                let digest = self.download(&source, session, told).await?.digest;
                match self.compression_of_archive(&digest)? {
                    Some(_) => Opened::Files(SourceOp::Archive(ArchiveSource { digest })),
                    None => {
                        let checksum = Some(digest);
                        let file = HttpSource { checksum, ..source };
                        Opened::File(SourceOp::Http(file), digest)
                    }
                }
            }
            other => Opened::Files(other),
        };
        let (Opened::Files(found) | Opened::File(found, _)) = &opened;
        self.accept(found);
        Ok(opened)
    }

    /// The commit that the repository's reference leads to now, in its place.
    async fn pinned(
        self: &Arc<Self>,
        source: &GitSource,
        session: &Arc<Session>,
        told: &StepProgress,
    ) -> Result<GitSource, EngineError> {
        let commit = self.resolve_git(source, session, told).await?;
        Ok(GitSource {
            reference: Some(commit),
            ..source.clone()
        })
    }

    async fn dockerfile_in(
        self: &Arc<Self>,
        op: &SourceOp,
        dockerfile: Option<DockerfileIn>,
        session: &Arc<Session>,
        told: &StepProgress,
    ) -> Result<Option<Dockerfile>, EngineError> {
        let Some(wanted) = dockerfile else {
            return Ok(None);
        };
        let stack = match op {
            SourceOp::Git(source) => self.git(source, session, told).await?,
            SourceOp::Archive(source) => self.archive(source).await?,
            _ => Stack::default(),
        };
        let directories = self.snapshots(&stack, Some(told)).await?;
        let marks = self.marks;
        crate::blocking(move || {
            let tree = Tree::layers(&directories, marks)?;
            find(&tree, &wanted).map(Some)
        })
        .await?
    }

    fn text_of_blob(&self, digest: &oci::Digest) -> Result<Dockerfile, EngineError> {
        let bytes = self.store.blobs().read(digest, MAX_TEXT)?;
        text("Dockerfile", bytes)
    }
}

fn find(tree: &Tree, wanted: &DockerfileIn) -> Result<Dockerfile, EngineError> {
    let candidates: Vec<PathBuf> = match wanted {
        DockerfileIn::Default => vec!["Dockerfile".into(), "dockerfile".into()],
        DockerfileIn::Path(path) => vec![path.clone()],
    };
    for path in &candidates {
        if let Some(bytes) = read(tree, path)? {
            let name = path.file_name().unwrap_or(path.as_os_str());
            return text(&name.to_string_lossy(), bytes);
        }
    }
    let wanted = candidates.first().map(|path| path.to_string_lossy());
    Err(EngineError::NoDockerfile {
        name: wanted.unwrap_or_default().into_owned(),
        why: "no such file or directory",
    })
}

fn read(tree: &Tree, path: &Path) -> Result<Option<Vec<u8>>, EngineError> {
    use std::io::Read as _;
    let resolved = tree.lookup(&Path::new("/").join(path), true)?;
    let Found::File(entry, _) = &resolved.found else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    let file = resolved.dir.open(entry)?;
    file.take(MAX_TEXT + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| EngineError::Read {
            path: path.to_owned(),
            source,
        })?;
    Ok(Some(bytes))
}

fn text(name: &str, bytes: Vec<u8>) -> Result<Dockerfile, EngineError> {
    let refuse = |why| EngineError::NoDockerfile {
        name: name.to_owned(),
        why,
    };
    if bytes.len() as u64 > MAX_TEXT {
        return Err(refuse("more than 16 MiB"));
    }
    Ok(Dockerfile {
        name: name.to_owned(),
        path: None,
        text: String::from_utf8(bytes).map_err(|_| refuse("not UTF-8"))?,
    })
}

fn file(url: &str, checksum: Option<oci::Digest>) -> HttpSource {
    HttpSource {
        url: url.to_owned(),
        checksum,
        file_name: FILE_NAME.to_owned(),
        ..HttpSource::default()
    }
}

/// What progress calls it.
fn name(from: &Remote) -> String {
    match from {
        Remote::Stream(_) | Remote::Url(_) => "[internal] load remote build context".to_owned(),
        Remote::Git(git) => format!("[internal] load git source {}", super::git::shown(&git.url)),
    }
}

fn named(key: &str, from: &Remote) -> String {
    match from {
        Remote::Stream(_) => format!("[context {key}] load"),
        Remote::Url(url) => format!("[context {key}] load {url}"),
        Remote::Git(git) => format!("[context {key}] load {}", super::git::shown(&git.url)),
    }
}
