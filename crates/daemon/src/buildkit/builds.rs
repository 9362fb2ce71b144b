//! Builds under way: each is one `Solve` of the control service, with what its client calls on the
//! bridge meanwhile. When that call ends, however it does, so does all of it.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bollard_buildkit_proto::moby::buildkit::v1::frontend::Result as FrontendResult;
use engine::events::{ProgressReceiver, ProgressSender};
use engine::{
    About, Build, Definition, Dockerfile, Engine, EngineError, Evaluated, KeptCopy, Planned,
};
use oci::ImageConfig;
use tokio::sync::{Notify, OnceCell, oneshot};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::containers::Containers;
use super::errors;
use super::frontend::{Copied, Copies, Directory, Terms};
use super::session::Session;
use super::session::files::Selection;
use super::session::ssh::Agents;
use super::status::{Narrator, StatusLog};
use crate::docker::Daemon;
use crate::trace::Recording;

/// Builds at once.
const MAX_BUILDS: usize = 256;
/// Results of one build that its client may hold.
const MAX_REFS: usize = 4096;
/// Logs of builds that have ended, for clients that ask a moment too late.
const MAX_ENDED: usize = 8;
/// How long a client's call waits for its build to begin.
const PATIENCE: Duration = Duration::from_secs(5);

/// The builds there are.
#[derive(Debug, Default)]
pub(super) struct Builds {
    all: Mutex<All>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct All {
    running: HashMap<String, Arc<Job>>,
    ended: VecDeque<(String, Arc<StatusLog>)>,
}

impl All {
    fn log(&self, id: &str) -> Option<Arc<StatusLog>> {
        let running = self.running.get(id).map(|job| Arc::clone(&job.log));
        let ended = || self.ended.iter().find(|(ended, _)| ended == id);
        running.or_else(|| ended().map(|(_, log)| Arc::clone(log)))
    }
}

/// One build.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) daemon: Arc<Daemon>,
    pub(super) engine: Engine,
    /// None when the build asks its client for nothing.
    pub(super) session: Option<Arc<Session>>,
    /// What every front end of the build is told, and how the result leaves.
    pub(super) terms: Terms,
    pub(super) log: Arc<StatusLog>,
    pub(super) narrator: Mutex<Narrator>,
    /// Cancelled when the build ends.
    pub(super) ended: CancellationToken,
    /// What was asked of which front end, if the build is kept in the history.
    asked: Option<Asked>,
    progress: ProgressSender,
    build: OnceLock<Arc<Build>>,
    refs: Mutex<HashMap<String, Arc<Ref>>>,
    /// Sockets of the client's SSH agents.
    pub(super) agents: tokio::sync::Mutex<Option<Agents>>,
    /// Those that the client has asked for.
    pub(super) containers: Containers,
    /// Copies of the client's directories that the build has.
    copies: Mutex<Vec<Arc<Copied>>>,
    /// Layouts of the client's that it reads.
    layouts: Mutex<Vec<KeptCopy>>,
    returned: Mutex<Option<oneshot::Sender<Returned>>>,
}

/// What was asked of which front end.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) frontend: String,
    pub(super) options: HashMap<String, String>,
}

/// What a client makes the result of its build.
pub(super) type Returned = Result<FrontendResult, Status>;

/// A result that a client may look at and return: what a front end came to. It is made when
/// somebody needs it.
#[derive(Debug)]
pub(super) struct Ref {
    planned: Planned,
    /// Which of its platforms.
    place: usize,
    /// Copies of the client's directories that it is made from, by the names of their contexts.
    pub(super) copies: Copies,
    /// That of all its platforms.
    evaluated: Arc<OnceCell<Evaluated>>,
    /// What was asked of the front end that made it, if one did.
    asked: OnceLock<engine::Asked>,
}

impl Builds {
    /// The build of this ID. Clients call before it has begun, so it is waited for.
    ///
    /// # Errors
    /// It does not come.
    pub(super) async fn get(&self, id: &str) -> Result<Arc<Job>, Status> {
        self.wait(id, |all| all.running.get(id).cloned()).await
    }

