//! Builds under way: each is one `Solve` of the control service, with what its client calls on the
//! bridge meanwhile. When that call ends, however it does, so does all of it.

mod job;
mod made;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tonic::Status;

use super::status::StatusLog;

pub(super) use job::{Asked, Job, Returned};
pub(super) use made::Ref;

/// Builds at once.
const MAX_BUILDS: usize = 256;
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
        self.job.end();
        let mut all = self.builds.lock();
        all.running.remove(&self.id);
        let ended = (std::mem::take(&mut self.id), Arc::clone(&self.job.log));
        all.ended.push_back(ended);
        if all.ended.len() > MAX_ENDED {
            all.ended.pop_front();
        }
    }
}
