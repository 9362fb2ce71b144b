//! `cargo xtask peers`: today's builders and clients of other projects, unpacked from Debian sid.
//!
//! They live in a root of their own outside the source tree, `$KILN_PEERS` or `~/.cache/kiln/peers`,
//! and run there by `chroot`. All mounts that this takes are made in a mount namespace that this
//! process enters before anything else, so that they are gone when it ends, however it ends.

mod engine;

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::{base_images, command, environment, packages, ui};
pub(crate) use engine::{Engine, ImageStore};

/// Set in the process that has a mount namespace of its own.
const ISOLATED: &str = "KILN_XTASK_ISOLATED";

const SUITE: &str = "sid";

/// What is unpacked: builders, runtimes, and tools that read and write images.
const PACKAGES: [&str; 13] = [
    "buildah",
    "ca-certificates",
    "crane",
    "crun",
    "docker-buildx",
    "docker-cli",
    "docker-compose",
    "docker.io",
    "fuse-overlayfs",
    "podman",
    "runc",
    "skopeo",
    "umoci",
];

/// What a person may ask of the peers.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Wishes {
    /// Unpack them anew
    #[arg(long)]
    renew: bool,
    /// Start the Docker engine and build an image with it
    #[arg(long)]
    check: bool,
    /// Run the Docker engine until standard input ends
    #[arg(long)]
    serve: bool,
    /// Give the engine containerd's image store, which can export caches
    #[arg(long)]
    containerd: bool,
}

/// The peers' root, with its mounts.
#[derive(Debug)]
pub(crate) struct Peers {
    root: PathBuf,
}

pub(crate) fn run(wishes: Wishes) -> Result<()> {
    isolate()?;
    if wishes.renew && root()?.exists() {
        fs::remove_dir_all(root()?)?;
    }
    let scratch = tempfile::TempDir::with_prefix("kiln-peers-")?;
    let peers = Peers::open(&[scratch.path()])?;
    for package in PACKAGES {
        ui::say(format_args!("{package} {}", peers.version(package)?));
    }
    if !wishes.check && !wishes.serve {
        return Ok(());
    }
    let images = base_images::serve(&["alpine"], &[])?;
    let mirror = images.registry.address();
    let store = if wishes.containerd {
        ImageStore::Containerd
    } else {
        ImageStore::Layers
    };
    let engine = Engine::start(&peers, store, &scratch.path().join("engine"), &mirror)?;
    if wishes.check {
        check(&engine, scratch.path())?;
    }
    if wishes.serve {
        ui::say(format_args!(
            "DOCKER_HOST=unix://{}",
            engine.socket().display()
        ));
        ui::say("serving until standard input ends");
        std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    }
    Ok(())
}

/// Whether the engine builds here, from an image of the loopback registry.
fn check(engine: &Engine, scratch: &Path) -> Result<()> {
    let context = scratch.join("context");
    fs::create_dir_all(&context)?;
    fs::write(
        context.join("Dockerfile"),
        "FROM alpine\nRUN cat /etc/kiln-stand-in\n",
    )?;
    let mut build = engine.client("docker");
    build
        .args(["build", "--progress", "plain", "--network", "host"])
        .arg(&context);
    let output = command::capture(&mut build)?;
    let printed = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() || !printed.contains("This is not the image library/alpine") {
        bail!("{} failed:\n{printed}", command::shown(&build));
    }
    ui::say("docker build: works");
    Ok(())
}

/// Gives this process a mount namespace of its own, by starting it anew in one.
pub(crate) fn isolate() -> Result<()> {
    if environment::text(ISOLATED).is_some() {
        return Ok(());
    }
    if !packages::is_root() {
        bail!("the peers need root: they run in a root and mounts of their own");
    }
    let mut unshare = command::program("unshare");
    unshare
        .args(["--mount", "--propagation", "private", "--"])
        .arg(std::env::current_exe()?)
        .args(std::env::args_os().skip(1))
        .env(ISOLATED, "1");
    Err(unshare.exec()).context("cannot start unshare")
}

impl Peers {
    /// Unpacks the peers unless they are there, and mounts what they need, and the folders
    /// `shared`, in their root. Must follow [`isolate`].
    pub(crate) fn open(shared: &[&Path]) -> Result<Self> {
        let root = root()?;
        if !root.exists() {
            unpack(&root)?;
        }
        // The engine remounts its root, which must therefore be a mount.
        command::quiet(command::program("mount").arg("--bind").args([&root, &root]))?;
        let peers = Self { root };
        for folder in ["/proc", "/sys", "/dev"] {
            peers.share(Path::new(folder))?;
        }
        let run = peers.root.join("run");
        command::quiet(
            command::program("mount")
                .args(["-t", "tmpfs", "tmpfs"])
                .arg(&run),
        )?;
        for folder in shared {
            peers.share(folder)?;
        }
        for file in [
            "etc/resolv.conf",
            "etc/hosts",
            "etc/ssl/certs/ca-certificates.crt",
        ] {
            fs::copy(Path::new("/").join(file), peers.root.join(file))
                .with_context(|| file.to_owned())?;
        }
        Ok(peers)
    }

    /// A peer's program, to be run in their root.
    pub(crate) fn program(&self, name: &str) -> Command {
        let mut program = command::program("chroot");
        program.arg(&self.root).arg(name);
        program
    }

    /// Where they are.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The version of one of the packages.
    pub(crate) fn version(&self, package: &str) -> Result<String> {
        command::read(
            self.program("dpkg-query")
                .args(["-W", "-f", "${Version}", package]),
        )
    }

    /// Makes the host's folder visible in the peers' root under the same name.
    fn share(&self, folder: &Path) -> Result<()> {
        let inside = self.inside(folder);
        fs::create_dir_all(&inside).with_context(|| inside.display().to_string())?;
        command::quiet(
            command::program("mount")
                .arg("--rbind")
                .arg(folder)
                .arg(&inside),
        )
    }

    fn inside(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }
}

fn unpack(root: &Path) -> Result<()> {
    packages::ensure(&[packages::MMDEBSTRAP])?;
    ui::step(format_args!(
        "unpacking {} of Debian {SUITE}",
        PACKAGES.join(", ")
    ));
    let partial = root.with_extension("partial");
    if partial.exists() {
        fs::remove_dir_all(&partial)?;
    }
    fs::create_dir_all(&partial)?;
    command::quiet(
        command::program("mmdebstrap")
            .args(["--quiet", "--format=directory", "--variant=apt"])
            .arg(format!("--include={}", PACKAGES.join(",")))
            .arg(r#"--aptopt=APT::Install-Recommends "false""#)
            // The release file of a mirror that is not often renewed may be past its date.
            .arg(r#"--aptopt=Acquire::Check-Valid-Until "false""#)
            .arg(SUITE)
            .arg(&partial),
    )?;
    fs::rename(&partial, root).with_context(|| root.display().to_string())
}

fn root() -> Result<PathBuf> {
    if let Some(root) = environment::path("KILN_PEERS") {
        return Ok(root);
    }
    let home = environment::path("HOME").context("neither KILN_PEERS nor HOME is set")?;
    Ok(home.join(".cache/kiln/peers"))
}
