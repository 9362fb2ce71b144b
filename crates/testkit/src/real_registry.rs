//! The distribution project's own registry, when the machine has it, on a free loopback port.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PROGRAM: &str = "docker-registry";

/// A registry that runs until dropped and keeps its images in a directory.
#[derive(Debug)]
pub struct RealRegistry {
    process: Child,
    host: String,
}

impl RealRegistry {
    /// Starts one over `dir`; none when it is not installed. With `tls`, the PEM files of a
    /// certificate and its key, it speaks HTTPS.
    ///
    /// # Panics
    /// It is installed but does not start.
    #[must_use]
    pub fn start(dir: &Path, tls: Option<(&Path, &Path)>) -> Option<Self> {
        if !has_program(PROGRAM) {
            return None;
        }
        let port = free_port();
        let tls = tls.map_or_else(String::new, |(certificate, key)| {
            let (certificate, key) = (certificate.display(), key.display());
            format!("  tls:\n    certificate: {certificate}\n    key: {key}\n")
        });
        let config = format!(
            "version: 0.1\nlog:\n  level: error\n  accesslog:\n    disabled: true\n\
             storage:\n  filesystem:\n    rootdirectory: {}\n  delete:\n    enabled: true\n\
             http:\n  addr: 127.0.0.1:{port}\n{tls}",
            dir.display()
        );
        let path = dir.join("registry.yml");
        fs::write(&path, config).expect("write a registry's config");
        let process = command(PROGRAM)
            .arg("serve")
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("start a registry");
        let registry = Self {
            process,
            host: format!("127.0.0.1:{port}"),
        };
        registry.wait_until_it_listens();
        Some(registry)
    }

    /// `127.0.0.1:PORT`.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    fn wait_until_it_listens(&self) {
        let start = Instant::now();
        while TcpStream::connect(&self.host).is_err() {
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "the registry does not listen"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for RealRegistry {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Whether a program is to be found.
#[must_use]
pub fn has_program(name: &str) -> bool {
    command("sh")
        .args(["-c", "command -v \"$0\" >/dev/null", name])
        .status()
        .is_ok_and(|status| status.success())
}

/// Runs a program to its end and gives its standard output.
///
/// # Panics
/// It cannot be run or fails.
#[must_use]
pub fn run(program: &str, arguments: &[&str]) -> String {
    let output = command(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that starts programs for tests"
)]
pub(crate) fn command(program: &str) -> Command {
    Command::new(program)
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind a loopback port");
    listener.local_addr().expect("a bound port").port()
}
