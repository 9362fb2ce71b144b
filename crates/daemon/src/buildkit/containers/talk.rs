//! `ExecProcess`: one call in which a client starts processes in containers, sends to them, and
//! hears of them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use bollard_buildkit_proto::moby::buildkit::v1::frontend::exec_message::Input;
use bollard_buildkit_proto::moby::buildkit::v1::frontend::{
    ExecMessage, FdMessage, InitMessage, ResizeMessage, SignalMessage,
};
use futures_util::{StreamExt as _, stream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tonic::{Status, Streaming};

use super::process::{self, Handle};
use crate::buildkit::Messages;
use crate::buildkit::builds::Job;

/// Processes of one call at once.
const MAX_PROCESSES: usize = 64;
/// Messages to the client that may wait.
const WAITING: usize = 16;

/// Begins to talk; what the client hears.
pub(in crate::buildkit) fn talk(
    job: Arc<Job>,
    incoming: Streaming<ExecMessage>,
) -> Messages<ExecMessage> {
    let (sender, receiver) = mpsc::channel(WAITING);
    let (fail, failure) = mpsc::channel(1);
    let daemon = Arc::clone(&job.daemon);
    daemon.go_on_beside(async move {
        let ended = job.ended.clone();
        let client = sender.clone();
        let talk = Talk {
            job,
            processes: HashMap::new(),
            pumps: JoinSet::new(),
            sender,
        };
        let outcome = tokio::select! {
            outcome = talk.run(incoming) => outcome,
            () = client.closed() => Ok(()),
            () = ended.cancelled() => Err(Status::cancelled("the build has ended")),
        };
        if let Err(status) = outcome {
            // A client that is gone is told nothing.
            let _ = fail.send(status).await;
        }
    });
    let heard = stream::unfold(receiver, |mut receiver| async move {
        Some((Ok(receiver.recv().await?), receiver))
    });
    let failed = stream::unfold(failure, |mut failure| async move {
        Some((Err(failure.recv().await?), failure))
    });
    heard.chain(failed).boxed()
}

/// One call. What it started ends with it.
struct Talk {
    job: Arc<Job>,
    processes: HashMap<String, Handle>,
    pumps: JoinSet<()>,
    sender: mpsc::Sender<ExecMessage>,
}

impl Talk {
    /// Until the client says no more and what it started has ended.
    async fn run(mut self, mut incoming: Streaming<ExecMessage>) -> Result<(), Status> {
        while let Some(message) = incoming.message().await? {
            let id = message.process_id;
            if id.is_empty() {
                return Err(Status::invalid_argument("ProcessID required"));
            }
            match message.input {
                Some(Input::Init(init)) => self.begin(id, init).await?,
                Some(Input::File(file)) => self.write(&id, file).await?,
                Some(Input::Resize(size)) => self.resize(&id, size)?,
                Some(Input::Signal(signal)) => self.signal(&id, &signal).await?,
                // What only the daemon says, and what is not known.
                _ => {
                    return Err(Status::invalid_argument(
                        "a message that is none of a client's",
                    ));
                }
            }
        }
        while self.pumps.join_next().await.is_some() {}
        Ok(())
    }

    async fn begin(&mut self, id: String, init: InitMessage) -> Result<(), Status> {
        if self.processes.len() >= MAX_PROCESSES {
            return Err(Status::resource_exhausted("there are too many processes"));
        }
        let Entry::Vacant(place) = self.processes.entry(id) else {
            return Err(Status::already_exists("the process already exists"));
        };
        let container = self.job.containers.find(&init.container_id)?;
        let (handle, pump) = process::start(&self.job, place.key(), container, init).await?;
        place.insert(handle);
        self.pumps.spawn(pump.run(self.sender.clone()));
        Ok(())
    }

    /// A process that has ended takes nothing any more, which is no fault of the client's.
    async fn write(&mut self, id: &str, file: FdMessage) -> Result<(), Status> {
        let process = self.find(id)?;
        let unavailable = || Status::out_of_range(format!("fd {} unavailable to write", file.fd));
        let stdin = process.stdin.as_ref().filter(|_| file.fd == 0);
        let stdin = stdin.ok_or_else(unavailable)?;
        if !file.data.is_empty() {
            let _ = stdin.send(file.data).await;
        }
        if file.eof {
            process.stdin = None;
        }
        Ok(())
    }

    fn resize(&mut self, id: &str, size: ResizeMessage) -> Result<(), Status> {
        let process = self.find(id)?;
        let number = |number| u16::try_from(number).unwrap_or(u16::MAX);
        if let Some(terminal) = &process.terminal {
            // A terminal that is closed has no size.
            let _ = terminal.resize(number(size.rows), number(size.cols));
        }
        Ok(())
    }

    async fn signal(&mut self, id: &str, signal: &SignalMessage) -> Result<(), Status> {
        let process = self.find(id)?;
        let unknown = || Status::invalid_argument(format!("Unknown signal {}", signal.name));
        let number = crate::signal::number(&signal.name).ok_or_else(unknown)?;
        // One that has ended needs none.
        let _ = process.signals.send(number).await;
        Ok(())
    }

    fn find(&mut self, id: &str) -> Result<&mut Handle, Status> {
        let missing = || Status::not_found(format!("IO for process {id:?} not found"));
        self.processes.get_mut(id).ok_or_else(missing)
    }
}
