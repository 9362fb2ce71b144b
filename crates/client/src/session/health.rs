//! Says that the client is there, which daemons ask from time to time.

use bollard_buildkit_proto::health::health_check_response::ServingStatus;
use bollard_buildkit_proto::health::{
    HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse, health_server,
};
use tonic::codegen::async_trait;
use tonic::{Request, Response, Status};

use super::Messages;

/// Is well: it answers.
#[derive(Debug)]
pub(super) struct Service;

#[async_trait]
impl health_server::Health for Service {
    type WatchStream = Messages<HealthCheckResponse>;

    async fn check(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        Ok(Response::new(HealthCheckResponse {
            status: ServingStatus::Serving.into(),
        }))
    }

    async fn list(
        &self,
        _: Request<HealthListRequest>,
    ) -> Result<Response<HealthListResponse>, Status> {
        Err(Status::unimplemented("the client lists no services"))
    }

    async fn watch(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<Messages<HealthCheckResponse>>, Status> {
        Err(Status::unimplemented("the client's health is not watched"))
    }
}
