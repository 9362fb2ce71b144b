//! Daemons that are no daemons, or that do not answer: what kiln's client makes of them.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::kiln::{Kiln, Ran, ended, finish, tool};

/// A store that is never asked, and the address of a daemon that answers each request as it is told
/// by its first line; where that says nothing, it never answers.
struct Fake {
    kiln: Kiln,
    host: String,
}

impl Fake {
    fn new(answer: impl Fn(&str) -> Option<String> + Clone + Send + 'static) -> Self {
        let kiln = Kiln::new();
        let socket = kiln.scratch("daemon").join("fake.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let answer = answer.clone();
                std::thread::spawn(move || serve(stream, answer));
            }
        });
        Self {
            kiln,
            host: format!("unix://{}", socket.display()),
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.kiln.command();
        command.env("KILN_HOST", &self.host).args(arguments);
        command
    }

    fn ask(&self, arguments: &[&str]) -> Ran {
        finish(&mut self.command(arguments))
    }

    /// Starts a command and interrupts it when it has asked for what it waits for.
    fn interrupted(&self, arguments: &[&str]) -> (Ran, Duration) {
        let like = self.command(arguments);
        // Whoever runs the tests may ignore interrupts, and that is inherited.
        let mut interruptible = crate::kiln::command("env");
        interruptible.arg("--default-signal=INT");
        interruptible.arg(like.get_program()).args(like.get_args());
        interruptible.env_clear().stdin(Stdio::null());
        for (name, value) in like.get_envs() {
            interruptible.envs(value.map(|value| (name, value)));
        }
        let child = self.kiln.start(&mut interruptible);
        std::thread::sleep(Duration::from_secs(2));
        tool("kill", &["-INT", &child.id().to_string()]);
        let begun = Instant::now();
        (ended(child), begun.elapsed())
    }
}

fn serve(mut stream: UnixStream, answer: impl Fn(&str) -> Option<String>) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_exact(&mut byte).is_err() {
            return;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head);
    if let Some(answer) = answer(head.lines().next().unwrap_or_default()) {
        // A client that is gone is no failure of this side.
        let _ = stream.write_all(answer.as_bytes());
    }
    // What is begun is not ended as long as the client is there.
    let _ = stream.read_to_end(&mut Vec::new());
}

fn json(status: &str, body: &str) -> Option<String> {
    let length = body.len();
    Some(format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    ))
}

#[test]
fn terminals_obey_nothing_of_what_it_says() {
    let fake = Fake::new(|line| match line.contains("/images/json") {
        true => json("500 No", r#"{"message":"a\u001b[2Jb\u009b31m"}"#),
        false => json("200 OK", r#"{"Id":"a"}"#),
    });
    let ran = fake.ask(&["images"]);
    assert_eq!(ran.code, 1);
    assert_eq!(ran.error(), "ERROR: a\u{fffd}[2Jb\u{fffd}31m");
}

#[test]
fn what_makes_no_sense_is_named_with_its_address() {
    let fake = Fake::new(|line| match line {
        line if line.contains("/images/json") => json("200 OK", "{\"a\":1}"),
        _ => json("200 OK", "nonsense"),
    });
    for words in [
        &["images"][..],
        &["image", "inspect", "a"],
        &["history", "a"],
    ] {
        let error = fake.ask(words).error();
        let said = "/fake.sock answers with something else than Docker does: ";
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn names_lead_nowhere_else() {
    let fake = Fake::new(|_| json("200 OK", "[]"));
    for (words, missing) in [
        (&["rm", "../images/x"][..], "container: ../images/x"),
        (&["rm", "a/.."], "container: a/.."),
        (&["rmi", "../containers/x"], "image: ../containers/x"),
        (
            &["history", "a/../../containers/x"],
            "image: a/../../containers/x",
        ),
        (&["inspect", "--type", "container", ".."], "container: .."),
    ] {
        let ran = fake.ask(words);
        let said = format!("No such {missing}");
        assert!(
            ran.code == 1 && ran.stderr.contains(&said),
            "{}",
            ran.stderr
        );
    }
}

#[test]
fn one_that_does_not_answer_keeps_nobody() {
    let created = || json("201 Created", &format!("{{\"Id\":\"{}\"}}", "a".repeat(64)));
    let run = ["run", "--pull", "never", "app", "true"];
    // Before the container runs, and when it does.
    let early = Fake::new(move |line| match line.contains("/containers/create") {
        true => created(),
        false => None,
    });
    let late = Fake::new(move |line| {
        let has = |part: &str| line.contains(part);
        match () {
            () if has("/create") => created(),
            () if has("/attach") => Some(
                "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n".to_owned(),
            ),
            () if has("/wait") => {
                Some("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned())
            }
            () if has("/start") => Some("HTTP/1.1 204 No Content\r\n\r\n".to_owned()),
            () => None,
        }
    });
    for (fake, words) in [
        (&early, &run[..]),
        (&late, &run),
        (&early, &["images"]),
        (&early, &["du"]),
        (&early, &["pull", "-q", "alpine"]),
    ] {
        let (ran, took) = fake.interrupted(words);
        assert_eq!(ran.code, 130, "{words:?} {}", ran.stderr);
        assert!(took < Duration::from_secs(15), "{words:?} {took:?}");
    }
}
