//! One process in a container: what the client sends goes to it, and what it writes to the client.

use std::io;
use std::sync::Arc;

use bollard_buildkit_proto::google::rpc;
use bollard_buildkit_proto::moby::buildkit::v1::frontend::exec_message::Input;
use bollard_buildkit_proto::moby::buildkit::v1::frontend::{
    DoneMessage, ExecMessage, ExitMessage, FdMessage, InitMessage, StartedMessage,
};
use bollard_buildkit_proto::pb;
use engine::{ContainerProcess, EngineError, ProcessExit, SecurityMode, Speaks, StepProcess};
use tokio::sync::mpsc;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tonic::Status;

use super::Container;
use crate::buildkit::builds::Job;
use crate::buildkit::frontend;
use crate::descriptor::{Descriptor, nothing, pipe};

/// Bytes that are passed on at a time, at most.
const PIECE: usize = 32 << 10;
/// Messages to a process that may wait.
const WAITING: usize = 16;
/// The code of a process that ended in no way of its own.
const UNKNOWN: u32 = 255;

/// What a client can still do to a process.
#[derive(Debug)]
pub(super) struct Handle {
    /// None when the client has ended it, or did not open it.
    pub(super) stdin: Option<mpsc::Sender<Vec<u8>>>,
    pub(super) signals: mpsc::Sender<i32>,
    pub(super) terminal: Option<Arc<Descriptor>>,
}

/// A process on its way to its end.
pub(super) struct Pump {
    job: Arc<Job>,
    /// Its container is gone only after it.
    _token: TaskTrackerToken,
    id: String,
    container: Arc<Container>,
    process: Result<StepProcess, Status>,
    ends: Ends,
    input: mpsc::Receiver<Vec<u8>>,
    signals: mpsc::Receiver<i32>,
}

/// Our ends of what a process speaks to.
#[derive(Default)]
struct Ends {
    stdin: Option<Arc<Descriptor>>,
    /// By the numbers that the client knows them by.
    outputs: Vec<(u32, Arc<Descriptor>)>,
    is_terminal: bool,
}

/// Starts a process. One that cannot be started is told as one that has ended, also when it asks for
/// what kiln does not have or the build may not: clients wait for an end of what they began.
///
/// # Errors
/// There are no pipes left.
pub(super) async fn start(
    job: &Arc<Job>,
    id: &str,
    container: Arc<Container>,
    init: InitMessage,
) -> Result<(Handle, Pump), Status> {
    let is_open = |fd: u32| init.fds.contains(&fd);
    let broken = |error: io::Error| Status::internal(error.to_string());
    let (mut ends, speaks) = match init.tty {
        true => (Ends::default(), Speaks::Terminal),
        false => files(is_open).map_err(broken)?,
    };
    let started = async {
        let process = asked(job, &init).await?;
        let started = container.step.start(process, speaks).await;
        started.map_err(|error| Status::unknown(error.chain()))
    };
    let (process, terminal) = match started.await {
        Ok((process, terminal)) => (Ok(process), terminal),
        Err(status) => (Err(status), None),
    };
    if let Some(terminal) = terminal {
        ends = on_terminal(Descriptor::new(terminal).map_err(broken)?, is_open);
    }
    let (stdin, input) = mpsc::channel(WAITING);
    let (signal, signals) = mpsc::channel(WAITING);
    let handle = Handle {
        stdin: is_open(0).then_some(stdin),
        signals: signal,
        terminal: ends.terminal(),
    };
    let pump = Pump {
        job: Arc::clone(job),
        _token: container.processes.token(),
        id: id.to_owned(),
        container,
        process,
        ends,
        input,
        signals,
    };
    Ok((handle, pump))
}

