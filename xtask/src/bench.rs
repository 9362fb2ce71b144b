//! `cargo xtask bench`: kiln beside the newest Docker engine (BuildKit inside), buildah, and a
//! BuildKit of its own if one is given.
//!
//! Every scenario is run by all builders in turn, round after round, so that a busy machine is
//! unkind to all of them alike; the table holds medians of whole client processes, and ratios.
//! Each builder has a file system of its own, written out before each measurement. The stages start
//! from scratch with a static busybox, so no network but loopback is measured. All build with the
//! host's network.

mod builder;
pub(crate) mod context;
mod disk;
mod memory;
mod report;
mod round;
mod scenario;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

use crate::peers::{self, Engine, ImageStore, Peers};
use crate::registry::{Access, Registry};
use crate::{binary, command, paths, ui};
use builder::{BuildKit, Builder};
use disk::Disk;
use report::Outcome;
use round::Course;
use scenario::{Measured, SCENARIOS, Scenario};

/// The builders, in the order of the table.
const NAMES: [&str; 4] = ["kiln", "docker", "buildah", "buildkit"];

/// What a person may ask of the benchmark.
#[derive(Debug, clap::Args)]
pub(crate) struct Wishes {
    /// The kiln binary, instead of building it
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
    /// Only these scenarios, by name
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// Only these builders
    #[arg(long, value_name = "NAME", value_delimiter = ',', default_values = NAMES)]
    builders: Vec<String>,
    /// A folder with `buildkitd` and `buildctl`, which are then measured too
    #[arg(long, value_name = "FOLDER")]
    buildkit: Option<PathBuf>,
    /// Rounds of each scenario; a builder that takes long gets fewer
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Also write the times, in seconds, to this file
    #[arg(long, value_name = "PATH")]
    json: Option<PathBuf>,
    /// Also write the tables, with the machine and the method, to docs/performance.md
    #[arg(long)]
    document: bool,
    /// List the scenarios and their names
    #[arg(long)]
    list: bool,
}

impl Wishes {
    fn want(&self, builder: &str) -> bool {
        let given = builder != "buildkit" || self.buildkit.is_some();
        given && self.builders.iter().any(|name| name == builder)
    }
}

/// How long a builder may be at one scenario until it gets no further round.
const ENOUGH: Duration = Duration::from_secs(25);

pub(crate) fn run(wishes: &Wishes) -> Result<()> {
    if wishes.list {
        for scenario in SCENARIOS {
            ui::say(format_args!("{}: {}", scenario.name, scenario.what));
        }
        return Ok(());
    }
    let chosen = chosen(&wishes.only)?;
    peers::isolate()?;
    let binary = binary::locate(wishes.binary.as_deref())?;
    let scratch = TempDir::with_prefix_in("bench-", paths::target())?;
    let scratch = scratch.path().canonicalize()?;
    let names: Vec<&str> = NAMES.into_iter().filter(|name| wishes.want(name)).collect();
    let disks: Vec<Disk> = names
        .iter()
        .map(|name| Disk::new(&scratch.join(name)))
        .collect::<Result<_>>()?;
    // The peers see what is mounted by now.
    let with_peers = wishes.want("docker") || wishes.want("buildah");
    let peers = with_peers.then(|| Peers::open(&[&scratch])).transpose()?;
    let setting = Setting {
        binary: &binary,
        peers: peers.as_ref(),
        buildkit: wishes.buildkit.as_deref(),
        registry: Registry::start(&scratch.join("registry"), Access::ReadWrite)?,
    };
    let builders: Vec<Builder<'_>> = names
        .iter()
        .zip(&disks)
        .map(|(name, disk)| setting.builder(name, disk.path().to_owned()))
        .collect::<Result<_>>()?;
    let mut outcomes = Vec::new();
    for scenario in chosen {
        ui::step(format_args!("{}: {}", scenario.name, scenario.what));
        outcomes.push(measure(scenario, &builders, &scratch, wishes.rounds)?);
        disks.iter().try_for_each(Disk::trim)?;
    }
    report::Report {
        outcomes: &outcomes,
        builders: &builders,
        peers: peers.as_ref(),
        binary: &binary,
    }
    .tell(wishes.json.as_deref(), wishes.document)?;
    let failed = |outcome: &&Outcome| outcome.failed.contains(&"kiln");
    match outcomes.iter().find(failed) {
        Some(outcome) => bail!("kiln failed at {}", outcome.scenario.name),
        None => Ok(()),
    }
}

fn chosen(only: &[String]) -> Result<Vec<&'static Scenario>> {
    let known = |name: &&String| !SCENARIOS.iter().any(|scenario| scenario.name == **name);
    if let Some(unknown) = only.iter().find(known) {
        bail!("there is no scenario `{unknown}`; `--list` shows all");
    }
    let wanted =
        |scenario: &&Scenario| only.is_empty() || only.iter().any(|name| *name == scenario.name);
    Ok(SCENARIOS.iter().filter(wanted).collect())
}

