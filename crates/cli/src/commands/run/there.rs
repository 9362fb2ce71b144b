//! `kiln run` of a daemon: the container is its own, and its streams come over a connection.

use std::fs::File;
use std::os::fd::OwnedFd;

use client::{Docker, DockerError};
use engine::{MoreSettings, Terminal};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::{exit_code, with_streams};
use crate::args::container::Run;
use crate::commands::terminal::{Streams, size};
use crate::error::{CliError, Error, USAGE};
use crate::keeper::KeeperError;

/// Exit code when there is no such program.
const NOT_FOUND: u8 = 127;
/// Exit code when the program cannot be executed.
const NOT_EXECUTABLE: u8 = 126;

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
    with_streams(streams, async |signals| {
        let run = Running { docker, id, args };
        run.to_its_end([stdin, stdout, stderr], signals).await
    })
    .await
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
        signals: mpsc::Receiver<i32>,
    ) -> Result<u8, Error> {
        let Self { docker, id, args } = self;
        let [stdin, stdout, stderr] = files.map(|file| tokio::fs::File::from(File::from(file)));
        // Attached before it starts, so that nothing of it is missed.
        let attached = docker.attach(id, args.interactive).await.map_err(failed)?;
        let condition = if args.rm { "removed" } else { "next-exit" };
        let waiting = docker.wait(id, condition).await.map_err(failed)?;
        docker.start(id).await.map_err(not_started)?;
        let over = async {
            let shown = attached.serve(args.tty, stdin, stdout, stderr);
            let (shown, ended) = tokio::join!(shown, waiting.ended());
            let code = ended.map_err(failed)?.status_code;
            shown.map_err(|error| Error::new(format!("the container's output: {error}")))?;
            Ok(exit_code(code))
        };
        tokio::select! {
            over = over => over,
            () = self.pass_signals(signals) => Err(Error::new("signals cannot be passed on")),
            failed = self.pass_size() => Err(failed),
        }
    }

    /// A container that has ended wants none any more.
    async fn pass_signals(&self, mut signals: mpsc::Receiver<i32>) {
        while let Some(signal) = signals.recv().await {
            let _ = self.docker.kill(self.id, signal).await;
        }
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

fn failed(error: DockerError) -> Error {
    Error::from(KeeperError::from(error)).exit(USAGE)
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
    failed(error).exit(code)
}
