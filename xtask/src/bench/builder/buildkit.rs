//! A BuildKit that is not the Docker engine's: `buildkitd` with a root of its own, `buildctl` as
//! its client. Whoever measures gives a folder with both programs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};

use super::{Build, NAME};
use crate::{command, packages, server};

/// A running daemon. It ends when this is dropped, and when this process dies.
#[derive(Debug)]
pub(in crate::bench) struct BuildKit {
    programs: PathBuf,
    place: PathBuf,
    server: Child,
}

impl BuildKit {
    /// Starts the daemon of the folder `programs` with all its data in `place`.
    pub(in crate::bench) fn start(programs: &Path, place: &Path) -> Result<Self> {
        packages::ensure(&[packages::RUNC])?;
        let log = fs::File::create(place.join("log"))?;
        let server = command::program("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(programs.join("buildkitd"))
            .arg("--root")
            .arg(place.join("buildkit"))
            .args(["--addr", &address(place)])
            // One process at a time in a step, and the host's network, as for the others.
            .args(["--oci-worker-net", "host"])
            .args(["--allow-insecure-entitlement", "network.host"])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start buildkitd")?;
        let mut buildkit = Self {
            programs: programs.to_owned(),
            place: place.to_owned(),
            server,
        };
        buildkit.wait()?;
        Ok(buildkit)
    }

    pub(super) fn place(&self) -> &Path {
        &self.place
    }

    /// The daemon's process.
    pub(super) fn process(&self) -> u32 {
        self.server.id()
    }

    /// The command that builds.
    pub(super) fn build(&self, build: &Build<'_>) -> Command {
        let context = build.context.display();
        let mut command = self.client();
        command
            .args(["build", "--progress", "plain"])
            .args(["--frontend", "dockerfile.v0"])
            .args(["--local", &format!("context={context}")])
            .args(["--local", &format!("dockerfile={context}")])
            .args(["--opt", &format!("filename={}", build.file)])
            .args(["--opt", &format!("target={}", build.target)]);
        if let Some(argument) = build.argument {
            command.args(["--opt", &format!("build-arg:{argument}")]);
        }
        let output = build.attributes();
        let output = output.unwrap_or_else(|| format!("type=image,name={NAME}"));
        command.args(["--output", &output]);
        command
    }

    /// Forgets all that was built.
    pub(super) fn reset(&self) -> Result<()> {
        command::quiet(self.client().args(["prune", "--all"]))
    }

    /// The version that the daemon tells.
    pub(in crate::bench) fn version(&self) -> Result<String> {
        command::read(command::program(self.programs.join("buildkitd")).arg("--version"))
    }

    fn client(&self) -> Command {
        let mut client = command::program(self.programs.join("buildctl"));
        client.args(["--addr", &address(&self.place)]);
        client
    }

    /// Waits until the daemon answers.
    fn wait(&mut self) -> Result<()> {
        let (socket, log) = (self.place.join("socket"), self.place.join("log"));
        server::until_it_listens(&mut self.server, &socket, &log)
            .context("buildkitd did not start")?;
        command::quiet(self.client().args(["debug", "workers"]))
    }
}

impl Drop for BuildKit {
    fn drop(&mut self) {
        let process = self.process();
        server::end(&mut self.server, process);
    }
}

fn address(place: &Path) -> String {
    format!("unix://{}", place.join("socket").display())
}
