//! Containers that run: the daemon is their parent, and they end with it.
//!
//! Each has an [`Entry`] that outlives its runs. Clients attach to the hub of a run, which is there
//! before the run begins, so that they miss nothing of it. What a container writes goes to its log
//! and to all who are attached; one of them that does not read holds the container up, as a pipe
//! would.

mod attach;
mod control;
mod ends;
mod exec;
mod hijack;
mod hub;
mod keys;
mod logs;
mod output;
mod ports;
mod start;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engine::ContainerPlace;
use tokio::sync::watch;

use crate::descriptor::Descriptor;
pub(super) use control::signal;
use exec::ExecSession;
use hub::Hub;
pub(super) use logs::time;

/// What the daemon knows of containers beyond the store.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    entries: Mutex<BTreeMap<String, Arc<Entry>>>,
    execs: Mutex<BTreeMap<String, Arc<ExecSession>>>,
}

/// A container, by its ID.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Of the run that goes on, or else of the next.
    hub: Mutex<Arc<Hub>>,
    run: Mutex<Option<Run>>,
    ended: watch::Sender<Ended>,
    /// Held while somebody starts or stops the container.
    turn: tokio::sync::Mutex<()>,
}

/// A run that goes on.
#[derive(Debug, Clone)]
struct Run {
    place: ContainerPlace,
    terminal: Option<Arc<Descriptor>>,
    ports: Vec<ports::Published>,
}

/// How often a container has ended, and how it did last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Ended {
    count: u64,
    code: i32,
    removed: bool,
}

impl Runs {
    /// What is known of the container with this ID.
    fn entry(&self, id: &str) -> Arc<Entry> {
        let mut entries = lock(&self.entries);
        let entry = entries.entry(id.to_owned()).or_insert_with(|| {
            Arc::new(Entry {
                hub: Mutex::new(Arc::new(Hub::new())),
                run: Mutex::new(None),
                ended: watch::Sender::new(Ended::default()),
                turn: tokio::sync::Mutex::new(()),
            })
        });
        Arc::clone(entry)
    }

    /// The container with this ID is no more.
    pub(super) fn forget(&self, id: &str) {
        if let Some(entry) = lock(&self.entries).remove(id) {
            entry.ended.send_modify(|ended| ended.removed = true);
        }
        lock(&self.execs).retain(|_, exec| exec.container != id);
    }

    /// Ports of this machine that lead to the container with this ID now.
    pub(super) fn ports(&self, id: &str) -> Vec<ports::Published> {
        let entry = lock(&self.entries).get(id).cloned();
        let run = entry.and_then(|entry| entry.current());
        run.map(|run| run.ports).unwrap_or_default()
    }

    /// How many containers run.
    pub(super) fn running(&self) -> usize {
        let entries = lock(&self.entries);
        let runs = |entry: &&Arc<Entry>| entry.current().is_some();
        entries.values().filter(runs).count()
    }

    /// Asks all containers to end.
    pub(crate) fn stop_all(&self) {
        const SIGTERM: i32 = 15;
        for entry in lock(&self.entries).values() {
            if let Some(run) = entry.current() {
                // One that ended meanwhile has nothing to be told.
                let _ = run.place.signal(SIGTERM);
            }
        }
    }
}

impl Entry {
    fn current(&self) -> Option<Run> {
        lock(&self.run).clone()
    }

    fn hub(&self) -> Arc<Hub> {
        Arc::clone(&lock(&self.hub))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
