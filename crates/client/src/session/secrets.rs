//! Secrets, each given when it is asked for.

use std::sync::Arc;

use bollard_buildkit_proto::moby::buildkit::secrets::v1::secrets_server::Secrets;
use bollard_buildkit_proto::moby::buildkit::secrets::v1::{GetSecretRequest, GetSecretResponse};
use tonic::codegen::async_trait;
use tonic::{Request, Response, Status};

use crate::offers::Offers;

/// Has secrets.
#[derive(Debug)]
pub(super) struct Service(pub(super) Arc<Offers>);

#[async_trait]
impl Secrets for Service {
    async fn get_secret(
        &self,
        request: Request<GetSecretRequest>,
    ) -> Result<Response<GetSecretResponse>, Status> {
        let id = &request.get_ref().id;
        let found = match &self.0.secrets {
            Some(secrets) => secrets.get(id),
            None => Ok(None),
        };
        let found = found.map_err(|error| Status::internal(format!("secret {id}: {error}")))?;
        let found = found.ok_or_else(|| Status::not_found(format!("secret {id}: not found")))?;
        let data = found.to_vec();
        Ok(Response::new(GetSecretResponse { data }))
    }
}
