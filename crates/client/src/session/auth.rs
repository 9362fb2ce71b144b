//! Credentials of registries. Tokens are fetched by the daemon itself.

use std::sync::Arc;

use bollard_buildkit_proto::moby::filesync::v1::auth_server::Auth;
use bollard_buildkit_proto::moby::filesync::v1::{
    CredentialsRequest, CredentialsResponse, FetchTokenRequest, FetchTokenResponse,
    GetTokenAuthorityRequest, GetTokenAuthorityResponse, VerifyTokenAuthorityRequest,
    VerifyTokenAuthorityResponse,
};
use tonic::codegen::async_trait;
use tonic::{Request, Response, Status};

use crate::offers::{Login, Offers};

/// Has credentials.
#[derive(Debug)]
pub(super) struct Service(pub(super) Arc<Offers>);

#[async_trait]
impl Auth for Service {
    async fn credentials(
        &self,
        request: Request<CredentialsRequest>,
    ) -> Result<Response<CredentialsResponse>, Status> {
        let host = request.into_inner().host;
        let login = match &self.0.credentials {
            Some(credentials) => credentials.lookup(host).await,
            None => Ok(Login::default()),
        };
        let login = login.map_err(Status::internal)?;
        Ok(Response::new(CredentialsResponse {
            username: login.username,
            secret: login.secret.to_string(),
        }))
    }

    async fn fetch_token(
        &self,
        _: Request<FetchTokenRequest>,
    ) -> Result<Response<FetchTokenResponse>, Status> {
        daemon_does("FetchToken")
    }

    async fn get_token_authority(
        &self,
        _: Request<GetTokenAuthorityRequest>,
    ) -> Result<Response<GetTokenAuthorityResponse>, Status> {
        daemon_does("GetTokenAuthority")
    }

    async fn verify_token_authority(
        &self,
        _: Request<VerifyTokenAuthorityRequest>,
    ) -> Result<Response<VerifyTokenAuthorityResponse>, Status> {
        daemon_does("VerifyTokenAuthority")
    }
}

/// By this daemons know that they are to ask for credentials.
fn daemon_does<T>(method: &str) -> Result<Response<T>, Status> {
    Err(Status::unimplemented(format!(
        "the client does not provide {method}"
    )))
}
