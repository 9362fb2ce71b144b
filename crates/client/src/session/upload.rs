//! Bytes that the daemon takes from a URL of the session, such as an archive on standard input.

use std::io::Read;
use std::sync::Arc;

use bollard_buildkit_proto::moby::upload::v1::BytesMessage;
use bollard_buildkit_proto::moby::upload::v1::upload_server::Upload;
use futures_util::{StreamExt as _, stream};
use tokio::task::JoinError;
use tonic::codegen::async_trait;
use tonic::{Request, Response, Status, Streaming};

use super::Messages;
use crate::offers::Offers;

/// The metadata that has the path of the URL.
const PATH: &str = "urlpath";
/// Bytes that are sent at once.
const PIECE: usize = 64 << 10;

/// Has bytes.
#[derive(Debug)]
pub(super) struct Service(pub(super) Arc<Offers>);

#[async_trait]
impl Upload for Service {
    type PullStream = Messages<BytesMessage>;

    async fn pull(
        &self,
        request: Request<Streaming<BytesMessage>>,
    ) -> Result<Response<Messages<BytesMessage>>, Status> {
        let path = request.metadata().get(PATH);
        let path = path.and_then(|path| path.to_str().ok()).unwrap_or_default();
        let name = path.trim_start_matches('/');
        let bytes = self.0.uploads.get(name).and_then(|bytes| bytes.take());
        let bytes = bytes.ok_or_else(|| Status::not_found(format!("no upload {name:?}")))?;
        let pieces = stream::try_unfold(bytes, |bytes| async move {
            // Whoever writes them may be slow.
            let piece = tokio::task::spawn_blocking(move || piece(bytes)).await;
            piece
                .map_err(lost)?
                .map_err(|error| Status::internal(error.to_string()))
        });
        Ok(Response::new(pieces.boxed()))
    }
}

type Source = Box<dyn Read + Send>;

fn piece(mut bytes: Source) -> std::io::Result<Option<(BytesMessage, Source)>> {
    let mut data = vec![0; PIECE];
    let length = bytes.read(&mut data)?;
    data.truncate(length);
    Ok((length > 0).then_some((BytesMessage { data }, bytes)))
}

fn lost(error: JoinError) -> Status {
    Status::internal(error.to_string())
}
