//! Where a builder that is another process is reached, and how the two show who they are.

use std::net::IpAddr;
use std::path::Path;

use client::{Address, OwnFiles, Tls, TlsFiles, Way};

use crate::args::NamedDaemon;
use crate::environment::Environment;
use crate::error::{Error, chain, choice};

/// Ports of docker's on TCP, where none is named: with certificates and without.
const PORTS: [u16; 2] = [2376, 2375];

/// A builder that is another process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Host {
    /// Where it is reached.
    pub(crate) address: Address,
    /// How.
    pub(crate) way: Way,
}

/// Who may be spoken to on TCP without certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plain {
    /// Everybody, as for docker and buildctl.
    All,
    /// This machine, where a tunnel may begin.
    ThisMachine,
}

impl Host {
    /// As it is typed.
    pub(crate) fn url(&self) -> String {
        match &self.address {
            Address::Socket(path) => format!("unix://{}", path.display()),
            Address::Tcp { place, .. } => format!("tcp://{place}"),
        }
    }

    /// The daemon that another client names.
    ///
    /// # Errors
    /// It is named in a way that kiln does not know.
    pub(crate) fn of(named: &NamedDaemon, environment: &Environment) -> Result<Self, Error> {
        let flag = match named.way {
            Way::Straight => "--addr",
            Way::ByDocker => "--host",
        };
        let tls = named.tls.as_ref();
        let server = named.server.as_deref();
        let address = address(flag, &named.address, (tls, server, Plain::All), environment)?;
        let way = named.way;
        Ok(Self { address, way })
    }

    /// A builder at `endpoint`, with what is shown on TCP.
    ///
    /// # Errors
    /// It is named in a way that kiln does not know.
    pub(crate) fn at(
        endpoint: &str,
        reached: (Option<&TlsFiles>, Option<&str>, Plain),
        environment: &Environment,
    ) -> Result<Self, Error> {
        Ok(Self {
            address: address("ENDPOINT", endpoint, reached, environment)?,
            way: Way::Straight,
        })
    }
}

/// A builder as kiln's own flag and variable name it. On TCP both sides show certificates, found as
/// docker finds its own; without them only this machine is spoken to.
pub(super) fn own(
    flag: &'static str,
    host: &str,
    environment: &Environment,
) -> Result<Host, Error> {
    let tls = tls_files(environment);
    let plain = Plain::ThisMachine;
    Ok(Host {
        address: address(flag, host, (tls.as_ref(), None, plain), environment)?,
        way: Way::Straight,
    })
}

/// The files that docker's variables name, if they ask for certificates.
fn tls_files(environment: &Environment) -> Option<TlsFiles> {
    let directory = environment.os("DOCKER_CERT_PATH");
    if directory.is_none() && environment.os("DOCKER_TLS_VERIFY").is_none() {
        return None;
    }
    tls_directory(environment)
}

/// The files that docker's client takes where none are named.
pub(crate) fn tls_directory(environment: &Environment) -> Option<TlsFiles> {
    let directory = environment.os("DOCKER_CERT_PATH").map(Path::new);
    let directory = match directory {
        Some(directory) => environment.absolute(directory),
        None => environment.docker_config()?,
    };
    Some(tls_in(&directory))
}

/// The files as docker calls them.
pub(crate) fn tls_in(directory: &Path) -> TlsFiles {
    TlsFiles {
        authority: directory.join("ca.pem"),
        own: Some(OwnFiles {
            certificate: directory.join("cert.pem"),
            key: directory.join("key.pem"),
        }),
    }
}

fn address(
    flag: &'static str,
    host: &str,
    (tls, server, plain): (Option<&TlsFiles>, Option<&str>, Plain),
    environment: &Environment,
) -> Result<Address, Error> {
    let expected = "kiln reaches daemons at unix://PATH and at tcp://HOST:PORT";
    let refused = || choice(flag, host, expected);
    if let Some(path) = host.strip_prefix("unix://").filter(|path| !path.is_empty()) {
        return Ok(Address::Socket(environment.absolute(Path::new(path))));
    }
    let place = host.strip_prefix("tcp://").ok_or_else(refused)?;
    let port = PORTS[usize::from(tls.is_none())];
    let (name, port) = name_and_port(place.trim_end_matches('/'), port).ok_or_else(refused)?;
    let is_here = name == "localhost" || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    if tls.is_none() && plain == Plain::ThisMachine && !is_here {
        return Err(choice(flag, host, "on TCP kiln shows a certificate and wants one").hint(
            "set DOCKER_CERT_PATH to a directory with ca.pem, cert.pem and key.pem (of a builder that \
             has a name: --driver-opt cacert=…,cert=…,key=…), or reach the builder through a tunnel \
             that begins on this machine",
        ));
    }
    let read = |files| Tls::read(files, server.unwrap_or(name));
    let tls = tls.map(read).transpose();
    let tls = tls.map_err(|error| Error::new(chain(&error)).context(host))?;
    let place = match name.contains(':') {
        true => format!("[{name}]:{port}"),
        false => format!("{name}:{port}"),
    };
    Ok(Address::Tcp { place, tls })
}

/// The name without brackets, and the port, `default` when there is none.
fn name_and_port(place: &str, default: u16) -> Option<(&str, u16)> {
    let (name, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (name, rest) = rest.split_once(']')?;
            (
                name,
                rest.strip_prefix(':').or(rest.is_empty().then_some("")),
            )
        }
        None => match place.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (place, Some("")),
        },
    };
    let port = match port? {
        "" => default,
        port => port.parse().ok()?,
    };
    (!name.is_empty() && !name.contains('/')).then_some((name, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_on_tcp() {
        for (place, expected) in [
            ("host:1", Some(("host", 1))),
            ("host", Some(("host", 7))),
            ("[::1]:1", Some(("::1", 1))),
            ("[::1]", Some(("::1", 7))),
            ("host:", Some(("host", 7))),
            ("host:port", None),
            ("host:70000", None),
            ("[::1", None),
            ("[::1]1", None),
            (":1", None),
            ("host/path", None),
            ("", None),
        ] {
            assert_eq!(name_and_port(place, 7), expected, "{place}");
        }
    }
}
