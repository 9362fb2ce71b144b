//! The health service of gRPC (`grpc.health.v1`), as far as BuildKit's clients and daemons ask for it.

use bollard_buildkit_proto::health::health_check_response::ServingStatus;
use bollard_buildkit_proto::health::{
    HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse, health_server,
};
use futures_util::stream::BoxStream;
use tonic::codegen::async_trait;
use tonic::{Request, Response, Status};

/// Says that this end is well: it answers.
#[derive(Debug)]
pub struct Health;

/// Changes of the health, of which none are told.
type Changes = BoxStream<'static, Result<HealthCheckResponse, Status>>;

#[async_trait]
impl health_server::Health for Health {
    type WatchStream = Changes;

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
        Err(Status::unimplemented(
            "a list of health services is not provided by kiln",
        ))
    }

    async fn watch(&self, _: Request<HealthCheckRequest>) -> Result<Response<Changes>, Status> {
        Err(Status::unimplemented("Watch is not provided by kiln"))
    }
}
