//! Work that blocks, off the runtime's threads.

use std::fmt;
use std::sync::{Mutex, PoisonError};

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
    /// Drops `guard` beside what goes on. To be called on the runtime.
    pub(crate) fn add(&self, guard: impl Send + 'static) {
        let mut tasks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn_blocking(move || drop(guard));
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
