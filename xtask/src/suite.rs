//! `cargo xtask test`: every test, the end-to-end ones included.
//!
//! End-to-end tests are told where things are by the environment; without it they have nothing to
//! run and must fail rather than pass. What they are told:
//!
//! ```text
//! KILN_TEST_BINARY            the kiln binary
//! KILN_TEST_CONFIG            a kiln.toml whose docker.io is the stand-ins' registry
//! KILN_TEST_REGISTRY          the address of that registry; it is read-only
//! KILN_TEST_SCRATCH_REGISTRY  the address of an empty registry that tests may push to
//! KILN_TEST_CONTAINERS_CONF   the same registries for skopeo and buildah
//! KILN_TEST_PEERS             with --peers, the root in which the peers' programs run
//! KILN_TEST_DOCKER            with --peers, the socket of a Docker engine there
//! ```
//!
//! With `--peers` temporary files of tests are in a folder that the peers see under the same name.

use std::path::PathBuf;

use anyhow::Result;
use tempfile::TempDir;

use crate::peers::{self, Engine, ImageStore, Peers};
use crate::registry::{Access, Registry};
use crate::{base_images, command, environment, packages, paths, ui};

/// The stand-ins that tests use.
const IMAGES: [&str; 5] = ["alpine", "busybox", "golang", "node", "nginx"];

/// Runs the tests; the arguments are cargo's.
pub(crate) fn run(arguments: &[String], with_peers: bool) -> Result<()> {
    if with_peers {
        peers::isolate()?;
    }
    packages::ensure(&[
        packages::GCC,
        packages::SKOPEO,
        packages::UMOCI,
        packages::RUNC,
    ])?;
    let scratch = TempDir::with_prefix("kiln-test-registry-")?;
    let pushed = Registry::start(scratch.path(), Access::ReadWrite)?;
    let images = base_images::serve(&IMAGES, &[pushed.address()])?;
    let binary = build()?;

    ui::step("testing");
    let mut test = command::program(environment::cargo());
    test.current_dir(paths::workspace())
        .arg("test")
        .args((!chooses(arguments)).then_some("--workspace"))
        .args(arguments)
        .env("KILN_TEST_CONFIG", images.kiln_config())
        .env("KILN_TEST_CONTAINERS_CONF", images.containers_config())
        .env("KILN_TEST_REGISTRY", images.registry.address())
        .env("KILN_TEST_SCRATCH_REGISTRY", pushed.address());
    if let Some(binary) = binary {
        test.env("KILN_TEST_BINARY", binary);
    }
    if !with_peers {
        return command::run(&mut test);
    }
    let shared = TempDir::with_prefix("kiln-test-peers-")?;
    let peers = Peers::open(&[shared.path()])?;
    let folder = shared.path().join("engine");
    let mirror = images.registry.address();
    let engine = Engine::start(&peers, ImageStore::Containerd, &folder, &mirror)?;
    test.env("TMPDIR", shared.path())
        .env("KILN_TEST_PEERS", peers.root())
        .env("KILN_TEST_DOCKER", engine.socket());
    command::run(&mut test)
}

/// Whether the arguments say which packages to test.
fn chooses(arguments: &[String]) -> bool {
    let cargos = arguments.iter().take_while(|argument| *argument != "--");
    cargos
        .into_iter()
        .any(|argument| argument == "-p" || argument.starts_with("--package"))
}

/// Builds the binary that the tests run, as soon as there is one.
fn build() -> Result<Option<PathBuf>> {
    if !paths::workspace().join("crates/cli").is_dir() {
        return Ok(None);
    }
    ui::step("building kiln");
    command::run(
        command::program(environment::cargo())
            .current_dir(paths::workspace())
            .args(["build", "--package", "cli"]),
    )?;
    Ok(Some(paths::target().join("debug/kiln")))
}
