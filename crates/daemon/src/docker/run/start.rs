//! Starting containers, and what happens until they have ended.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use engine::{
    ContainerPlace, ContainerRun, ContainerState, ContainerSummary, Engine, EngineError,
    OutputStream, OwnTerminal, Terminal,
};
use hyper::StatusCode;
use tokio::sync::mpsc;

use super::ends::Ends;
use super::hub::{Hub, Input};
use super::output::{Log, pass_on};
use super::{Entry, Run, lock, ports};
use crate::answer::{Answer, Refusal, empty};
use crate::descriptor::Descriptor;
use crate::docker::{Daemon, nothing as no_content};
use crate::query::Query;

/// All that a run needs until it has ended.
struct Following {
    engine: Engine,
    container: ContainerSummary,
    entry: Arc<Entry>,
    hub: Arc<Hub>,
    ends: Ends,
    log: Log,
    listeners: Vec<ports::Listening>,
}

impl Daemon {
    /// `POST /containers/{id}/start`.
    pub(in crate::docker) async fn start(
        self: &Arc<Self>,
        name: &str,
        mut query: Query,
    ) -> Result<Answer, Refusal> {
        // Which keys detach is up to whoever attaches.
        query.one("detachKeys");
        query.end()?;
        let container = self.find(name).await?;
        let entry = self.runs.entry(&container.id);
        let _turn = entry.turn.lock().await;
        if entry.current().is_some() || container.state == ContainerState::Running {
            return Ok(empty(StatusCode::NOT_MODIFIED));
        }
        self.begin(container, &entry).await?;
        Ok(no_content())
    }

    /// Starts a container that does not run. The caller has the turn.
    pub(super) async fn begin(
        self: &Arc<Self>,
        container: ContainerSummary,
        entry: &Arc<Entry>,
    ) -> Result<(), Refusal> {
        let engine = self.with(Ok).await?;
        let listeners = ports::listen(&container.settings.more.ports).await?;
        let (ends, terminal) = ends(&container).map_err(failed)?;
        let writer = Arc::new(Mutex::new(engine.write_log(&container.id)?));
        let started = engine.start_container(&container.id, terminal).await;
        let run = match started {
            Ok(run) => run,
            Err(error) => {
                self.not_started(&container).await;
                return Err(refusal(error));
            }
        };
        *lock(&entry.run) = Some(Run {
            place: run.place(),
            terminal: ends.own_terminal(),
            ports: listeners.iter().map(ports::Listening::published).collect(),
        });
        self.tell_container("start", &container, &[]);
        let following = Following {
            log: Log {
                engine: engine.clone(),
                writer,
            },
            engine,
            hub: entry.hub(),
            entry: Arc::clone(entry),
            container,
            ends,
            listeners,
        };
        let daemon = Arc::clone(self);
        self.under_way
            .spawn(async move { daemon.follow(run, following).await });
        Ok(())
    }

    /// Until the container has ended, and a little longer.
    async fn follow(self: Arc<Self>, run: ContainerRun, following: Following) {
        let place = run.place();
        // Signals go to where it runs.
        let (_none, mut signals) = mpsc::channel(1);
        let ended = async {
            // Dropped on cancellation, which kills it.
            tokio::select! {
                outcome = run.wait(&mut signals) => outcome.map_or((KILLED, false), |outcome| {
                    (outcome.exit.code(), outcome.oom_killed)
                }),
                () = self.cancel.cancelled() => (KILLED, false),
            }
        };
        let over = async { tokio::join!(ended, following.pass_on()) };
        let (code, oom_killed) = tokio::select! {
            (ended, ()) = over => ended,
            never = following.beside(&place) => match never {},
        };
        if oom_killed {
            self.tell_container("oom", &following.container, &[]);
        }
        self.finish(following, code).await;
    }