/// What builders are made of.
#[derive(Debug)]
struct Setting<'a> {
    binary: &'a Path,
    peers: Option<&'a Peers>,
    /// The folder of BuildKit's programs.
    buildkit: Option<&'a Path>,
    /// What stands for Docker Hub; no image of it is used.
    registry: Registry,
}

impl<'a> Setting<'a> {
    /// The builder of this name, with all its data in `place`.
    fn builder(&self, name: &str, place: PathBuf) -> Result<Builder<'a>> {
        Ok(match (name, self.peers, self.buildkit) {
            ("kiln", ..) => Builder::Kiln {
                binary: self.binary.to_owned(),
                place,
            },
            ("docker", Some(peers), _) => self.docker(peers, place)?,
            ("buildah", Some(peers), _) => Builder::Buildah { peers, place },
            ("buildkit", _, Some(programs)) => {
                Builder::BuildKit(BuildKit::start(programs, &place)?)
            }
            _ => bail!("there is no builder `{name}`"),
        })
    }

    /// The Docker engine twice, since only one of its image stores writes archives, and the other
    /// is the faster one.
    fn docker(&self, peers: &'a Peers, place: PathBuf) -> Result<Builder<'a>> {
        let mirror = self.registry.address();
        let start = |store, name| Engine::start(peers, store, &place.join(name), &mirror);
        Ok(Builder::Docker {
            layers: start(ImageStore::Layers, "layers")?,
            layouts: start(ImageStore::Containerd, "layouts")?,
            place,
        })
    }
}

/// Runs one scenario, round after round, by each builder in turn. A builder that fails is told of
/// and gets no further round.
fn measure(
    scenario: &'static Scenario,
    builders: &[Builder<'_>],
    scratch: &Path,
    rounds: usize,
) -> Result<Outcome> {
    let takes_part = |builder: &&Builder<'_>| !scenario.without.contains(&builder.name());
    let builders: Vec<&Builder<'_>> = builders.iter().filter(takes_part).collect();
    let context = |builder: &Builder<'_>| builder.place().join("context");
    let mut outcome = Outcome::new(scenario);
    {
        // Written once, and the same for all.
        let original = TempDir::with_prefix_in("context-", scratch)?;
        (scenario.write)(original.path())
            .with_context(|| format!("the context of {}", scenario.name))?;
        for builder in &builders {
            let copied = context(builder);
            let mut copy = command::program("cp");
            command::quiet(copy.arg("--archive").args([original.path(), &copied]))?;
            outcome.reset(builder);
        }
    }
    let pulled = published(scenario, &builders, scratch)?;
    for builder in &builders {
        outcome.spent.insert(builder.name(), Duration::ZERO);
    }
    for round in 0..=rounds {
        for builder in &builders {
            let context = context(builder);
            let course = Course::new(scenario, builder, &context, scratch, pulled.as_ref());
            if round < rounds {
                outcome.time_of(builder.name(), || course.round(round));
            } else {
                outcome.memory_of(builder.name(), || course.memory());
            }
        }
    }
    for builder in &builders {
        outcome.reset(builder);
        std::fs::remove_dir_all(context(builder))?;
    }
    Ok(outcome)
}

/// The registry from which the scenario pulls, if it does: with what the first builder makes.
fn published(
    scenario: &Scenario,
    builders: &[&Builder<'_>],
    scratch: &Path,
) -> Result<Option<Registry>> {
    let (Measured::Pull, Some(first)) = (scenario.measured, builders.first()) else {
        return Ok(None);
    };
    let registry = Registry::start(&scratch.join("pulled"), Access::ReadWrite)?;
    round::publish(first, &first.place().join("context"), &registry)?;
    first.reset()?;
    Ok(Some(registry))
}

impl Outcome {
    /// Has the builder forget all that it built. One that cannot has failed, and the others go on.
    fn reset(&mut self, builder: &Builder<'_>) {
        if let Err(error) = builder.reset() {
            ui::failure(&error);
            self.failed.push(builder.name());
        }
    }

    fn time_of(&mut self, name: &'static str, round: impl FnOnce() -> Result<Duration>) {
        if self.failed.contains(&name) || self.spent.get(name).is_some_and(|spent| *spent > ENOUGH)
        {
            return;
        }
        let begun = Instant::now();
        match round() {
            Ok(time) => {
                ui::step(format_args!("  {name}: {}", ui::time(time)));
                self.times.entry(name).or_default().push(time);
            }
            Err(error) => {
                ui::failure(&error);
                self.failed.push(name);
            }
        }
        *self.spent.entry(name).or_default() += begun.elapsed();
    }

    fn memory_of(&mut self, name: &'static str, round: impl FnOnce() -> Result<u64>) {
        if self.failed.contains(&name) {
            return;
        }
        match round() {
            Ok(bytes) => {
                ui::step(format_args!("  {name}: {} MB", bytes / 1_000_000));
                self.memory.insert(name, bytes);
            }
            Err(error) => {
                ui::failure(&error);
                self.failed.push(name);
            }
        }
    }
}
