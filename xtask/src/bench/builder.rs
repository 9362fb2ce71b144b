//! The builders, and how each is told to do the same thing.
//!
//! Each has a place of its own, a file system that no other uses, with its store in it and the
//! contexts that it builds.

mod buildkit;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::memory::Meter;
use crate::command;
use crate::peers::{Engine, Peers};
pub(super) use buildkit::BuildKit;

/// What to build.
#[derive(Debug, Clone, Copy)]
pub(super) struct Build<'a> {
    pub(super) context: &'a Path,
    /// The Dockerfile's name within the context.
    pub(super) file: &'static str,
    pub(super) target: &'static str,
    /// A build argument, as `NAME=value`.
    pub(super) argument: Option<&'a str>,
    pub(super) output: Output<'a>,
}

/// Where the result goes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Output<'a> {
    /// The builder's own store.
    Store,
    /// A compressed OCI archive beside the context.
    Archive(Compression),
    /// A registry, under this name.
    Registry(&'a str),
}

/// How layers are compressed, each builder at its own level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    Gzip,
    Zstd,
}

/// A builder with a store of its own.
#[derive(Debug)]
pub(super) enum Builder<'a> {
    Kiln {
        binary: PathBuf,
        place: PathBuf,
    },
    /// Archives and pushes are made by the engine whose image store can.
    Docker {
        layers: Engine<'a>,
        layouts: Engine<'a>,
        place: PathBuf,
    },
    Buildah {
        peers: &'a Peers,
        place: PathBuf,
    },
    /// A BuildKit of its own, if one is given.
    BuildKit(BuildKit),
}

const NAME: &str = "bench";

/// Limits of buildah's steps, which otherwise ask for more than the host may allow.
const LIMITS: [&str; 4] = [
    "--ulimit",
    "nofile=1024:1024",
    "--ulimit",
    "nproc=4096:4096",
];

/// Both steps of what buildah sends elsewhere: to its store, and from there on. The first
/// arguments are where the store is, the destination and how layers are compressed.
const SEND: &str = r#"
root=$1 destination=$2 compression=$3
shift 3
buildah --root "$root" --runroot "$root.run" build "$@" &&
  buildah --root "$root" --runroot "$root.run" push --tls-verify=false \
    --compression-format "$compression" localhost/bench "$destination"
"#;

impl Compression {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

impl Build<'_> {
    fn archive(&self) -> PathBuf {
        self.context.with_extension("oci.tar")
    }

    /// The output as BuildKit's clients and kiln name it.
    fn attributes(&self) -> Option<String> {
        match self.output {
            Output::Store => None,
            Output::Archive(compression) => Some(format!(
                "type=oci,dest={},compression={},force-compression=true",
                self.archive().display(),
                compression.name()
            )),
            Output::Registry(name) => Some(format!("type=image,name={name},push=true")),
        }
    }

    /// The arguments that docker, buildah and kiln have in common.
    fn arguments(&self, command: &mut Command) {
        command.args(["--target", self.target, "-f"]);
        command.arg(self.context.join(self.file));
        if let Some(argument) = self.argument {
            command.args(["--build-arg", argument]);
        }
        command.arg(self.context);
    }
}

