//! Which hosts are asked for an image.

use super::*;

/// The URLs that are asked for a manifest, with the schemes that are tried.
fn check(hosts: &[(&str, HostConfig)], reference: &str, expected: &[&str]) {
    let config = Config {
        hosts: hosts
            .iter()
            .map(|(name, host)| ((*name).to_owned(), host.clone()))
            .collect(),
        ..Config::default()
    };
    let reference: Reference = reference.parse().unwrap();
    let endpoints = Endpoints::new(&config).unwrap();
    let found: Vec<_> = endpoints
        .for_pull(reference.domain())
        .iter()
        .map(|endpoint| {
            let scheme = match endpoint.schemes {
                Schemes::Known(scheme) => scheme,
                Schemes::HttpFirst => Scheme::Http,
                Schemes::HttpsFirst => Scheme::Https { verify: false },
            };
            let url = endpoint.url(scheme, reference.repository()).unwrap();
            let how = match endpoint.schemes {
                Schemes::Known(Scheme::Https { verify: false }) => "unverified ",
                Schemes::HttpFirst => "http? ",
                Schemes::HttpsFirst => "https? ",
                Schemes::Known(_) => "",
            };
            format!("{how}{url}")
        })
        .collect();
    assert_eq!(found, expected);
}

fn host(mirrors: &[&str], http: bool, insecure: bool) -> HostConfig {
    HostConfig {
        mirrors: mirrors.iter().map(|&m| m.to_owned()).collect(),
        http,
        insecure,
        ..HostConfig::default()
    }
}

#[test]
fn hosts_of_a_domain() {
    check(
        &[],
        "alpine",
        &["https://registry-1.docker.io/v2/library/alpine"],
    );
    check(&[], "ghcr.io/a/b", &["https://ghcr.io/v2/a/b"]);
    check(
        &[],
        "localhost:5000/a",
        &["http? http://localhost:5000/v2/a"],
    );
    check(&[], "127.9.0.1/a", &["http? http://127.9.0.1/v2/a"]);
    check(&[], "[::1]:5000/a", &["http? http://[::1]:5000/v2/a"]);
    check(
        &[("r.test", host(&[], true, false))],
        "r.test/a",
        &["http://r.test/v2/a"],
    );
    check(
        &[("r.test", host(&[], false, true))],
        "r.test/a",
        &["unverified https://r.test/v2/a"],
    );
    check(
        &[("r.test", host(&[], true, true))],
        "r.test/a",
        &["https? https://r.test/v2/a"],
    );
    check(
        &[
            (
                "docker.io",
                host(
                    &[
                        "m.test/cache/hub/",
                        "http://n.test:80",
                        "localhost:1",
                        "https://o.test/v2/x",
                    ],
                    false,
                    false,
                ),
            ),
            ("m.test", host(&[], false, true)),
        ],
        "a/b",
        &[
            "unverified https://m.test/v2/cache/hub/a/b?ns=docker.io",
            "http://n.test/v2/a/b?ns=docker.io",
            "http? http://localhost:1/v2/a/b?ns=docker.io",
            "https://o.test/v2/x/a/b?ns=docker.io",
            "https://registry-1.docker.io/v2/a/b",
        ],
    );
}

#[test]
fn refused_mirrors() {
    for mirror in ["", "ftp://a", "a b", "u:p@a", "a/b?c", "http://"] {
        let config = Config {
            hosts: [("r.test".to_owned(), host(&[mirror], false, false))].into(),
            ..Config::default()
        };
        assert!(Endpoints::new(&config).is_err(), "{mirror}");
    }
}
