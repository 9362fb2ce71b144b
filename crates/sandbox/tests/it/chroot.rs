//! A process where nothing is mounted: what it sees is in the root, and is taken out again.

use std::path::PathBuf;

use sandbox::{Exit, Isolation, Sandbox, Spec};
use sys::mount::{Mount, MountFlags, MountKind};

use crate::fixture::Fixture;

/// Busybox in a directory that is the root itself.
fn fixture() -> Option<Fixture> {
    let mut fixture = Fixture::new()?;
    fixture.sandbox = Sandbox::new(Some(Isolation::Chroot)).unwrap();
    Some(fixture)
}

fn shell(fixture: &Fixture, script: &str) -> Spec {
    Spec {
        root: bind(fixture.lower()),
        ..fixture.shell(script)
    }
}

fn bind(source: PathBuf) -> MountKind {
    MountKind::Bind {
        source,
        recursive: false,
    }
}

fn listing(fixture: &Fixture) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(fixture.lower())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn privileged_what_is_placed_is_taken_out_again() {
    let Some(fixture) = fixture() else {
        return;
    };
    let before = listing(&fixture);
    let source = fixture.dir.path().join("source");
    std::fs::create_dir(&source).unwrap();
    std::fs::write(source.join("x"), "from outside\n").unwrap();
    let mut spec = shell(
        &fixture,
        "cat /a/b/x; echo more >/a/b/y; echo x >/dev/null; ls /sys; test -s /proc/meminfo; pwd",
    );
    spec.mounts.push(Mount {
        kind: bind(source.clone()),
        target: "/a/b".into(),
        flags: MountFlags::NONE,
    });
    assert_eq!(fixture.output(&spec), "from outside\n/\n");
    assert_eq!(listing(&fixture), before);
    assert_eq!(std::fs::read_to_string(source.join("y")).unwrap(), "more\n");
}

#[test]
fn privileged_the_way_out_of_the_root_is_shut() {
    let Some(fixture) = fixture() else {
        return;
    };
    let outcome = fixture.run(&shell(&fixture, "chroot / true")).unwrap();
    assert_eq!(outcome.exit, Exit::Code(1));
    assert!(
        outcome.stderr.contains("not permitted"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn privileged_what_a_process_started_ends_with_it() {
    let Some(fixture) = fixture() else {
        return;
    };
    let processes = || -> Vec<String> {
        std::fs::read_dir("/proc")
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter_map(|path| {
                let line = std::fs::read_to_string(path.join("cmdline")).ok()?;
                let stat = std::fs::read_to_string(path.join("stat")).ok()?;
                line.contains("98769").then(|| line + &stat)
            })
            .collect()
    };
    let count = || processes().len();
    // Without /proc busybox finds what is in a directory only.
    std::os::unix::fs::symlink("busybox", fixture.lower().join("bin/setsid")).unwrap();
    let script = "(setsid sleep 98769 >/dev/null 2>&1 &); sleep 98769 >/dev/null 2>&1 & exit 3";
    let outcome = fixture.run(&shell(&fixture, script)).unwrap();
    assert_eq!((outcome.exit, count()), (Exit::Code(3), 0));
    let running = fixture
        .start(&shell(
            &fixture,
            "(setsid sleep 98769 &); touch up; exec sleep 98769",
        ))
        .unwrap();
    while !fixture.lower().join("up").exists() || count() < 2 {
        std::thread::yield_now();
    }
    drop(running);
    let left = processes();
    assert!(left.is_empty(), "{left:?}");
    // While they are still starting others.
    for _ in 0..30 {
        let busy = "for i in 1 2 3 4 5 6; do (setsid sleep 98769 &); done; sleep 98769";
        let mut running = fixture.start(&shell(&fixture, busy)).unwrap();
        assert_eq!(running.kill().unwrap(), Exit::Signal(9));
        let left = processes();
        assert!(left.is_empty(), "{left:?}");
    }
    let outcome = fixture.run(&shell(&fixture, "kill -TERM $$")).unwrap();
    assert_eq!(outcome.exit, Exit::Signal(15));
}

#[test]
fn privileged_a_program_that_is_missing() {
    let Some(fixture) = fixture() else {
        return;
    };
    let spec = Spec {
        root: bind(fixture.lower()),
        ..fixture.spec(&["nope"])
    };
    let error = fixture.run(&spec).unwrap_err();
    assert_eq!(error.exit_code(), Some(127));
    assert!(!fixture.dir.path().join("placed").exists());
}
