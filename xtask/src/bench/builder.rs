//! The builders, and how each is told to do the same thing.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::command;
use crate::peers::{Engine, Peers};

/// What to build.
#[derive(Debug)]
pub(super) struct Build<'a> {
    pub(super) context: &'a Path,
    /// The Dockerfile's name within the context.
    pub(super) file: &'static str,
    pub(super) target: &'static str,
    pub(super) output: Output,
}

/// Where the result goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Output {
    /// The builder's own store.
    Store,
    /// A gzip-compressed OCI archive beside the context.
    Archive,
}

/// A builder with a store of its own.
#[derive(Debug)]
pub(super) enum Builder<'a> {
    Kiln {
        binary: PathBuf,
        root: PathBuf,
    },
    /// Archives are written by the engine whose image store can.
    Docker {
        layers: &'a Engine<'a>,
        layouts: &'a Engine<'a>,
    },
    Buildah {
        peers: &'a Peers,
        root: PathBuf,
    },
}

const NAME: &str = "bench";

/// Limits of buildah's steps, which otherwise ask for more than the host may allow.
const LIMITS: [&str; 4] = [
    "--ulimit",
    "nofile=1024:1024",
    "--ulimit",
    "nproc=4096:4096",
];

/// Both steps of an archive by buildah: to its store, and from there to a file.
const ARCHIVE: &str = r#"
root=$1 target=$2 context=$3 file=$4 archive=$5
shift 5
buildah --root "$root" --runroot "$root.run" build --layers --network host "$@" \
  -t bench --target "$target" -f "$context/$file" "$context" &&
  buildah --root "$root" --runroot "$root.run" push localhost/bench "oci-archive:$archive"
"#;

impl<'a> Builder<'a> {
    pub(super) fn kiln(binary: &Path, root: &Path) -> Self {
        Self::Kiln {
            binary: binary.to_owned(),
            root: root.to_owned(),
        }
    }

    pub(super) fn docker(layers: &'a Engine<'a>, layouts: &'a Engine<'a>) -> Self {
        Self::Docker { layers, layouts }
    }

    pub(super) fn buildah(peers: &'a Peers, root: &Path) -> Self {
        Self::Buildah {
            peers,
            root: root.to_owned(),
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Kiln { .. } => "kiln",
            Self::Docker { .. } => "docker",
            Self::Buildah { .. } => "buildah",
        }
    }

    /// The command that builds.
    pub(super) fn build(&self, build: &Build<'_>) -> Command {
        let archive = build.context.with_extension("oci.tar");
        let output = format!("type=oci,dest={}", archive.display());
        let mut command = match self {
            Self::Kiln { binary, root } => {
                let mut command = command::program(binary);
                command
                    .arg("--root")
                    .arg(root)
                    .args(["build", "--progress", "plain"]);
                command
            }
            Self::Docker { layers, layouts } => {
                let engine = if build.output == Output::Store {
                    layers
                } else {
                    layouts
                };
                let mut command = engine.client("docker");
                command.args([
                    "buildx",
                    "build",
                    "--progress",
                    "plain",
                    "--network",
                    "host",
                ]);
                command.args(["--provenance", "false"]);
                command
            }
            Self::Buildah { .. } if build.output == Output::Archive => {
                return self.buildah_archive(build, &archive);
            }
            Self::Buildah { peers, root } => {
                let mut command = buildah(peers, root);
                command
                    .args(["build", "--layers", "--network", "host"])
                    .args(LIMITS);
                command
            }
        };
        match build.output {
            Output::Store => command.args(["-t", NAME]),
            Output::Archive => command.args(["-o", &output]),
        };
        command.args(["--target", build.target, "-f"]);
        command
            .arg(build.context.join(build.file))
            .arg(build.context);
        command
    }

    /// Forgets all that was built.
    pub(super) fn reset(&self) -> Result<()> {
        match self {
            Self::Kiln { root, .. } => {
                if root.exists() {
                    std::fs::remove_dir_all(root).with_context(|| root.display().to_string())?;
                }
                Ok(())
            }
            Self::Docker { layers, layouts } => {
                for engine in [layers, layouts] {
                    let prune = ["system", "prune", "--all", "--force"];
                    command::quiet(engine.client("docker").args(prune))?;
                }
                Ok(())
            }
            Self::Buildah { peers, root } => {
                command::quiet(buildah(peers, root).args(["rmi", "--all", "--force"]))
            }
        }
    }

    /// buildah builds into its store and writes the archive after.
    fn buildah_archive(&self, build: &Build<'_>, archive: &Path) -> Command {
        let Self::Buildah { peers, root } = self else {
            return self.build(build);
        };
        let mut shell = peers.program("sh");
        shell
            .args(["-c", ARCHIVE, "sh"])
            .arg(root)
            .args([build.target]);
        shell
            .arg(build.context)
            .arg(build.file)
            .arg(archive)
            .args(LIMITS);
        with_runc(shell)
    }
}

impl Drop for Builder<'_> {
    /// buildah leaves mounts behind when a step of it fails, and then its root cannot be removed.
    fn drop(&mut self) {
        if let Self::Buildah { root, .. } = self {
            let mut unmount = command::program("umount");
            unmount
                .args(["--recursive", "--lazy"])
                .arg(root.join("overlay"));
            // Failure means that nothing is mounted, which is what is wanted.
            drop(command::quiet(&mut unmount));
        }
    }
}

fn buildah(peers: &Peers, root: &Path) -> Command {
    let mut command = peers.program("buildah");
    command
        .arg("--root")
        .arg(root)
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
