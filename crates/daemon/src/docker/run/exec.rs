//! Further processes in containers that run: created, started once, inspected.

use std::sync::{Arc, Mutex};

use api::docker::{CreateExec, Created, Exec, ExecProcess, StartExec};
use engine::{Engine, EngineError, JoinContainer, OutputStream, PlaceStdio};
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::{mpsc, oneshot};

use super::control::size;
use super::ends::Ends;
use super::hijack::{self, Connection, Left};
use super::hub::{Hub, Input, Piece};
use super::keys::DetachKeys;
use super::lock;
use super::start::feed;
use crate::answer::{Answer, Refusal, empty, found, json};
use crate::descriptor::Descriptor;
use crate::docker::{Daemon, created};
use crate::query::Query;
use crate::stream;

/// Processes that are remembered; beyond, those that have ended are forgotten.
const KEPT: usize = 256;
/// Bytes that are passed on at a time, at most.
const PIECE: usize = 32 << 10;

/// A further process, from its creation to the end of its container.
#[derive(Debug)]
pub(super) struct ExecSession {
    pub(super) container: String,
    asked: CreateExec,
    keys: DetachKeys,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    started: bool,
    running: bool,
    exit_code: Option<i32>,
    pid: i32,
    terminal: Option<Arc<Descriptor>>,
}

impl Daemon {
    /// `POST /containers/{id}/exec`.
    pub(in crate::docker) async fn create_exec(
        self: &Arc<Self>,
        name: &str,
        query: Query,
        body: Incoming,
    ) -> Result<Answer, Refusal> {
        query.end()?;
        let asked: CreateExec = stream::document(body, "exec").await?;
        let is_said = |value: &serde_json::Value| {
            !value.is_null() && *value != false && *value != "" && *value != serde_json::json!([])
        };
        if let Some((field, _)) = asked.other.iter().find(|(_, value)| is_said(value)) {
            return Err(Refusal::not_provided(&format!(
                "the field {field:?} of an exec"
            )));
        }
        if asked.cmd.is_empty() {
            return Err(Refusal::bad("No exec command specified"));
        }
        let container = self.find(name).await?;
        self.place_of(&container.id)?;
        let keys = DetachKeys::parse(&asked.detach_keys)
            .ok_or_else(|| Refusal::bad("invalid detach keys provided"))?;
        let id = self.with(|_| engine::new_id()).await?;
        let session = ExecSession {
            container: container.id.clone(),
            asked,
            keys,
            state: Mutex::default(),
        };
        {
            let mut execs = lock(&self.runs.execs);
            if execs.len() >= KEPT {
                execs.retain(|_, old| lock(&old.state).exit_code.is_none());
            }
            execs.insert(id.clone(), Arc::new(session));
        }
        let warnings = Vec::new();
        Ok(json(created(), &Created { id, warnings }))
    }

    /// `POST /exec/{id}/start`.
    pub(in crate::docker) async fn start_exec(
        self: &Arc<Self>,
        id: &str,
        query: Query,
        head: &mut Parts,
        body: Incoming,
    ) -> Result<Answer, Refusal> {
        query.end()?;
        let asked: StartExec = stream::document(body, "exec").await?;
        let session = self.exec(id)?;
        let upgrade = match asked.detach {
            true => None,
            false => Some(hijack::upgrade(head)?),
        };
        {
            let mut state = lock(&session.state);
            if std::mem::replace(&mut state.started, true) {
                let message = format!("exec {id} has already been started");
                return Err(Refusal::new(StatusCode::CONFLICT, message));
            }
        }
        let size = asked.console_size.or(session.asked.console_size);
        let engine = self.with(Ok).await?;
        let (joined, ends) = match self.join(&engine, &session, size).await {
            Ok(joined) => joined,
            Err(error) => {
                lock(&session.state).exit_code = Some(exit_code(&error));
                return match upgrade {
                    Some(upgrade) => Ok(self.tell_failure(&session, upgrade, &error)),
                    None => Err(Refusal::bad(not_started(&error))),
                };
            }
        };
        {
            let mut state = lock(&session.state);
            state.running = true;
            state.pid = joined.pid();
            state.terminal = ends.own_terminal();
        }
        let answer = match asked.detach {
            true => empty(StatusCode::OK),
            false => hijack::switching(session.asked.tty),
        };
        let daemon = Arc::clone(self);
        self.under_way
            .spawn(async move { daemon.follow_exec(&session, joined, ends, upgrade).await });
        Ok(answer)
    }

