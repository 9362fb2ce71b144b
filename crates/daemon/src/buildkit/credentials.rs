//! Registries' credentials, asked of the client over its session.

use std::sync::Arc;

use bollard_buildkit_proto::moby::filesync::v1::CredentialsRequest;
use bollard_buildkit_proto::moby::filesync::v1::auth_client::AuthClient;
use engine::{BoxFuture, Credential, Credentials, CredentialsError, Password};

use super::session::Session;

/// The method by which they are asked for.
const METHOD: &str = "/moby.filesync.v1.Auth/Credentials";

/// Those of one client.
#[derive(Debug)]
pub(super) struct ClientCredentials(Arc<Session>);

impl ClientCredentials {
    /// Those of the session's client, if it offers any.
    pub(super) fn of(session: &Arc<Session>) -> Option<Self> {
        session.has(METHOD).then(|| Self(Arc::clone(session)))
    }

    async fn ask(&self, domain: &str) -> Result<Credential, tonic::Status> {
        let (caller, origin) = self.0.caller();
        // As clients' configurations name it.
        let host = match domain {
            "docker.io" => "registry-1.docker.io",
            other => other,
        };
        let request = CredentialsRequest {
            host: host.to_owned(),
        };
        let mut client = AuthClient::with_origin(caller, origin);
        let answer = client.credentials(request).await?.into_inner();
        let secret = Password::new(answer.secret.as_str());
        Ok(
            match (answer.username.is_empty(), answer.secret.is_empty()) {
                (true, true) => Credential::Anonymous,
                (true, false) => Credential::IdentityToken(secret),
                (false, _) => Credential::Basic {
                    username: answer.username,
                    password: secret,
                },
            },
        )
    }
}

impl Credentials for ClientCredentials {
    fn lookup<'a>(
        &'a self,
        domain: &'a str,
    ) -> BoxFuture<'a, Result<Credential, CredentialsError>> {
        Box::pin(async move {
            self.ask(domain).await.map_err(|status| CredentialsError {
                domain: domain.to_owned(),
                source: status.message().into(),
            })
        })
    }
}
