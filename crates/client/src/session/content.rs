//! Containerd's content service over the client's own stores: blobs that the daemon takes, and blobs
//! that it brings. Blobs are there whole or not at all.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::pin::Pin;
use std::sync::Arc;

use futures_util::stream;
use tonic::body::Body;
use tonic::codegen::http;
use tonic::metadata::MetadataMap;
use tonic::server::{Grpc, ServerStreamingService, StreamingService, UnaryService};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;
use wire::content::{
    COMMIT, Info, InfoRequest, InfoResponse, NAME, ReadRequest, ReadResponse, STAT, WRITE,
    WriteRequest, WriteResponse,
};

use super::Messages;
use crate::offers::{Offers, Sink, Store};

/// Which of the client's stores something is about.
const STORE: &str = "buildkit-attachable-store-id";
/// Bytes of one message.
const CHUNK: u64 = 1 << 20;

#[derive(Debug, Clone)]
struct Service(Arc<Offers>);

type Answered<T> = Pin<Box<dyn Future<Output = Result<Response<T>, Status>> + Send>>;

/// The answer to a call of the service.
pub(super) async fn answer(
    offers: &Arc<Offers>,
    request: http::Request<Body>,
) -> http::Response<Body> {
    let service = Service(Arc::clone(offers));
    match request.uri().path().rsplit('/').next() {
        Some("Info") => {
            let mut grpc = Grpc::new(ProstCodec::<_, InfoRequest>::default());
            grpc.unary(service, request).await
        }
        Some("Read") => {
            let mut grpc = Grpc::new(ProstCodec::<_, ReadRequest>::default());
            grpc.server_streaming(service, request).await
        }
        Some("Write") => {
            let mut grpc = Grpc::new(ProstCodec::<_, WriteRequest>::default());
            grpc.streaming(service, request).await
        }
        other => {
            let name = other.unwrap_or_default();
            let message = format!("{name} of the service {NAME} is not provided by kiln");
            Status::unimplemented(message).into_http()
        }
    }
}

impl Service {
    fn store(&self, metadata: &MetadataMap) -> Result<Arc<dyn Store>, Status> {
        let id = metadata.get(STORE).and_then(|id| id.to_str().ok());
        let id = id.unwrap_or_default();
        let store = self.0.stores.get(id).cloned();
        store.ok_or_else(|| Status::not_found(format!("unknown store {id}")))
    }

    fn open<T>(&self, request: &Request<T>, digest: &str) -> Result<(File, u64), Status> {
        let store = self.store(request.metadata())?;
        let opened = store.open(digest).map_err(|error| failed(&error))?;
        let missing = || Status::not_found(format!("content {digest}: not found"));
        let file = opened.ok_or_else(missing)?;
        let size = file.metadata().map_err(|error| failed(&error))?.len();
        Ok((file, size))
    }
}

impl UnaryService<InfoRequest> for Service {
    type Response = InfoResponse;
    type Future = Answered<InfoResponse>;

    fn call(&mut self, request: Request<InfoRequest>) -> Self::Future {
        let digest = request.get_ref().digest.clone();
        let found = self.open(&request, &digest).map(|(_, size)| {
            let size = number(size);
            let info = Some(Info { digest, size });
            Response::new(InfoResponse { info })
        });
        Box::pin(std::future::ready(found))
    }
}

impl ServerStreamingService<ReadRequest> for Service {
    type Response = ReadResponse;
    type ResponseStream = Messages<ReadResponse>;
    type Future = Answered<Self::ResponseStream>;

    fn call(&mut self, request: Request<ReadRequest>) -> Self::Future {
        let opened = self.open(&request, &request.get_ref().digest);
        let read = opened.and_then(|opened| read(opened, request.get_ref()));
        Box::pin(std::future::ready(read.map(Response::new)))
    }
}

/// The part of a blob that is asked for, in pieces.
fn read(
    (mut file, size): (File, u64),
    request: &ReadRequest,
) -> Result<Messages<ReadResponse>, Status> {
    let outside = || Status::out_of_range(format!("{} has {size} bytes", request.digest));
    let begin = u64::try_from(request.offset).map_err(|_| outside())?;
    let length = u64::try_from(request.size).map_err(|_| outside())?;
    let rest = size.checked_sub(begin).ok_or_else(outside)?;
    let length = if length == 0 { rest } else { length.min(rest) };
    let sought = file.seek(SeekFrom::Start(begin));
    sought.map_err(|error| failed(&error))?;
    let state = (file.take(length), begin);
    let pieces = stream::try_unfold(state, |(mut rest, at)| async move {
        let mut data = Vec::new();
        let piece = rest.by_ref().take(CHUNK).read_to_end(&mut data);
        let read = piece.map_err(|error| failed(&error))? as u64;
        let piece = ReadResponse {
            offset: number(at),
            data,
        };
        Ok((read > 0).then_some((piece, (rest, at + read))))
    });
    Ok(Box::pin(pieces))
}

impl StreamingService<WriteRequest> for Service {
    type Response = WriteResponse;
    type ResponseStream = Messages<WriteResponse>;
    type Future = Answered<Self::ResponseStream>;

