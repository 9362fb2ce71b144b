//! The programs that connect a network, and what they are told. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use sys::network::Prefix;

/// Who answers for names in a network that is connected: both programs pass on what is sent there
/// to the machine's name server, wherever that is.
pub const NAME_SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 2, 3));

/// What cannot be reached from there though the machine reaches it: where clouds give credentials
/// to whoever asks.
pub(super) const REFUSED: [Prefix; 3] = [
    Prefix {
        address: IpAddr::V4(Ipv4Addr::new(169, 254, 0, 0)),
        bits: 16,
    },
    // Amazon's and Google's, by IPv6.
    Prefix {
        address: IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0)),
        bits: 32,
    },
    Prefix {
        address: IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0)),
        bits: 32,
    },
];

/// A program that connects a network with what the machine reaches, without any right on the
/// machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connector {
    /// Which one it is.
    pub kind: ConnectorKind,
    /// Where it is.
    pub program: PathBuf,
}

/// Which programs there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectorKind {
    /// `pasta`, of passt.
    Pasta,
    /// `slirp4netns`.
    Slirp4netns,
}

impl ConnectorKind {
    /// Both, the better one first.
    pub const ALL: [ConnectorKind; 2] = [ConnectorKind::Pasta, ConnectorKind::Slirp4netns];

    /// The program's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            ConnectorKind::Pasta => "pasta",
            ConnectorKind::Slirp4netns => "slirp4netns",
        }
    }

    /// The package that distributions have it in.
    #[must_use]
    pub const fn package(self) -> &'static str {
        match self {
            ConnectorKind::Pasta => "passt",
            ConnectorKind::Slirp4netns => "slirp4netns",
        }
    }

    /// The program, if one of the directories has it.
    #[must_use]
    pub fn find(self, search: &[PathBuf]) -> Option<Connector> {
        let mut paths = search.iter().map(|directory| directory.join(self.name()));
        let program = paths.find(|path| path.is_file())?;
        Some(Connector {
            kind: self,
            program,
        })
    }

    /// Its arguments. Its standard input is the network, and it says on its standard output that it
    /// is ready. Nothing leads to the machine's loopback interface.
    pub(super) const fn arguments(self) -> &'static [&'static str] {
        match self {
            ConnectorKind::Pasta => &[
                "--foreground",
                "--quiet",
                // Whom it would become otherwise may not enter the network.
                "--runas",
                "0",
                "--config-net",
                "--ns-ifname",
                "eth0",
                "--address",
                "10.0.2.100",
                "--netmask",
                "24",
                "--gateway",
                "10.0.2.2",
                "--dns-forward",
                "10.0.2.3",
                "--no-map-gw",
                "--tcp-ports",
                "none",
                "--udp-ports",
                "none",
                "--tcp-ns",
                "none",
                "--udp-ns",
                "none",
                "--pid",
                "/proc/self/fd/1",
                "--netns",
                "/proc/self/fd/0",
            ],
            ConnectorKind::Slirp4netns => &[
                "--configure",
                "--mtu=65520",
                "--disable-host-loopback",
                "--enable-sandbox",
                "--ready-fd=1",
                "--netns-type=path",
                "/proc/self/fd/0",
                "eth0",
            ],
        }
    }

    /// Whether what it has said so far means that it is ready: a line with its number, or one byte.
    pub(super) fn is_ready(self, said: &[u8]) -> bool {
        match self {
            ConnectorKind::Pasta => said.ends_with(b"\n"),
            ConnectorKind::Slirp4netns => said.ends_with(b"1"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_is_there_is_found() {
        let scratch = tempfile::tempdir().unwrap();
        let directories = ["a", "b", "c"].map(|name| scratch.path().join(name));
        for directory in &directories[1..] {
            std::fs::create_dir(directory).unwrap();
            std::fs::write(directory.join("pasta"), "").unwrap();
        }
        let found = ConnectorKind::Pasta.find(&directories).unwrap();
        assert_eq!(found.program, directories[1].join("pasta"));
        assert_eq!(ConnectorKind::Slirp4netns.find(&directories), None);
    }

    #[test]
    fn arguments_close_every_way_to_the_machines_loopback() {
        let pasta = ConnectorKind::Pasta.arguments().join(" ");
        for closed in [
            "--no-map-gw",
            "--tcp-ports none",
            "--udp-ports none",
            "--tcp-ns none",
            "--udp-ns none",
        ] {
            assert!(pasta.contains(closed), "{closed}");
        }
        let slirp = ConnectorKind::Slirp4netns.arguments();
        assert!(slirp.contains(&"--disable-host-loopback"));
        let server = format!("--dns-forward {NAME_SERVER} ");
        assert!(pasta.contains(&server), "{pasta}");
    }

    #[test]
    fn readiness() {
        let check = |kind: ConnectorKind, said: &str, expected| {
            assert_eq!(kind.is_ready(said.as_bytes()), expected, "{said:?}");
        };
        check(ConnectorKind::Pasta, "", false);
        check(ConnectorKind::Pasta, "12", false);
        check(ConnectorKind::Pasta, "12\n", true);
        check(ConnectorKind::Slirp4netns, "", false);
        check(ConnectorKind::Slirp4netns, "1", true);
    }
}
