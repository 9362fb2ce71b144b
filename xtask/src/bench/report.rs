//! What the benchmark found, for people and for programs.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::memory;
use super::scenario::Scenario;
use crate::peers::{Engine, Peers};
use crate::ui;

/// What came out of one scenario.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) scenario: &'static Scenario,
    /// By builder, in the order of the rounds.
    pub(super) times: BTreeMap<&'static str, Vec<Duration>>,
    /// Builders that could not do it.
    pub(super) failed: Vec<&'static str>,
    /// The largest resident size of kiln, in bytes.
    pub(super) memory: Option<u64>,
}

impl Outcome {
    pub(super) fn new(scenario: &'static Scenario) -> Self {
        Self {
            scenario,
            times: BTreeMap::new(),
            failed: Vec::new(),
            memory: None,
        }
    }

    fn median(&self, builder: &str) -> Option<Duration> {
        let mut times = self.times.get(builder)?.clone();
        times.sort();
        times.get(times.len() / 2).copied()
    }

    fn time(&self, builder: &str) -> String {
        if self.failed.contains(&builder) {
            return "failed".to_owned();
        }
        self.median(builder).map(ui::time).unwrap_or_default()
    }

    /// How many times as long as kiln the builder takes.
    fn ratio(&self, builder: &str) -> String {
        match (self.median("kiln"), self.median(builder)) {
            (Some(kiln), Some(peer)) => {
                format!("{:.1}", peer.as_secs_f64() / kiln.as_secs_f64().max(1e-6))
            }
            _ => String::new(),
        }
    }

    fn budget(&self) -> String {
        let budget = self.scenario.budget;
        let over = self.median("kiln").is_some_and(|time| time > budget);
        format!("{}{}", ui::time(budget), if over { " (over)" } else { "" })
    }
}

/// One line a scenario.
pub(super) fn table(outcomes: &[Outcome]) -> String {
    let head = [
        "what",
        "kiln",
        "budget",
        "docker",
        "buildah",
        "docker / kiln",
        "buildah / kiln",
    ];
    let row = |outcome: &Outcome| {
        vec![
            outcome.scenario.what.to_owned(),
            outcome.time("kiln"),
            outcome.budget(),
            outcome.time("docker"),
            outcome.time("buildah"),
            outcome.ratio("docker"),
            outcome.ratio("buildah"),
        ]
    };
    let rows: Vec<Vec<String>> = outcomes.iter().map(row).collect();
    ui::table(&head, &rows)
}

/// kiln's memory, where it was highest.
pub(super) fn memory(outcomes: &[Outcome]) -> String {
    let most = outcomes
        .iter()
        .filter_map(|outcome| Some((outcome.memory?, outcome)))
        .max_by_key(|(memory, _)| *memory);
    match most {
        Some((memory, outcome)) => format!(
            "kiln's memory at its peak: {} MB, at: {}",
            memory / 1_000_000,
            outcome.scenario.what
        ),
        None => "kiln's memory was not measured".to_owned(),
    }
}

/// Which peers these were, and what they take of the machine.
pub(super) fn peers(peers: &Peers, binary: &Path, engine: Option<&Engine<'_>>) -> Result<String> {
    let mut text = format!(
        "medians of whole client processes; docker {} (BuildKit inside, its daemon warm), \
         docker-buildx {}, buildah {} with runc\n",
        peers.version("docker.io")?,
        peers.version("docker-buildx")?,
        peers.version("buildah")?,
    );
    text.push_str(&memory::installed(binary, peers)?);
    if let Some(engine) = engine {
        let peak = memory::peak(engine)?;
        text.push_str(&format!(
            "\ndockerd's memory at its peak: {peak} MB; kiln has no daemon"
        ));
    }
    Ok(text)
}

/// All times in seconds, by scenario and builder.
pub(super) fn write_json(path: &Path, outcomes: &[Outcome]) -> Result<()> {
    let mut document = serde_json::Map::new();
    for outcome in outcomes {
        let seconds = |times: &Vec<Duration>| times.iter().map(Duration::as_secs_f64).collect();
        let times: BTreeMap<&str, Vec<f64>> = outcome
            .times
            .iter()
            .map(|(name, times)| (*name, seconds(times)))
            .collect();
        document.insert(
            outcome.scenario.name.to_owned(),
            serde_json::to_value(times)?,
        );
    }
    let text = serde_json::to_string_pretty(&document)?;
    std::fs::write(path, text).with_context(|| path.display().to_string())
}
