//! Work on a thread that may block.

use engine::EngineError;
use tonic::Status;

use super::errors;

/// What `work` comes to.
///
/// # Errors
/// As `work`, in the words of the protocol.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, EngineError> + Send + 'static,
) -> Result<T, Status> {
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.map_err(|_| Status::internal("a thread was lost"))?;
    done.map_err(|error| errors::status(&error, None))
}
