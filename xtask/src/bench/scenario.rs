//! The scenarios: what is built, what happens before, and how long it may take.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use super::builder::Compression;
use super::context;

/// Something to measure.
#[derive(Debug)]
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    /// What kiln may take.
    pub(super) budget: Duration,
    /// What kiln may take when BuildKit is in the same run: its time, divided by this.
    pub(super) faster_than_buildkit: Option<u32>,
    /// Writes the context, once for each builder.
    pub(super) write: fn(&Path) -> Result<()>,
    /// Whether each round starts without anything stored.
    pub(super) cold: bool,
    /// The target that is built, without being measured, before each round.
    pub(super) before: Option<&'static str>,
    /// Changes the context before the measured build of a round.
    pub(super) change: fn(&Path, usize) -> Result<()>,
    pub(super) measured: Measured,
    /// Builders that take minutes for this, and are left out.
    pub(super) without: &'static [&'static str],
}

/// What is measured in a round.
#[derive(Debug, Clone, Copy)]
pub(super) enum Measured {
    /// One build into the builder's own store.
    Build,
    /// One build into a compressed OCI archive.
    Archive(Compression),
    /// By how much each of `steps` further steps lengthens the build of `Dockerfile.short`.
    Step { steps: u32 },
    /// One build, and its push to an empty registry.
    Push,
    /// One build on an image of a registry: what `Dockerfile.image` makes.
    Pull,
    /// So many builds, all begun at once, until the last has ended.
    Together { builds: usize },
}

/// What most scenarios are like.
const PLAIN: Scenario = Scenario {
    name: "",
    what: "",
    budget: Duration::ZERO,
    faster_than_buildkit: None,
    write: context::five_stages,
    cold: false,
    before: None,
    change: context::unchanged,
    measured: Measured::Build,
    without: &[],
};

const fn milliseconds(count: u64) -> Duration {
    Duration::from_millis(count)
}

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "cached",
        what: "five stages, fully cached",
        budget: milliseconds(15),
        before: Some("last"),
        ..PLAIN
    },
    Scenario {
        name: "step",
        what: "one more RUN true step",
        budget: milliseconds(6),
        write: context::chain,
        change: context::new_nonce,
        measured: Measured::Step {
            steps: context::CHAIN,
        },
        ..PLAIN
    },
    Scenario {
        name: "chain",
        what: "a chain of 32 RUN true steps",
        budget: milliseconds(250),
        write: context::long_chain,
        change: context::new_nonce,
        ..PLAIN
    },
    Scenario {
        name: "parallel",
        what: "24 independent 0.2 s stages",
        budget: milliseconds(500),
        write: context::parallel_stages,
        change: context::new_nonce,
        ..PLAIN
    },
    Scenario {
        name: "context-cached",
        what: "20,000-file context, fully cached",
        budget: milliseconds(60),
        write: context::many_files,
        before: Some("last"),
        ..PLAIN
    },
    Scenario {
        name: "context-touched",
        what: "20,000-file context, one file changed",
        budget: milliseconds(600),
        write: context::many_files,
        before: Some("last"),
        change: context::one_file,
        ..PLAIN
    },
    Scenario {
        name: "copy-from",
        what: "COPY --from of 30,000 files",
        budget: milliseconds(800),
        write: context::copy_between_stages,
        before: Some("source"),
        change: context::new_nonce,
        ..PLAIN
    },
    Scenario {
        name: "export-gzip",
        what: "512 MB file to a gzip OCI archive, nothing stored",
        budget: milliseconds(2700),
        faster_than_buildkit: Some(3),
        write: context::large_file,
        cold: true,
        measured: Measured::Archive(Compression::Gzip),
        ..PLAIN
    },
    Scenario {
        name: "export-zstd",
        what: "512 MB file to a zstd OCI archive, nothing stored",
        budget: milliseconds(2700),
        write: context::large_file,
        cold: true,
        measured: Measured::Archive(Compression::Zstd),
        ..PLAIN
    },
    Scenario {
        name: "push",
        what: "500 MB, 12-layer image built and pushed, nothing stored",
        budget: milliseconds(5000),
        write: context::large_image,
        cold: true,
        measured: Measured::Push,
        ..PLAIN
    },
    Scenario {
        name: "pull",
        what: "500 MB, 12-layer image pulled, one step on it, nothing stored",
        budget: milliseconds(4000),
        write: context::on_large_image,
        cold: true,
        measured: Measured::Pull,
        ..PLAIN
    },
    Scenario {
        name: "no-op",
        what: "2,000 instructions in 100 stages, nothing to do",
        budget: milliseconds(60),
        write: context::many_instructions,
        before: Some("last"),
        without: &["buildah"],
        ..PLAIN
    },
    Scenario {
        name: "together",
        what: "40 builds of three steps, begun at once",
        budget: milliseconds(3000),
        write: context::numbered,
        change: context::new_nonce,
        measured: Measured::Together { builds: 40 },
        ..PLAIN
    },
];
