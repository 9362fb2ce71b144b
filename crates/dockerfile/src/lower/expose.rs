//! `EXPOSE`: `port`, `port/protocol`, ranges, and — with a warning — mappings to host ports.

use crate::lint::Finding;
use crate::quote::quote;

/// Why a word names no port.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ExposeError {
    #[error("invalid port: {}: no port specified", quote(.0))]
    NoPort(String),
    #[error("invalid port: {}: invalid proto: {protocol}", quote(.port))]
    Protocol { port: String, protocol: String },
    #[error("invalid IP address: {0}")]
    Address(String),
    #[error("invalid containerPort: {0}")]
    ContainerPort(String),
    #[error("invalid hostPort: {0}")]
    HostPort(String),
    #[error("invalid ranges specified for container and host Ports: {container} and {host}")]
    Ranges { container: String, host: String },
}

/// The `port/protocol`s that a word names; adds what should be written otherwise to `findings`.
pub(super) fn parse(word: &str, findings: &mut Vec<Finding>) -> Result<Vec<String>, ExposeError> {
    let (address, host, container) = split(word);
    let (port, protocol) = container.split_once('/').unwrap_or((container, ""));
    if port.is_empty() {
        return Err(ExposeError::NoPort(word.to_owned()));
    }
    let lower = protocol.to_lowercase();
    if !matches!(lower.as_str(), "" | "tcp" | "udp" | "sctp") {
        return Err(ExposeError::Protocol {
            port: word.to_owned(),
            protocol: protocol.to_owned(),
        });
    }
    if lower != protocol {
        let port = word.to_owned();
        findings.push(Finding::ExposeProtoCasing { port });
    }
    if !address.is_empty() || !host.is_empty() {
        let port = word.to_owned();
        findings.push(Finding::ExposeInvalidFormat { port });
    }
    check_address(address)?;
    let (start, end) = range(port).ok_or_else(|| ExposeError::ContainerPort(port.to_owned()))?;
    if !host.is_empty() {
        let (first, last) = range(host).ok_or_else(|| ExposeError::HostPort(host.to_owned()))?;
        // Several host ports for one port of the container are a choice.
        if end - start != last - first && end != start {
            return Err(ExposeError::Ranges {
                container: port.to_owned(),
                host: host.to_owned(),
            });
        }
    }
    let protocol = if lower.is_empty() { "tcp" } else { &lower };
    Ok((start..=end)
        .map(|port| format!("{port}/{protocol}"))
        .collect())
}

/// `address:host:container`, `host:container` or `container`.
fn split(word: &str) -> (&str, &str, &str) {
    let Some((rest, container)) = word.rsplit_once(':') else {
        return ("", "", word);
    };
    match rest.rsplit_once(':') {
        Some((address, host)) => (address, host, container),
        None => ("", rest, container),
    }
}

fn check_address(address: &str) -> Result<(), ExposeError> {
    let bare = address
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(address);
    if bare.is_empty() && address.is_empty() || bare.parse::<std::net::IpAddr>().is_ok() {
        Ok(())
    } else {
        Err(ExposeError::Address(bare.to_owned()))
    }
}

fn range(text: &str) -> Option<(u16, u16)> {
    let (start, end) = text.split_once('-').unwrap_or((text, text));
    let (start, end) = (number(start)?, number(end)?);
    (start <= end).then_some((start, end))
}

fn number(text: &str) -> Option<u16> {
    text.parse().ok()
}
