//! `cargo xtask bench`: kiln beside the newest Docker engine (BuildKit inside) and buildah.
//!
//! Every scenario is run by all builders in turn, round after round, so that a busy machine is
//! unkind to all of them alike; the table holds medians of whole client processes, and ratios.
//! Base images play no part: the stages start from scratch with a static busybox, so no registry
//! and no network is measured. All build with the host's network.

mod builder;
mod context;
mod memory;
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
    /// Only these builders: kiln, docker, buildah
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
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

/// How long a builder may be at one scenario until it gets no further round.
const ENOUGH: Duration = Duration::from_secs(25);

/// The times of one scenario by builder.
type Times = BTreeMap<&'static str, Vec<Duration>>;

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
    let peers = Peers::open(&[&scratch])?;
    let nothing = Registry::start(&scratch.join("registry"), Access::ReadOnly)?;
    let mirror = nothing.address();
    let layers = Engine::start(&peers, ImageStore::Layers, &scratch.join("docker"), &mirror)?;
    let layouts = Engine::start(
        &peers,
        ImageStore::Containerd,
        &scratch.join("containerd"),
        &mirror,
    )?;
    let builders = [
        Builder::kiln(&binary, &scratch.join("kiln")),
        Builder::docker(&layers, &layouts),
        Builder::buildah(&peers, &scratch.join("buildah")),
    ];
    let wanted = |builder: &&Builder<'_>| {
        wishes.builders.is_empty() || wishes.builders.iter().any(|name| name == builder.name())
    };
    let builders: Vec<&Builder<'_>> = builders.iter().filter(wanted).collect();

    let mut results = Vec::new();
    for scenario in chosen {
        ui::step(format_args!("{}: {}", scenario.name, scenario.what));
        let folder = scratch.join("contexts").join(scenario.name);
        let times = measure(scenario, &builders, &folder, wishes.rounds)?;
        results.push((scenario, times));
        std::fs::remove_dir_all(&folder)?;
    }
    report(&results, &peers, &binary, &layers)?;
    if let Some(path) = &wishes.json {
        write_json(path, &results)?;
    }
    Ok(())
}

fn chosen(only: &[String]) -> Result<Vec<&'static Scenario>> {
    if let Some(unknown) = only
        .iter()
        .find(|name| !SCENARIOS.iter().any(|s| s.name == **name))
    {
        bail!("there is no scenario `{unknown}`; `--list` shows all");
    }
    let wanted =
        |scenario: &&Scenario| only.is_empty() || only.iter().any(|name| *name == scenario.name);
    Ok(SCENARIOS.iter().filter(wanted).collect())
}

/// Runs one scenario, round after round, by each builder in turn.
fn measure(
    scenario: &Scenario,
    builders: &[&Builder<'_>],
    folder: &Path,
    rounds: usize,
) -> Result<Times> {
    let mut times = Times::new();
    let mut spent: BTreeMap<&str, Duration> = BTreeMap::new();
    for builder in builders {
        let context = folder.join(builder.name());
        std::fs::create_dir_all(&context)?;
        (scenario.write)(&context).with_context(|| format!("the context of {}", scenario.name))?;
        builder.reset()?;
    }
    for round in 0..rounds {
        for builder in builders {
            let begun = Instant::now();
            let spent = spent.entry(builder.name()).or_default();
            if *spent > ENOUGH {
                continue;
            }
            let context = folder.join(builder.name());
            let time = scenario
                .round(builder, &context, round)
                .with_context(|| format!("{}, by {}", scenario.name, builder.name()))?;
            *spent += begun.elapsed();
            ui::step(format_args!("  {}: {}", builder.name(), ui::time(time)));
            times.entry(builder.name()).or_default().push(time);
        }
    }
    for builder in builders {
        builder.reset()?;
    }
    Ok(times)
}

fn report(
    results: &[(&Scenario, Times)],
    peers: &Peers,
    binary: &Path,
    engine: &Engine<'_>,
) -> Result<()> {
    let head = [
        "what",
        "kiln",
        "budget",
        "docker",
        "buildah",
        "docker / kiln",
        "buildah / kiln",
    ];
    let rows: Vec<Vec<String>> = results
        .iter()
        .map(|(scenario, times)| {
            let median = |name| times.get(name).and_then(|times| median(times));
            let shown = |time: Option<Duration>| time.map(ui::time).unwrap_or_default();
            let ratio = |peer: Option<Duration>| match (median("kiln"), peer) {
                (Some(kiln), Some(peer)) => {
                    format!("{:.1}", peer.as_secs_f64() / kiln.as_secs_f64().max(1e-6))
                }
                _ => String::new(),
            };
            let over = median("kiln").is_some_and(|time| time > scenario.budget);
            let mark = if over { " (over)" } else { "" };
            vec![
                scenario.what.to_owned(),
                shown(median("kiln")),
                format!("{}{mark}", ui::time(scenario.budget)),
                shown(median("docker")),
                shown(median("buildah")),
                ratio(median("docker")),
                ratio(median("buildah")),
            ]
        })
        .collect();
    ui::say("");
    ui::say(ui::table(&head, &rows));
    ui::say(format_args!(
        "medians of whole client processes; docker {} (BuildKit inside, its daemon warm), \
         docker-buildx {}, buildah {} with runc",
        peers.version("docker.io")?,
        peers.version("docker-buildx")?,
        peers.version("buildah")?,
    ));
    ui::say(memory::report(binary, engine, peers)?);
    Ok(())
}

fn median(times: &[Duration]) -> Option<Duration> {
    let mut times = times.to_vec();
    times.sort();
    times.get(times.len() / 2).copied()
}

fn write_json(path: &Path, results: &[(&Scenario, Times)]) -> Result<()> {
    let mut document = serde_json::Map::new();
    for (scenario, times) in results {
        let seconds = |times: &Vec<Duration>| times.iter().map(Duration::as_secs_f64).collect();
        let times: BTreeMap<&str, Vec<f64>> = times
            .iter()
            .map(|(name, times)| (*name, seconds(times)))
            .collect();
        document.insert(scenario.name.to_owned(), serde_json::to_value(times)?);
    }
    let text = serde_json::to_string_pretty(&document)?;
    std::fs::write(path, text).with_context(|| path.display().to_string())
}
