//! `kiln run` of a daemon: the container is its own, and its streams come over a connection.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use client::{Attached, Docker, DockerError, Left, StreamError, Waiting};
use engine::{MoreSettings, Terminal};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::{exit_code, with_streams};
use crate::args::container::Run;
use crate::commands::terminal::{Streams, size};
use crate::error::{CliError, Error, FAILURE, INTERRUPTED, USAGE};

/// Exit code when there is no such program.
const NOT_FOUND: u8 = 127;
/// Exit code when the program cannot be executed.
const NOT_EXECUTABLE: u8 = 126;
/// Exit code of who writes where nobody reads: as a shell reports SIGPIPE.
const BROKEN_PIPE: u8 = 128 + 13;
/// SIGKILL.
const KILL: i32 = 9;
/// How long a daemon may take to pass a signal on.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a container needs beside what `create` says.
pub(super) fn settings(args: &Run) -> MoreSettings {
    MoreSettings {
        tty: args.tty,
        open_stdin: args.interactive,
        stdin_once: args.interactive,
        auto_remove: args.rm,
        ..MoreSettings::default()
    }
}

/// Runs a container to its end; the exit code of its process.
pub(super) async fn follow(docker: &Docker, id: &str, args: &Run) -> Result<u8, Error> {
    let (mut streams, terminal) = Streams::pipes(args.interactive)?;
    if args.tty && args.interactive {
        streams.pass_every_key();
    }
    let Terminal::Files {
        stdin,
        stdout,
        stderr,
    } = terminal
    else {
        return Err(Error::new("these are no pipes"));
    };
    let ended = with_streams(streams, async |signals| {
        let run = Running { docker, id, args };
        run.to_its_end([stdin, stdout, stderr], signals).await
    });
    // As docker tells of what is not the process's own end.
    ended.await.map_err(|error| match error.exit_code {
        FAILURE => error.exit(USAGE),
        _ => error,
    })
}

/// A container that is run.
struct Running<'a> {
    docker: &'a Docker,
    id: &'a str,
    args: &'a Run,
}

impl Running<'_> {
    async fn to_its_end(
        &self,
        files: [OwnedFd; 3],
        mut signals: mpsc::Receiver<i32>,
    ) -> Result<u8, Error> {
        let (attached, waiting) = tokio::select! {
            begun = self.begin() => begun?,
            () = asks_to_end(&mut signals) => {
                return Err(Error::new("canceled").exit(INTERRUPTED));
            }
        };
        let [stdin, stdout, stderr] = files.map(|file| tokio::fs::File::from(File::from(file)));
        let over = async {
            let left = attached.serve(self.args.tty, stdin, stdout, stderr).await;
            self.code(left, waiting).await
        };
        tokio::select! {
            over = over => over,
            failed = self.pass_signals(signals) => Err(failed),
            failed = self.pass_size() => Err(failed),
        }
    }

    /// Attached before it starts, so that nothing of it is missed.
    async fn begin(&self) -> Result<(Attached, Waiting), Error> {
        let Self { docker, id, args } = self;
        let attached = docker.attach(id, args.interactive).await?;
        let condition = if args.rm { "removed" } else { "next-exit" };
        let waiting = docker.wait(id, condition).await?;
        docker.start(id).await.map_err(not_started)?;
        Ok((attached, waiting))
    }

    /// The code by which docker reports how it ended, or that it goes on without us.
    async fn code(&self, left: Result<Left, StreamError>, waiting: Waiting) -> Result<u8, Error> {
        match left {
            Ok(Left::Ended) => Ok(exit_code(waiting.ended().await?)),
            Ok(Left::Detached) => Ok(0),
            Err(StreamError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                // It writes where nobody reads, of which a process dies.
                match self.docker.kill(self.id, KILL).await {
                    Err(error) if !error.is_conflict() => return Err(error.into()),
                    _ => waiting.ended().await?,
                };
                Ok(BROKEN_PIPE)
            }
            Err(error) => Err(Error::new(error.to_string())),
        }
    }

    /// Passes signals on until one is not taken: a container that has ended wants none any more,
    /// and a daemon that does not answer shall keep nobody here.
    async fn pass_signals(&self, mut signals: mpsc::Receiver<i32>) -> Error {
        while let Some(signal) = signals.recv().await {
            let passed = self.docker.kill(self.id, signal);
            if tokio::time::timeout(PATIENCE, passed).await.is_err() {
                let text = "the daemon does not answer: the container may go on";
                return Error::new(text).exit(INTERRUPTED);
            }
        }
        Error::new("signals cannot be passed on")
    }

    /// Makes the container's terminal as large as ours, now and when that changes.
    async fn pass_size(&self) -> Error {
        let mut changed = match signal(SignalKind::window_change()) {
            Ok(changed) => changed,
            Err(error) => return CliError::Runtime(error).into(),
        };
        loop {
            if let Some((rows, columns)) = size().filter(|_| self.args.tty) {
                // A terminal that is closed has no size.
                let _ = self.docker.resize(self.id, rows, columns).await;
            }
            changed.recv().await;
        }
    }
}

/// Waits for a signal by which people end what they began.
async fn asks_to_end(signals: &mut mpsc::Receiver<i32>) {
    let ending = [
        SignalKind::hangup(),
        SignalKind::interrupt(),
        SignalKind::quit(),
        SignalKind::terminate(),
    ];
    let ending = ending.map(|kind| kind.as_raw_value());
    while let Some(signal) = signals.recv().await {
        if ending.contains(&signal) {
            return;
        }
    }
    std::future::pending().await
}

/// Why it was not started, with the code by which docker reports that.
fn not_started(error: DockerError) -> Error {
    let text = error.to_string();
    let has = |parts: &[&str]| parts.iter().any(|part| text.contains(part));
    let code = match () {
        () if has(&["executable file not found", "no such file or directory"]) => NOT_FOUND,
        () if has(&["permission denied"]) => NOT_EXECUTABLE,
        () => USAGE,
    };
    Error::from(error).exit(code)
}
