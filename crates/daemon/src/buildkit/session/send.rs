//! What is exported to a client: an archive as one stream of bytes.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::Arc;

use bollard_buildkit_proto::moby::filesync::v1::BytesMessage;
use bollard_buildkit_proto::moby::filesync::v1::file_send_client::FileSendClient as ArchiveClient;
use engine::{ExportedImage, Sink};
use futures_util::{Stream, stream};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tonic::metadata::{AsciiMetadataKey, MetadataValue};
use tonic::{Code, Request, Status};

use super::Session;
use crate::buildkit::solve;

/// The method by which clients take what is exported.
pub(super) const METHOD: &str = "/moby.filesync.v1.FileSend/DiffCopy";
/// Which of a client's exporters something is for.
const EXPORTER: &str = "buildkit-attachable-exporter-id";
/// How names begin of what a client is told of an archive.
const ABOUT: &str = "exporter-md-";
/// Bytes of a message, and messages that wait.
const MESSAGE: usize = 256 << 10;
const WAITING: usize = 4;

/// An archive for the client's exporter at `place`. It is asked for when something is written.
pub(in crate::buildkit) fn archive(session: Option<&Arc<Session>>, place: usize) -> ArchiveSink {
    ArchiveSink {
        session: session.cloned(),
        place,
        runtime: Handle::current(),
        sender: None,
        call: JoinSet::new(),
        buffer: Vec::new(),
        about: HashMap::new(),
        is_there: false,
    }
}

/// A request to the client's exporter at `place`.
pub(super) fn to_exporter<T>(message: T, place: usize) -> Request<T> {
    let mut request = Request::new(message);
    request
        .metadata_mut()
        .insert(EXPORTER, MetadataValue::from(place));
    request
}

/// Sends what is written to a client. To be written on a thread that may block.
pub(in crate::buildkit) struct ArchiveSink {
    session: Option<Arc<Session>>,
    place: usize,
    runtime: Handle,
    sender: Option<mpsc::Sender<BytesMessage>>,
    /// Ends the call when it is dropped, by which the client knows that something is missing.
    call: JoinSet<Result<(), Status>>,
    buffer: Vec<u8>,
    /// What the client is told before the first byte.
    about: HashMap<String, String>,
    /// The client has it already, and wants no more of it.
    is_there: bool,
}

impl ArchiveSink {
    /// Begins the call.
    fn begin(&mut self) -> io::Result<mpsc::Sender<BytesMessage>> {
        let session = self.session.clone();
        let session = session.filter(|session| session.has(METHOD));
        let session = session.ok_or_else(|| {
            io::Error::other(format!("method {METHOD} not supported by the client"))
        })?;
        let (sender, receiver) = mpsc::channel(WAITING);
        let messages = stream::unfold(receiver, |mut receiver| async move {
            Some((receiver.recv().await?, receiver))
        });
        let mut request = to_exporter(messages, self.place);
        for (name, value) in &self.about {
            let name = format!("{ABOUT}{name}").parse::<AsciiMetadataKey>();
            if let (Ok(name), Ok(value)) = (name, value.parse()) {
                request.metadata_mut().insert(name, value);
            }
        }
        let call = send(session, request);
        self.call.spawn_on(call, &self.runtime);
        self.sender = Some(sender.clone());
        Ok(sender)
    }

    fn send(&mut self) -> io::Result<()> {
        if self.is_there {
            self.buffer.clear();
            return Ok(());
        }
        let sender = match &self.sender {
            Some(sender) => sender.clone(),
            None => self.begin()?,
        };
        let data = std::mem::take(&mut self.buffer);
        if sender.blocking_send(BytesMessage { data }).is_ok() {
            return Ok(());
        }
        self.end()?;
        match self.is_there {
            true => Ok(()),
            false => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Waits for what the client says in the end.
    fn end(&mut self) -> io::Result<()> {
        self.sender = None;
        let ended = self.runtime.block_on(self.call.join_next());
        match ended {
            Some(Ok(Err(status))) if status.code() == Code::AlreadyExists => {
                self.is_there = true;
                Ok(())
            }
            Some(Ok(Err(status))) => Err(io::Error::other(status.message().to_owned())),
            Some(Ok(Ok(()))) => Ok(()),
            Some(Err(lost)) => Err(io::Error::other(lost)),
            None => Ok(()),
        }
    }
}

impl Write for ArchiveSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= MESSAGE {
            self.send()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for ArchiveSink {
    fn about(&mut self, image: &ExportedImage) {
        // Who cannot be told gets the archive all the same.
        self.about = solve::response(image).unwrap_or_default();
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        if !self.buffer.is_empty() {
            self.send()?;
        }
        self.end()
    }
}

async fn send(
    session: Arc<Session>,
    request: Request<impl Stream<Item = BytesMessage> + Send + 'static>,
) -> Result<(), Status> {
    let (caller, origin) = session.caller();
    let mut client = ArchiveClient::with_origin(caller, origin);
    let answer = client.diff_copy(request).await?;
    let mut answer = answer.into_inner();
    while answer.message().await?.is_some() {}
    Ok(())
}
