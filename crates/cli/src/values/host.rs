//! `--add-host name:address` or `name=address`, with several addresses separated by commas.

use std::net::IpAddr;

use engine::ExtraHost;

use super::ValueError;

/// Each host and address that `text` names.
///
/// # Errors
/// The text is malformed, or asks for a gateway to the host.
pub fn parse(text: &str) -> Result<Vec<ExtraHost>, ValueError> {
    let invalid = || ValueError::Host(text.to_owned());
    let (host, addresses) = text
        .split_once('=')
        .or_else(|| text.split_once(':'))
        .ok_or_else(invalid)?;
    if host.is_empty() || addresses.is_empty() {
        return Err(invalid());
    }
    if addresses == "host-gateway" {
        return Err(ValueError::HostGateway(text.to_owned()));
    }
    addresses
        .split(',')
        .map(|address| {
            let bare = address
                .strip_prefix('[')
                .and_then(|rest| rest.strip_suffix(']'))
                .unwrap_or(address);
            let parsed: IpAddr = bare.parse().map_err(|_| invalid())?;
            Ok(ExtraHost {
                host: host.to_owned(),
                address: parsed.to_string(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        for (text, expected) in [
            ("a:1.2.3.4", "a 1.2.3.4"),
            ("a=1.2.3.4,::1", "a 1.2.3.4 a ::1"),
            ("a:[::1]", "a ::1"),
            ("a=::1", "a ::1"),
            ("a::1", "invalid host a::1"),
            ("a", "invalid host a"),
            (":1.2.3.4", "invalid host :1.2.3.4"),
            ("a:b", "invalid host a:b"),
            (
                "a:host-gateway",
                "invalid host a:host-gateway: steps share the host's network, where the host is 127.0.0.1",
            ),
        ] {
            let got = match parse(text) {
                Ok(hosts) => hosts
                    .iter()
                    .map(|host| format!("{} {}", host.host, host.address))
                    .collect::<Vec<_>>()
                    .join(" "),
                Err(error) => error.to_string(),
            };
            assert_eq!(got, expected);
        }
    }
}
