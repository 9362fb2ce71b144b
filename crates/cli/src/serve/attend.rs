//! What the process does beside answering: it writes the log, and obeys signals.

use std::sync::{Arc, Mutex, PoisonError};

use daemon::{Entry, Level};
use engine::{Config, EngineOptions};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::log::Writer;
use super::notify::Notifier;
use crate::error::Error;

/// Writes the log and obeys signals, until the daemon is done.
pub(super) struct Attendant<'a, 'ui, 'out> {
    pub(super) log: Writer<'ui, 'out>,
    pub(super) entries: mpsc::Receiver<Entry>,
    pub(super) options: Arc<Mutex<EngineOptions>>,
    pub(super) load: &'a dyn Fn() -> Result<Config, Error>,
    pub(super) notifier: Notifier,
    pub(super) signals: Signals,
    /// Cancelled by the signals that end the process.
    pub(super) stop: CancellationToken,
    /// Cancelled when the daemon has ended.
    pub(super) done: CancellationToken,
}

impl Attendant<'_, '_, '_> {
    pub(super) async fn attend(mut self) {
        self.notifier.ready();
        loop {
            let Signals {
                interrupt,
                terminate,
                reload,
            } = &mut self.signals;
            tokio::select! {
                biased;
                Some(entry) = self.entries.recv() => self.log.write(&entry),
                () = self.done.cancelled() => break,
                () = interrupt.next() => self.end(),
                () = terminate.next() => self.end(),
                () = reload.next() => self.reload(),
            }
        }
        while let Ok(entry) = self.entries.try_recv() {
            self.log.write(&entry);
        }
        self.log.write(&Entry::new(Level::Info, "stopped"));
    }

    fn end(&mut self) {
        if !self.stop.is_cancelled() {
            self.log.write(&Entry::new(Level::Info, "stopping"));
            self.notifier.stopping();
            self.stop.cancel();
        }
    }

    /// Takes over what the configuration says now, if it can be read. What is listened on stays.
    fn reload(&mut self) {
        self.notifier.reloading();
        let entry = match (self.load)() {
            Ok(config) => {
                let mut options = self.options.lock().unwrap_or_else(PoisonError::into_inner);
                let stays = !config.serve.listens_as(&options.config.serve);
                self.log.set(&config.serve);
                options.config = config;
                let entry = Entry::new(Level::Info, "configuration reloaded");
                match stays {
                    true => entry.with("unchanged", "what is listened on, until a restart"),
                    false => entry,
                }
            }
            Err(error) => Entry::new(Level::Error, "configuration not reloaded")
                .with("error", error.message)
                .with("kept", "the settings from before"),
        };
        self.log.write(&entry);
        self.notifier.ready();
    }
}

/// The signals that are obeyed. From the moment that this is made they do not end the process.
pub(super) struct Signals {
    interrupt: Told,
    terminate: Told,
    reload: Told,
}

impl Signals {
    pub(super) fn take() -> Self {
        Self {
            interrupt: Told::of(SignalKind::interrupt()),
            terminate: Told::of(SignalKind::terminate()),
            reload: Told::of(SignalKind::hangup()),
        }
    }
}

/// A signal that is waited for; without a handler it does what the kernel has it do.
struct Told(Option<Signal>);

impl Told {
    fn of(kind: SignalKind) -> Self {
        Self(signal(kind).ok())
    }

    async fn next(&mut self) {
        match &mut self.0 {
            Some(signal) => {
                signal.recv().await;
            }
            None => std::future::pending().await,
        }
    }
}
