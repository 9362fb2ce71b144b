//! Builds that end before their time: by a signal, or killed at any moment.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::kiln::{Kiln, Project, ended};

/// How often a build is killed.
const KILLS: u32 = 200;

/// Processes whose command line has `mark` in it.
fn processes(mark: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        // A process may end while it is looked at.
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(mark) {
            found.push(line);
        }
    }
    found
}

/// Mounts below a directory.
fn mounts(below: &str) -> usize {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    mounts.lines().filter(|line| line.contains(below)).count()
}

#[test]
fn an_interrupt_ends_every_step() {
    let kiln = Kiln::new();
    let mark = format!("marked-{}-{}", std::process::id(), line!());
    let stage = |name: &str| {
        format!(
            "FROM alpine AS {name}\nRUN echo {mark}; trap '' INT TERM; while true; do sleep 0.1; done\n"
        )
    };
    let dockerfile = format!(
        "{}{}FROM scratch\nCOPY --from=a / /\nCOPY --from=b / /\n",
        stage("a"),
        stage("b")
    );
    let project = Project::of(&dockerfile);
    let path = project.path().to_str().unwrap().to_owned();
    let child = kiln.start(kiln.command().args(["build", "--progress", "plain", &path]));
    let begun = Instant::now();
    while processes(&mark).is_empty() {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "the steps do not start"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let ran = ended(child);
    assert_eq!(ran.code, 130, "{}", ran.stderr);
    assert_eq!(processes(&mark), Vec::<String>::new());
    assert_eq!(mounts(kiln.root().to_str().unwrap()), 0);
    kiln.assert_clean();
}

#[test]
fn killed_at_any_moment() {
    let kiln = Kiln::new();
    let mut dockerfile = "FROM alpine AS base\nARG ROUND\nCOPY files /files\n".to_owned();
    for stage in ["a", "b"] {
        dockerfile.push_str(&format!(
            "FROM base AS {stage}\nRUN echo $ROUND >/{stage} && rm -r /files/1 && cp -r /files /copy\nRUN ls /copy >/ls\n"
        ));
    }
    dockerfile.push_str("FROM alpine\nCOPY --from=a /a /copy /\nCOPY --from=b /b /ls /\n");
    let project = Project::of(&dockerfile);
    for file in 0..20 {
        project.write(&format!("files/{file}/x"), &"content\n".repeat(1000));
    }
    let path = project.path().to_str().unwrap();
    let whole = Instant::now();
    kiln.build(&project, &["-t", "result", "--build-arg", "ROUND=first"]);
    let whole = whole.elapsed();
    for round in 0..KILLS {
        let argument = format!("ROUND={round}");
        let line = [
            "build",
            "-q",
            "-t",
            "result",
            "--build-arg",
            &argument,
            path,
        ];
        let mut child = kiln.start(kiln.command().args(line));
        std::thread::sleep(whole * (round % 40) / 40);
        // It may have come to its end already.
        let _ = child.kill();
        drop(ended(child));
        if round % 20 == 19 {
            kiln.assert_clean();
        }
    }
    kiln.assert_clean();
    assert_eq!(mounts(kiln.root().to_str().unwrap()), 0);
    kiln.build(&project, &["-t", "result", "--build-arg", "ROUND=last"]);
    assert_eq!(
        kiln.ok(["run", "--rm", "result", "cat", "/a", "/b"]),
        "last\nlast\n"
    );
    kiln.ok(["prune", "-af"]);
    kiln.assert_clean();
}
