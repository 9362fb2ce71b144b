//! Signals that a command answers itself for a while, and that end the process before and after.
//!
//! The kernel's own answer does not come back once a signal was answered here, so a thread gives it.

use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use super::session::block_on;

/// Signals that end a process that does not answer them.
const ENDING: [SignalKind; 4] = [
    SignalKind::hangup(),
    SignalKind::interrupt(),
    SignalKind::quit(),
    SignalKind::terminate(),
];

/// How many answer signals at present.
static HELD: AtomicUsize = AtomicUsize::new(0);

/// Signals are answered by whoever has this.
#[derive(Debug)]
pub(super) struct Held(());

impl Held {
    /// From now on.
    pub(super) fn begin() -> Self {
        HELD.fetch_add(1, Ordering::SeqCst);
        Self(())
    }

    /// From now on, until the process has ended.
    pub(super) fn for_good() {
        HELD.fetch_add(1, Ordering::SeqCst);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        static WATCHED: Once = Once::new();
        HELD.fetch_sub(1, Ordering::SeqCst);
        WATCHED.call_once(|| {
            let is_nobodys = || HELD.load(Ordering::SeqCst) == 0;
            std::thread::spawn(move || end_on(&ENDING, is_nobodys));
        });
    }
}

/// Ends the process when one of `kinds` comes while that `applies`. Waits on the thread that calls
/// it, since what others do may block theirs.
pub(super) fn end_on(kinds: &[SignalKind], applies: impl Fn() -> bool) {
    let waited = block_on(async {
        let mut waiting = JoinSet::new();
        for kind in kinds.iter().copied() {
            // A signal that cannot be waited for is answered by the kernel still.
            let Ok(mut signals) = signal(kind) else {
                continue;
            };
            waiting.spawn(async move {
                signals.recv().await;
                (kind, signals)
            });
        }
        while let Some(Ok((kind, mut signals))) = waiting.join_next().await {
            if applies() {
                return Some(kind);
            }
            waiting.spawn(async move {
                signals.recv().await;
                (kind, signals)
            });
        }
        None
    });
    if let Ok(Some(kind)) = waited {
        crate::ui::restore_terminal();
        // As a shell reports a signal.
        std::process::exit(128 + kind.as_raw_value());
    }
}
