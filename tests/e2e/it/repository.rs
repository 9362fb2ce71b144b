//! Git repositories, and servers of them.

use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::kiln::{command, tool};

/// Serves the repositories below a directory; each connection has a `git daemon` of its own.
pub(crate) struct GitServer {
    pub(crate) url: String,
}

impl GitServer {
    pub(crate) fn new(base: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("git://{}", listener.local_addr().unwrap());
        let base = format!("--base-path={}", base.display());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                serve(&base, stream);
            }
        });
        Self { url }
    }
}

fn serve(base: &str, stream: TcpStream) {
    let stdin = OwnedFd::from(stream.try_clone().unwrap());
    let child = command("git")
        .args([
            "-c",
            "safe.directory=*",
            "daemon",
            "--inetd",
            "--export-all",
            base,
        ])
        .stdin(Stdio::from(stdin))
        .stdout(Stdio::from(OwnedFd::from(stream)))
        .stderr(Stdio::null())
        .spawn();
    child.unwrap().wait().unwrap();
}

/// A repository at `path`; commits are made of what is in it.
pub(crate) struct Repository {
    path: PathBuf,
}

impl Repository {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self::with_format(path, "sha1")
    }

    /// One whose objects are named by that function.
    pub(crate) fn with_format(path: PathBuf, format: &str) -> Self {
        let repository = Self { path };
        std::fs::create_dir_all(&repository.path).unwrap();
        let format = format!("--object-format={format}");
        repository.git(&["init", "-q", "-b", "main", &format, "."]);
        repository
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let path = self.path.to_str().unwrap();
        let who = [
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@b",
            "-c",
            "protocol.file.allow=always",
        ];
        let line: Vec<&str> = ["-C", path]
            .iter()
            .chain(&who)
            .chain(arguments)
            .copied()
            .collect();
        tool("git", &line).trim().to_owned()
    }

    /// Writes files and commits them.
    pub(crate) fn commit(&self, files: &[(&str, &str)]) -> String {
        for (name, text) in files {
            let path = self.path.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", "x"]);
        self.git(&["rev-parse", "HEAD"])
    }
}
