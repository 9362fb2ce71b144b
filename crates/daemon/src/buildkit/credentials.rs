//! Registries' credentials and tokens, asked of the client over its session. A client that gets
//! tokens by itself is asked for those, and for credentials only where a registry takes no tokens.

use std::sync::Arc;
use std::time::Duration;

use bollard_buildkit_proto::moby::filesync::v1::auth_client::AuthClient;
use bollard_buildkit_proto::moby::filesync::v1::{
    CredentialsRequest, FetchTokenRequest, GetTokenAuthorityRequest,
};
use engine::{
    BoxFuture, Credential, Credentials, CredentialsError, GivenToken, Password, WantedToken,
};
use tonic::{Code, Status};
use wire::Caller;

use super::session::Session;

/// The method by which credentials are asked for.
const CREDENTIALS: &str = "/moby.filesync.v1.Auth/Credentials";
/// The methods by which tokens are.
const TOKENS: [&str; 2] = [
    "/moby.filesync.v1.Auth/GetTokenAuthority",
    "/moby.filesync.v1.Auth/FetchToken",
];
/// What the daemon calls itself to token services.
const CLIENT: &str = "kiln";

/// Those of one client.
#[derive(Debug)]
pub(super) struct ClientCredentials(Arc<Session>);

impl ClientCredentials {
    /// Those of the session's client, if it offers any.
    pub(super) fn of(session: &Arc<Session>) -> Option<Self> {
        session.has(CREDENTIALS).then(|| Self(Arc::clone(session)))
    }

    async fn ask(&self, domain: &str) -> Result<Credential, Status> {
        let request = CredentialsRequest { host: host(domain) };
        let answer = self.client().credentials(request).await?.into_inner();
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

    async fn fetch(&self, domain: &str, wanted: WantedToken) -> Result<Option<GivenToken>, Status> {
        if !self.gives_tokens(domain).await? {
            return Ok(None);
        }
        let request = FetchTokenRequest {
            client_id: CLIENT.to_owned(),
            host: host(domain),
            realm: wanted.realm,
            service: wanted.service.unwrap_or_default(),
            scopes: wanted.scopes,
        };
        let answer = self.client().fetch_token(request).await?.into_inner();
        let seconds = u64::try_from(answer.expires_in).ok();
        Ok(Some(GivenToken {
            token: Password::new(answer.token),
            life: seconds.filter(|life| *life > 0).map(Duration::from_secs),
        }))
    }

    /// Whether the client wants to get tokens by itself. The key that it answers with would tell two
    /// sessions of one user; here no token is shared between sessions.
    async fn gives_tokens(&self, domain: &str) -> Result<bool, Status> {
        if !TOKENS.iter().all(|method| self.0.has(method)) {
            return Ok(false);
        }
        let request = GetTokenAuthorityRequest {
            host: host(domain),
            salt: CLIENT.into(),
        };
        match self.client().get_token_authority(request).await {
            Ok(_) => Ok(true),
            Err(status) if matches!(status.code(), Code::Unimplemented | Code::Unavailable) => {
                Ok(false)
            }
            Err(status) => Err(status),
        }
    }

    fn client(&self) -> AuthClient<Caller> {
        let (caller, origin) = self.0.caller();
        AuthClient::with_origin(caller, origin)
    }
}

/// A registry as clients' configurations name it.
fn host(domain: &str) -> String {
    let host = match domain {
        "docker.io" => "registry-1.docker.io",
        other => other,
    };
    host.to_owned()
}

fn failed(domain: &str, status: &Status) -> CredentialsError {
    CredentialsError {
        domain: domain.to_owned(),
        source: status.message().into(),
    }
}

impl Credentials for ClientCredentials {
    fn lookup<'a>(
        &'a self,
        domain: &'a str,
    ) -> BoxFuture<'a, Result<Credential, CredentialsError>> {
        Box::pin(async move {
            let asked = self.ask(domain).await;
            asked.map_err(|status| failed(domain, &status))
        })
    }

    fn token<'a>(
        &'a self,
        domain: &'a str,
        wanted: WantedToken,
    ) -> BoxFuture<'a, Result<Option<GivenToken>, CredentialsError>> {
        Box::pin(async move {
            let fetched = self.fetch(domain, wanted).await;
            fetched.map_err(|status| failed(domain, &status))
        })
    }
}
