//! Past builds, of which a daemon keeps records, and what they made and stated.

use bollard_buildkit_proto::moby::buildkit::v1::{
    BuildHistoryEventType, BuildHistoryRecord, BuildHistoryRequest, StatusRequest, StatusResponse,
    UpdateBuildHistoryRequest,
};
use prost::Message;
use tokio::sync::mpsc;
use tonic::Request;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic_prost::ProstCodec;
use wire::{Caller, MAX_MESSAGE};

use crate::client::Client;
use crate::failure::Failure;
use crate::told::Told;

/// The content service of containerd: what reads.
const READ: &str = "/containerd.services.content.v1.Content/Read";

/// `ReadContentRequest`: from the beginning, and all of it.
#[derive(Clone, PartialEq, Message)]
struct ReadRequest {
    #[prost(string, tag = "1")]
    digest: String,
}

/// `ReadContentResponse`.
#[derive(Clone, PartialEq, Message)]
struct ReadResponse {
    #[prost(bytes = "vec", tag = "2")]
    data: Vec<u8>,
}

impl Client {
    /// Past builds and those that go on, the latest first.
    ///
    /// # Errors
    /// The daemon refuses the request, or tells of more builds than anybody looks at.
    pub async fn history(&self) -> Result<Vec<BuildHistoryRecord>, Failure> {
        let request = BuildHistoryRequest {
            early_exit: true,
            ..BuildHistoryRequest::default()
        };
        let answer = self.control().listen_build_history(request).await?;
        let (mut events, mut records) = (answer.into_inner(), Vec::new());
        let mut told = Told::default();
        while let Some(event) = events.message().await? {
            told.add(&event)?;
            if event.r#type() != BuildHistoryEventType::Deleted {
                records.extend(event.record);
            }
        }
        let began =
            |record: &BuildHistoryRecord| record.created_at.map(|at| (at.seconds, at.nanos));
        records.sort_by_key(|record| std::cmp::Reverse(began(record)));
        Ok(records)
    }

    /// Has the daemon forget a build.
    ///
    /// # Errors
    /// There is none, or it goes on.
    pub async fn forget(&self, id: &str) -> Result<(), Failure> {
        let request = UpdateBuildHistoryRequest {
            r#ref: id.to_owned(),
            delete: true,
            ..UpdateBuildHistoryRequest::default()
        };
        self.control().update_build_history(request).await?;
        Ok(())
    }

    /// Tells again what was told of a build; of one that goes on until it ends.
    ///
    /// # Errors
    /// There is none, or its log cannot be read.
    pub async fn replay(
        &self,
        id: &str,
        told: mpsc::Sender<StatusResponse>,
    ) -> Result<(), Failure> {
        let r#ref = id.to_owned();
        let answer = self.control().status(StatusRequest { r#ref }).await?;
        let mut answer = answer.into_inner();
        while let Some(response) = answer.message().await? {
            if told.send(response).await.is_err() {
                break;
            }
        }
        Ok(())
    }

    /// A document that the daemon keeps, of at most `most` bytes.
    ///
    /// # Errors
    /// There is none, or it has more bytes.
    pub async fn document(&self, digest: &str, most: usize) -> Result<Vec<u8>, Failure> {
        let mut service = Grpc::with_origin(self.caller(), Caller::origin())
            .max_decoding_message_size(MAX_MESSAGE);
        let lost = |error: hyper::Error| Failure::new(error.to_string());
        service.ready().await.map_err(lost)?;
        let digest = digest.to_owned();
        let codec: ProstCodec<ReadRequest, ReadResponse> = ProstCodec::default();
        let path = PathAndQuery::from_static(READ);
        let request = Request::new(ReadRequest { digest });
        let answer = service.server_streaming(request, path, codec).await?;
        let (mut pieces, mut bytes) = (answer.into_inner(), Vec::new());
        while let Some(piece) = pieces.message().await? {
            bytes.extend(piece.data);
            if bytes.len() > most {
                return Err(Failure::new(format!(
                    "a document of more than {most} bytes"
                )));
            }
        }
        Ok(bytes)
    }
}
