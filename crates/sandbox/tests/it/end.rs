//! What is left when a process ends, is killed, or loses its parent: nothing.

use std::time::{Duration, Instant};

use sandbox::{Exit, Network};

use crate::fixture::Fixture;

/// The processes whose command line holds `mark`.
fn processes(mark: &str) -> usize {
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| std::fs::read(entry.unwrap().path().join("cmdline")).ok())
        .filter(|line| String::from_utf8_lossy(line).contains(mark))
        .count()
}

fn mounts() -> usize {
    std::fs::read_to_string("/proc/self/mounts")
        .unwrap()
        .lines()
        .count()
}

#[test]
fn privileged_dropping_kills_all() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let before = mounts();
    let script =
        "for i in 1 2 3; do setsid sleep 98761 & done; trap '' TERM; touch /tmp/up; sleep 98761";
    let running = fixture.start(&fixture.shell(script)).unwrap();
    while processes("98761") < 4 {
        std::thread::yield_now();
    }
    drop(running);
    assert_eq!(processes("98761"), 0);
    assert_eq!(mounts(), before);
    // The overlay is gone too: its upper directory can be removed and used again.
    std::fs::remove_dir_all(fixture.dir.path().join("upper/default")).unwrap();
    fixture.check("ls /tmp", "");
}

#[test]
fn privileged_children_end_with_pid_1() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let outcome = fixture
        .run(&fixture.shell("sleep 98762 >/dev/null 2>&1 & exit 3"))
        .unwrap();
    assert_eq!(outcome.exit, Exit::Code(3));
    assert_eq!(processes("98762"), 0);
}

#[test]
fn privileged_many_at_once() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for number in 0..20 {
            let fixture = &fixture;
            scope.spawn(move || {
                let mut spec = fixture.shell(&format!("echo {number}; exit {number}"));
                spec.root = fixture.overlay(&format!("n{number}"));
                if number % 4 == 0 {
                    spec.network = Network::None;
                }
                let outcome = fixture.run(&spec).unwrap();
                assert_eq!(outcome.exit, Exit::Code(number));
                assert_eq!(outcome.stdout, format!("{number}\n"));
            });
        }
    });
    assert!(begin.elapsed() < Duration::from_secs(10));
}

/// Plays the parent that is killed: starts processes and says so. Run by the next test only.
#[test]
#[ignore = "run by privileged_parent_killed in a process of its own"]
fn parent() {
    let Some(fixture) = Fixture::new() else {
        return;
    };
    let mut all = Vec::new();
    for number in 0..3 {
        let mut spec = fixture.shell("sleep 98763 & sleep 98763");
        spec.root = fixture.overlay(&format!("n{number}"));
        all.push(fixture.start(&spec).unwrap());
    }
    // PID 1 gives up root by itself, which makes the kernel forget whose death to follow.
    let mut spec = fixture.spec(&["busybox", "su", "app", "-c", "exec sleep 98763"]);
    spec.root = fixture.overlay("setuid");
    all.push(fixture.start(&spec).unwrap());
    let begin = Instant::now();
    while processes("98763") < 7 {
        assert!(
            begin.elapsed() < Duration::from_secs(5),
            "{} are up",
            processes("98763")
        );
        std::thread::yield_now();
    }
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)
        .unwrap();
}

#[test]
fn privileged_parent_killed() {
    if Fixture::new().is_none() {
        return;
    }
    #[expect(
        clippy::disallowed_methods,
        reason = "the process that is killed must not be this one"
    )]
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "end::parent", "--ignored"])
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap();
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&status),
        Some(9)
    );
    let begin = Instant::now();
    while processes("98763") > 0 {
        assert!(
            begin.elapsed() < Duration::from_secs(5),
            "{} are left",
            processes("98763")
        );
        std::thread::yield_now();
    }
}