impl Pump {
    /// Passes on what is written and sent until the process has ended and nobody can write any
    /// more, or the container is given up.
    pub(super) async fn run(mut self, to: mpsc::Sender<ExecMessage>) {
        let id = std::mem::take(&mut self.id);
        let tell = |input| tell(&to, &id, input);
        tell(Input::Started(StartedMessage {})).await;
        let released = self.container.released.clone();
        let is_terminal = self.ends.is_terminal;
        let input = feed(self.ends.stdin.take(), is_terminal, self.input);
        let outputs = futures_util::future::join_all(
            self.ends
                .outputs
                .iter()
                .map(|(fd, from)| pass_on(*fd, from, &tell)),
        );
        let (process, mut signals) = (self.process, self.signals);
        let ended = async {
            let exit = match process {
                Ok(process) => ended(process.wait(&mut signals).await),
                Err(status) => failed(UNKNOWN, &status),
            };
            tell(Input::Exit(exit)).await;
        };
        tokio::select! {
            (_, ()) = async { tokio::join!(outputs, ended) } => {}
            () = async { input.await; std::future::pending().await } => {}
            () = released.cancelled() => {
                let status = Status::unknown("the container was released");
                tell(Input::Exit(failed(UNKNOWN, &status))).await;
            }
        }
        tell(Input::Done(DoneMessage {})).await;
        self.job.daemon.drop_beside(self.container);
    }
}

impl Ends {
    fn terminal(&self) -> Option<Arc<Descriptor>> {
        let first = self.outputs.first().filter(|_| self.is_terminal);
        first.map(|(_, terminal)| Arc::clone(terminal))
    }
}

async fn asked(job: &Arc<Job>, init: &InitMessage) -> Result<ContainerProcess, Status> {
    let security = security(job, init.security)?;
    let meta = init.meta.clone().unwrap_or_default();
    let known = pb::Meta {
        args: meta.args.clone(),
        env: meta.env.clone(),
        cwd: meta.cwd.clone(),
        user: meta.user.clone(),
        // Mount points are always taken away again.
        remove_mount_stubs_recursive: meta.remove_mount_stubs_recursive,
        ..pb::Meta::default()
    };
    if known != meta {
        let message = "limits, hosts and proxies of a process in a container are not provided by \
                       kiln: hosts are given with the container";
        return Err(Status::unimplemented(message));
    }
    if meta.args.is_empty() {
        return Err(Status::invalid_argument("the process has no arguments"));
    }
    let mut env = meta.env;
    let has = |env: &[String], name: &str| env.iter().any(|entry| entry.starts_with(name));
    if !has(&env, "PATH=") {
        env.push(format!("PATH={}", oci::DEFAULT_PATH));
    }
    if init.tty && !has(&env, "TERM=") {
        env.push("TERM=xterm".to_owned());
    }
    for asked in &init.secretenv {
        env.extend(secret(job, asked).await?);
    }
    Ok(ContainerProcess {
        args: meta.args,
        env,
        cwd: match meta.cwd.as_str() {
            "" => "/".to_owned(),
            directory => directory.to_owned(),
        },
        user: meta.user,
        security,
    })
}

fn security(job: &Job, mode: i32) -> Result<SecurityMode, Status> {
    match pb::SecurityMode::try_from(mode) {
        Ok(pb::SecurityMode::Sandbox) => Ok(SecurityMode::Sandbox),
        Ok(pb::SecurityMode::Insecure) if job.terms.insecure => Ok(SecurityMode::Insecure),
        Ok(pb::SecurityMode::Insecure) => {
            let message = "security.insecure is not allowed";
            Err(Status::permission_denied(message))
        }
        Err(_) => Err(Status::invalid_argument(format!(
            "invalid security mode {mode}"
        ))),
    }
}

