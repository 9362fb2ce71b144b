//! What a step costs beyond its process. Printed, and held to generous bounds only: the machine may
//! be busy.

use std::time::{Duration, Instant};

use sandbox::{Exit, Network, Sandbox};
use sys::mount::{MountFlags, MountKind, attach, detach};

use crate::fixture::Fixture;

const ROUNDS: usize = 100;
const MOUNTS: usize = 2000;

/// The best and the median of many: on a busy machine the best says more.
#[derive(Debug)]
#[expect(dead_code, reason = "printed")]
struct Times {
    best: Duration,
    median: Duration,
}

fn measure(mut round: impl FnMut(usize)) -> Times {
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|number| {
            let begin = Instant::now();
            round(number);
            begin.elapsed()
        })
        .collect();
    times.sort();
    Times {
        best: times[0],
        median: times[ROUNDS / 2],
    }
}

fn plain(fixture: &Fixture) -> Times {
    let busybox = fixture.lower().join("bin/busybox");
    measure(|_| {
        #[expect(
            clippy::disallowed_methods,
            reason = "the yardstick: the same program, not sandboxed"
        )]
        let status = std::process::Command::new(&busybox)
            .arg("true")
            .status()
            .unwrap();
        assert!(status.success());
    })
}

fn sandboxed(fixture: &Fixture, name: &str, network: Network) -> Times {
    measure(|number| {
        let mut spec = fixture.spec(&["busybox", "true"]);
        spec.root = fixture.overlay(&format!("{name}{number}"));
        spec.network = network.clone();
        let mut running = fixture.start(&spec).unwrap();
        assert_eq!(running.wait().unwrap(), Exit::Code(0));
    })
}

#[test]
fn privileged_milliseconds_per_step() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let plain = plain(&fixture);
    let first = first(&fixture);
    let host = sandboxed(&fixture, "host", Network::Host);
    let none = sandboxed(&fixture, "none", Network::None);
    println!("plain {plain:?}, first {first:?}\nhost network {host:?}\nno network {none:?}");
    assert!(host.best < Duration::from_millis(100));
    // The mounts are made in a namespace of their own, where nobody else is slowed down by them.
    #[expect(
        clippy::disallowed_methods,
        reason = "mounts would be the whole machine's otherwise"
    )]
    let status = std::process::Command::new("unshare")
        .args(["--mount", "--propagation", "private"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "speed::many_mounts", "--ignored", "--nocapture"])
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
#[ignore = "run by privileged_milliseconds_per_step in a mount namespace of its own"]
fn many_mounts() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let before = sandboxed(&fixture, "before", Network::Host);
    let at = fixture.dir.path().join("mounts");
    for number in 0..MOUNTS {
        let path = at.join(number.to_string());
        std::fs::create_dir_all(&path).unwrap();
        let kind = MountKind::Tmpfs {
            size: None,
            mode: 0o755,
        };
        attach(detach(&kind, MountFlags::NONE).unwrap(), &path).unwrap();
    }
    let first = first(&fixture);
    let host = sandboxed(&fixture, "host", Network::Host);
    println!("with {MOUNTS} mounts more: first {first:?}, host network {host:?}");
    assert!(
        host.best <= 2 * before.best,
        "without them: {before:?}, with them: {host:?}"
    );
}

/// From nothing prepared to the end of the first step.
fn first(fixture: &Fixture) -> Duration {
    let mut spec = fixture.spec(&["true"]);
    spec.root = fixture.overlay("first");
    let begin = Instant::now();
    let sandbox = Sandbox::new(None).unwrap();
    let mut running = Fixture::start_in(&sandbox, &spec).unwrap();
    assert_eq!(running.wait().unwrap(), Exit::Code(0));
    begin.elapsed()
}
