//! The connection on which a client is called, within its session.

use std::time::Duration;

use futures_util::Future;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use wire::Caller;

use crate::grpc::Tasks;

/// How often a client that is asked nothing is asked whether it is there, and how long it may think.
const ALIVE: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(45));

/// Over a connection of which the client is the server. The future ends with the connection.
pub(super) async fn connect(
    io: impl AsyncRead + AsyncWrite + Send + 'static,
    tasks: Tasks,
) -> hyper::Result<(Caller, impl Future<Output = hyper::Result<()>> + Send)> {
    let (sender, connection) = http2::Builder::new(tasks)
        .timer(TokioTimer::new())
        .keep_alive_interval(ALIVE.0)
        .keep_alive_timeout(ALIVE.1)
        .keep_alive_while_idle(true)
        .handshake(TokioIo::new(Box::pin(io)))
        .await?;
    Ok((Caller::from(sender), connection))
}
