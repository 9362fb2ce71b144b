//! Networks of a process's own that are connected.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use sandbox::{ConnectorKind, Exit, Network, Spec};
use testkit::network::{greeter, own_address};

use crate::fixture::Fixture;

/// What passes on for us alone: our children. Pasta executes itself anew, built for this processor,
/// under the name of its package.
fn connecting(kind: ConnectorKind) -> usize {
    testkit::network::children(std::process::id(), &[kind.name(), kind.package()])
}

fn connected(fixture: &Fixture, kind: ConnectorKind) -> Option<Spec> {
    let search = ["/usr/bin", "/usr/sbin"].map(PathBuf::from);
    let Some(connector) = kind.find(&search) else {
        testkit::skip(&format!("{} is not installed", kind.name()));
        return None;
    };
    if let Err(error) = sandbox::network::can_connect() {
        testkit::skip(&format!(
            "no network can be connected: /dev/net/tun: {error}"
        ));
        return None;
    }
    let mut spec = fixture.shell("");
    spec.network = Network::Connected(connector);
    Some(spec)
}

#[test]
fn privileged_connected() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let Some(address) = own_address() else {
        return testkit::skip("this machine has no address but those of loopback");
    };
    let (outside, inside) = (greeter(address), greeter([127, 0, 0, 1].into()));
    for kind in ConnectorKind::ALL {
        let Some(mut spec) = connected(&fixture, kind) else {
            continue;
        };
        let mut check = |script: &str, expected: &str| {
            spec.process.args[2] = script.to_owned();
            let begin = Instant::now();
            let shown = fixture.output(&spec);
            assert_eq!(shown, expected, "{kind:?} {script}");
            assert!(
                begin.elapsed() < Duration::from_secs(5),
                "{kind:?} {script}"
            );
            assert_eq!(connecting(kind), 0, "{kind:?} {script}");
        };
        // Closes the connection before the other side does and all at once: half of it, older
        // versions of pasta do not take to an end.
        let ask = |host: &str, port: u16| {
            let talk = "sh -c 'echo hello?; read answer; echo $answer >&2'";
            format!("busybox nc -w 3 {host} {port} -e {talk}")
        };
        check(&ask(&address.to_string(), outside), "hello\n");
        for host in ["10.0.2.2", "127.0.0.1", "localhost", "10.0.2.100"] {
            check(
                &format!("{} 2>/dev/null || echo refused", ask(host, inside)),
                "refused\n",
            );
        }
        check(
            &format!("{} || true", ask("169.254.169.254", 80)),
            "nc: can't connect to remote host (169.254.169.254): No route to host\n",
        );
        check(
            "ip route | grep unreachable",
            "unreachable 169.254.0.0/16 \n",
        );
        check(
            "ip route del 169.254.0.0/16 2>/dev/null || echo refused",
            "refused\n",
        );
        spec.process.args[2] = "exec sleep 100".into();
        let mut running = fixture.start(&spec).unwrap();
        assert_eq!(connecting(kind), 1, "{kind:?}");
        assert_eq!(running.kill().unwrap(), Exit::Signal(9));
        assert_eq!(connecting(kind), 0, "{kind:?}");
    }
}
