//! The text of `/etc/hosts` and `/etc/resolv.conf`. Pure: reading and writing them is the caller's.

use std::fmt::Write as _;
use std::net::IpAddr;

use crate::network::NAME_SERVER;
use crate::spec::Network;

/// A host that the process is to know by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtraHost {
    /// The name.
    pub name: String,
    /// Its address.
    pub address: IpAddr,
}

/// The text of `/etc/hosts`: the process's own name, then further hosts in their order.
#[must_use]
pub fn hosts(hostname: &str, extra: &[ExtraHost]) -> String {
    let separator = if hostname.is_empty() { "" } else { " " };
    let mut text = format!(
        "127.0.0.1\tlocalhost{separator}{hostname}\n::1\tlocalhost ip6-localhost ip6-loopback\n"
    );
    for ExtraHost { name, address } in extra {
        let _ = writeln!(text, "{address}\t{name}");
    }
    text
}

/// The text of `/etc/resolv.conf`, made of the host's. On a network of its own the process could
/// not reach name servers at the host's loopback addresses, so those are left out; where it is
/// connected, whoever does that answers.
#[must_use]
pub fn resolv_conf(host: &str, network: &Network) -> String {
    match network {
        Network::Host => host.to_owned(),
        Network::Connected(_) => {
            let others = host.lines().filter(|line| !is_nameserver(line));
            let others = others.map(|line| format!("{line}\n"));
            format!("nameserver {NAME_SERVER}\n{}", others.collect::<String>())
        }
        Network::None | Network::Cni(_) => host
            .split_inclusive('\n')
            .filter(|line| !nameserver(line).is_some_and(|address| address.is_loopback()))
            .collect(),
    }
}

/// Whether a text of `/etc/resolv.conf` has a name server.
#[must_use]
pub fn has_nameserver(resolv_conf: &str) -> bool {
    resolv_conf.lines().any(is_nameserver)
}

fn is_nameserver(line: &str) -> bool {
    line.split_whitespace().next() == Some("nameserver")
}

fn nameserver(line: &str) -> Option<IpAddr> {
    if !is_nameserver(line) {
        return None;
    }
    let address = line.split_whitespace().nth(1)?;
    // A scope (`fe80::1%eth0`) is no part of the address.
    address.split('%').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Connector, ConnectorKind};

    #[test]
    fn hosts_in_order() {
        let extra = [("b", "10.0.0.1"), ("a", "::2")].map(|(name, ip)| ExtraHost {
            name: name.into(),
            address: ip.parse().unwrap(),
        });
        assert_eq!(
            hosts("box", &extra),
            "127.0.0.1\tlocalhost box\n::1\tlocalhost ip6-localhost ip6-loopback\n\
             10.0.0.1\tb\n::2\ta\n"
        );
    }

    #[test]
    fn name_servers_are_found() {
        for text in ["nameserver 10.0.0.2", "search x\n\tnameserver ::1\n"] {
            assert!(has_nameserver(text), "{text:?}");
        }
        for text in [
            "",
            "# nameserver 10.0.0.2\n",
            "nameservers 10.0.0.2\nsearch nameserver",
        ] {
            assert!(!has_nameserver(text), "{text:?}");
        }
    }

    #[test]
    fn loopback_name_servers_only_on_the_hosts_network() {
        let host = "# c\nnameserver 127.0.0.53\nnameserver ::1\nnameserver 10.0.0.2\nsearch x\n\
                    nameserver fe80::1%eth0\noptions edns0";
        assert_eq!(resolv_conf(host, &Network::Host), host);
        assert_eq!(
            resolv_conf(host, &Network::None),
            "# c\nnameserver 10.0.0.2\nsearch x\nnameserver fe80::1%eth0\noptions edns0"
        );
        let connected = Network::Connected(Connector {
            kind: ConnectorKind::Pasta,
            program: "/usr/bin/pasta".into(),
        });
        assert_eq!(
            resolv_conf(host, &connected),
            "nameserver 10.0.2.3\n# c\nsearch x\noptions edns0\n"
        );
    }
}
