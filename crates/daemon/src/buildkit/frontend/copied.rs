//! Directories of a client, copied before a build reads them, once in each build, or read where they
//! are.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use engine::events::Status as Part;
use engine::{Build, KeptCopy};
use tokio::sync::OnceCell;
use tonic::Status;

use crate::buildkit::builds::Job;
use crate::buildkit::errors;
use crate::buildkit::session::Session;
use crate::buildkit::session::files::{self, Selection};

/// A directory of a client's.
#[derive(Debug, Clone)]
pub(in crate::buildkit) struct Directory {
    /// The client's name for it.
    pub(super) name: String,
    /// What it is known by from one build to the next; nothing if it is not.
    pub(super) shared_key: String,
    /// The session that offers it.
    pub(super) session: Arc<Session>,
    /// Where it is read, if no copy is needed. What is left out of it is left out by the build.
    pub(super) place: Option<PathBuf>,
}

impl Directory {
    /// The client's name for it.
    pub(in crate::buildkit) fn name(&self) -> &str {
        &self.name
    }
}

/// Those files of a client's directory that are wanted.
#[derive(Debug)]
pub(in crate::buildkit) struct Copied {
    directory: Directory,
    selection: Selection,
    files: Files,
    brought_in: OnceCell<()>,
}

/// Where the files are that a build reads.
#[derive(Debug)]
enum Files {
    /// In a copy.
    Kept(KeptCopy),
    /// Where the client has them.
    InPlace(PathBuf),
}

/// Copies by the names of their contexts.
pub(in crate::buildkit) type Copies = Vec<(String, Arc<Copied>)>;

impl Copied {
    /// Nothing was brought in yet.
    ///
    /// # Errors
    /// The store fails.
    pub(in crate::buildkit) fn new(
        job: &Job,
        directory: Directory,
        selection: Selection,
    ) -> Result<Self, Status> {
        let files = match &directory.place {
            Some(place) => Files::InPlace(place.clone()),
            None => Files::Kept(kept(job, &directory, &selection)?),
        };
        Ok(Self {
            directory,
            selection,
            files,
            brought_in: OnceCell::new(),
        })
    }

    pub(in crate::buildkit) fn is_of(&self, directory: &Directory, selection: &Selection) -> bool {
        self.directory.name == directory.name
            && Arc::ptr_eq(&self.directory.session, &directory.session)
            && self.directory.place == directory.place
            && self.selection == *selection
    }

    pub(in crate::buildkit) fn path(&self) -> &Path {
        match &self.files {
            Files::Kept(copy) => copy.path(),
            Files::InPlace(place) => place,
        }
    }

    /// Brings in what the client has, if that was not done yet.
    ///
    /// # Errors
    /// The client does not offer the directory, or it cannot be copied.
    pub(in crate::buildkit) async fn bring_in(
        self: &Arc<Self>,
        build: &Build,
    ) -> Result<(), Status> {
        let Files::Kept(copy) = &self.files else {
            return Ok(());
        };
        let brought_in = self
            .brought_in
            .get_or_try_init(|| self.receive(build, copy));
        brought_in.await.copied()
    }

    async fn receive(&self, build: &Build, copy: &KeptCopy) -> Result<(), Status> {
        let task = build.task(&match self.directory.name.as_str() {
            "context" => "[internal] load build context".to_owned(),
            other => format!("[context {other}] load from client"),
        });
        let progress = task.progress();
        let tell = |current, done| {
            progress.status(Part {
                id: "transferring context:".to_owned(),
                current,
                total: None,
                done,
            });
        };
        let bytes = AtomicU64::new(0);
        let told = |current| {
            bytes.store(current, Ordering::Relaxed);
            tell(current, false);
        };
        let session = &self.directory.session;
        let copied = files::copy(session, &self.selection, copy, &told).await;
        match &copied {
            Ok(()) => {
                tell(bytes.into_inner(), true);
                task.complete();
            }
            Err(status) => task.fail(status.message().to_owned()),
        }
        copied
    }
}

/// The copy that is kept of these files.
fn kept(job: &Job, directory: &Directory, selection: &Selection) -> Result<KeptCopy, Status> {
    // Whoever knows the key is the same client, and one without a key shares with nobody.
    let Directory {
        name, shared_key, ..
    } = directory;
    let key = (!shared_key.is_empty()).then(|| match selection.is_part() {
        false => format!("{shared_key}:{name}"),
        // Other parts of the directory are no earlier state of this one.
        true => format!(
            "{shared_key}:{name}:{:?}",
            (&selection.include, &selection.follow)
        ),
    });
    let copy = job.engine.kept_copy(key.as_deref());
    copy.map_err(|error| errors::status(&error, None))
}