    fn call(&mut self, request: Request<Streaming<WriteRequest>>) -> Self::Future {
        let store = self.store(request.metadata());
        Box::pin(async move {
            let state = (request.into_inner(), Writing::new(store?));
            let answers = stream::try_unfold(state, |(mut incoming, mut writing)| async move {
                let Some(message) = incoming.message().await? else {
                    return Ok(None);
                };
                let answer = writing.answer(&message)?;
                Ok(Some((answer, (incoming, writing))))
            });
            let answers: Messages<WriteResponse> = Box::pin(answers);
            Ok(Response::new(answers))
        })
    }
}

/// A blob on its way.
struct Writing {
    store: Arc<dyn Store>,
    /// The digest, which is told first and last, and not with each piece.
    expected: String,
    /// None before the first bytes, and when all are there.
    sink: Option<Box<dyn Sink>>,
    offset: u64,
}

impl Writing {
    fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            expected: String::new(),
            sink: None,
            offset: 0,
        }
    }

    /// The answer to what the daemon says next.
    fn answer(&mut self, message: &WriteRequest) -> Result<WriteResponse, Status> {
        let (action, total) = (message.action, message.total);
        if !message.expected.is_empty() {
            self.expected.clone_from(&message.expected);
        }
        match action {
            STAT => self.look()?,
            WRITE | COMMIT => self.write(message)?,
            other => return Err(Status::unimplemented(format!("writing action {other}"))),
        }
        Ok(WriteResponse {
            action,
            offset: number(self.offset),
            total,
            digest: match action {
                COMMIT => self.expected.clone(),
                _ => String::new(),
            },
        })
    }

    /// What is there need not come again.
    fn look(&self) -> Result<(), Status> {
        if self.expected.is_empty() {
            return Ok(());
        }
        let known = self.store.open(&self.expected);
        match known.map_err(|error| failed(&error))? {
            Some(_) => Err(Status::already_exists(format!(
                "content {}: already exists",
                self.expected
            ))),
            None => Ok(()),
        }
    }

    fn write(&mut self, message: &WriteRequest) -> Result<(), Status> {
        if message.offset != number(self.offset) && !message.data.is_empty() {
            let text = format!("write at {} of {} bytes", message.offset, self.offset);
            return Err(Status::out_of_range(text));
        }
        if self.sink.is_none() {
            let begun = self.store.begin(&self.expected);
            self.sink = Some(begun.map_err(|error| failed(&error))?);
        }
        let Some(sink) = &mut self.sink else {
            return Ok(());
        };
        let written = sink.write_all(&message.data);
        written.map_err(|error| failed(&error))?;
        self.offset += message.data.len() as u64;
        match (message.action, self.sink.take()) {
            (COMMIT, Some(sink)) => sink.finish().map_err(|error| failed(&error)),
            (_, sink) => {
                self.sink = sink;
                Ok(())
            }
        }
    }
}

fn number(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

fn failed(error: &io::Error) -> Status {
    match error.kind() {
        io::ErrorKind::InvalidInput => Status::invalid_argument(error.to_string()),
        _ => Status::internal(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Mutex;

    use super::*;

    /// Blobs that are there, and what was written.
    #[derive(Debug, Clone, Default)]
    struct Memory(Arc<Mutex<Vec<String>>>);

    struct Kept(Memory, String, Vec<u8>);

    impl Store for Memory {
        fn open(&self, digest: &str) -> io::Result<Option<File>> {
            let is_known = digest == "known";
            is_known.then(|| File::open("/dev/null")).transpose()
        }

        fn begin(&self, digest: &str) -> io::Result<Box<dyn Sink>> {
            Ok(Box::new(Kept(self.clone(), digest.to_owned(), Vec::new())))
        }
    }

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.2.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Sink for Kept {
        fn finish(self: Box<Self>) -> io::Result<()> {
            let text = format!("{}={}", self.1, String::from_utf8_lossy(&self.2));
            self.0.0.lock().unwrap().push(text);
            Ok(())
        }
    }

    fn message(action: i32, expected: &str, offset: i64, data: &[u8]) -> WriteRequest {
        WriteRequest {
            action,
            expected: expected.to_owned(),
            offset,
            data: data.to_vec(),
            ..WriteRequest::default()
        }
    }

    /// As containerd's own clients do it.
    #[test]
    fn the_digest_is_not_told_with_each_piece() {
        let memory = Memory::default();
        let mut writing = Writing::new(Arc::new(memory.clone()));
        let told = [
            message(STAT, "digest", 0, b""),
            message(WRITE, "", 0, b"ab"),
            message(WRITE, "", 2, b"c"),
            message(COMMIT, "digest", 3, b""),
        ];
        let offsets: Vec<i64> = told
            .iter()
            .map(|message| writing.answer(message).unwrap().offset)
            .collect();
        assert_eq!(offsets, [0, 2, 3, 3]);
        assert_eq!(*memory.0.lock().unwrap(), ["digest=abc"]);
    }

    #[test]
    fn what_is_there_need_not_come_again_and_nothing_is_left_out() {
        let answer = |messages: &[WriteRequest]| {
            let mut writing = Writing::new(Arc::new(Memory::default()));
            let mut answers = messages.iter().map(|message| writing.answer(message));
            answers.find_map(Result::err).unwrap().to_string()
        };
        let known = answer(&[message(STAT, "known", 0, b"")]);
        assert!(known.contains("content known: already exists"), "{known}");
        let gap = [message(STAT, "a", 0, b""), message(WRITE, "", 7, b"x")];
        let gap = answer(&gap);
        assert!(gap.contains("write at 7 of 0 bytes"), "{gap}");
    }
}