/// A variable that holds a secret; none if the client does not offer it and need not.
async fn secret(job: &Arc<Job>, asked: &pb::SecretEnv) -> Result<Option<String>, Status> {
    let store = frontend::plain_request(job).more_secrets;
    let id = asked.id.clone();
    let got = job.offload(move || async move {
        match store {
            Some(store) => store.get(&id),
            None => Ok(None),
        }
    });
    match got.await?.map_err(Status::unknown)? {
        Some(secret) => {
            let text = std::str::from_utf8(secret.expose());
            let text = text.map_err(|_| Status::invalid_argument("the secret is not UTF-8"))?;
            Ok(Some(format!("{}={text}", asked.name)))
        }
        None if asked.optional => Ok(None),
        None => Err(Status::not_found(format!("secret {}: not found", asked.id))),
    }
}

/// Pipes for what the client has open; the rest is empty, or goes nowhere.
fn files(is_open: impl Fn(u32) -> bool) -> io::Result<(Ends, Speaks)> {
    let mut ends = Ends::default();
    let stdin = match is_open(0) {
        true => {
            let (read, write) = pipe()?;
            ends.stdin = Some(Arc::new(Descriptor::new(write)?));
            read
        }
        false => nothing()?,
    };
    let mut output = |fd| -> io::Result<_> {
        if !is_open(fd) {
            return Ok(std::fs::File::options()
                .write(true)
                .open("/dev/null")?
                .into());
        }
        let (read, write) = pipe()?;
        ends.outputs.push((fd, Arc::new(Descriptor::new(read)?)));
        Ok(write)
    };
    let (stdout, stderr) = (output(1)?, output(2)?);
    Ok((ends, Speaks::Files([stdin, stdout, stderr])))
}

fn on_terminal(terminal: Descriptor, is_open: impl Fn(u32) -> bool) -> Ends {
    let terminal = Arc::new(terminal);
    Ends {
        stdin: is_open(0).then(|| Arc::clone(&terminal)),
        outputs: vec![(1, terminal)],
        is_terminal: true,
    }
}

/// Writes what the client sends, until it sends no more.
async fn feed(
    stdin: Option<Arc<Descriptor>>,
    is_terminal: bool,
    mut input: mpsc::Receiver<Vec<u8>>,
) {
    const END_OF_TRANSMISSION: &[u8] = &[4];
    let Some(stdin) = stdin else {
        return;
    };
    while let Some(bytes) = input.recv().await {
        // Nobody reads it any more.
        if stdin.write_all(&bytes).await.is_err() {
            return;
        }
    }
    if is_terminal {
        // A terminal that is closed needs no end.
        let _ = stdin.write_all(END_OF_TRANSMISSION).await;
    }
}

/// Passes on what the process writes, until nobody can write any more.
async fn pass_on<F: Future<Output = ()>>(fd: u32, from: &Descriptor, tell: &impl Fn(Input) -> F) {
    let mut buffer = vec![0; PIECE];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let data = buffer[..read].to_vec();
        tell(Input::File(FdMessage {
            fd,
            data,
            eof: false,
        }))
        .await;
    }
    tell(Input::File(FdMessage {
        fd,
        data: Vec::new(),
        eof: true,
    }))
    .await;
}

/// A client that is gone is told nothing.
async fn tell(to: &mpsc::Sender<ExecMessage>, process: &str, input: Input) {
    let message = ExecMessage {
        process_id: process.to_owned(),
        input: Some(input),
    };
    let _ = to.send(message).await;
}

/// How a process ended that was started.
fn ended(exit: Result<ProcessExit, EngineError>) -> ExitMessage {
    let exit = match exit {
        Ok(exit) => u32::try_from(exit.code()).unwrap_or(UNKNOWN),
        Err(error) => return failed(UNKNOWN, &Status::unknown(error.chain())),
    };
    match exit {
        0 => ExitMessage::default(),
        code => failed(code, &Status::unknown(format!("exit code: {code}"))),
    }
}

/// How a process ended that did not end well.
fn failed(code: u32, status: &Status) -> ExitMessage {
    ExitMessage {
        code,
        error: Some(rpc::Status {
            code: status.code().into(),
            message: status.message().to_owned(),
            details: Vec::new(),
        }),
    }
}
