//! `kiln run`.

mod there;

use engine::{Engine, EngineError, MoreSettings};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::create::create;
use super::session::{Session, block_on};
use super::signals::Held;
use super::terminal::Streams;
use crate::args::container::Run;
use crate::error::{CliError, Error, USAGE};
use crate::keeper::Keeper;

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
    let keeper = session.keeper()?;
    let more = match &keeper {
        Keeper::Here(_) => MoreSettings::default(),
        Keeper::There(_) => there::settings(args),
    };
    let id = create(
        session,
        &keeper,
        &args.settings,
        &args.image_and_command,
        more,
    );
    let id = id.map_err(|error| {
        if error.exit_code == 1 {
            error.exit(USAGE)
        } else {
            error
        }
    })?;
    let (code, goes_by_itself) = match &keeper {
        Keeper::Here(engine) => {
            // Nothing that follows waits for others, and a signal that comes too late for the
            // process does not change how it ended.
            Held::for_good();
            (block_on(follow(engine, &id, args)), false)
        }
        Keeper::There(there) => (block_on(there::follow(there.docker(), &id, args)), true),
    };
    let code = code.and_then(|code| code);
    if args.rm && !(goes_by_itself && code.is_ok()) {
        // It may be gone already, when somebody else removed it; the process's end counts.
        let removed = keeper.remove_container(&id, true, true)?;
        if let (Ok(_), Err(error)) = (&code, removed) {
            session.ui.error(&error.into());
        }
    }
    code
}

/// The code by which a shell reports it.
pub(super) fn exit_code(code: impl Into<i64>) -> u8 {
    u8::try_from(code.into() & 0xff).unwrap_or(u8::MAX)
}

/// Why a process was not run, with the code by which a shell reports that.
pub(super) fn not_run(error: EngineError) -> Error {
    let code = match &error {
        EngineError::Sandbox(error) => error.exit_code(),
        _ => None,
    };
    let code = code.and_then(|code| u8::try_from(code).ok());
    Error::from(error).exit(code.unwrap_or(USAGE))
}

async fn follow(engine: &Engine, id: &str, args: &Run) -> Result<u8, Error> {
    let (streams, terminal) = if args.tty {
        Streams::terminal(args.interactive)?
    } else {
        Streams::pipes(args.interactive)?
    };
    with_streams(streams, async |signals| {
        let ran = engine.run_container(id, terminal, signals).await;
        Ok(exit_code(ran.map_err(not_run)?.exit.code()))
    })
    .await
}

/// Runs a process to its end, and passes signals and the size of the terminal on to it.
pub(super) async fn with_streams<T>(
    streams: Streams,
    run: impl AsyncFnOnce(mpsc::Receiver<i32>) -> Result<T, Error>,
) -> Result<T, Error> {
    let _held = Held::begin();
    let (sender, receiver) = mpsc::channel(PASSED.len());
    let pass_on = pass_signals(sender, &streams);
    let outcome = tokio::select! {
        outcome = run(receiver) => outcome,
        failed = pass_on => return Err(failed),
    };
    streams.finish();
    outcome
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
