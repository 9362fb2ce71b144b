//! Errors of daemons that are other processes, dressed: a hint where there is something to do.

use std::io;

use client::{Address, ConnectError, DockerError};

use super::Error;

impl From<ConnectError> for Error {
    fn from(error: ConnectError) -> Self {
        let dressed = Self::new(error.to_string());
        match hint(&error) {
            Some(hint) => dressed.hint(hint),
            None => dressed,
        }
    }
}

impl From<DockerError> for Error {
    fn from(error: DockerError) -> Self {
        let dressed = Self::new(error.to_string());
        match error {
            DockerError::Connect(error) => error.into(),
            // Whoever speaks HTTP/2 alone is one, and may do so before it is asked anything.
            DockerError::NoApi { source, .. } if source.is_parse() || source.is_canceled() => {
                dressed.hint(
                    "a builder alone has no images and containers: those of kiln's daemon and of \
                 docker's are had over Docker's API",
                )
            }
            _ => dressed,
        }
    }
}

fn hint(error: &ConnectError) -> Option<String> {
    let (address, source) = match error {
        ConnectError::Unreachable { address, source } => (address, source),
        ConnectError::Protocol { .. } => return None,
    };
    match (address, source.kind()) {
        (Address::Socket(path), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            let path = path.display();
            Some(format!(
                "is a daemon running? kiln serve --host unix://{path}"
            ))
        }
        (Address::Socket(_), io::ErrorKind::PermissionDenied) => {
            Some("kiln serve --group lets a group's members use its socket".to_owned())
        }
        (Address::Tcp { .. }, io::ErrorKind::ConnectionRefused) => {
            Some("is a daemon running there, or a tunnel to one?".to_owned())
        }
        // Why it is not reached, or not believed, is said already.
        _ => None,
    }
}
