//! One build: what it has of its client's, and what it holds for it.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bollard_buildkit_proto::moby::buildkit::v1::frontend::Result as FrontendResult;
use engine::events::{ProgressReceiver, ProgressSender};
use engine::{About, Build, Engine, EngineError, KeptCopy};
use oci::Reference;
use tokio::sync::{OnceCell, oneshot};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::Ref;
use crate::buildkit::containers::Containers;
use crate::buildkit::errors;
use crate::buildkit::frontend::{Directory, LocalFiles, Terms};
use crate::buildkit::layouts::{self, StoredImage};
use crate::buildkit::session::Session;
use crate::buildkit::session::files::Selection;
use crate::buildkit::session::ssh::Agents;
use crate::buildkit::status::{Narrator, StatusLog};
use crate::docker::Daemon;
use crate::trace::Recording;

/// Results of one build that its client may hold.
const MAX_REFS: usize = 4096;
/// Images in stores of its client's that one build may have.
const MAX_STORED: usize = 256;
/// How much of what steps write may wait to be told.
const LOG_BYTES: u32 = 4 << 20;

/// One build.
#[derive(Debug)]
pub(in crate::buildkit) struct Job {
    pub(in crate::buildkit) daemon: Arc<Daemon>,
    pub(in crate::buildkit) engine: Engine,
    /// None when the build asks its client for nothing.
    pub(in crate::buildkit) session: Option<Arc<Session>>,
    /// What every front end of the build is told, and how the result leaves.
    pub(in crate::buildkit) terms: Terms,
    pub(in crate::buildkit) log: Arc<StatusLog>,
    pub(in crate::buildkit) narrator: Mutex<Narrator>,
    /// Cancelled when the build ends.
    pub(in crate::buildkit) ended: CancellationToken,
    /// What was asked of which front end, if the build is kept in the history.
    asked: Option<Asked>,
    progress: ProgressSender,
    build: OnceLock<Arc<Build>>,
    refs: Mutex<HashMap<String, Arc<Ref>>>,
    /// Sockets of the client's SSH agents.
    pub(in crate::buildkit) agents: tokio::sync::Mutex<Option<Agents>>,
    /// Those that the client has asked for.
    pub(in crate::buildkit) containers: Containers,
    /// Contexts of the client's directories that the build has.
    copies: Mutex<Vec<Arc<LocalFiles>>>,
    /// Caches in layouts of the client's that it reads.
    layouts: Mutex<Vec<KeptCopy>>,
    /// Images out of stores of the client's, each taken once.
    stored: Mutex<HashMap<StoredImage, Arc<OnceCell<Reference>>>>,
    returned: Mutex<Option<oneshot::Sender<Returned>>>,
}

/// What was asked of which front end.
#[derive(Debug)]
pub(in crate::buildkit) struct Asked {
    pub(in crate::buildkit) frontend: String,
    pub(in crate::buildkit) options: HashMap<String, String>,
}

/// What a client makes the result of its build.
pub(in crate::buildkit) type Returned = Result<FrontendResult, Status>;

impl Job {
    /// A build that has not begun, and where what happens in it comes from; the second is what its
    /// client will return.
    pub(in crate::buildkit) fn new(
        daemon: &Arc<Daemon>,
        engine: Engine,
        session: Option<Arc<Session>>,
        terms: Terms,
        asked: Option<Asked>,
    ) -> (Arc<Self>, ProgressReceiver, oneshot::Receiver<Returned>) {
        let (progress, receiver) = engine::events::channel(LOG_BYTES);
        let (returned, waiting) = oneshot::channel();
        let job = Self {
            daemon: Arc::clone(daemon),
            engine,
            session,
            log: Arc::default(),
            narrator: Mutex::new(Narrator::new(&terms.id)),
            terms,
            ended: CancellationToken::new(),
            asked,
            progress,
            build: OnceLock::new(),
            refs: Mutex::default(),
            agents: tokio::sync::Mutex::default(),
            containers: Containers::default(),
            copies: Mutex::default(),
            layouts: Mutex::default(),
            stored: Mutex::default(),
            returned: Mutex::new(Some(returned)),
        };
        (Arc::new(job), receiver, waiting)
    }

    /// The engine's side of the build, begun now if it was not.
    ///
    /// # Errors
    /// The store fails.
    pub(in crate::buildkit) fn build(
        &self,
        about: impl FnOnce() -> About,
    ) -> Result<Arc<Build>, EngineError> {
        if let Some(build) = self.build.get() {
            return Ok(Arc::clone(build));
        }
        let about = self.asked.as_ref().map(|asked| About {
            id: Some(self.terms.id.clone()),
            ..about().asked(&asked.frontend, &asked.options)
        });
        let build = self.engine.begin(about, self.progress.clone())?;
        Ok(Arc::clone(self.build.get_or_init(|| Arc::new(build))))
    }

    /// The engine's side of the build, if it has begun.
    pub(in crate::buildkit) fn begun(&self) -> Option<Arc<Build>> {
        self.build.get().cloned()
    }

    /// The session of the client.
    ///
    /// # Errors
    /// There is none.
    pub(in crate::buildkit) fn session(&self) -> Result<&Arc<Session>, Status> {
        let none = || Status::failed_precondition("the build has no session");
        self.session.as_ref().ok_or_else(none)
    }

