//! TLS for hosts that have authorities or a client certificate of their own.
//!
//! The system's authorities count as well. What is given as an authority is also believed when
//! a host shows that very certificate as its own: people make one certificate that signs
//! itself, and Go's clients take it.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_platform_verifier::Verifier;

use crate::{HostConfig, Secret};

/// Why the certificates of a host's settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificatesError {
    /// Not PEM.
    #[error("invalid PEM")]
    Pem(#[source] pem::Error),
    /// PEM, but without a certificate in it.
    #[error("no certificate in the PEM")]
    Empty,
    /// The TLS library does not take them.
    #[error("unusable certificate")]
    Tls(#[source] rustls::Error),
}

/// Verifies as the settings of `host` say; with its client certificate if `is_itself`.
pub(super) fn config(
    host: &HostConfig,
    is_itself: bool,
) -> Result<ClientConfig, CertificatesError> {
    let mut own = Vec::new();
    for bundle in &host.authorities {
        own.extend(certificates(bundle)?);
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = OwnAuthorities::new(own, Arc::clone(&provider))?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(CertificatesError::Tls)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match host.identity.as_ref().filter(|_| is_itself) {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let (chain, key) = identity_of(identity)?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(CertificatesError::Tls)?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn certificates(bundle: &[u8]) -> Result<Vec<CertificateDer<'static>>, CertificatesError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bundle).collect();
    let all = all.map_err(CertificatesError::Pem)?;
    if all.is_empty() {
        return Err(CertificatesError::Empty);
    }
    Ok(all)
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn identity_of(identity: &Secret) -> Result<Identity, CertificatesError> {
    let pem = identity.expose().as_bytes();
    let key = PrivateKeyDer::from_pem_slice(pem).map_err(CertificatesError::Pem)?;
    Ok((certificates(pem)?, key))
}

#[derive(Debug)]
struct OwnAuthorities {
    all: Verifier,
    own: Vec<CertificateDer<'static>>,
}

impl OwnAuthorities {
    fn new(
        own: Vec<CertificateDer<'static>>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, CertificatesError> {
        let all = Verifier::new_with_extra_roots(own.clone(), provider);
        Ok(Self {
            all: all.map_err(CertificatesError::Tls)?,
            own,
        })
    }
}

impl ServerCertVerifier for OwnAuthorities {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified =
            self.all
                .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verified {
            // An authority's certificate is refused as a host's before anything else is
            // looked at; names, dates and signatures have kinds of their own.
            Err(rustls::Error::InvalidCertificate(CertificateError::Other(_)))
                if self.own.iter().any(|own| own == end_entity) =>
            {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.all.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.all.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.all.supported_verify_schemes()
    }
}