    /// The result of this name of a build that is under way, if both are there.
    pub(super) fn result(&self, id: &str, name: &str) -> Option<Arc<Ref>> {
        let job = self.lock().running.get(id).cloned()?;
        job.find(name).ok()
    }

    /// What is told of the build of this ID, also when it has just ended.
    ///
    /// # Errors
    /// It does not come.
    pub(super) async fn log(&self, id: &str) -> Result<Arc<StatusLog>, Status> {
        self.wait(id, |all| all.log(id)).await
    }

    /// What is told of the build of this ID; none if it is not running and has not just ended.
    pub(super) fn known_log(&self, id: &str) -> Option<Arc<StatusLog>> {
        self.lock().log(id)
    }

    /// Has the build known by `id` until the guard is dropped.
    ///
    /// # Errors
    /// The ID is taken, or there are too many builds.
    pub(super) fn register(&self, id: &str, job: Arc<Job>) -> Result<Registered<'_>, Status> {
        let mut all = self.lock();
        if all.running.contains_key(id) {
            return Err(Status::already_exists(format!("build {id} already exists")));
        }
        if all.running.len() >= MAX_BUILDS {
            return Err(Status::resource_exhausted("there are too many builds"));
        }
        all.running.insert(id.to_owned(), Arc::clone(&job));
        drop(all);
        self.changed.notify_waiters();
        Ok(Registered {
            builds: self,
            id: id.to_owned(),
            job,
        })
    }

    async fn wait<T>(&self, id: &str, find: impl Fn(&All) -> Option<T>) -> Result<T, Status> {
        let found = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                let found = find(&self.lock());
                if let Some(found) = found {
                    return found;
                }
                changed.await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, found).await;
        waited.map_err(|_| Status::not_found(format!("no such job {id}")))
    }

    fn lock(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the build when it is dropped.
#[derive(Debug)]
pub(super) struct Registered<'a> {
    builds: &'a Builds,
    id: String,
    job: Arc<Job>,
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        self.job.ended.cancel();
        self.job.lock_refs().clear();
        self.job.drop_copies();
        self.job.daemon.drop_beside(self.job.containers.take());
        self.job.log.end();
        let mut all = self.builds.lock();
        all.running.remove(&self.id);
        let ended = (std::mem::take(&mut self.id), Arc::clone(&self.job.log));
        all.ended.push_back(ended);
        if all.ended.len() > MAX_ENDED {
            all.ended.pop_front();
        }
    }
}

