//! What is exported to the client: an archive as one stream of bytes, for one of its places.

use std::io;
use std::sync::Arc;

use bollard_buildkit_proto::moby::filesync::v1::BytesMessage;
use bollard_buildkit_proto::moby::filesync::v1::file_send_server::FileSend;
use futures_util::{StreamExt as _, stream};
use tonic::codegen::async_trait;
use tonic::{Request, Response, Status, Streaming};

use super::Messages;
use crate::offers::Offers;

/// Which of the client's exporters something is for.
const EXPORTER: &str = "buildkit-attachable-exporter-id";

/// Takes what is exported.
#[derive(Debug)]
pub(super) struct Service(pub(super) Arc<Offers>);

#[async_trait]
impl FileSend for Service {
    type DiffCopyStream = Messages<BytesMessage>;

    async fn diff_copy(
        &self,
        request: Request<Streaming<BytesMessage>>,
    ) -> Result<Response<Messages<BytesMessage>>, Status> {
        let place = match request.metadata().get(EXPORTER) {
            Some(place) => place.to_str().ok().and_then(|text| text.parse().ok()),
            // Daemons that know of one exporter only do not say which it is.
            None => self.0.outputs.keys().copied().min(),
        };
        let output = place.and_then(|place| self.0.outputs.get(&place));
        let output = output.ok_or_else(|| Status::not_found("the client has no such exporter"))?;
        let mut sink = output.begin().map_err(unwritable)?;
        let mut incoming = request.into_inner();
        while let Some(message) = incoming.message().await? {
            sink.write_all(&message.data).map_err(unwritable)?;
        }
        sink.finish().map_err(unwritable)?;
        Ok(Response::new(stream::empty().boxed()))
    }
}

fn unwritable(error: io::Error) -> Status {
    Status::internal(error.to_string())
}
