//! The Docker engine of the peers, alive as long as its guard.
//!
//! The engine runs in a PID namespace of its own. When the first process of that ends, so do
//! containerd, BuildKit's steps and all else that it has started.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};

use super::Peers;
use crate::{command, server};

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
        let (socket, log) = (self.socket(), self.folder.join("log"));
        server::until_it_listens(&mut self.server, &socket, &log)
            .context("the Docker engine did not start")?;
        command::quiet(self.client("docker").arg("version"))
    }
}

impl Drop for Engine<'_> {
    /// The daemon removes its control groups when it is asked to end.
    fn drop(&mut self) {
        let process = self.process().unwrap_or_else(|| self.server.id());
        server::end(&mut self.server, process);
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