impl Job {
    /// A build that has not begun, and where what happens in it comes from; the second is what its
    /// client will return.
    pub(super) fn new(
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
            returned: Mutex::new(Some(returned)),
        };
        (Arc::new(job), receiver, waiting)
    }

    /// The engine's side of the build, begun now if it was not.
    ///
    /// # Errors
    /// The store fails.
    pub(super) fn build(&self, about: impl FnOnce() -> About) -> Result<Arc<Build>, EngineError> {
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
    pub(super) fn begun(&self) -> Option<Arc<Build>> {
        self.build.get().cloned()
    }

    /// The session of the client.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn session(&self) -> Result<&Arc<Session>, Status> {
        let none = || Status::failed_precondition("the build has no session");
        self.session.as_ref().ok_or_else(none)
    }

    /// Tells the client and `trace` what happens, until nothing can happen any more.
    pub(super) async fn tell(
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

    pub(super) fn narrator(&self) -> MutexGuard<'_, Narrator> {
        self.narrator.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a result for the client; its name.
    ///
    /// # Errors
    /// There are too many.
    pub(super) fn keep(&self, result: Arc<Ref>) -> Result<String, Status> {
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
    pub(super) fn find(&self, id: &str) -> Result<Arc<Ref>, Status> {
        let missing = || Status::not_found(format!("no such ref: {id}"));
        self.lock_refs().get(id).cloned().ok_or_else(missing)
    }

    /// The copy of the client's directory without what `ignore` excludes; the same each time.
    ///
    /// # Errors
    /// The store fails.
    pub(super) fn copy(&self, directory: Directory, ignore: &str) -> Result<Arc<Copied>, Status> {
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
    pub(super) fn copy_of(
        &self,
        directory: Directory,
        selection: Selection,
    ) -> Result<Arc<Copied>, Status> {
        let mut copies = self.copies.lock().unwrap_or_else(PoisonError::into_inner);
        let known = copies
            .iter()
            .find(|copy| copy.is_of(&directory, &selection));
        if let Some(known) = known {
            return Ok(Arc::clone(known));
        }
        let copy = Arc::new(Copied::new(self, directory, selection)?);
        copies.push(Arc::clone(&copy));
        Ok(copy)
    }

    /// The client says what the result of its build is.
    ///
    /// # Errors
    /// It has said so already.
    pub(super) fn end_with(&self, result: Returned) -> Result<(), Status> {
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
    pub(super) async fn offload<T, F>(
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

    /// Has a layout of the client's be there as long as the build.
    pub(super) fn keep_layout(&self, layout: KeptCopy) {
        let mut layouts = self.layouts.lock().unwrap_or_else(PoisonError::into_inner);
        layouts.push(layout);
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

impl Ref {
    /// The first result of `planned`.
    pub(super) fn new(planned: Planned, copies: Copies) -> Arc<Self> {
        Arc::new(Self {
            planned,
            place: 0,
            copies,
            evaluated: Arc::default(),
            asked: OnceLock::new(),
        })
    }

    /// The result of `planned` for each platform.
    pub(super) fn each(planned: &Planned, copies: &Copies) -> Vec<Arc<Self>> {
        let evaluated: Arc<OnceCell<Evaluated>> = Arc::default();
        let each = |place| {
            Arc::new(Self {
                planned: planned.clone(),
                place,
                copies: copies.clone(),
                evaluated: Arc::clone(&evaluated),
                asked: OnceLock::new(),
            })
        };
        (0..planned.configs().count()).map(each).collect()
    }

    /// Its steps, as [`Planned::definition`] has them.
    ///
    /// # Errors
    /// As there.
    pub(super) fn definition(
        &self,
        rename: impl Fn(&str) -> String,
    ) -> Result<Definition, EngineError> {
        self.planned.definition(self.place, rename)
    }

    /// The config that the Dockerfile makes.
    pub(super) fn config(&self) -> &ImageConfig {
        self.planned.config(self.place)
    }

    /// Says what was asked of the front end that made it. The one that ran last says so first.
    pub(super) fn made_by(&self, asked: engine::Asked) {
        drop(self.asked.set(asked));
    }

    /// What was asked for it; of no front end when the client defined it.
    pub(super) fn asked(&self) -> engine::Asked {
        self.asked.get().cloned().unwrap_or_default()
    }

    /// What it is, made now if it was not.
    ///
    /// # Errors
    /// A step failed.
    pub(super) async fn evaluate(self: &Arc<Self>, job: &Arc<Job>) -> Result<Evaluated, Status> {
        let made = self.evaluated.get_or_try_init(|| async {
            let (result, told) = (Arc::clone(self), Arc::clone(job));
            job.offload(move || async move { result.make(&told).await })
                .await?
        });
        Ok(made.await?.on_platform(self.place))
    }

    async fn make(&self, job: &Arc<Job>) -> Result<Evaluated, Status> {
        let failed = |error: &EngineError| errors::status(error, Some(self.dockerfile()));
        let build = job.build(About::default).map_err(|error| failed(&error))?;
        for (_, copy) in &self.copies {
            copy.bring_in(&build).await?;
        }
        let evaluated = build.evaluate(&self.planned).await;
        evaluated.map_err(|error| failed(&error))
    }

    /// What it was made of.
    pub(super) fn dockerfile(&self) -> &Dockerfile {
        &self.planned.request().dockerfile
    }
}

/// How much of what steps write may wait to be told.
const LOG_BYTES: u32 = 4 << 20;
