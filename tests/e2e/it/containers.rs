//! Containers: created, copied to and from, run, removed.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use testkit::Scratch;

use crate::kiln::{Kiln, Project, ended};

const DOCKERFILE: &str = "FROM alpine\n\
     RUN mkdir -p /data/sub && echo one >/data/f && echo two >/data/sub/g && chown -R 7:8 /data\n\
     RUN ln -s data /link && ln -s /data/f /flink && mkfifo /fifo\n\
     WORKDIR /work\nENV A=image\n";

fn container() -> Kiln {
    let kiln = Kiln::new();
    kiln.build(&Project::of(DOCKERFILE), &["-t", "app:build"]);
    kiln.ok(["container", "create", "--name", "extract", "app:build"]);
    kiln
}

#[test]
fn the_builder_pattern() {
    let kiln = container();
    let ran = kiln.run(["container", "create", "--name", "extract", "app:build"]);
    assert!(ran.error().starts_with(
        "ERROR: Conflict. The container name \"/extract\" is already in use by container \""
    ));
    assert_eq!(
        kiln.ok(["ps", "-a", "--format", "{{.Names}} {{.Image}} {{.Status}}"]),
        "extract app:build Created\n"
    );
    assert_eq!(kiln.ok(["ps", "-q"]), "");
    assert_eq!(kiln.ok(["container", "rm", "-f", "extract"]), "extract\n");
    assert_eq!(
        kiln.run(["container", "rm", "extract"]).error(),
        "ERROR: No such container: extract"
    );
    kiln.assert_clean();
}

/// Source, destination, and what lies at the destination then, by docker's rules.
#[test]
fn copied_out() {
    let kiln = container();
    let out = Scratch::new();
    let copy = |source: &str, destination: &str| {
        let mut command = kiln.command();
        command.current_dir(out.path());
        crate::kiln::finish(command.args(["cp", &format!("extract:{source}"), destination]))
    };
    for (source, destination) in [
        ("/data", "."),
        ("/data", "renamed"),
        ("/data/.", "contents"),
        ("/data/sub/.", "renamed"),
        ("/data/f", "file"),
        ("/data/f", "renamed/"),
        ("../data/f", "relative"),
        ("/flink", "."),
        ("/link/", "followed"),
    ] {
        let ran = copy(source, destination);
        assert_eq!(ran.code, 0, "{source} {destination}: {}", ran.stderr);
    }
    assert_eq!(
        testkit::tree::list(out.path()),
        r"contents/ 0755 0:0
contents/f 0644 0:0 = one\n
contents/sub/ 0755 0:0
contents/sub/g 0644 0:0 = two\n
data/ 0755 0:0
data/f 0644 0:0 = one\n
data/sub/ 0755 0:0
data/sub/g 0644 0:0 = two\n
file 0644 0:0 = one\n
flink 0:0 -> /data/f
followed/ 0755 0:0
followed/f 0644 0:0 = one\n
followed/sub/ 0755 0:0
followed/sub/g 0644 0:0 = two\n
relative 0644 0:0 = one\n
renamed/ 0755 0:0
renamed/f 0644 0:0 = one\n
renamed/g 0644 0:0 = two\n
renamed/sub/ 0755 0:0
renamed/sub/g 0644 0:0 = two\n
"
    );
    for (source, destination, expected) in [
        (
            "/nope",
            ".",
            "ERROR: Could not find the file /nope in container extract",
        ),
        ("/data/f", "new/", "ERROR: no such directory"),
        ("/data", "file", "ERROR: cannot copy directory"),
        (
            "/data/f",
            "no/such/dir",
            "ERROR: invalid output path: directory",
        ),
    ] {
        let error = copy(source, destination).error();
        assert!(error.starts_with(expected), "{error}");
    }
    let archive = kiln.run(["cp", "-a", "extract:/data", "-"]);
    assert!(
        archive.stdout.starts_with("data/\0"),
        "a tar whose first member is data/"
    );
}

