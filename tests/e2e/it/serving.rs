//! A daemon on a store of its own, and what it answers.

use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::kiln::{Kiln, Ran, command, ended, finish, tool};

/// How long something may take that takes no time.
const PATIENCE: Duration = Duration::from_secs(20);

/// A daemon on a store of its own.
pub(crate) struct Daemon {
    pub(crate) kiln: Kiln,
    pub(crate) socket: PathBuf,
    process: Option<Child>,
    /// Variables beside the usual ones.
    variables: Vec<(&'static str, String)>,
}

/// What was answered.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Daemon {
    pub(crate) fn new() -> Self {
        Self::of(Kiln::new(), Vec::new())
    }

    /// With one more variable in its environment.
    pub(crate) fn with_variable(name: &'static str, value: String) -> Self {
        Self::of(Kiln::new(), vec![(name, value)])
    }

    /// With the configuration in the file at `config`.
    pub(crate) fn with_config(config: &Path) -> Self {
        Self::of(Kiln::with_config(config), Vec::new())
    }

    /// On the store of `kiln`.
    pub(crate) fn of_kiln(kiln: Kiln) -> Self {
        Self::of(kiln, Vec::new())
    }

    fn of(kiln: Kiln, variables: Vec<(&'static str, String)>) -> Self {
        let socket = kiln.scratch("daemon").join("kiln.sock");
        let mut daemon = Self {
            kiln,
            socket,
            process: None,
            variables,
        };
        daemon.begin();
        daemon
    }

    /// Starts it, anew after it was killed.
    pub(crate) fn begin(&mut self) {
        let host = format!("unix://{}", self.socket.display());
        let mut serve = self.kiln.command();
        serve.args(["serve", "--host", &host]);
        serve.envs(self.variables.iter().map(|(name, value)| (name, value)));
        self.process = Some(self.kiln.start(&mut serve));
        self.until("it listens", || UnixStream::connect(&self.socket).is_ok());
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.as_ref().unwrap().id()
    }

    /// Ends it as a crash would.
    pub(crate) fn crash(&mut self) {
        let mut process = self.process.take().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
    }

    pub(crate) fn until(&self, what: &str, happened: impl Fn() -> bool) {
        let begun = Instant::now();
        while !happened() {
            assert!(begun.elapsed() < PATIENCE, "not yet: {what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends a request and does not wait.
    pub(crate) fn send(&self, line: &str, body: &[u8]) -> UnixStream {
        self.send_with(line, "Connection: close\r\n", body)
    }

    /// Sends a request with more in its head, and does not wait.
    pub(crate) fn send_with(&self, line: &str, more: &str, body: &[u8]) -> UnixStream {
        let mut stream = UnixStream::connect(&self.socket).unwrap();
        let head = format!(
            "{line} HTTP/1.1\r\nHost: kiln\r\n{more}Content-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        // What it refuses by the head it answers and closes, whatever is still to come.
        if let Err(error) = stream.write_all(body) {
            assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{error}");
        }
        stream
    }

    pub(crate) fn ask(&self, line: &str, body: &[u8]) -> Answer {
        let mut bytes = Vec::new();
        if let Err(error) = self.send(line, body).read_to_end(&mut bytes) {
            // Of a body that it did not read it tells so when the answer has come.
            assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
        }
        Answer::parse(&bytes)
    }

    /// The real client.
    pub(crate) fn docker(&self, arguments: &[&str]) -> Ran {
        finish(
            command("docker")
                .args(arguments)
                .env("DOCKER_HOST", format!("unix://{}", self.socket.display()))
                .env("DOCKER_CONFIG", self.socket.with_file_name("client"))
                .env("DOCKER_BUILDKIT", "0"),
        )
    }

    /// Tells it to stop and waits until it has; what it said.
    pub(crate) fn stop(mut self) -> Ran {
        let process = self.process.take().unwrap();
        tool("kill", &["-TERM", &process.id().to_string()]);
        let ran = ended(process);
        assert!(!self.socket.exists(), "the socket is left");
        self.kiln.assert_clean();
        ran
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            drop(process.kill());
            drop(process.wait());
        }
    }
}

impl Answer {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let end = bytes
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap();
        let head = String::from_utf8(bytes[..end].to_vec())
            .unwrap()
            .to_lowercase();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let rest = &bytes[end + 4..];
        let body = if head.contains("transfer-encoding: chunked") {
            whole(rest)
        } else {
            rest.to_vec()
        };
        Self { status, head, body }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn failure(&self) -> (u16, String) {
        (
            self.status,
            self.json()["message"].as_str().unwrap().to_owned(),
        )
    }
}

/// The pieces of a body put together (RFC 9112, section 7.1).
fn whole(mut pieces: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = pieces.windows(2).position(|two| two == b"\r\n").unwrap();
        let size = std::str::from_utf8(&pieces[..end]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return body;
        }
        body.extend_from_slice(&pieces[end + 2..end + 2 + size]);
        pieces = &pieces[end + 2 + size + 2..];
    }
}
