//! Content stores of a client: directories with blobs in it that are read, as caches and images, or
//! written to.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use futures_util::stream;
use oci::{Digest, Hasher};
use tokio::sync::mpsc;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::AsciiMetadataValue;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;
use wire::{Caller, MAX_MESSAGE};

use super::Session;
use wire::content::{
    COMMIT, InfoRequest, InfoResponse, NAME, ReadRequest, ReadResponse, STAT, WRITE, WriteRequest,
    WriteResponse,
};

/// Which of a client's stores is meant.
const STORE: &str = "buildkit-attachable-store-id";
/// Bytes that are sent at once.
const CHUNK: usize = 1 << 20;

/// A content store of a client.
#[derive(Debug, Clone)]
pub(in crate::buildkit) struct ClientStore {
    session: Arc<Session>,
    id: AsciiMetadataValue,
}

impl ClientStore {
    /// The store that the client knows by `id`.
    ///
    /// # Errors
    /// The client offers none.
    pub(in crate::buildkit) fn new(session: &Arc<Session>, id: &str) -> Result<Self, Status> {
        if !session.has(&format!("/{NAME}/Info")) {
            let message = format!("the client does not offer the content store {id:?}");
            return Err(Status::failed_precondition(message));
        }
        let invalid = |_| Status::invalid_argument(format!("invalid content store {id:?}"));
        Ok(Self {
            session: Arc::clone(session),
            id: id.parse().map_err(invalid)?,
        })
    }

    /// How many bytes a blob has; none if the client does not have it.
    ///
    /// # Errors
    /// The client fails.
    pub(in crate::buildkit) async fn size(&self, digest: &Digest) -> Result<Option<u64>, Status> {
        let digest = digest.to_string();
        let request = self.request(InfoRequest { digest });
        let codec = ProstCodec::<InfoRequest, InfoResponse>::default();
        let answer = self
            .grpc()
            .await?
            .unary(request, path("Info")?, codec)
            .await;
        match answer {
            Ok(answer) => {
                let info = answer.into_inner().info.unwrap_or_default();
                Ok(Some(u64::try_from(info.size).unwrap_or_default()))
            }
            Err(status) if status.code() == Code::NotFound => Ok(None),
            Err(status) => Err(status),
        }
    }

    /// The bytes of a document, which are those of its digest.
    ///
    /// # Errors
    /// The client does not have it, or it is too large for one.
    pub(in crate::buildkit) async fn document(&self, digest: &Digest) -> Result<Vec<u8>, Status> {
        let mut bytes = Vec::new();
        self.read(digest, |piece| {
            bytes.extend_from_slice(piece);
            match bytes.len() as u64 > oci::MAX_DOCUMENT_SIZE {
                true => Err(Status::resource_exhausted(format!("{digest} is too large"))),
                false => Ok(()),
            }
        })
        .await?;
        Ok(bytes)
    }

    /// Brings a blob into a file. Blocks while it writes.
    ///
    /// # Errors
    /// The client does not have it, or it cannot be written.
    pub(in crate::buildkit) async fn fetch(
        &self,
        digest: &Digest,
        into: &Path,
    ) -> Result<(), Status> {
        let mut file = File::create(into).map_err(|error| unwritable(&error))?;
        let write = |piece: &[u8]| file.write_all(piece).map_err(|error| unwritable(&error));
        self.read(digest, write).await
    }

    /// Reads a blob and checks it.
    async fn read(
        &self,
        digest: &Digest,
        mut take: impl FnMut(&[u8]) -> Result<(), Status>,
    ) -> Result<(), Status> {
        let request = self.request(ReadRequest {
            digest: digest.to_string(),
            ..ReadRequest::default()
        });
        let codec = ProstCodec::<ReadRequest, ReadResponse>::default();
        let mut grpc = self.grpc().await?;
        let pieces = grpc.server_streaming(request, path("Read")?, codec).await?;
        let (mut pieces, mut hasher) = (pieces.into_inner(), Hasher::new());
        while let Some(piece) = pieces.message().await? {
            hasher.update(&piece.data);
            take(&piece.data)?;
        }
        match hasher.finish() == *digest {
            true => Ok(()),
            false => Err(Status::data_loss(format!("{digest} has other bytes"))),
        }
    }

    /// Sends a blob, unless the client has it. Blocks while it reads.
    ///
    /// # Errors
    /// The client does not take it, or it cannot be read.
    pub(in crate::buildkit) async fn send(
        &self,
        digest: &Digest,
        from: &Path,
    ) -> Result<(), Status> {
        if self.size(digest).await?.is_some() {
            return Ok(());
        }
        match self.write(digest, from).await {
            // Somebody else was faster.
            Err(status) if status.code() == Code::AlreadyExists => Ok(()),
            written => written,
        }
    }

    async fn write(&self, digest: &Digest, from: &Path) -> Result<(), Status> {
        let unreadable = |error: std::io::Error| Status::internal(error.to_string());
        let mut file = File::open(from).map_err(unreadable)?;
        let size = file.metadata().map_err(unreadable)?.len();
        let (sender, receiver) = mpsc::channel(2);
        let messages = stream::unfold(receiver, |mut receiver| async move {
            Some((receiver.recv().await?, receiver))
        });
        let mut head = WriteRequest {
            action: STAT,
            name: format!("kiln-{}", digest.hex()),
            total: number(size),
            expected: digest.to_string(),
            ..WriteRequest::default()
        };
        let gone = |_| Status::aborted("the client stopped listening");
        sender.send(head.clone()).await.map_err(gone)?;
        let codec = ProstCodec::<WriteRequest, WriteResponse>::default();
        let mut grpc = self.grpc().await?;
        let request = self.request(messages);
        let answers = grpc.streaming(request, path("Write")?, codec).await?;
        let mut answers = answers.into_inner();
        let silent = || Status::aborted("the client stopped answering");
        // What an earlier attempt has left is written again.
        answers.message().await?.ok_or_else(silent)?;
        let mut buffer = vec![0; CHUNK];
        loop {
            let read = file.read(&mut buffer).map_err(unreadable)?;
            if read == 0 {
                break;
            }
            let next = WriteRequest {
                action: WRITE,
                data: buffer[..read].to_vec(),
                ..head.clone()
            };
            sender.send(next).await.map_err(gone)?;
            answers.message().await?.ok_or_else(silent)?;
            head.offset += number(read as u64);
        }
        head.action = COMMIT;
        sender.send(head).await.map_err(gone)?;
        answers.message().await?.ok_or_else(silent)?;
        Ok(())
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert(STORE, self.id.clone());
        request
    }

    async fn grpc(&self) -> Result<Grpc<Caller>, Status> {
        let (caller, origin) = self.session.caller();
        let mut grpc = Grpc::with_origin(caller, origin).max_decoding_message_size(MAX_MESSAGE);
        let ready = grpc.ready().await;
        ready.map_err(|error| Status::unavailable(error.to_string()))?;
        Ok(grpc)
    }
}

fn path(method: &str) -> Result<PathAndQuery, Status> {
    let path = PathAndQuery::try_from(format!("/{NAME}/{method}"));
    path.map_err(|error| Status::internal(error.to_string()))
}

fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unwritable(error: &std::io::Error) -> Status {
    Status::internal(format!("cannot keep the client's blobs: {error}"))
}