#[test]
fn copied_in() {
    let kiln = container();
    let here = Scratch::new();
    testkit::tree::write(
        here.path(),
        "dir/f 3:4 = new\ndir/deep/h 3:4 = deep\nlink -> dir/f\n",
    );
    let copy = |arguments: &[&str]| {
        let mut command = kiln.command();
        command.current_dir(here.path());
        crate::kiln::finish(command.arg("cp").args(arguments))
    };
    for arguments in [
        &["dir", "extract:/a"][..],
        &["dir/.", "extract:/data"],
        &["dir", "extract:/data"],
        &["-a", "dir/f", "extract:/kept"],
        &["link", "extract:/data/sub/"],
        &["-L", "link", "extract:/data/sub/target"],
        &["dir/f", "extract:here"],
        &["dir/f", "extract:/link"],
    ] {
        let ran = copy(arguments);
        assert_eq!(ran.code, 0, "{arguments:?}: {}", ran.stderr);
    }
    // As docker's, `cp` replaces no directory deep in a tree by a file, nor the other way round.
    testkit::tree::write(
        here.path(),
        "clash/deep = a file\nclash2/deep/h/x = a directory\n",
    );
    for (source, expected) in [
        (
            "clash/.",
            "cannot overwrite directory \"deep\" with non-directory",
        ),
        (
            "clash2/.",
            "cannot overwrite non-directory \"deep/h\" with directory",
        ),
    ] {
        let error = copy(&[source, "extract:/data"]).error();
        assert!(error.contains(expected), "{error}");
    }
    for (arguments, expected) in [
        (&["nope", "extract:/"][..], "no such file or directory"),
        (&["dir", "extract:/kept"], "ERROR: cannot copy directory"),
        (
            &["dir/f", "extract:/no/such/dir"],
            "ERROR: Could not find the file /no/such in container extract",
        ),
        (&["dir/f", "extract:/new/"], "ERROR: no such directory"),
        (
            &["-", "extract:/kept"],
            "ERROR: destination \"extract:/kept\" must be a directory",
        ),
        (
            &["dir/f", "extract:/fifo"],
            "must be a directory or a regular file",
        ),
        (
            &["extract:/a", "extract:/b"],
            "ERROR: copying between containers is not supported",
        ),
        (
            &["a", "b"],
            "ERROR: must specify at least one container source",
        ),
    ] {
        let error = copy(arguments).error();
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
    let out = Scratch::new();
    for (source, target) in [
        ("/a", "a"),
        ("/data", "data"),
        ("/kept", "kept"),
        ("/work/here", "here"),
    ] {
        let target = out.join(target);
        kiln.ok([
            "cp",
            "-a",
            &format!("extract:{source}"),
            target.to_str().unwrap(),
        ]);
    }
    assert_eq!(
        testkit::tree::list(out.path()),
        r"a/ 0755 0:0
a/deep/ 0755 0:0
a/deep/h 0644 0:0 = deep
a/f 0644 0:0 = new
data/ 0755 7:8
data/deep/ 0755 0:0
data/deep/h 0644 0:0 = deep
data/dir/ 0755 0:0
data/dir/deep/ 0755 0:0
data/dir/deep/h 0644 0:0 = deep
data/dir/f 0644 0:0 = new
data/f 0644 0:0 = new
data/sub/ 0755 7:8
data/sub/g 0644 7:8 = two\n
data/sub/link 0:0 -> dir/f
data/sub/target 0644 0:0 = new
here 0644 0:0 = new
kept 0644 3:4 = new
"
    );
    let archive = kiln
        .command()
        .args(["cp", "extract:/a", "-"])
        .output()
        .unwrap()
        .stdout;
    kiln.run_with(&["cp", "-", "extract:/tmp"], &archive).ok();
    kiln.ok([
        "cp",
        "extract:/tmp/a/f",
        out.join("again").to_str().unwrap(),
    ]);
    assert_eq!(fs::read_to_string(out.join("again")).unwrap(), "new");
    kiln.assert_clean();
}

#[test]
fn run() {
    let kiln = container();
    for (arguments, code, stdout) in [
        (&["app:build", "pwd"][..], 0, "/work\n"),
        (&["-w", "/data", "app:build", "ls"], 0, "f\nsub\n"),
        (
            &[
                "-e",
                "A=mine",
                "-e",
                "B=2",
                "app:build",
                "sh",
                "-c",
                "echo $A $B",
            ],
            0,
            "mine 2\n",
        ),
        (
            &["-u", "7:8", "app:build", "sh", "-c", "id -u; id -g"],
            0,
            "7\n8\n",
        ),
        (
            &["--entrypoint", "echo", "app:build", "-h", "x"],
            0,
            "-h x\n",
        ),
        (&["-h", "box", "app:build", "hostname"], 0, "box\n"),
        (
            &["--network", "none", "app:build", "ls", "/sys/class/net"],
            0,
            "lo\n",
        ),
        (
            &[
                "--add-host",
                "far:1.2.3.4",
                "app:build",
                "grep",
                "far",
                "/etc/hosts",
            ],
            0,
            "1.2.3.4\tfar\n",
        ),
        (&["app:build", "sh", "-c", "exit 7"], 7, ""),
        (
            &["app:build", "sh", "-c", "sh -c 'kill -9 $$'; exit $?"],
            137,
            "",
        ),
        (&["app:build", "no-such-program"], 127, ""),
        (&["app:build", "/data"], 126, ""),
        (&["no/such/image"], 125, ""),
    ] {
        let ran = kiln.run(["run", "--rm"].iter().chain(arguments));
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (code, stdout),
            "{arguments:?}: {}",
            ran.stderr
        );
    }
}

