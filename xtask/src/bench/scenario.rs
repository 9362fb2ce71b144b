//! The scenarios: what is built, what happens before, and how long it may take.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::builder::{Build, Builder, Output};
use super::{context, memory};
use crate::command;

/// Something to measure.
#[derive(Debug)]
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    /// What kiln may take.
    pub(super) budget: Duration,
    /// Writes the context, once for each builder.
    pub(super) write: fn(&Path) -> Result<()>,
    /// Whether each round starts without anything stored.
    cold: bool,
    /// The target that is built, without being measured, before each round.
    before: Option<&'static str>,
    /// Changes the context before the measured build of a round.
    change: fn(&Path, usize) -> Result<()>,
    measured: Measured,
    /// Builders that take minutes for this, and are left out.
    pub(super) without: &'static [&'static str],
}

/// What is measured in a round.
#[derive(Debug)]
enum Measured {
    /// One build into the builder's own store.
    Build,
    /// One build into a gzip-compressed OCI archive.
    Archive,
    /// By how much each of `steps` further steps lengthens the build of `Dockerfile.short`.
    Step { steps: u32 },
}

const fn milliseconds(count: u64) -> Duration {
    Duration::from_millis(count)
}

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "cached",
        what: "five stages, fully cached",
        budget: milliseconds(15),
        write: context::five_stages,
        cold: false,
        before: Some("last"),
        change: context::unchanged,
        measured: Measured::Build,
        without: &[],
    },
    Scenario {
        name: "step",
        what: "one more RUN true step",
        budget: milliseconds(6),
        write: context::chain,
        cold: false,
        before: None,
        change: context::new_nonce,
        measured: Measured::Step {
            steps: context::CHAIN,
        },
        without: &[],
    },
    Scenario {
        name: "parallel",
        what: "24 independent 0.2 s stages",
        budget: milliseconds(500),
        write: context::parallel_stages,
        cold: false,
        before: None,
        change: context::new_nonce,
        measured: Measured::Build,
        without: &[],
    },
    Scenario {
        name: "context-cached",
        what: "20,000-file context, fully cached",
        budget: milliseconds(60),
        write: context::many_files,
        cold: false,
        before: Some("last"),
        change: context::unchanged,
        measured: Measured::Build,
        without: &[],
    },
    Scenario {
        name: "context-touched",
        what: "20,000-file context, one file changed",
        budget: milliseconds(600),
        write: context::many_files,
        cold: false,
        before: Some("last"),
        change: context::one_file,
        measured: Measured::Build,
        without: &[],
    },
    Scenario {
        name: "copy-from",
        what: "COPY --from of 30,000 files",
        budget: milliseconds(800),
        write: context::copy_between_stages,
        cold: false,
        before: Some("source"),
        change: context::new_nonce,
        measured: Measured::Build,
        without: &[],
    },
    Scenario {
        name: "export",
        what: "512 MB file to a gzip OCI archive, nothing stored",
        budget: milliseconds(2700),
        write: context::large_file,
        cold: true,
        before: None,
        change: context::unchanged,
        measured: Measured::Archive,
        without: &[],
    },
    Scenario {
        name: "no-op",
        what: "2,000 instructions in 100 stages, nothing to do",
        budget: milliseconds(60),
        write: context::many_instructions,
        cold: false,
        before: Some("last"),
        change: context::unchanged,
        measured: Measured::Build,
        without: &["buildah"],
    },
];

impl Scenario {
    /// One round by one builder: what is measured of it.
    pub(super) fn round(
        &self,
        builder: &Builder<'_>,
        context: &Path,
        round: usize,
    ) -> Result<Duration> {
        if self.cold {
            builder.reset()?;
        }
        let build = |file: &'static str, target: &'static str| {
            let output = match self.measured {
                Measured::Archive => Output::Archive,
                Measured::Build | Measured::Step { .. } => Output::Store,
            };
            timed(
                builder,
                &Build {
                    context,
                    file,
                    target,
                    output,
                },
            )
        };
        if let Some(target) = self.before {
            build("Dockerfile", target)?;
        }
        (self.change)(context, round)?;
        match self.measured {
            Measured::Build | Measured::Archive => build("Dockerfile", "last"),
            Measured::Step { steps } => {
                let short = build("Dockerfile.short", "last")?;
                (self.change)(context, round + 1_000_000)?;
                let long = build("Dockerfile", "last")?;
                Ok(long.saturating_sub(short) / steps)
            }
        }
    }

    /// The largest resident size, in bytes, of the builder's client in one more round.
    /// Only for builders without a daemon does this say anything.
    pub(super) fn memory(&self, builder: &Builder<'_>, context: &Path) -> Result<u64> {
        (self.change)(context, 2_000_000)?;
        if self.cold {
            builder.reset()?;
        }
        let output = self.output();
        let build = Build {
            context,
            file: "Dockerfile",
            target: "last",
            output,
        };
        memory::of(&mut builder.build(&build))
    }

    fn output(&self) -> Output {
        match self.measured {
            Measured::Archive => Output::Archive,
            Measured::Build | Measured::Step { .. } => Output::Store,
        }
    }
}

fn timed(builder: &Builder<'_>, build: &Build<'_>) -> Result<Duration> {
    let mut command = builder.build(build);
    let begun = Instant::now();
    command::quiet(&mut command)?;
    Ok(begun.elapsed())
}