    /// Clients hear of a process that could not be started where they would have heard it.
    fn tell_failure(
        &self,
        session: &ExecSession,
        upgrade: OnUpgrade,
        error: &EngineError,
    ) -> Answer {
        let is_terminal = session.asked.tty;
        let text = format!("{}\r\n", not_started(error));
        let frame = hijack::framed(OutputStream::Stdout, text.as_bytes(), is_terminal);
        self.under_way.spawn(async move {
            if let Ok(connection) = upgrade.await {
                let mut connection = TokioIo::new(connection);
                // A client that is gone need not be told.
                let _ = connection.write_all(&frame).await;
                let _ = connection.shutdown().await;
            }
        });
        hijack::switching(is_terminal)
    }

    async fn follow_exec(
        &self,
        session: &ExecSession,
        joined: engine::Joined,
        ends: Ends,
        upgrade: Option<OnUpgrade>,
    ) {
        let (tell, known) = oneshot::channel();
        let (_signals, mut none) = mpsc::channel(1);
        let ended = async {
            let code = tokio::select! {
                exit = joined.wait(&mut none) => exit.map_or(KILLED, engine::ProcessExit::code),
                () = self.cancel.cancelled() => KILLED,
            };
            {
                let mut state = lock(&session.state);
                state.running = false;
                state.exit_code = Some(code);
                state.terminal = None;
            }
            // Nobody waits for it when nobody listens.
            let _ = tell.send(());
        };
        let speaking = async {
            let connection = match upgrade {
                // A client that is gone by now hears nothing.
                Some(upgrade) => upgrade.await.ok(),
                None => None,
            };
            match connection {
                Some(connection) => session.speak(TokioIo::new(connection), &ends, known).await,
                None => drain(&ends).await,
            }
        };
        tokio::join!(ended, speaking);
    }

    /// `GET /exec/{id}/json`.
    pub(in crate::docker) fn inspect_exec(&self, id: &str) -> Result<Answer, Refusal> {
        let session = self.exec(id)?;
        let state = lock(&session.state);
        let asked = &session.asked;
        Ok(found(&Exec {
            id: id.to_owned(),
            running: state.running,
            exit_code: state.exit_code,
            process_config: ExecProcess {
                tty: asked.tty,
                entrypoint: asked.cmd.first().cloned().unwrap_or_default(),
                arguments: asked.cmd.iter().skip(1).cloned().collect(),
                privileged: false,
                user: asked.user.clone(),
            },
            open_stdin: asked.attach_stdin,
            open_stderr: asked.attach_stderr,
            open_stdout: asked.attach_stdout,
            can_remove: false,
            container_id: session.container.clone(),
            pid: state.pid,
        }))
    }

    /// `POST /exec/{id}/resize`.
    pub(in crate::docker) fn resize_exec(&self, id: &str, query: Query) -> Result<Answer, Refusal> {
        let (rows, columns) = size(query)?;
        let session = self.exec(id)?;
        let terminal = lock(&session.state).terminal.clone();
        if let Some(terminal) = terminal {
            // A terminal that is closed has no size.
            let _ = terminal.resize(rows, columns);
        }
        Ok(empty(StatusCode::OK))
    }

    fn exec(&self, id: &str) -> Result<Arc<ExecSession>, Refusal> {
        let missing = || {
            let message = format!("No such exec instance: {id}");
            Refusal::new(StatusCode::NOT_FOUND, message)
        };
        lock(&self.runs.execs).get(id).cloned().ok_or_else(missing)
    }

    fn place_of(&self, id: &str) -> Result<engine::ContainerPlace, EngineError> {
        let run = self.runs.entry(id).current();
        let missing = || EngineError::NotRunning(id.to_owned());
        Ok(run.ok_or_else(missing)?.place)
    }

