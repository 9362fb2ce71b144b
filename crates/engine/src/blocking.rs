//! Work that blocks, off the runtime's threads.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::error::EngineError;

/// Runs `work` on a thread that may block. It is not interrupted when the caller goes away.
pub(crate) async fn blocking<T, F>(work: F) -> Result<T, EngineError>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| EngineError::LostThread)
}

/// Guards whose dropping takes time, and which nobody waits for until the build ends.
#[derive(Default)]
pub(crate) struct Discarded(Mutex<JoinSet<()>>);

impl Discarded {
    /// Drops `guard` beside what goes on; here and now where there is no runtime.
    pub(crate) fn add(&self, guard: impl Send + 'static) {
        self.spawn(move || drop(guard));
    }

    /// Runs `work` on a thread that may block. If the caller goes away, what comes of it is dropped
    /// there, and the end of that is waited for with the rest.
    pub(crate) async fn run<T, F>(&self, work: F) -> Result<T, EngineError>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        self.spawn(move || drop(sender.send(work())));
        receiver.await.map_err(|_| EngineError::LostThread)
    }

    fn spawn(&self, work: impl FnOnce() + Send + 'static) {
        if Handle::try_current().is_err() {
            return work();
        }
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn_blocking(work);
    }

    /// Waits until all that was discarded is gone.
    pub(crate) async fn gone(&self) {
        let tasks = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        tasks.join_all().await;
    }
}

impl fmt::Debug for Discarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Discarded")
    }
}
