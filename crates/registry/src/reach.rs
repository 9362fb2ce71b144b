//! How far addresses reach. A server that everybody reaches has no business to send us to one that
//! only this machine or its network reaches: what is read there would go where it was never meant to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs as _};

use reqwest::Url;

/// Who reaches an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    /// This machine, or its cloud through it: loopback and link-local addresses.
    Machine,
    /// Its network.
    Network,
    /// Everybody.
    Everybody,
}

/// Whether `to` is reached by fewer than `from`: a redirect that is not followed. Looks names up,
/// which blocks; what has no address here is the proxy's to reach, and counts as everybody's.
#[must_use]
pub fn leads_nearer(from: &Url, to: &Url) -> bool {
    let to = Reach::of_url(to);
    to < Reach::Everybody && to < Reach::of_url(from)
}

impl Reach {
    /// Of a host with several addresses, the nearest.
    fn of_url(url: &Url) -> Self {
        let host = url.host_str().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse() {
            return Self::of(address);
        }
        let port = url.port_or_known_default().unwrap_or_default();
        let addresses = (bare, port).to_socket_addrs().into_iter().flatten();
        let reaches = addresses.map(|address| Self::of(address.ip()));
        reaches.min().unwrap_or(Self::Everybody)
    }

    fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::of_v4(address),
            IpAddr::V6(address) => match inner(address) {
                Some(inner) => Self::of_v4(inner),
                None => Self::of_v6(address),
            },
        }
    }

    fn of_v4(address: Ipv4Addr) -> Self {
        let [first, second, ..] = address.octets();
        // Addresses between a provider and its customers (RFC 6598).
        let is_shared = first == 100 && second & 0xc0 == 64;
        if address.is_loopback()
            || address.is_link_local()
            || address.is_broadcast()
            || address.is_multicast()
            || first == 0
        {
            Self::Machine
        } else if address.is_private() || is_shared {
            Self::Network
        } else {
            Self::Everybody
        }
    }

    const fn of_v6(address: Ipv6Addr) -> Self {
        if address.is_loopback()
            || address.is_unspecified()
            || address.is_multicast()
            || address.is_unicast_link_local()
        {
            Self::Machine
        } else if address.is_unique_local() {
            Self::Network
        } else {
            Self::Everybody
        }
    }
}

/// The address that another one stands for: mapped (RFC 4291), or by way of a translator (RFC 6052).
fn inner(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [0x64, 0xff9b, 0, 0, 0, 0, high, low] = address.segments() else {
        return address.to_ipv4_mapped();
    };
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    Some(Ipv4Addr::new(a, b, c, d))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects() {
        for (from, to, refused) in [
            ("https://1.1.1.1/", "https://8.8.8.8/", false),
            (
                "https://1.1.1.1/",
                "http://169.254.169.254/latest/meta-data/",
                true,
            ),
            ("https://1.1.1.1/", "http://[fe80::1]/", true),
            ("https://1.1.1.1/", "http://127.0.0.1:5000/", true),
            ("https://1.1.1.1/", "http://127.1/", true),
            ("https://1.1.1.1/", "http://2130706433/", true),
            ("https://1.1.1.1/", "http://0x7f.0.0.1/", true),
            ("https://1.1.1.1/", "http://0.0.0.0/", true),
            ("https://1.1.1.1/", "http://[::1]/", true),
            ("https://1.1.1.1/", "http://[::ffff:127.0.0.1]/", true),
            ("https://1.1.1.1/", "http://[64:ff9b::a9fe:a9fe]/", true),
            ("https://1.1.1.1/", "http://localhost/", true),
            ("https://1.1.1.1/", "http://10.0.0.1/", true),
            ("https://1.1.1.1/", "http://172.16.0.1/", true),
            ("https://1.1.1.1/", "http://192.168.1.1/", true),
            ("https://1.1.1.1/", "http://100.64.0.1/", true),
            ("https://1.1.1.1/", "http://[fd00::1]/", true),
            ("https://10.0.0.1/", "http://192.168.1.1/", false),
            ("https://10.0.0.1/", "http://169.254.169.254/", true),
            ("http://127.0.0.1/", "http://10.0.0.1/", false),
            ("http://127.0.0.1/", "http://127.0.0.2/", false),
            ("https://name.invalid/", "http://127.0.0.1/", true),
            ("https://name.invalid/", "https://other.invalid/", false),
        ] {
            let found = leads_nearer(&from.parse().unwrap(), &to.parse().unwrap());
            assert_eq!(found, refused, "{from} to {to}");
        }
    }
}
