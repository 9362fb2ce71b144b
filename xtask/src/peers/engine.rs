//! The Docker engine of the peers, alive as long as its guard.
//!
//! The engine runs in a PID namespace of its own. When the first process of that ends, so do
//! containerd, BuildKit's steps and all else that it has started.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::Peers;
use crate::command;

/// How long the engine may take until it answers, and to end when asked to.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the engine keeps images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ImageStore {
    /// Unpacked layers: the default of version 28, and the faster one.
    Layers,
    /// containerd's store, which can write OCI layouts.
    Containerd,
}

/// A running engine.
#[derive(Debug)]
pub(crate) struct Engine<'a> {
    peers: &'a Peers,
    server: Child,
    folder: PathBuf,
}

impl<'a> Engine<'a> {
    /// Starts the engine with its data in `folder`, which must be beneath a folder that the peers
    /// share. Images of Docker Hub come from the registry at the address `mirror`.
    pub(crate) fn start(
        peers: &'a Peers,
        store: ImageStore,
        folder: &Path,
        mirror: &str,
    ) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let configuration = folder.join("daemon.json");
        fs::write(&configuration, configuration_text(store, folder, mirror))?;
        let log = fs::File::create(folder.join("log"))?;
        // In this order: dies with this process; has its own mounts and processes; sees the root.
        let server = command::program("setpriv")
            .args([
                "--pdeathsig",
                "KILL",
                "unshare",
                "--mount",
                "--pid",
                "--fork",
            ])
            .arg("--kill-child=KILL")
            .arg(format!(
                "--mount-proc={}",
                peers.inside(Path::new("/proc")).display()
            ))
            .arg("chroot")
            .arg(&peers.root)
            .args(["dockerd", "--config-file"])
            .arg(&configuration)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start the Docker engine")?;
        let mut engine = Self {
            peers,
            server,
            folder: folder.to_owned(),
        };
        engine.wait()?;
        Ok(engine)
    }

    /// A peer's client, told where the engine is.
    pub(crate) fn client(&self, name: &str) -> Command {
        let mut client = self.peers.program(name);
        client.env("DOCKER_HOST", format!("unix://{}", self.socket().display()));
        client.env("DOCKER_CONFIG", self.folder.join("client"));
        client
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.join("docker.sock")
    }

    /// The daemon's process, as this process sees it.
    pub(crate) fn process(&self) -> Option<u32> {
        let id = self.server.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).ok()?;
        children.split_whitespace().next()?.parse().ok()
    }

    /// Waits until the engine answers.
    fn wait(&mut self) -> Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if self.server.try_wait()?.is_some() {
                break;
            }
            if UnixStream::connect(self.socket()).is_ok() {
                return command::quiet(self.client("docker").arg("version"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let tail: Vec<&str> = log.lines().rev().take(10).collect();
        let tail: Vec<&str> = tail.into_iter().rev().collect();
        bail!("the Docker engine did not start:\n{}", tail.join("\n"))
    }

    /// Asks the engine to end, so that it removes its control groups, and waits for that.
    fn ask_to_end(&mut self) -> Result<bool> {
        if let Some(daemon) = self.process() {
            command::quiet(command::program("kill").args(["-TERM", &daemon.to_string()]))?;
        }
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if self.server.try_wait()?.is_some() {
                return Ok(true);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(false)
    }
}

impl Drop for Engine<'_> {
    fn drop(&mut self) {
        if !self.ask_to_end().unwrap_or(false) {
            // Failures mean that it is gone already, which is what is wanted.
            drop(self.server.kill());
            drop(self.server.wait());
        }
    }
}

fn configuration_text(store: ImageStore, folder: &Path, mirror: &str) -> String {
    serde_json::json!({
        "hosts": [format!("unix://{}", folder.join("docker.sock").display())],
        "data-root": folder.join("data"),
        "exec-root": folder.join("exec"),
        "pidfile": folder.join("pid"),
        "registry-mirrors": [format!("http://{mirror}")],
        "features": { "containerd-snapshotter": store == ImageStore::Containerd },
        // Steps use the host's network. The host's packet filter is not touched.
        "iptables": false,
        "ip6tables": false,
        "ip-forward": false,
        "bridge": "none",
    })
    .to_string()
}