    /// Tells the client and `trace` what happens, until nothing can happen any more.
    pub(in crate::buildkit) async fn tell(
        &self,
        mut events: ProgressReceiver,
        trace: Option<&Recording>,
        done: CancellationToken,
    ) {
        loop {
            let event = tokio::select! {
                biased;
                event = events.recv() => event,
                () = done.cancelled() => None,
            };
            let Some(event) = event else {
                return;
            };
            if let Some(trace) = trace {
                trace.note(&event);
            }
            let said = self.narrator().say(event);
            said.into_iter().for_each(|response| self.log.add(response));
        }
    }

    pub(in crate::buildkit) fn narrator(&self) -> MutexGuard<'_, Narrator> {
        self.narrator.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a result for the client; its name.
    ///
    /// # Errors
    /// There are too many.
    pub(in crate::buildkit) fn keep(&self, result: Arc<Ref>) -> Result<String, Status> {
        let mut refs = self.lock_refs();
        if refs.len() >= MAX_REFS {
            return Err(Status::resource_exhausted("the build has too many results"));
        }
        let id = format!("ref{}", refs.len());
        refs.insert(id.clone(), result);
        Ok(id)
    }

    /// The result of this name.
    ///
    /// # Errors
    /// There is none.
    pub(in crate::buildkit) fn find(&self, id: &str) -> Result<Arc<Ref>, Status> {
        let missing = || Status::not_found(format!("no such ref: {id}"));
        self.lock_refs().get(id).cloned().ok_or_else(missing)
    }

    /// The copy of the client's directory without what `ignore` excludes; the same each time.
    ///
    /// # Errors
    /// The store fails.
    pub(in crate::buildkit) fn copy(
        &self,
        directory: Directory,
        ignore: &str,
    ) -> Result<Arc<LocalFiles>, Status> {
        let exclude = engine::ignore_lines(ignore).map_err(|error| errors::status(&error, None))?;
        let selection = Selection {
            directory: directory.name().to_owned(),
            exclude,
            ..Selection::default()
        };
        self.copy_of(directory, selection)
    }

    /// The copy of a part of the client's directory; the same each time.
    ///
    /// # Errors
    /// The store fails.
    pub(in crate::buildkit) fn copy_of(
        &self,
        directory: Directory,
        selection: Selection,
    ) -> Result<Arc<LocalFiles>, Status> {
        let mut copies = self.copies.lock().unwrap_or_else(PoisonError::into_inner);
        let known = copies
            .iter()
            .find(|copy| copy.is_of(&directory, &selection));
        if let Some(known) = known {
            return Ok(Arc::clone(known));
        }
        let copy = Arc::new(LocalFiles::new(self, directory, selection)?);
        copies.push(Arc::clone(&copy));
        Ok(copy)
    }

    /// The client says what the result of its build is.
    ///
    /// # Errors
    /// It has said so already.
    pub(in crate::buildkit) fn end_with(&self, result: Returned) -> Result<(), Status> {
        let mut returned = self.returned.lock().unwrap_or_else(PoisonError::into_inner);
        let returned = returned.take();
        let again = || Status::failed_precondition("the build has its result already");
        // Whoever waited for it may have given up.
        drop(returned.ok_or_else(again)?.send(result));
        Ok(())
    }

    /// Does `work` of this build on a thread that may block; ends it when the build ends, or when
    /// nobody waits for it.
    ///
    /// # Errors
    /// The build ended first.
    pub(in crate::buildkit) async fn offload<T, F>(
        &self,
        work: impl FnOnce() -> F + Send + 'static,
    ) -> Result<T, Status>
    where
        T: Send + 'static,
        F: Future<Output = T>,
    {
        let cancel = self.ended.child_token();
        let _guard = cancel.clone().drop_guard();
        let done = self.daemon.on_a_thread(cancel, work).await;
        done.ok_or_else(|| Status::cancelled("the build was cancelled"))
    }

    /// What the engine knows an image in a store of the client's by, taken from there now if it was
    /// not. Blocks while it writes.
    ///
    /// # Errors
    /// There are too many, or as for [`layouts::take`].
    pub(in crate::buildkit) async fn stored_image(
        &self,
        build: &Build,
        image: StoredImage,
    ) -> Result<Reference, Status> {
        let cell = {
            let mut stored = self.stored.lock().unwrap_or_else(PoisonError::into_inner);
            if stored.len() >= MAX_STORED && !stored.contains_key(&image) {
                let many = "the build has too many images in stores of its client's";
                return Err(Status::resource_exhausted(many));
            }
            Arc::clone(stored.entry(image.clone()).or_default())
        };
        let taken = cell.get_or_try_init(|| layouts::take(self, build, &image));
        taken.await.cloned()
    }

    /// Has a layout of the client's be there as long as the build.
    pub(in crate::buildkit) fn keep_layout(&self, layout: KeptCopy) {
        let mut layouts = self.layouts.lock().unwrap_or_else(PoisonError::into_inner);
        layouts.push(layout);
    }

    /// Ends all that is under way for it, and lets go of what it has.
    pub(in crate::buildkit) fn end(&self) {
        self.ended.cancel();
        self.lock_refs().clear();
        self.drop_copies();
        self.daemon.drop_beside(self.containers.take());
        self.log.end();
    }

    fn drop_copies(&self) {
        let mut layouts = self.layouts.lock().unwrap_or_else(PoisonError::into_inner);
        self.daemon.drop_beside(std::mem::take(&mut *layouts));
        drop(layouts);
        let mut copies = self.copies.lock().unwrap_or_else(PoisonError::into_inner);
        copies.clear();
    }

    fn lock_refs(&self) -> MutexGuard<'_, HashMap<String, Arc<Ref>>> {
        self.refs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
