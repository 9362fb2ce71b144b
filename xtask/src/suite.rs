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
//! KILN_TEST_PLACE             where the tests run, unless that is where they were started
//! KILN_TEST_DIGESTS           a file for digests of what is built, to be compared between places
//! ```
//!
//! The end-to-end tests also run in other places than root's (`testkit::Place`): as ordinary users,
//! and in a container. `left_out` says which of them do not.
//!
//! With `--peers` temporary files of tests are in a folder that the peers see under the same name.

mod digests;
mod elsewhere;
pub(crate) mod left_out;

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;
use tempfile::TempDir;
use testkit::Place;

use digests::Digests;

use crate::peers::{self, Engine, ImageStore, Peers};
use crate::registry::{Access, Registry};
use crate::{base_images, command, environment, packages, paths, ui};

/// The stand-ins that tests use.
const IMAGES: [&str; 5] = ["alpine", "busybox", "golang", "node", "nginx"];

/// What tests run. What is missing is installed, so that nothing is passed over for want of it.
const PROGRAMS: [packages::Tool; 18] = [
    packages::GCC,
    packages::CNI,
    packages::IP,
    packages::IPTABLES,
    packages::SKOPEO,
    packages::UMOCI,
    packages::RUNC,
    packages::BUSYBOX,
    packages::CURL,
    packages::GIT,
    packages::OPENSSL,
    packages::PASTA,
    packages::PGREP,
    packages::PYTHON,
    packages::SLIRP4NETNS,
    packages::SSH,
    packages::STRACE,
    packages::UIDMAP,
];

/// Where all tests run unless somebody chooses.
const USUAL: [Place; 4] = [
    Place::Root,
    Place::Subordinate,
    Place::Single,
    Place::Container,
];

/// What is tested, and where.
#[derive(Debug, clap::Args)]
pub(crate) struct Wishes {
    /// Also those that need the Docker engine of the peers
    #[arg(long)]
    peers: bool,
    /// Only where these say: root, subordinate, single, container [default: root, subordinate, single and
    /// container, or root when a package is named]
    #[arg(long, value_name = "PLACE", value_delimiter = ',', value_parser = place)]
    place: Vec<Place>,
    /// Passed on to `cargo test`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// What end-to-end tests are told.
struct Setting {
    config: PathBuf,
    containers_config: PathBuf,
    registry: String,
    scratch_registry: String,
    binary: PathBuf,
}

/// Runs the tests.
pub(crate) fn run(wishes: &Wishes) -> Result<()> {
    if wishes.peers {
        peers::isolate()?;
    }
    packages::ensure(&PROGRAMS)?;
    let scratch = TempDir::with_prefix("kiln-test-registry-")?;
    let pushed = Registry::start(scratch.path(), Access::ReadWrite)?;
    let images = base_images::serve(&IMAGES, &[pushed.address()])?;
    let setting = Setting {
        config: images.kiln_config(),
        containers_config: images.containers_config(),
        registry: images.registry.address(),
        scratch_registry: pushed.address(),
        binary: build()?,
    };
    let mut of_root = Digests::default();
    for place in wishes.places() {
        match place {
            Place::Root if wishes.peers => with_peers(&setting, &wishes.arguments)?,
            Place::Root => {
                let noted = scratch.path().join("digests");
                let mut test = here(&setting, &wishes.arguments);
                command::run(test.env("KILN_TEST_DIGESTS", &noted))?;
                of_root = Digests::read(&noted)?;
            }
            place => {
                let found = elsewhere::run(place, &setting, &wishes.arguments)?;
                found.compare(place.name(), &of_root)?;
            }
        }
    }
    Ok(())
}

impl Wishes {
    fn places(&self) -> Vec<Place> {
        if !self.place.is_empty() {
            return self.place.clone();
        }
        let usual = if chooses(&self.arguments) {
            &USUAL[..1]
        } else {
            &USUAL[..]
        };
        usual.to_vec()
    }
}

fn place(name: &str) -> Result<Place, String> {
    let found = Place::OF_SUITE
        .into_iter()
        .find(|place| place.name() == name);
    found.ok_or_else(|| {
        let names = Place::OF_SUITE.map(Place::name);
        format!("must be one of {}", names.join(", "))
    })
}

/// Tests that run where this does.
fn here(setting: &Setting, arguments: &[String]) -> Command {
    ui::step("testing");
    let mut test = cargo_test(setting);
    test.args((!chooses(arguments)).then_some("--workspace"))
        .args(arguments);
    test
}

/// `cargo test`, with what tests are told.
fn cargo_test(setting: &Setting) -> Command {
    let mut test = command::program(environment::cargo());
    test.current_dir(paths::workspace())
        .arg("test")
        .env("KILN_TEST_CONFIG", &setting.config)
        .env("KILN_TEST_CONTAINERS_CONF", &setting.containers_config)
        .env("KILN_TEST_REGISTRY", &setting.registry)
        .env("KILN_TEST_SCRATCH_REGISTRY", &setting.scratch_registry)
        .env("KILN_TEST_BINARY", &setting.binary);
    test
}

fn with_peers(setting: &Setting, arguments: &[String]) -> Result<()> {
    let shared = TempDir::with_prefix("kiln-test-peers-")?;
    let peers = Peers::open(&[shared.path()])?;
    let folder = shared.path().join("engine");
    let engine = Engine::start(&peers, ImageStore::Containerd, &folder, &setting.registry)?;
    let mut test = here(setting, arguments);
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

/// Builds the binary that the tests run.
fn build() -> Result<PathBuf> {
    ui::step("building kiln");
    command::run(
        command::program(environment::cargo())
            .current_dir(paths::workspace())
            .args(["build", "--package", "cli"]),
    )?;
    Ok(paths::target().join("debug/kiln"))
}
