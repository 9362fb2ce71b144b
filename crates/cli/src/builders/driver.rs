//! How nodes are reached. Of buildx's drivers kiln has the one for daemons that somebody else
//! started, and the one for dockers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use client::{OwnFiles, TlsFiles};

use super::{Group, Node};
use crate::environment::Environment;
use crate::error::Error;
use crate::remote::{Host, Plain};
use crate::values::go_bool;

/// The driver for daemons that are there.
pub(crate) const REMOTE: &str = "remote";
/// What buildx's other drivers are; the first is what it takes where none is named.
pub(crate) const OTHERS: [&str; 3] = ["docker-container", "kubernetes", "cloud"];
/// Addresses that buildx knows, of which kiln reaches the first two.
const SCHEMES: [&str; 6] = [
    "unix",
    "tcp",
    "docker-container",
    "kube-pod",
    "npipe",
    "ssh",
];

/// What options of the driver `remote` say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct RemoteOptions {
    /// What both sides show on TCP.
    pub(crate) tls: Option<TlsFiles>,
    /// Whose certificate the daemon shows, if it is not that of its address.
    pub(crate) server: Option<String>,
    /// What has no other output is loaded where images are kept.
    pub(crate) default_load: bool,
}

/// An error for what a driver would do that kiln does not have.
pub(crate) fn no_driver(driver: &str) -> Error {
    Error::new(format!("kiln has no driver {driver:?}")).hint(
        "run `kiln serve` where it is to build, and name that: kiln builder create --driver remote \
         unix:///run/kiln/kiln.sock",
    )
}

/// Where a node of `group` is reached.
///
/// # Errors
/// Kiln does not have its driver, or no way to such an address.
pub(crate) fn reach(
    group: &Group,
    node: &Node,
    plain: Plain,
    environment: &Environment,
) -> Result<Host, Error> {
    if group.driver != REMOTE {
        return Err(no_driver(&group.driver));
    }
    check_endpoint(&node.endpoint)?;
    let options = remote_options(node)?;
    let tls = options.tls.as_ref();
    let reached = (tls, options.server.as_deref(), plain);
    Host::at(&node.endpoint, reached, environment)
}

/// Checks that kiln has a way to `endpoint`.
///
/// # Errors
/// It has none, or it is no address.
pub(crate) fn check_endpoint(endpoint: &str) -> Result<(), Error> {
    let scheme = endpoint.split_once("://").map_or("", |(scheme, _)| scheme);
    match SCHEMES.iter().position(|known| *known == scheme) {
        Some(0 | 1) => Ok(()),
        Some(_) => Err(Error::new(format!("kiln does not reach {endpoint}")).hint(
            "have the daemon listen on a socket (unix://) or on TCP (tcp://), or forward one of \
             these, as with ssh -L",
        )),
        None => Err(Error::new(format!("unrecognized url scheme {scheme}"))
            .hint("unix://PATH or tcp://HOST:PORT")),
    }
}

/// Whether buildx takes `endpoint` for the address of a daemon that is there.
pub(crate) fn is_endpoint(endpoint: &str) -> bool {
    let scheme = endpoint.split_once("://").map(|(scheme, _)| scheme);
    scheme.is_some_and(|scheme| SCHEMES.contains(&scheme))
}

/// What the node's options say.
///
/// # Errors
/// The driver has none of the kind, or some are missing.
pub(crate) fn remote_options(node: &Node) -> Result<RemoteOptions, Error> {
    if !node.files.is_empty() {
        return Err(not_for_remote("config file"));
    }
    if !node.flags.is_empty() {
        return Err(not_for_remote("buildkit flags"));
    }
    let mut options = RemoteOptions::default();
    let mut files: BTreeMap<&str, PathBuf> = BTreeMap::new();
    for (name, value) in &node.driver_opts {
        match name.as_str() {
            "servername" => options.server = Some(value.clone()),
            "cacert" | "cert" | "key" => {
                if !Path::new(value).is_absolute() {
                    let message = format!("non-absolute path '{value}' provided for {name}");
                    return Err(Error::new(message));
                }
                files.insert(name, PathBuf::from(value));
            }
            "default-load" => {
                let no_bool = || Error::new(format!("{name}={value}: expected true or false"));
                options.default_load = go_bool(value).ok_or_else(no_bool)?;
            }
            _ => {
                let message = format!("invalid driver option {name} for remote driver");
                return Err(Error::new(message));
            }
        }
    }
    if !files.is_empty() || options.server.is_some() {
        options.tls = Some(tls(files)?);
    }
    Ok(options)
}

