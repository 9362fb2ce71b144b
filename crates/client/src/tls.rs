//! How both sides of a TCP connection show who they are.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::ServerName;
use wire::PemError;

use crate::address::Speech;

/// The files by which both sides of a TCP connection show who they are, PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// Who may sign the daemon's certificate.
    pub authority: PathBuf,
    /// What the client shows, if it shows anything.
    pub own: Option<OwnFiles>,
}

/// By which a client shows who it is, PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnFiles {
    /// Its certificate, and those between it and its authority.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] PemError),
    /// Certificate and key do not go together, or one of them is none.
    #[error("certificate and key cannot be used")]
    Certificate(#[source] rustls::Error),
    /// The daemon's certificate can be of no such name.
    #[error("{0:?} is no name of a server")]
    Name(String),
}

/// How both sides of a TCP connection show who they are.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ClientConfig>,
    server: ServerName<'static>,
    files: TlsFiles,
}

impl Tls {
    /// Reads the files; the daemon shows a certificate of the name `server`.
    ///
    /// # Errors
    /// One of them cannot be used.
    pub fn read(files: &TlsFiles, server: &str) -> Result<Self, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Certificate)?
            .with_root_certificates(wire::authorities(&files.authority)?);
        let config = match &files.own {
            None => config.with_no_client_auth(),
            Some(OwnFiles { certificate, key }) => {
                let chain = wire::certificates(certificate)?;
                let config = config.with_client_auth_cert(chain, wire::key(key)?);
                config.map_err(TlsError::Certificate)?
            }
        };
        let name = ServerName::try_from(server.to_owned());
        Ok(Self {
            config: Arc::new(config),
            server: name.map_err(|_| TlsError::Name(server.to_owned()))?,
            files: files.clone(),
        })
    }

    /// For a connection on which this is spoken.
    pub(crate) fn config(&self, speech: Speech) -> Arc<ClientConfig> {
        let mut config = ClientConfig::clone(&self.config);
        let spoken: &[u8] = match speech {
            Speech::Http1 => b"http/1.1",
            Speech::Http2 => b"h2",
        };
        config.alpn_protocols = vec![spoken.to_vec()];
        Arc::new(config)
    }

    /// Whose certificate the daemon shows.
    pub(crate) fn server(&self) -> ServerName<'static> {
        self.server.clone()
    }
}

impl PartialEq for Tls {
    fn eq(&self, other: &Self) -> bool {
        self.files == other.files && self.server == other.server
    }
}

impl Eq for Tls {}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("server", &self.server)
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}