    async fn finish(self: &Arc<Self>, following: Following, code: i32) {
        let Following {
            engine,
            container,
            entry,
            hub,
            ..
        } = following;
        lock(&entry.run).take();
        *lock(&entry.hub) = Arc::new(Hub::new());
        hub.close();
        let exit = code.to_string();
        self.tell_container("die", &container, &[("exitCode", &exit)]);
        entry.ended.send_modify(|ended| {
            ended.count += 1;
            ended.code = code;
        });
        if container.settings.more.auto_remove {
            self.remove_ended(engine, &container).await;
        }
    }

    /// A container that was to go when it ends, and did not even begin.
    async fn not_started(self: &Arc<Self>, container: &ContainerSummary) {
        if container.settings.more.auto_remove
            && let Ok(engine) = self.with(Ok).await
        {
            self.remove_ended(engine, container).await;
        }
    }

    async fn remove_ended(self: &Arc<Self>, engine: Engine, container: &ContainerSummary) {
        let going = container.clone();
        let removed = self.with(move |_| {
            engine.remove_container(&going.id, true)?;
            engine.remove_unnamed_volumes(&going)
        });
        // It may be gone already, when a client removed it.
        if removed.await.is_ok() {
            self.tell_container("destroy", container, &[]);
        }
        self.runs.forget(&container.id);
    }
}

impl Following {
    /// Passes on what the container writes until nobody can write any more.
    async fn pass_on(&self) {
        let Self { ends, hub, log, .. } = self;
        let stderr = async {
            if let Some(stderr) = &ends.stderr {
                pass_on(stderr, OutputStream::Stderr, hub, log).await;
            }
        };
        tokio::join!(
            pass_on(&ends.stdout, OutputStream::Stdout, hub, log),
            stderr
        );
    }

    /// What goes on beside the container and does not end it.
    async fn beside(&self, place: &ContainerPlace) -> Infallible {
        let is_terminal = self.ends.own_terminal().is_some();
        let input = feed(self.ends.take_stdin(), self.hub.take_inputs(), is_terminal);
        tokio::join!(input, ports::serve(&self.listeners, place));
        std::future::pending().await
    }
}

/// The code of a container that was killed.
const KILLED: i32 = 137;

/// Writes what clients send to the container's standard input.
pub(super) async fn feed(
    stdin: Option<Arc<Descriptor>>,
    inputs: Option<mpsc::Receiver<Input>>,
    is_terminal: bool,
) {
    const END_OF_TRANSMISSION: &[u8] = &[4];
    let (Some(stdin), Some(mut inputs)) = (stdin, inputs) else {
        return;
    };
    while let Some(input) = inputs.recv().await {
        let written = match input {
            Input::Bytes(bytes) => stdin.write_all(&bytes).await,
            Input::End if is_terminal => stdin.write_all(END_OF_TRANSMISSION).await,
            Input::End => return,
        };
        // Nobody reads it any more.
        if written.is_err() {
            return;
        }
    }
}

fn ends(container: &ContainerSummary) -> Result<(Ends, Terminal), EngineError> {
    let more = &container.settings.more;
    if more.tty {
        let (terminal, master) = OwnTerminal::open()?;
        let ends = Ends::terminal(master, more.open_stdin)?;
        return Ok((ends, Terminal::Own(terminal)));
    }
    let (ends, [stdin, stdout, stderr]) = Ends::pipes(more.open_stdin)?;
    let terminal = Terminal::Files {
        stdin,
        stdout,
        stderr,
    };
    Ok((ends, terminal))
}

fn failed(error: EngineError) -> Refusal {
    error.into()
}

/// A program that cannot be run is the client's fault; clients look for the words behind `exec:`.
fn refusal(error: EngineError) -> Refusal {
    match &error {
        EngineError::Sandbox(inner) if inner.exit_code().is_some() => Refusal::bad(format!(
            "failed to create task for container: unable to start container process: {inner}"
        )),
        _ => error.into(),
    }
}
