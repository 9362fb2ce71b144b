//! Directories that the daemon reads where the client has them, and those that have to be sent.

use std::fs;
use std::io;
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use super::client;
use crate::kiln::{Project, Ran, binary, command, finish, tool};
use crate::serving::Daemon;

/// Long after the times of the files, so that no time but theirs is in an image.
const EPOCH: &str = "SOURCE_DATE_EPOCH=1700000000";

/// How many directories the store has copies of.
fn copies(daemon: &Daemon) -> usize {
    let Ok(entries) = fs::read_dir(daemon.kiln.root().join("contexts")) else {
        return 0;
    };
    let entries = entries.map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_dir()).count()
}

/// A socket that leads to the daemon's by way of this process, which the daemon then takes for the
/// client.
fn relay(daemon: &Daemon) -> PathBuf {
    let path = daemon.kiln.scratch("relay").join("kiln.sock");
    let (listener, socket) = (UnixListener::bind(&path).unwrap(), daemon.socket.clone());
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (one, other) = (client.unwrap(), UnixStream::connect(&socket).unwrap());
            for (mut from, mut to) in [
                (one.try_clone().unwrap(), other.try_clone().unwrap()),
                (other, one),
            ] {
                std::thread::spawn(move || {
                    drop(io::copy(&mut from, &mut to));
                    drop(to.shutdown(Shutdown::Write));
                });
            }
        }
    });
    path
}

/// Builds and says what came of it.
fn build(daemon: &Daemon, socket: &Path, project: &Project, arguments: &[&str]) -> (Ran, String) {
    let metadata = daemon.kiln.scratch("said").join("metadata");
    let mut build = client(daemon);
    build
        .env("KILN_HOST", format!("unix://{}", socket.display()))
        .args([
            "build",
            "--progress",
            "plain",
            "--build-arg",
            EPOCH,
            "-t",
            "x",
        ])
        .arg("--metadata-file")
        .arg(&metadata)
        .args(arguments);
    let ran = finish(build.arg(project.path()));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let metadata: serde_json::Value =
        serde_json::from_slice(&fs::read(&metadata).unwrap()).unwrap();
    let digest = metadata["containerimage.digest"].as_str().unwrap();
    (ran, digest.to_owned())
}

fn set_attribute(path: &Path, name: &str, value: &str) {
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(path, name, value.as_bytes(), flags).unwrap();
}

/// A context of files of all kinds.
fn all_kinds() -> Project {
    let project = Project::new(&[
        (
            "Dockerfile",
            "FROM scratch\nCOPY . /files\nCOPY d/*.txt /some/\nCOPY --from=more . /more\n",
        ),
        (".dockerignore", "left-out\n**/*.o\n!d/kept.o\n"),
        ("a", "first\n"),
        ("left-out/large", "large\n"),
        ("d/b.txt", "second\n"),
        ("d/kept.o", "kept\n"),
        ("d/gone.o", "gone\n"),
        ("e/private", "private\n"),
        ("e/f/empty", ""),
    ]);
    for path in ["a", "d", "d/b.txt"] {
        set_attribute(&project.join(path), "user.kiln", path);
    }
    let script = "cd \"$1\" && ln -s a link && ln a e/hard && ln -s /nowhere e/broken && mkfifo d/pipe \
        && chmod 4755 a && chmod 600 e/private && chmod 1777 e/f && chmod 2750 d && chmod 711 e \
        && chmod 500 e/f && chmod 555 e && find . -exec touch -h -d '2001-02-03 04:05:06.789 UTC' {} +";
    tool(
        "sh",
        &["-c", script, "sh", project.path().to_str().unwrap()],
    );
    project
}

#[test]
fn images_are_the_same_either_way() {
    let (here, there) = (Daemon::new(), Daemon::new());
    let project = all_kinds();
    let more = Project::new(&[("c", "third\n"), ("no", "\n"), (".dockerignore", "no\n")]);
    tool("touch", &["-d", "@1", more.join("c").to_str().unwrap()]);
    tool("touch", &["-d", "@1", more.path().to_str().unwrap()]);
    let context = format!("more={}", more.path().display());
    let arguments = ["--build-context", &context];
    let (_, read) = build(&here, &here.socket, &project, &arguments);
    assert_eq!(copies(&here), 0);
    let (_, sent) = build(&there, &relay(&there), &project, &arguments);
    assert_eq!(copies(&there), 2);
    assert_eq!(read, sent);
    // Each finds what the other has made.
    for (daemon, socket) in [(&here, &relay(&here)), (&there, &there.socket)] {
        let (ran, digest) = build(daemon, socket, &project, &arguments);
        assert_eq!(ran.stderr.matches("CACHED").count(), 3, "{}", ran.stderr);
        assert_eq!(digest, read);
    }
    // And so does a build that is typed.
    let ran = here.kiln.try_build(
        &project,
        &["-t", "x", "--build-arg", EPOCH, "--build-context", &context],
    );
    assert_eq!(ran.stderr.matches("CACHED").count(), 3, "{}", ran.stderr);
    assert_eq!(here.stop().code, 0);
}