    async fn join(
        &self,
        engine: &Engine,
        session: &ExecSession,
        size: Option<[u16; 2]>,
    ) -> Result<(engine::Joined, Ends), EngineError> {
        let place = self.place_of(&session.container)?;
        let asked = &session.asked;
        let given = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let new = JoinContainer {
            args: asked.cmd.clone(),
            env: asked.env.clone().unwrap_or_default(),
            user: given(&asked.user),
            working_directory: given(&asked.working_dir),
        };
        let (ends, stdio) = if asked.tty {
            terminal_ends(&place, size)?
        } else {
            let (ends, files) = Ends::pipes(asked.attach_stdin)?;
            (ends, PlaceStdio::Files(files))
        };
        let joined = engine.join_container(&session.container, &place, &new, stdio);
        Ok((joined.await?, ends))
    }
}

/// The code of a process that was killed.
const KILLED: i32 = 137;

impl ExecSession {
    /// Passes on what the process and the client say, until the process says no more or the client
    /// leaves.
    async fn speak(&self, connection: Connection, ends: &Ends, known: oneshot::Receiver<()>) {
        let (from, to) = tokio::io::split(connection);
        let hub = Hub::new();
        let output = hub.output();
        let asked = &self.asked;
        let wanted = |stream| match stream {
            OutputStream::Stdout => asked.attach_stdout,
            OutputStream::Stderr => asked.attach_stderr,
        };
        let heard = &hub;
        let said = async {
            read_all(ends, |piece| async move { heard.tell(&piece).await }).await;
            // A client asks how it ended as soon as it hears no more.
            let _ = known.await;
            heard.close();
        };
        let stdin = ends.take_stdin();
        let input = (asked.attach_stdin && stdin.is_some()).then(|| hub.input());
        let keys = asked.tty.then(|| self.keys.clone());
        let inputs = hub.take_inputs();
        let fed = feed(stdin, inputs, asked.tty);
        let received = async {
            let left = hijack::receive(from, input.clone(), keys).await;
            if left == Left::Ended {
                if let Some(input) = &input {
                    let _ = input.send(Input::End).await;
                }
                std::future::pending::<()>().await;
            }
        };
        let sent = hijack::send(to, output, wanted, asked.tty);
        tokio::select! {
            ((), ()) = async { tokio::join!(said, sent) } => {}
            () = received => drain(ends).await,
            () = async { fed.await; std::future::pending().await } => {}
        }
    }
}

/// Reads what the process writes, and passes it to `tell`.
async fn read_all<F: Future<Output = ()>>(ends: &Ends, tell: impl Fn(Piece) -> F) {
    let read = async |from: &Descriptor, stream| {
        let mut buffer = vec![0; PIECE];
        while let Ok(read @ 1..) = from.read(&mut buffer).await {
            let bytes = bytes::Bytes::copy_from_slice(&buffer[..read]);
            tell(Piece { stream, bytes }).await;
        }
    };
    let stderr = async {
        if let Some(stderr) = &ends.stderr {
            read(stderr, OutputStream::Stderr).await;
        }
    };
    tokio::join!(read(&ends.stdout, OutputStream::Stdout), stderr);
}

/// Reads what nobody hears, so that the process is not held up.
async fn drain(ends: &Ends) {
    read_all(ends, |_| async {}).await;
}

fn terminal_ends(
    place: &engine::ContainerPlace,
    size: Option<[u16; 2]>,
) -> Result<(Ends, PlaceStdio), EngineError> {
    let (master, slave) = place.terminal()?;
    let ends = Ends::terminal(master, true)?;
    if let Some([rows, columns]) = size {
        // A terminal that cannot be resized is one of its own size.
        let _ = ends.stdout.resize(rows, columns);
    }
    Ok((ends, PlaceStdio::Terminal(slave)))
}

/// What is missing is told by 127, as by a shell.
fn exit_code(error: &EngineError) -> i32 {
    const MISSING: i32 = 127;
    const FAILED: i32 = 126;
    let known = match error {
        EngineError::Sandbox(error) => error.exit_code(),
        _ => None,
    };
    let is_missing = error.chain().to_lowercase().contains("no such file");
    known.unwrap_or(if is_missing { MISSING } else { FAILED })
}

fn not_started(error: &EngineError) -> String {
    let error = error.chain();
    format!("exec failed: unable to start container process: {error}")
}
