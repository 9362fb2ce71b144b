//! SSH agents: what is said to one of them travels within a call.

use std::sync::Arc;

use bollard_buildkit_proto::moby::sshforward::v1::ssh_server::Ssh;
use bollard_buildkit_proto::moby::sshforward::v1::{
    BytesMessage, CheckAgentRequest, CheckAgentResponse,
};
use futures_util::{StreamExt as _, stream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tonic::codegen::async_trait;
use tonic::{Request, Response, Status, Streaming};

use super::Messages;
use crate::offers::{Agent, Offers};

/// The metadata that names the agent.
const AGENT: &str = "buildkit.ssh.id";
/// The agent that is meant when none is named.
const DEFAULT: &str = "default";
/// Bytes that are carried at once.
const PIECE: usize = 16 << 10;

/// Has agents.
#[derive(Debug)]
pub(super) struct Service(pub(super) Arc<Offers>);

impl Service {
    fn agent(&self, id: &str) -> Result<&Arc<dyn Agent>, Status> {
        let id = if id.is_empty() { DEFAULT } else { id };
        let missing = || Status::not_found(format!("unset ssh forward key {id}"));
        self.0.agents.get(id).ok_or_else(missing)
    }
}

#[async_trait]
impl Ssh for Service {
    type ForwardAgentStream = Messages<BytesMessage>;

    async fn check_agent(
        &self,
        request: Request<CheckAgentRequest>,
    ) -> Result<Response<CheckAgentResponse>, Status> {
        self.agent(&request.get_ref().id)?;
        Ok(Response::new(CheckAgentResponse {}))
    }

    async fn forward_agent(
        &self,
        request: Request<Streaming<BytesMessage>>,
    ) -> Result<Response<Messages<BytesMessage>>, Status> {
        let id = request.metadata().get(AGENT);
        let id = id.and_then(|id| id.to_str().ok()).unwrap_or_default();
        let unreachable = |error| Status::internal(format!("cannot reach the SSH agent: {error}"));
        let stream = self.agent(id)?.connect().map_err(unreachable)?;
        stream.set_nonblocking(true).map_err(unreachable)?;
        let stream = UnixStream::from_std(stream).map_err(unreachable)?;
        let (reader, writer) = stream.into_split();
        let asking = stream::once(ask(request.into_inner(), writer));
        // The call ends when the agent has no more to say, whoever still talks to it.
        let answers = answers(reader)
            .map(Some)
            .chain(stream::once(async { None }));
        let both = stream::select(answers, asking.filter_map(|()| async { None::<Option<_>> }));
        let both = both.take_while(|answer| std::future::ready(answer.is_some()));
        let both = both.filter_map(|answer| async { answer });
        Ok(Response::new(both.map(Ok).boxed()))
    }
}

/// What the agent says.
fn answers(reader: OwnedReadHalf) -> impl futures_util::Stream<Item = BytesMessage> + Send {
    stream::unfold(reader, |mut reader| async move {
        let mut data = vec![0; PIECE];
        let length = reader
            .read(&mut data)
            .await
            .ok()
            .filter(|length| *length > 0)?;
        data.truncate(length);
        Some((BytesMessage { data }, reader))
    })
}

/// Tells the agent what the daemon says, until it says no more.
async fn ask(mut incoming: Streaming<BytesMessage>, mut writer: OwnedWriteHalf) {
    while let Ok(Some(message)) = incoming.message().await {
        if writer.write_all(&message.data).await.is_err() {
            return;
        }
    }
    // An agent that is gone needs not be told.
    drop(writer.shutdown().await);
}