/// An error for what only drivers have that start daemons.
pub(crate) fn not_for_remote(what: &str) -> Error {
    Error::new(format!("setting {what} is not supported for remote driver"))
        .hint("the daemon has it from where it is started")
}

fn tls(mut files: BTreeMap<&str, PathBuf>) -> Result<TlsFiles, Error> {
    let mut take = |name| files.remove(name);
    let (authority, own) = match (take("cacert"), take("cert"), take("key")) {
        (Some(authority), Some(certificate), Some(key)) => {
            (authority, Some(OwnFiles { certificate, key }))
        }
        (Some(authority), None, None) => (authority, None),
        (authority, certificate, key) => {
            let is_half = certificate.is_some() != key.is_some();
            let missing = [
                ("cacert", authority.is_none()),
                ("key", is_half && key.is_none()),
                ("cert", is_half && certificate.is_none()),
            ];
            let missing = missing.iter().filter(|(_, is)| *is).map(|(name, _)| *name);
            let missing: Vec<&str> = missing.collect();
            let message = format!("tls enabled, but missing keys {}", missing.join(", "));
            return Err(Error::new(message));
        }
    };
    Ok(TlsFiles { authority, own })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(pairs: &[(&str, &str)]) -> Result<RemoteOptions, String> {
        let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let node = Node {
            driver_opts: pairs.iter().map(pair).collect(),
            ..Node::default()
        };
        remote_options(&node).map_err(|error| error.message)
    }

    #[test]
    fn options_of_remote() {
        assert_eq!(options(&[]).unwrap(), RemoteOptions::default());
        let all = [("cacert", "/ca"), ("cert", "/c"), ("key", "/k")];
        let found = options(&[&all[..], &[("servername", "b"), ("default-load", "1")]].concat());
        let found = found.unwrap();
        assert_eq!(found.server.as_deref(), Some("b"));
        assert!(found.default_load && found.tls.unwrap().own.is_some());
        assert!(options(&all[..1]).unwrap().tls.unwrap().own.is_none());
        for (pairs, message) in [
            (
                &[("a", "b")][..],
                "invalid driver option a for remote driver",
            ),
            (
                &[("cacert", "ca")],
                "non-absolute path 'ca' provided for cacert",
            ),
            (
                &[("servername", "a")],
                "tls enabled, but missing keys cacert",
            ),
            (&all[..2], "tls enabled, but missing keys key"),
            (&all[2..], "tls enabled, but missing keys cacert, cert"),
            (
                &[("default-load", "x")],
                "default-load=x: expected true or false",
            ),
        ] {
            assert_eq!(options(pairs).unwrap_err(), message);
        }
    }

    #[test]
    fn endpoints() {
        let said = |endpoint| check_endpoint(endpoint).map_err(|error| error.message);
        assert_eq!(said("unix:///a"), Ok(()));
        assert_eq!(said("tcp://a:1"), Ok(()));
        let pod = "kube-pod://a";
        assert_eq!(said(pod), Err(format!("kiln does not reach {pod}")));
        assert_eq!(said("a"), Err("unrecognized url scheme ".to_owned()));
        let http = Err("unrecognized url scheme http".to_owned());
        assert_eq!(said("http://a"), http);
        assert!(is_endpoint(pod) && !is_endpoint("http://a") && !is_endpoint("context"));
    }
}