impl Builder<'_> {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Kiln { .. } => "kiln",
            Self::Docker { .. } => "docker",
            Self::Buildah { .. } => "buildah",
            Self::BuildKit(_) => "buildkit",
        }
    }

    /// The folder on the builder's own file system.
    pub(super) fn place(&self) -> &Path {
        match self {
            Self::Kiln { place, .. } | Self::Docker { place, .. } | Self::Buildah { place, .. } => {
                place
            }
            Self::BuildKit(buildkit) => buildkit.place(),
        }
    }

    /// The command that builds.
    pub(super) fn build(&self, build: &Build<'_>) -> Command {
        match self {
            Self::Kiln { binary, place } => kiln(binary, place, build),
            Self::Docker {
                layers, layouts, ..
            } => docker(layers, layouts, build),
            Self::Buildah { peers, place } => buildah_build(peers, place, build),
            Self::BuildKit(buildkit) => buildkit.build(build),
        }
    }

    /// Forgets all that was built.
    pub(super) fn reset(&self) -> Result<()> {
        match self {
            Self::Kiln { place, .. } => {
                let root = store(place);
                if root.exists() {
                    std::fs::remove_dir_all(&root).with_context(|| root.display().to_string())?;
                }
                Ok(())
            }
            Self::Docker {
                layers, layouts, ..
            } => {
                for engine in [layers, layouts] {
                    let prune = ["system", "prune", "--all", "--force"];
                    command::quiet(engine.client("docker").args(prune))?;
                }
                Ok(())
            }
            Self::Buildah { peers, place } => {
                command::quiet(buildah(peers, place).args(["rmi", "--all", "--force"]))
            }
            Self::BuildKit(buildkit) => buildkit.reset(),
        }
    }

    /// What tells how much memory the builder takes.
    pub(super) fn meter(&self) -> Meter {
        match self {
            Self::Kiln { .. } | Self::Buildah { .. } => Meter::Client,
            Self::Docker {
                layers, layouts, ..
            } => Meter::Daemons(
                [layers, layouts]
                    .into_iter()
                    .filter_map(Engine::process)
                    .collect(),
            ),
            Self::BuildKit(buildkit) => Meter::Daemons(vec![buildkit.process()]),
        }
    }
}

impl Drop for Builder<'_> {
    /// buildah leaves mounts behind when a step of it fails, and then its root cannot be removed.
    fn drop(&mut self) {
        if let Self::Buildah { place, .. } = self {
            let mut unmount = command::program("umount");
            unmount
                .args(["--recursive", "--lazy"])
                .arg(store(place).join("overlay"));
            // Failure means that nothing is mounted, which is what is wanted.
            drop(command::quiet(&mut unmount));
        }
    }
}

/// Where a builder without a daemon keeps what it built.
fn store(place: &Path) -> PathBuf {
    place.join("store")
}

fn kiln(binary: &Path, place: &Path, build: &Build<'_>) -> Command {
    let mut command = command::program(binary);
    command
        .arg("--root")
        .arg(store(place))
        .args(["build", "--progress", "plain"]);
    match build.attributes() {
        None => command.args(["-t", NAME]),
        Some(output) => command.args(["-o", &output]),
    };
    build.arguments(&mut command);
    command
}

fn docker(layers: &Engine<'_>, layouts: &Engine<'_>, build: &Build<'_>) -> Command {
    let output = build.attributes();
    // Only one of the engine's image stores writes archives; the other is the faster one.
    let engine = if output.is_none() { layers } else { layouts };
    let mut command = engine.client("docker");
    command.args(["buildx", "build", "--progress", "plain"]);
    command.args(["--network", "host", "--provenance", "false"]);
    match output {
        None => command.args(["-t", NAME]),
        Some(output) => command.args(["-o", &output]),
    };
    build.arguments(&mut command);
    command
}

fn buildah_build(peers: &Peers, place: &Path, build: &Build<'_>) -> Command {
    let (destination, compression) = match build.output {
        Output::Store => (None, Compression::Gzip),
        Output::Archive(compression) => {
            let archive = build.archive();
            (
                Some(format!("oci-archive:{}", archive.display())),
                compression,
            )
        }
        Output::Registry(name) => (Some(format!("docker://{name}")), Compression::Gzip),
    };
    let mut command = match destination {
        None => {
            let mut command = buildah(peers, place);
            command.arg("build");
            command
        }
        Some(destination) => {
            let mut shell = with_runc(peers.program("sh"));
            shell.args(["-c", SEND, "sh"]).arg(store(place));
            shell.args([destination.as_str(), compression.name()]);
            shell
        }
    };
    command.args(["--layers", "--network", "host", "--tls-verify=false"]);
    command.args(["-t", NAME]).args(LIMITS);
    build.arguments(&mut command);
    command
}

fn buildah(peers: &Peers, place: &Path) -> Command {
    let mut command = peers.program("buildah");
    let root = store(place);
    command
        .arg("--root")
        .arg(&root)
        .arg("--runroot")
        .arg(root.with_extension("run"));
    with_runc(command)
}

/// crun does not work with every layout of control groups; runc does.
fn with_runc(mut command: Command) -> Command {
    command
        .env("BUILDAH_RUNTIME", "runc")
        .env("STORAGE_DRIVER", "overlay");
    command
}
