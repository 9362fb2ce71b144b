//! Certificates and keys from files, PEM (RFC 7468).

use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PemError {
    /// It cannot be read, or holds something else.
    #[error("cannot use {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: pem::Error,
    },
    /// There is no certificate in it.
    #[error("there is no certificate in {}", .0.display())]
    Empty(PathBuf),
    /// What is in it is not the certificate of an authority.
    #[error("there is no certificate of an authority in {}", path.display())]
    Authority {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: rustls::Error,
    },
}

/// The certificates in a file: one's own first, then those between it and its authority.
///
/// # Errors
/// There are none.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let all = CertificateDer::pem_file_iter(path).map_err(unusable(path))?;
    let all: Vec<_> = all.collect::<Result<_, _>>().map_err(unusable(path))?;
    if all.is_empty() {
        return Err(PemError::Empty(path.to_path_buf()));
    }
    Ok(all)
}

/// The authorities in a file.
///
/// # Errors
/// There are none.
pub fn authorities(path: &Path) -> Result<RootCertStore, PemError> {
    let mut authorities = RootCertStore::empty();
    for authority in certificates(path)? {
        let added = authorities.add(authority);
        added.map_err(|source| PemError::Authority {
            path: path.to_path_buf(),
            source,
        })?;
    }
    Ok(authorities)
}

/// The private key in a file.
///
/// # Errors
/// There is none.
pub fn key(path: &Path) -> Result<PrivateKeyDer<'static>, PemError> {
    PrivateKeyDer::from_pem_file(path).map_err(unusable(path))
}

fn unusable(path: &Path) -> impl FnOnce(pem::Error) -> PemError {
    let path = path.to_path_buf();
    |source| PemError::File { path, source }
}
