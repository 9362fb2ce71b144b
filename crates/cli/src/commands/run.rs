//! `kiln run`.

use std::future::Future;

use engine::{Engine, EngineError, RunOutcome};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::create::create;
use super::session::{Session, block_on};
use super::terminal::Streams;
use crate::args::container::Run;
use crate::error::{CliError, Error, USAGE};

/// Signals that are passed on to the container's process.
const PASSED: [SignalKind; 6] = [
    SignalKind::hangup(),
    SignalKind::interrupt(),
    SignalKind::quit(),
    SignalKind::terminate(),
    SignalKind::user_defined1(),
    SignalKind::user_defined2(),
];

/// Creates a container and runs it to its end; the exit code of its process.
pub(super) fn run(session: &mut Session<'_, '_>, args: &Run) -> Result<u8, Error> {
    if args.tty && args.interactive && !session.environment.terminals.stdin {
        return Err(Error::new("the input device is not a TTY"));
    }
    let engine = session.engine()?;
    let id =
        create(session, &engine, &args.settings, &args.image_and_command).map_err(|error| {
            if error.exit_code == 1 {
                error.exit(USAGE)
            } else {
                error
            }
        })?;
    let outcome = block_on(follow(&engine, &id, args)).and_then(|outcome| outcome);
    if args.rm {
        // It may be gone already, when somebody else removed it; the process's end counts.
        let removed = engine.remove_container(&id, true);
        if let (Ok(_), Err(error)) = (&outcome, removed) {
            session.ui.error(&error.into());
        }
    }
    Ok(exit_code(outcome?))
}

/// The code by which a shell reports it.
pub(super) fn exit_code(outcome: RunOutcome) -> u8 {
    u8::try_from(outcome.exit.code() & 0xff).unwrap_or(u8::MAX)
}

async fn follow(engine: &Engine, id: &str, args: &Run) -> Result<RunOutcome, Error> {
    let (streams, terminal) = if args.tty {
        Streams::terminal(args.interactive)?
    } else {
        Streams::pipes(args.interactive)?
    };
    with_streams(streams, |signals| {
        engine.run_container(id, terminal, signals)
    })
    .await
}

/// Runs a process to its end, and passes signals and the size of the terminal on to it.
pub(super) async fn with_streams<F>(
    streams: Streams,
    run: impl FnOnce(mpsc::Receiver<i32>) -> F,
) -> Result<RunOutcome, Error>
where
    F: Future<Output = Result<RunOutcome, EngineError>>,
{
    let (sender, receiver) = mpsc::channel(PASSED.len());
    let pass_on = pass_signals(sender, &streams);
    let outcome = tokio::select! {
        outcome = run(receiver) => outcome,
        failed = pass_on => return Err(failed),
    };
    streams.finish();
    outcome.map_err(|error| {
        let code = match &error {
            EngineError::Sandbox(error) => error.exit_code(),
            _ => None,
        };
        let code = code.and_then(|code| u8::try_from(code).ok());
        Error::from(error).exit(code.unwrap_or(USAGE))
    })
}

/// Passes signals on, and the size of the terminal when it changes; ends only when signals cannot
/// be received.
async fn pass_signals(sender: mpsc::Sender<i32>, streams: &Streams) -> Error {
    let mut tasks = tokio::task::JoinSet::new();
    for kind in PASSED {
        let sender = sender.clone();
        let mut signals = match signal(kind) {
            Ok(signals) => signals,
            Err(error) => return CliError::Runtime(error).into(),
        };
        tasks.spawn(async move {
            while signals.recv().await.is_some() {
                // A process that has ended does not want it any more.
                let _ = sender.send(kind.as_raw_value()).await;
            }
        });
    }
    let mut resized = match signal(SignalKind::window_change()) {
        Ok(signals) => signals,
        Err(error) => return CliError::Runtime(error).into(),
    };
    loop {
        resized.recv().await;
        streams.resize();
    }
}
