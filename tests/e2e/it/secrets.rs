//! Secrets leave nothing behind, and nobody sees them who should not.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::kiln::{Kiln, Project, finish};

const SECRET: &str = "correct-horse-battery-staple";

/// Files below `directory` with the secret in them.
fn holders(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(holders(&entry.path()));
        } else if kind.is_file() {
            let bytes = std::fs::read(entry.path()).unwrap();
            let holds = |window: &[u8]| window == SECRET.as_bytes();
            if bytes.windows(SECRET.len()).any(holds) {
                found.push(entry.path().display().to_string());
            }
        }
    }
    found
}

#[test]
fn in_no_store_and_no_output() {
    let kiln = Kiln::new();
    let project = Project::of(
        "FROM alpine\n\
         RUN --mount=type=secret,id=f,required grep -c horse /run/secrets/f\n\
         RUN --mount=type=secret,id=e,env=TOKEN test ${#TOKEN} = 28\n\
         RUN --mount=type=secret,id=e,target=/t,uid=3,gid=4,mode=0440 stat -c '%a %u:%g' /t >/seen\n",
    );
    let secret = testkit::Scratch::new();
    let file = secret.file("f", SECRET);
    let from_file = format!("id=f,src={}", file.display());
    let mut command = kiln.command();
    command
        .args([
            "build",
            "--progress",
            "plain",
            "-t",
            "x",
            "--secret",
            &from_file,
        ])
        .args(["--secret", "id=e,env=VARIABLE"])
        .arg(project.path())
        .env("VARIABLE", SECRET);
    let ran = finish(&mut command);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(!ran.stderr.contains(SECRET), "{}", ran.stderr);
    assert_eq!(holders(&kiln.root()), [""; 0]);
    // Not by its value, so another one is no other step.
    let ran = finish(command.env("VARIABLE", "other"));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let cached = ran.stderr.matches("CACHED").count();
    assert_eq!(cached, 4, "the base and three steps: {}", ran.stderr);
    kiln.assert_clean();
}

#[test]
fn counted_in_keys_when_asked() {
    let kiln = Kiln::new();
    let project = Project::of(
        "FROM alpine\nRUN touch /before\n\
         RUN --mount=type=secret,id=s,required wc -c /run/secrets/s\n",
    );
    let secret = testkit::Scratch::new();
    let build = |value: &str, options: &str| {
        let file = secret.file("s", value);
        let told = format!("id=s,src={}{options}", file.display());
        let told = kiln.build(&project, &["--explain", "--secret", &told]);
        let reason = told
            .lines()
            .find_map(|line| line.split_once(" not cached: "));
        let reason = reason.map_or("found", |(_, reason)| reason);
        format!("{}: {reason}", told.matches("CACHED").count())
    };
    let first = "2: the bytes of secret s count now (cache=digest)";
    let (other, again) = ("2: secret s has other bytes", "3: found");
    build("one", "");
    assert_eq!(build("two", ""), again);
    assert_eq!(build(SECRET, ",cache=digest"), first);
    assert_eq!(build(SECRET, ",cache=digest"), again);
    assert_eq!(build("another", ",cache=digest"), other);
    assert_eq!(build(SECRET, ",cache=digest"), again);
    assert_eq!(build("two", ""), again);
    assert_eq!(holders(&kiln.root()), [""; 0]);
    let key = kiln.root().join("private-key");
    let mode = std::fs::metadata(&key).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // Without the key no digest is found again, so none helps to try values.
    std::fs::remove_file(&key).unwrap();
    assert_eq!(build(SECRET, ",cache=digest"), other);
    kiln.assert_clean();
}

