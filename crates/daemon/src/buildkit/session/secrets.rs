//! Secrets of a client, asked for when steps need them.

use std::sync::Arc;
use std::time::Duration;

use bollard_buildkit_proto::moby::buildkit::secrets::v1::GetSecretRequest;
use bollard_buildkit_proto::moby::buildkit::secrets::v1::secrets_client::SecretsClient;
use engine::{Secret, SecretStore};
use tokio::runtime::Handle;
use tonic::{Code, Status};

use super::Session;

/// The method by which they come.
const METHOD: &str = "/moby.buildkit.secrets.v1.Secrets/GetSecret";
/// Bytes of one, which is what BuildKit takes too.
const MAX_BYTES: usize = 500 << 10;
/// How long a client may think about one; it may ask a person.
const PATIENCE: Duration = Duration::from_secs(60);

/// The secrets of one client.
#[derive(Debug)]
pub(in crate::buildkit) struct ClientSecrets {
    session: Arc<Session>,
    runtime: Handle,
}

impl ClientSecrets {
    /// Those of the session's client, if it offers any.
    pub(in crate::buildkit) fn of(session: &Arc<Session>) -> Option<Arc<Self>> {
        session.has(METHOD).then(|| {
            Arc::new(Self {
                session: Arc::clone(session),
                runtime: Handle::current(),
            })
        })
    }

    async fn ask(&self, id: &str) -> Result<Option<Secret>, Status> {
        let (caller, origin) = self.session.caller();
        let mut client =
            SecretsClient::with_origin(caller, origin).max_decoding_message_size(MAX_BYTES + 1024);
        let request = GetSecretRequest {
            id: id.to_owned(),
            ..GetSecretRequest::default()
        };
        let answer = tokio::time::timeout(PATIENCE, client.get_secret(request)).await;
        let late = |_| Status::deadline_exceeded("the client does not answer");
        match answer.map_err(late)? {
            Ok(answer) => Ok(Some(Secret::new(answer.into_inner().data))),
            Err(status) if matches!(status.code(), Code::NotFound | Code::Unimplemented) => {
                Ok(None)
            }
            Err(status) => Err(status),
        }
    }
}

impl SecretStore for ClientSecrets {
    fn get(&self, id: &str) -> Result<Option<Secret>, String> {
        // Whoever needs it may be on a thread of the runtime, which others need meanwhile.
        let answer = tokio::task::block_in_place(|| self.runtime.block_on(self.ask(id)));
        answer.map_err(|status| status.message().to_owned())
    }
}