#[test]
fn streams_of_a_run_and_what_it_leaves() {
    let kiln = container();
    let ran = kiln.run_with(&["run", "--rm", "-i", "app:build", "cat"], b"through\n");
    assert_eq!(ran.ok(), "through\n");
    let ran = kiln.run([
        "run",
        "--rm",
        "app:build",
        "sh",
        "-c",
        "echo out; echo err >&2; cat",
    ]);
    assert_eq!(
        (ran.stdout.as_str(), ran.stderr.as_str()),
        ("out\n", "err\n")
    );
    assert_eq!(
        kiln.ok(["ps", "-aq"]).lines().count(),
        1,
        "--rm leaves none behind"
    );

    // What a container wrote stays with it.
    kiln.ok([
        "run",
        "--name",
        "writer",
        "app:build",
        "sh",
        "-c",
        "echo mine >/work/x",
    ]);
    let ran = kiln.run(["cp", "writer:/work/x", "-"]);
    assert!(ran.stdout.contains("mine"));
    let status = kiln.ok([
        "ps",
        "-a",
        "--filter",
        "name=writer",
        "--format",
        "{{.Status}}",
    ]);
    assert!(status.starts_with("Exited (0) "), "{status}");
    assert!(status.ends_with(" ago\n"), "{status}");
    kiln.assert_clean();
}

#[test]
fn signals_are_passed_on() {
    let kiln = container();
    let script = "trap 'echo got it; exit 5' TERM; echo ready; while true; do sleep 0.05; done";
    let child = kiln.start(kiln.command().args([
        "run",
        "--rm",
        "--name",
        "loop",
        "app:build",
        "sh",
        "-c",
        script,
    ]));
    let begun = Instant::now();
    while kiln.ok(["ps", "-q"]).is_empty() {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "the container does not start"
        );
    }
    // Until the trap is set the signal would be lost: process 1 ignores what it has no handler for.
    let pid = Pid::from_child(&child);
    let sender = std::thread::spawn(move || {
        for _ in 0..100 {
            if kill_process(pid, Signal::TERM).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let ran = ended(child);
    drop(sender);
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (5, "ready\ngot it\n"),
        "{}",
        ran.stderr
    );
}
