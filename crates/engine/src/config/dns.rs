//! `[build.dns]` of `kiln.toml`: how names are found in steps and containers.

use std::net::IpAddr;

use serde::Deserialize;

/// How names are found. What is empty is as on the machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct DnsConfig {
    /// Who is asked, in order.
    pub nameservers: Vec<IpAddr>,
    /// Domains in which short names are looked for, in order.
    pub search: Vec<String>,
    /// Options of resolv.conf(5).
    pub options: Vec<String>,
}

impl DnsConfig {
    /// The text of `resolv.conf`, made of the machine's.
    pub(crate) fn resolv_conf(&self, machine: &str) -> String {
        let servers: Vec<String> = self.nameservers.iter().map(IpAddr::to_string).collect();
        let given = [
            ("nameserver", &servers),
            ("search", &self.search),
            ("options", &self.options),
        ];
        let replaced = |line: &&str| {
            let word = line.split_whitespace().next().unwrap_or_default();
            // An older word for a single domain to search in.
            let word = if word == "domain" { "search" } else { word };
            given
                .iter()
                .any(|(name, values)| *name == word && !values.is_empty())
        };
        let kept = machine.lines().filter(|line| !replaced(line));
        let mut lines: Vec<String> = kept.map(str::to_owned).collect();
        lines.extend(servers.iter().map(|server| format!("nameserver {server}")));
        for (name, values) in [("search", &self.search), ("options", &self.options)] {
            if !values.is_empty() {
                lines.push(format!("{name} {}", values.join(" ")));
            }
        }
        lines.iter().map(|line| format!("{line}\n")).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::Config;

    #[test]
    fn what_is_given_takes_the_place_of_the_machines() {
        let machine = "# made by hand\nnameserver 10.0.0.1\ndomain a.example\noptions ndots:2\n";
        let told = |text: &str| {
            let config = Config::parse(text).unwrap();
            config.build.dns.resolv_conf(machine)
        };
        assert_eq!(told(""), machine);
        assert_eq!(
            told("[build.dns]\nnameservers = [\"1.1.1.1\", \"::1\"]\n"),
            "# made by hand\ndomain a.example\noptions ndots:2\nnameserver 1.1.1.1\nnameserver ::1\n"
        );
        assert_eq!(
            told("[build.dns]\nsearch = [\"b.example\", \"c\"]\noptions = [\"edns0\"]\n"),
            "# made by hand\nnameserver 10.0.0.1\nsearch b.example c\noptions edns0\n"
        );
        let error = Config::parse("[build.dns]\nnameservers = [\"one\"]\n").unwrap_err();
        assert!(
            error.to_string().contains("invalid IP address syntax"),
            "{error}"
        );
    }
}