/// The command lines of all processes.
fn command_lines() -> Vec<String> {
    let processes = std::fs::read_dir("/proc").unwrap();
    processes
        .filter_map(|entry| std::fs::read(entry.unwrap().path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .collect()
}

#[test]
fn on_no_command_line() {
    let kiln = Kiln::new();
    let project = Project::of(
        "FROM alpine\n\
         RUN --mount=type=cache,target=/c --mount=type=secret,id=s,required \
         --mount=type=secret,id=s,env=TOKEN,required \
         test $TOKEN = $(cat /run/secrets/s) && touch /c/ready && echo is ready && \
         until test -e /c/go; do usleep 10000; done\n",
    );
    let mut command = kiln.command();
    command
        .args([
            "build",
            "--progress",
            "plain",
            "--secret",
            "id=s,env=VARIABLE",
        ])
        .arg(project.path())
        .env("VARIABLE", SECRET);
    let mut child = kiln.start(&mut command);
    let mut told = BufReader::new(child.stderr.take().unwrap());
    let mut log = String::new();
    while !log.ends_with(" is ready\n") {
        assert_ne!(told.read_line(&mut log).unwrap(), 0, "{log}");
    }
    let lines = command_lines();
    let mounts = std::fs::read_dir(kiln.root().join("cache-mounts")).unwrap();
    for mount in mounts {
        std::fs::write(mount.unwrap().path().join("data/go"), "").unwrap();
    }
    told.read_to_string(&mut log).unwrap();
    assert!(child.wait().unwrap().success(), "{log}");
    assert!(!log.contains(SECRET), "{log}");
    let step = |line: &&String| line.contains("until test -e /c/go");
    assert!(lines.iter().any(|line| step(&line)), "{lines:?}");
    let found = lines.iter().find(|line| line.contains(SECRET));
    assert_eq!(found, None);
}

#[test]
fn not_on_the_command_line_of_git() {
    let kiln = Kiln::new();
    let scratch = testkit::Scratch::new();
    let git = scratch.file(
        "git",
        "#!/bin/sh\necho \"$0 $@\" >>${0%/*}/seen\nenv >>${0%/*}/environment\nexit 1\n",
    );
    std::fs::set_permissions(&git, std::fs::Permissions::from_mode(0o755)).unwrap();
    let project = Project::of("FROM scratch\nADD https://host.invalid/r.git /\n");
    let mut command = kiln.command();
    command
        .args(["build", "--progress", "plain"])
        .args(["--secret", "id=GIT_AUTH_TOKEN,env=VARIABLE"])
        .arg(project.path())
        .env("VARIABLE", SECRET)
        .env(
            "PATH",
            format!("{}:/usr/bin:/bin", scratch.path().display()),
        );
    let ran = finish(&mut command);
    assert_ne!(ran.code, 0, "{}", ran.stderr);
    assert!(!ran.stderr.contains(SECRET), "{}", ran.stderr);
    let seen = std::fs::read_to_string(scratch.join("seen")).unwrap();
    assert!(seen.contains("ls-remote"), "{seen}");
    assert!(!seen.contains(SECRET), "{seen}");
    let environment = std::fs::read_to_string(scratch.join("environment")).unwrap();
    assert!(environment.contains("GIT_CONFIG_VALUE_"), "{environment}");
}

/// Serves one file to those who bring the secret, and tells what they brought.
fn guarded() -> (u16, std::sync::mpsc::Receiver<String>) {
    use std::io::Write as _;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, brought) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let head = BufReader::new(stream.try_clone().unwrap()).lines();
            let head = head
                .map_while(Result::ok)
                .take_while(|line| !line.is_empty());
            let line = head.filter(|line| line.to_lowercase().starts_with("authorization: "));
            let line = line.last().unwrap_or_default();
            let status = if line.is_empty() {
                "401 Unauthorized"
            } else {
                "200 OK"
            };
            let answer =
                format!("HTTP/1.1 {status}\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx");
            stream.write_all(answer.as_bytes()).unwrap();
            // Nobody may be left to hear it.
            let _ = sender.send(
                line.split_once(' ')
                    .map_or("", |(_, value)| value)
                    .to_owned(),
            );
        }
    });
    (port, brought)
}

#[test]
fn for_files_from_the_web() {
    let kiln = Kiln::new();
    let (port, brought) = guarded();
    let project = Project::of(&format!("FROM scratch\nADD http://127.0.0.1:{port}/f /\n"));
    let error = kiln.try_build(&project, &[]).error();
    assert!(error.contains("401 Unauthorized"), "{error}");
    assert_eq!(brought.recv().unwrap(), "");
    let secret = testkit::Scratch::new();
    let file = secret.file("s", format!("{SECRET}\n"));
    for (id, expected) in [
        ("HTTP_AUTH_TOKEN_127.0.0.1", format!("Bearer {SECRET}")),
        ("HTTP_AUTH_HEADER_127.0.0.1", SECRET.to_owned()),
    ] {
        let offered = format!("id={id},src={}", file.display());
        let told = kiln.build(&project, &["--secret", &offered]);
        assert_eq!(brought.recv().unwrap(), expected);
        assert!(brought.try_recv().is_err(), "the file came twice");
        assert!(!told.contains(SECRET), "{told}");
    }
    let elsewhere = format!("id=HTTP_AUTH_TOKEN_example.com,src={}", file.display());
    let error = kiln.try_build(&project, &["--secret", &elsewhere]).error();
    assert!(error.contains("401 Unauthorized"), "{error}");
    assert_eq!(holders(&kiln.root()), [""; 0]);
}
