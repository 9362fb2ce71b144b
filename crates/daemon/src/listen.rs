//! Where clients come from: sockets of this machine, and TCP with certificates on both sides.
//!
//! Nothing is answered over TCP to who has not shown a certificate, but for what `metrics` counts,
//! where the machine's owner asks for that.

use std::future::ready;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::AddressFamily;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio_rustls::TlsAcceptor;
use wire::PemError;

use crate::peer::Peer;
use crate::timely::Timely;

/// How long a client may take to show who it is.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Somewhere that clients connect to.
#[expect(
    missing_debug_implementations,
    reason = "what accepts TLS cannot be shown"
)]
pub struct Listener(Kind);

enum Kind {
    Unix(UnixListener),
    Tls(TcpListener, TlsAcceptor),
    Metrics(TcpListener),
}

/// What may be asked for over a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Everything.
    All,
    /// How the daemon is.
    Metrics,
}

/// How both sides of a TCP connection show who they are.
#[expect(missing_debug_implementations, reason = "it holds a private key")]
#[derive(Clone)]
pub struct Tls(Arc<ServerConfig>);

/// The files by which both sides of a TCP connection show who they are, PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// Who may sign certificates of clients.
    pub authority: PathBuf,
    /// The daemon's certificate, and those between it and its authority.
    pub certificate: PathBuf,
    /// The daemon's key.
    pub key: PathBuf,
}

/// Why nothing can be listened on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] PemError),
    /// Certificate and key do not go together.
    #[error("certificate and key cannot be used")]
    Certificate(#[source] rustls::Error),
    /// The authority cannot be used.
    #[error("the authority of clients' certificates cannot be used")]
    Authority(#[source] VerifierBuilderError),
    /// The address cannot be had.
    #[error("cannot listen on {address}")]
    Address {
        /// Which.
        address: String,
        /// Why not.
        source: io::Error,
    },
    /// A socket of TCP was handed over, and it is not known how clients show who they are.
    #[error("a socket that was handed over is of TCP, which needs certificates on both sides")]
    HandedTcp,
    /// A descriptor that was handed over cannot be listened on.
    #[error("what was handed over cannot be listened on")]
    Handed(#[source] io::Error),
}

/// A connection before anything is understood of what was said on it.
pub(crate) type Connection = Pin<Box<dyn Stream>>;

/// Both directions.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> Stream for T {}

/// Somebody who has connected, and may still have to show who it is.
pub(crate) type Greeting = Pin<Box<dyn Future<Output = io::Result<Connection>> + Send>>;

/// Somebody who has connected.
pub(crate) struct Caller {
    pub(crate) greeting: Greeting,
    /// Who it is, if it is on this machine.
    pub(crate) peer: Option<Peer>,
    pub(crate) scope: Scope,
}

impl From<UnixListener> for Listener {
    fn from(listener: UnixListener) -> Self {
        Self(Kind::Unix(listener))
    }
}

impl Listener {
    /// Listens on TCP. Clients without a certificate of the authority get nowhere.
    ///
    /// # Errors
    /// The address cannot be had.
    pub async fn tcp(address: &str, tls: &Tls) -> Result<Self, ListenError> {
        let listener = bind(address).await?;
        let acceptor = TlsAcceptor::from(Arc::clone(&tls.0));
        Ok(Self(Kind::Tls(listener, acceptor)))
    }

    /// Listens on TCP, and answers whoever asks how the daemon is: `/metrics` and `/healthz`.
    ///
    /// # Errors
    /// The address cannot be had.
    pub async fn metrics(address: &str) -> Result<Self, ListenError> {
        Ok(Self(Kind::Metrics(bind(address).await?)))
    }

    /// A socket that whoever started this process listens on already, by its number.
    ///
    /// # Errors
    /// It is no such socket, or one of TCP without `tls`.
    pub fn handed(number: i32, tls: Option<&Tls>) -> Result<Self, ListenError> {
        let failed = ListenError::Handed;
        let socket = sys::handed(number).map_err(failed)?;
        let address = rustix::net::getsockname(&socket).map_err(|error| failed(error.into()))?;
        if address.address_family() == AddressFamily::UNIX {
            let listener = std::os::unix::net::UnixListener::from(socket);
            listener.set_nonblocking(true).map_err(failed)?;
            let listener = UnixListener::from_std(listener).map_err(failed)?;
            return Ok(Self(Kind::Unix(listener)));
        }
        let tls = tls.ok_or(ListenError::HandedTcp)?;
        let listener = std::net::TcpListener::from(socket);
        listener.set_nonblocking(true).map_err(failed)?;
        let listener = TcpListener::from_std(listener).map_err(failed)?;
        let acceptor = TlsAcceptor::from(Arc::clone(&tls.0));
        Ok(Self(Kind::Tls(listener, acceptor)))
    }

    /// Where it listens on TCP, with the port that it was given.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.0 {
            Kind::Unix(_) => None,
            Kind::Tls(listener, _) | Kind::Metrics(listener) => listener.local_addr().ok(),
        }
    }

    /// What may be asked for by those who connect here.
    const fn scope(&self) -> Scope {
        match self.0 {
            Kind::Unix(_) | Kind::Tls(..) => Scope::All,
            Kind::Metrics(_) => Scope::Metrics,
        }
    }

    /// The next who connects.
    pub(crate) async fn accept(&self) -> io::Result<Caller> {
        let mut peer = None;
        let greeting: Greeting = match &self.0 {
            Kind::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                peer = Peer::of(&stream);
                Box::pin(ready(Ok(connection(stream))))
            }
            Kind::Tls(listener, acceptor) => {
                let (stream, _) = listener.accept().await?;
                Box::pin(greet(stream, acceptor.clone()))
            }
            Kind::Metrics(listener) => {
                let (stream, _) = listener.accept().await?;
                Box::pin(ready(Ok(connection(stream))))
            }
        };
        Ok(Caller {
            greeting,
            peer,
            scope: self.scope(),
        })
    }
}

async fn bind(address: &str) -> Result<TcpListener, ListenError> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|source| ListenError::Address {
        address: address.to_owned(),
        source,
    })
}

async fn greet(stream: TcpStream, acceptor: TlsAcceptor) -> io::Result<Connection> {
    // Calls are small and answered at once.
    stream.set_nodelay(true)?;
    let stream = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await??;
    Ok(connection(stream))
}

/// A connection on which it is known who speaks.
pub(crate) fn connection(stream: impl Stream + 'static) -> Connection {
    Box::pin(Timely::new(Box::pin(stream)))
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// One of them cannot be used.
    pub fn read(files: &TlsFiles) -> Result<Self, ListenError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let authorities = Arc::new(wire::authorities(&files.authority)?);
        let verifier =
            WebPkiClientVerifier::builder_with_provider(authorities, Arc::clone(&provider))
                .build()
                .map_err(ListenError::Authority)?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(ListenError::Certificate)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(
                wire::certificates(&files.certificate)?,
                wire::key(&files.key)?,
            )
            .map_err(ListenError::Certificate)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }
}
