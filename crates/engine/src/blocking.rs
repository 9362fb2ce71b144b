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

    /// Waits until all that was discarded is gone, also what is discarded meanwhile.
    pub(crate) async fn gone(&self) {
        loop {
            let tasks = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
            if tasks.is_empty() {
                return;
            }
            tasks.join_all().await;
        }
    }
}

impl fmt::Debug for Discarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Discarded")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use futures_util::FutureExt as _;

    use super::*;

    /// Takes its time to go, and notes that it has gone.
    struct Slow(Arc<AtomicBool>);

    impl Drop for Slow {
        fn drop(&mut self) {
            std::thread::sleep(Duration::from_millis(50));
            self.0.store(true, Ordering::SeqCst);
        }
    }

    /// Discards what it has when it goes itself.
    struct Owner(Arc<Discarded>, Option<Slow>);

    impl Drop for Owner {
        fn drop(&mut self) {
            self.0.add(self.1.take());
        }
    }

    #[tokio::test]
    async fn what_is_discarded_by_what_nobody_took_is_waited_for() {
        let discarded = Arc::new(Discarded::default());
        let has_gone = Arc::new(AtomicBool::new(false));
        let owner = Owner(Arc::clone(&discarded), Some(Slow(Arc::clone(&has_gone))));
        let work = move || {
            std::thread::sleep(Duration::from_millis(50));
            owner
        };
        // Begun, and given up.
        assert!(discarded.run(work).now_or_never().is_none());
        discarded.gone().await;
        assert!(has_gone.load(Ordering::SeqCst));
    }
}
