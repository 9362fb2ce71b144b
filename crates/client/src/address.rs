//! Where a daemon listens: a socket of this machine, or TCP, there with certificates on both sides
//! or, for who asks for that, without any.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use crate::connection::ConnectError;
use crate::tls::Tls;

/// How long a daemon on TCP may take to take a connection, and to show who it is.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where a daemon listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A socket of this machine.
    Socket(PathBuf),
    /// TCP.
    Tcp {
        /// `host:port`.
        place: String,
        /// How both sides show who they are; plain when they do not.
        tls: Option<Tls>,
    },
}

/// What is spoken on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speech {
    Http1,
    Http2,
}

/// Both directions of a connection.
pub(crate) type Connection = Pin<Box<dyn Both>>;

/// Reads and writes.
pub(crate) trait Both: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> Both for T {}

impl Address {
    /// Connects.
    pub(crate) async fn open(&self, speech: Speech) -> Result<Connection, ConnectError> {
        let opened = match self {
            Self::Socket(path) => UnixStream::connect(path)
                .await
                .map(|stream| Box::pin(stream) as Connection),
            Self::Tcp { place, tls } => connect(place, tls.as_ref(), speech).await,
        };
        opened.map_err(|source| ConnectError::Unreachable {
            address: self.clone(),
            source,
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "{}", path.display()),
            Self::Tcp { place, .. } => write!(f, "tcp://{place}"),
        }
    }
}

async fn connect(place: &str, tls: Option<&Tls>, speech: Speech) -> io::Result<Connection> {
    let greeting = async {
        let stream = TcpStream::connect(place).await?;
        // Calls are small and answered at once.
        stream.set_nodelay(true)?;
        let Some(tls) = tls else {
            return Ok(Box::pin(stream) as Connection);
        };
        let connector = TlsConnector::from(tls.config(speech));
        let stream = connector.connect(tls.server(), stream).await?;
        Ok(Box::pin(stream) as Connection)
    };
    tokio::time::timeout(PATIENCE, greeting).await?
}
