//! The daemon as a process: what it listens on, what it says, and what signals do to it. The same
//! under every name that this program serves by.
//!
//! All that it is started with is in one [`Config`], whichever file and flags that came from.

mod attend;
mod log;
mod notify;
mod pid_file;
mod sockets;
mod traces;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use daemon::{Daemon, Entry, Identity, Level, TraceOptions};
use engine::{Config, Engine, EngineOptions};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::environment::Environment;
use crate::error::{CliError, Error, chain};
use crate::ui::Ui;

pub(crate) use crate::commands::session::options;

use attend::{Attendant, Signals};
use notify::Notifier;
use pid_file::PidFile;
use sockets::Sockets;

/// Entries of the log that may wait to be written.
const WAITING: usize = 1024;

/// How the daemon is started.
pub(crate) struct Service<'a> {
    /// What it works with, with what `load` gave first.
    pub(crate) options: EngineOptions,
    /// Where it listens when the configuration does not say.
    pub(crate) usual: PathBuf,
    /// Where the process's number is written as long as it serves.
    pub(crate) pid_file: Option<PathBuf>,
    /// What is not as it may be thought to be, to be said once.
    pub(crate) warnings: Vec<String>,
    /// Reads the configuration anew.
    pub(crate) load: &'a dyn Fn() -> Result<Config, Error>,
}

/// Listens, and answers until a signal.
///
/// # Errors
/// It cannot begin.
pub(crate) fn run(
    service: Service<'_>,
    environment: &Environment,
    ui: &mut Ui<'_>,
) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(CliError::Runtime)?;
    runtime.block_on(listen(service, environment, ui))
}

async fn listen(
    service: Service<'_>,
    environment: &Environment,
    ui: &mut Ui<'_>,
) -> Result<(), Error> {
    // Before anybody can know that there is somebody to be told something.
    let signals = Signals::take();
    let config = service.options.config.serve.clone();
    let _pid_file = service.pid_file.map(PidFile::write).transpose()?;
    let sockets = Sockets::open(&config, &service.usual, environment).await?;
    // Clients can connect by now, and what is wrong with the store is told before one is answered.
    let engine = Engine::open(service.options.clone())?;
    let (sender, entries) = mpsc::channel(WAITING);
    let mut log = log::Writer::new(ui, &config, environment.now);
    for warning in service.warnings {
        log.write(&Entry::new(Level::Warning, "configuration").with("warning", warning));
    }
    let swept = sweep(engine, sender.clone());
    for place in sockets.shown {
        log.write(&Entry::new(Level::Info, "listening").with("on", place));
    }
    let options = Arc::new(Mutex::new(service.options));
    let daemon = daemon(&options, traces::options(environment)?, sender);
    let stop = CancellationToken::new();
    let attendant = Attendant {
        log,
        entries,
        options,
        load: service.load,
        notifier: Notifier::of(environment),
        signals,
        stop: stop.clone(),
        done: CancellationToken::new(),
    };
    let done = attendant.done.clone().drop_guard();
    let served = async {
        daemon::serve(sockets.listeners, daemon, stop, config.stop_timeout).await;
        // What it tells is still written. A thread that was lost tells nothing.
        drop(swept.await);
        drop(done);
    };
    tokio::join!(served, attendant.attend());
    Ok(())
}

/// Takes down the networks that were lost with an earlier process, beside what goes on: plugins take
/// their time.
fn sweep(engine: Engine, log: mpsc::Sender<Entry>) -> JoinHandle<()> {
    tokio::task::spawn_blocking(move || {
        for left in engine.sweep_networks() {
            let entry = Entry::new(Level::Warning, "network is left").with("error", chain(&left));
            // As with all of the log: nobody waits for it.
            drop(log.try_send(entry));
        }
    })
}

/// What answers, with the options that hold when a request comes.
fn daemon(
    options: &Arc<Mutex<EngineOptions>>,
    traces: Option<TraceOptions>,
    entries: mpsc::Sender<Entry>,
) -> Arc<Daemon> {
    let current = {
        let options = Arc::clone(options);
        move || {
            options
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone()
        }
    };
    let now = current();
    let identity = Identity {
        version: env!("CARGO_PKG_VERSION"),
        root: now.root,
        traces,
        clock: now.clock,
    };
    // Nobody waits for a log that is not read; that is what is lost first.
    let log = move |entry| drop(entries.try_send(entry));
    Daemon::new(
        Box::new(move || Engine::open(current())),
        identity,
        Box::new(log),
    )
}
