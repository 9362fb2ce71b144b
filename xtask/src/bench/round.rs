//! Rounds: what is done before a measurement, and the measurement.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::builder::{Build, Builder, Output};
use super::scenario::{Measured, Scenario};
use crate::command;
use crate::registry::{Access, Registry};

/// The repository of an image that is pushed or pulled.
const REPOSITORY: &str = "bench/image";

/// One scenario and one builder, with what the rounds need.
#[derive(Debug)]
pub(super) struct Course<'a> {
    scenario: &'static Scenario,
    builder: &'a Builder<'a>,
    context: &'a Path,
    /// A folder for registries.
    scratch: &'a Path,
    /// The registry that holds the image to be pulled.
    pulled: Option<&'a Registry>,
}

impl<'a> Course<'a> {
    pub(super) const fn new(
        scenario: &'static Scenario,
        builder: &'a Builder<'a>,
        context: &'a Path,
        scratch: &'a Path,
        pulled: Option<&'a Registry>,
    ) -> Self {
        Self {
            scenario,
            builder,
            context,
            scratch,
            pulled,
        }
    }

    /// One round: how long what is measured took.
    pub(super) fn round(&self, round: usize) -> Result<Duration> {
        self.prepare(round)?;
        let Measured::Step { steps } = self.scenario.measured else {
            return self.measured(timed);
        };
        let short = timed(&mut [self.builder.build(&Build {
            file: "Dockerfile.short",
            ..self.plain()
        })])?;
        (self.scenario.change)(self.context, round + 1_000_000)?;
        let long = self.measured(timed)?;
        Ok(long.saturating_sub(short) / steps)
    }

    /// The most memory, in bytes, that those who work take in one more round.
    pub(super) fn memory(&self) -> Result<u64> {
        self.prepare(2_000_000)?;
        let meter = self.builder.meter();
        self.measured(|commands| meter.of(commands))
    }

    /// Puts the builder where a measurement begins.
    fn prepare(&self, round: usize) -> Result<()> {
        if self.scenario.cold {
            self.builder.reset()?;
        }
        if let Some(target) = self.scenario.before {
            command::quiet(&mut self.builder.build(&Build {
                target,
                ..self.plain()
            }))?;
        }
        (self.scenario.change)(self.context, round)?;
        // Nobody waits for what was written before.
        command::quiet(
            command::program("sync")
                .arg("--file-system")
                .arg(self.context),
        )
    }

    /// Has `how` run what is measured.
    fn measured<T>(&self, how: impl FnOnce(&mut [Command]) -> Result<T>) -> Result<T> {
        let plain = self.plain();
        let one = |build: Build<'_>| [self.builder.build(&build)];
        match self.scenario.measured {
            Measured::Build | Measured::Step { .. } => how(&mut one(plain)),
            Measured::Archive(compression) => how(&mut one(Build {
                output: Output::Archive(compression),
                ..plain
            })),
            Measured::Push => {
                let folder = tempfile::TempDir::new_in(self.scratch)?;
                let registry = Registry::start(folder.path(), Access::ReadWrite)?;
                how(&mut one(Build {
                    output: Output::Registry(&image(&registry)),
                    ..plain
                }))
            }
            Measured::Pull => {
                let registry = self.pulled.context("no registry to pull from")?;
                how(&mut one(Build {
                    argument: Some(&format!("IMAGE={}", image(registry))),
                    ..plain
                }))
            }
            Measured::Together { builds } => {
                let command = |number: usize| {
                    self.builder.build(&Build {
                        argument: Some(&format!("NUMBER={number}")),
                        ..plain
                    })
                };
                how(&mut (0..builds).map(command).collect::<Vec<_>>())
            }
        }
    }

    fn plain(&self) -> Build<'a> {
        Build {
            context: self.context,
            file: "Dockerfile",
            target: "last",
            argument: None,
            output: Output::Store,
        }
    }
}

/// Builds `Dockerfile.image` of the context and pushes it to where [`Measured::Pull`] finds it.
pub(super) fn publish(builder: &Builder<'_>, context: &Path, registry: &Registry) -> Result<()> {
    let name = image(registry);
    command::quiet(&mut builder.build(&Build {
        context,
        file: "Dockerfile.image",
        target: "last",
        argument: None,
        output: Output::Registry(&name),
    }))
}

fn image(registry: &Registry) -> String {
    format!("{}/{REPOSITORY}", registry.address())
}

/// From the first one's beginning to the last one's end.
fn timed(commands: &mut [Command]) -> Result<Duration> {
    let begun = Instant::now();
    if let [command] = commands {
        command::quiet(command)?;
        return Ok(begun.elapsed());
    }
    let mut running = Vec::with_capacity(commands.len());
    for command in commands.iter_mut() {
        let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
        running.push(quiet.spawn()?);
    }
    for (child, command) in running.iter_mut().zip(commands) {
        let status = child.wait()?;
        ensure!(
            status.success(),
            "{} failed: {status}",
            command::shown(command)
        );
    }
    Ok(begun.elapsed())
}
