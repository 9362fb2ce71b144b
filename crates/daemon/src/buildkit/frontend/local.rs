//! Files of a client's directories, which are copied before a build reads them, once in each build, or
//! read where they are.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use engine::events::Status as Part;
use engine::{Build, KeptCopy, Reads};
use tokio::sync::Mutex as Turns;
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
pub(in crate::buildkit) struct LocalFiles {
    directory: Directory,
    selection: Selection,
    files: Files,
    /// What builds read of them, as far as it is known.
    reads: Mutex<Reads>,
    /// What of it the copy has.
    brought_in: Turns<Reads>,
}

/// Where the files are that a build reads.
#[derive(Debug)]
enum Files {
    /// In a copy.
    Kept(KeptCopy),
    /// Where the client has them.
    InPlace(PathBuf),
}

/// What a build reads of its client's directories, by the names of the contexts.
pub(in crate::buildkit) type Contexts = Vec<(String, Arc<LocalFiles>)>;

impl LocalFiles {
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
            reads: Mutex::new(Reads::nothing()),
            brought_in: Turns::new(Reads::nothing()),
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

    /// Somebody will read that much of them. What is a choice of files already is brought in whole.
    pub(in crate::buildkit) fn will_be_read(&self, reads: &Reads) {
        let reads = match self.selection.is_part() {
            true => &Reads::All,
            false => reads,
        };
        let mut known = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
        *known = known.and(reads);
    }

    /// Brings in what will be read of what the client has, if that was not done yet.
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
        let mut brought_in = self.brought_in.lock().await;
        let reads = self.reads_by_now();
        // What was brought in stays, since steps may be reading it.
        let reads = reads.and(&brought_in);
        if *brought_in != reads {
            self.receive(build, copy, &reads).await?;
            *brought_in = reads;
        }
        Ok(())
    }

    fn reads_by_now(&self) -> Reads {
        let reads = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
        reads.clone()
    }

    async fn receive(&self, build: &Build, copy: &KeptCopy, reads: &Reads) -> Result<(), Status> {
        let task = build.task(&match self.directory.name.as_str() {
            "context" => "[internal] load build context".to_owned(),
            other => format!("[context {other}] load from client"),
        });
        let progress = task.progress();
        let id = format!("transferring {}:", self.directory.name);
        let tell = |current, done| {
            progress.status(Part {
                id: id.clone(),
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
        let mut selection = self.selection.clone();
        if let Reads::Paths(paths) = reads {
            selection.follow.extend(paths.iter().cloned());
        }
        let copied = files::copy(session, &selection, copy, &told).await;
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
