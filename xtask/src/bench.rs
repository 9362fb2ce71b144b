//! `cargo xtask bench`: kiln beside the newest Docker engine (BuildKit inside) and buildah.
//!
//! Every scenario is run by all builders in turn, round after round, so that a busy machine is
//! unkind to all of them alike; the table holds medians of whole client processes, and ratios.
//! Base images play no part: the stages start from scratch with a static busybox, so no registry
//! and no network is measured. All build with the host's network.

mod builder;
mod context;
mod memory;
mod report;
mod scenario;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

use crate::peers::{self, Engine, ImageStore, Peers};
use crate::registry::{Access, Registry};
use crate::{binary, paths, ui};
use builder::Builder;
use report::Outcome;
use scenario::{SCENARIOS, Scenario};

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
    #[arg(long, value_name = "NAME", value_delimiter = ',', default_values = ["kiln", "docker", "buildah"])]
    builders: Vec<String>,
    /// Rounds of each scenario; a builder that takes long gets fewer
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Also write the times, in seconds, to this file
    #[arg(long, value_name = "PATH")]
    json: Option<PathBuf>,
    /// List the scenarios and their names
    #[arg(long)]
    list: bool,
}

impl Wishes {
    fn want(&self, builder: &str) -> bool {
        self.builders.iter().any(|name| name == builder)
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
    let with_peers = wishes.want("docker") || wishes.want("buildah");
    if with_peers {
        peers::isolate()?;
    }
    let binary = binary::locate(wishes.binary.as_deref())?;
    let scratch = TempDir::with_prefix_in("bench-", paths::target())?;
    let scratch = scratch.path().canonicalize()?;
    let peers = with_peers.then(|| Peers::open(&[&scratch])).transpose()?;
    let engines = match &peers {
        Some(peers) if wishes.want("docker") => Some(Engines::start(peers, &scratch)?),
        _ => None,
    };

    let mut builders = Vec::new();
    if wishes.want("kiln") {
        builders.push(Builder::kiln(&binary, &scratch.join("kiln")));
    }
    if let Some(Engines {
        layers, layouts, ..
    }) = &engines
    {
        builders.push(Builder::docker(layers, layouts));
    }
    if let Some(peers) = peers.as_ref().filter(|_| wishes.want("buildah")) {
        builders.push(Builder::buildah(peers, &scratch.join("buildah")));
    }
    let mut outcomes = Vec::new();
    for scenario in chosen {
        ui::step(format_args!("{}: {}", scenario.name, scenario.what));
        let folder = scratch.join("contexts").join(scenario.name);
        outcomes.push(measure(scenario, &builders, &folder, wishes.rounds)?);
        std::fs::remove_dir_all(&folder)?;
    }

    ui::say("");
    ui::say(report::table(&outcomes));
    ui::say(report::memory(&outcomes));
    if let Some(peers) = &peers {
        ui::say(report::peers(
            peers,
            &binary,
            engines.as_ref().map(|engines| &engines.layers),
        )?);
    }
    if let Some(path) = &wishes.json {
        report::write_json(path, &outcomes)?;
    }
    match outcomes
        .iter()
        .find(|outcome| outcome.failed.contains(&"kiln"))
    {
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

/// The Docker engine twice, since only one of its image stores writes archives, and the other is
/// the faster one. Neither has images to pull, so their registry is empty.
#[derive(Debug)]
struct Engines<'a> {
    layers: Engine<'a>,
    layouts: Engine<'a>,
    _registry: Registry,
}

impl<'a> Engines<'a> {
    fn start(peers: &'a Peers, scratch: &Path) -> Result<Self> {
        let registry = Registry::start(&scratch.join("registry"), Access::ReadOnly)?;
        let mirror = registry.address();
        let start = |store, name| Engine::start(peers, store, &scratch.join(name), &mirror);
        let layers = start(ImageStore::Layers, "docker")?;
        let layouts = start(ImageStore::Containerd, "containerd")?;
        Ok(Self {
            layers,
            layouts,
            _registry: registry,
        })
    }
}

/// Runs one scenario, round after round, by each builder in turn. A builder that fails is told of
/// and gets no further round.
fn measure(
    scenario: &'static Scenario,
    builders: &[Builder<'_>],
    folder: &Path,
    rounds: usize,
) -> Result<Outcome> {
    let mut outcome = Outcome::new(scenario);
    let mut spent: BTreeMap<&str, Duration> = BTreeMap::new();
    let takes_part = |builder: &&Builder<'_>| !scenario.without.contains(&builder.name());
    let builders: Vec<&Builder<'_>> = builders.iter().filter(takes_part).collect();
    for builder in &builders {
        let context = folder.join(builder.name());
        std::fs::create_dir_all(&context)?;
        (scenario.write)(&context).with_context(|| format!("the context of {}", scenario.name))?;
        builder.reset()?;
    }
    for round in 0..rounds {
        for builder in &builders {
            let name = builder.name();
            let spent = spent.entry(name).or_default();
            if *spent > ENOUGH || outcome.failed.contains(&name) {
                continue;
            }
            let begun = Instant::now();
            match scenario.round(builder, &folder.join(name), round) {
                Ok(time) => {
                    ui::step(format_args!("  {name}: {}", ui::time(time)));
                    outcome.times.entry(name).or_default().push(time);
                }
                Err(error) => {
                    ui::failure(&error);
                    outcome.failed.push(name);
                }
            }
            *spent += begun.elapsed();
        }
    }
    for builder in &builders {
        if builder.name() == "kiln" && !outcome.failed.contains(&"kiln") {
            outcome.memory = Some(scenario.memory(builder, &folder.join("kiln"))?);
        }
        builder.reset()?;
    }
    Ok(outcome)
}