#[test]
fn what_changed_is_seen_and_what_steps_mount_is_there() {
    let daemon = Daemon::new();
    let project = Project::new(&[
        (
            "Dockerfile",
            "FROM alpine\nRUN --mount=type=bind,target=/src cat /src/a; ls /src\n",
        ),
        (".dockerignore", "left-out\n"),
        ("a", "first\n"),
        ("left-out", ""),
    ]);
    let (ran, _) = build(&daemon, &daemon.socket, &project, &[]);
    assert!(ran.stderr.contains(" first\n"), "{}", ran.stderr);
    assert!(!ran.stderr.contains(" left-out\n"), "{}", ran.stderr);
    fs::write(project.join("a"), "second\n").unwrap();
    let (ran, _) = build(&daemon, &daemon.socket, &project, &[]);
    assert!(ran.stderr.contains(" second\n"), "{}", ran.stderr);
    assert_eq!(copies(&daemon), 0);
    assert_eq!(daemon.stop().code, 0);
}

/// By Docker's API too, as kiln is called by the names of Docker's clients.
#[test]
fn over_a_connection_that_dockers_api_hands_on() {
    let daemon = Daemon::new();
    let project = Project::new(&[("Dockerfile", "FROM scratch\nCOPY a /\n"), ("a", "")]);
    let link = daemon.kiln.scratch("names").join("docker");
    std::os::unix::fs::symlink(binary(), &link).unwrap();
    let mut docker = command(&link);
    docker
        .env("DOCKER_HOST", format!("unix://{}", daemon.socket.display()))
        .env("HOME", daemon.kiln.scratch("home"))
        .args(["build", "-q"]);
    let ran = finish(docker.arg(project.path()));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(copies(&daemon), 0);
}

/// A client that sees other files at the same path has them sent.
#[test]
fn a_client_among_other_mounts() {
    let project = Project::new(&[
        ("Dockerfile", "FROM alpine\nCOPY d/a /\nRUN cat /a\n"),
        ("d/a", "the daemon's\n"),
    ]);
    let there = project.path().to_str().unwrap();
    let covered = "mount -t tmpfs none \"$DIR\" && mkdir \"$DIR/d\" && \
        printf 'FROM alpine\\nCOPY d/a /\\nRUN cat /a\\n' >\"$DIR/Dockerfile\"";
    let within = "mount -t tmpfs none \"$DIR/d\"";
    for mounts in [covered, within] {
        let daemon = Daemon::new();
        let script = format!(
            "exec unshare -m sh -ec '{}; echo \"the client s\" >\"$DIR/d/a\"; \
             exec \"$0\" build --progress plain \"$DIR\"' \"$0\"",
            mounts.replace('\'', "'\\''")
        );
        let mut shell = daemon.kiln.shell(&script);
        shell
            .env("DIR", there)
            .env("KILN_HOST", format!("unix://{}", daemon.socket.display()));
        let ran = finish(&mut shell);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert!(ran.stderr.contains(" the client s\n"), "{}", ran.stderr);
        assert_eq!(copies(&daemon), 1);
        assert_eq!(daemon.stop().code, 0);
    }
    // The same files in a namespace of the client's own are read where they are.
    let daemon = Daemon::new();
    let mut shell = daemon
        .kiln
        .shell("exec unshare -m \"$0\" build --progress plain \"$DIR\"");
    shell
        .env("DIR", there)
        .env("KILN_HOST", format!("unix://{}", daemon.socket.display()));
    let ran = finish(&mut shell);
    assert!(ran.stderr.contains(" the daemon's\n"), "{}", ran.stderr);
    assert_eq!(copies(&daemon), 0);
}

/// What another user may not read is not read for it.
#[test]
fn a_client_of_another_user() {
    let daemon = Daemon::new();
    let project = Project::new(&[
        ("Dockerfile", "FROM scratch\nCOPY . /\n"),
        ("a", "everybody's\n"),
        ("secret", "root's\n"),
    ]);
    let mut open = vec![daemon.socket.clone()];
    open.extend(
        daemon
            .socket
            .ancestors()
            .skip(1)
            .take(2)
            .map(Path::to_owned),
    );
    for path in open {
        tool("chmod", &["a+rwx", path.to_str().unwrap()]);
    }
    tool("chmod", &["-R", "a+rX", project.path().to_str().unwrap()]);
    let secret = project.join("secret");
    tool("chmod", &["600", secret.to_str().unwrap()]);
    let ask = || {
        let mut shell = daemon
            .kiln
            .shell("exec setpriv --reuid 4321 --regid 4321 --clear-groups \"$0\" build \"$DIR\"");
        shell
            .env("DIR", project.path())
            .env("KILN_HOST", format!("unix://{}", daemon.socket.display()));
        finish(&mut shell)
    };
    let refused = ask();
    assert_ne!(refused.code, 0);
    assert!(refused.stderr.contains("denied"), "{}", refused.stderr);
    fs::remove_file(&secret).unwrap();
    let ran = ask();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(copies(&daemon), 1);
}
