//! What the benchmark found, for people and for programs.

mod document;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::builder::Builder;
use super::memory;
use super::scenario::{Measured, Scenario};
use crate::peers::Peers;
use crate::{paths, ui};

/// What a build may take of memory, in bytes, whatever the size of its layers.
const MEMORY: u64 = 100_000_000;

/// What came out of one scenario.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) scenario: &'static Scenario,
    /// By builder, in the order of the rounds.
    pub(super) times: BTreeMap<&'static str, Vec<Duration>>,
    /// How long each builder was at it, with what is not measured.
    pub(super) spent: BTreeMap<&'static str, Duration>,
    /// Builders that could not do it.
    pub(super) failed: Vec<&'static str>,
    /// The largest resident size by builder, in bytes.
    pub(super) memory: BTreeMap<&'static str, u64>,
}

/// All that was found, and by whom.
#[derive(Debug)]
pub(super) struct Report<'a> {
    pub(super) outcomes: &'a [Outcome],
    pub(super) builders: &'a [Builder<'a>],
    pub(super) peers: Option<&'a Peers>,
    pub(super) binary: &'a Path,
}

/// Rows under a head.
#[derive(Debug)]
struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Outcome {
    pub(super) fn new(scenario: &'static Scenario) -> Self {
        Self {
            scenario,
            times: BTreeMap::new(),
            spent: BTreeMap::new(),
            failed: Vec::new(),
            memory: BTreeMap::new(),
        }
    }

    fn median(&self, builder: &str) -> Option<Duration> {
        median(self.times.get(builder)?.clone())
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
                format!("{:.1} ×", peer.as_secs_f64() / kiln.as_secs_f64().max(1e-6))
            }
            _ => String::new(),
        }
    }

    fn budget(&self) -> String {
        let buildkit = self.median("buildkit").unwrap_or_default();
        let budget = match self.scenario.faster_than_buildkit {
            Some(times) if !buildkit.is_zero() => buildkit / times,
            _ => self.scenario.budget,
        };
        let over = self.median("kiln").is_some_and(|time| time > budget);
        format!("{}{}", ui::time(budget), if over { " (over)" } else { "" })
    }

    fn megabytes(&self, builder: &str) -> String {
        let memory = self.memory.get(builder);
        let over = |bytes: u64| match self.scenario.measured {
            // Many clients, not one build.
            Measured::Together { .. } => false,
            _ => builder == "kiln" && bytes > MEMORY,
        };
        memory.map_or(String::new(), |bytes| {
            let over = if over(*bytes) { " (over)" } else { "" };
            format!("{} MB{over}", bytes / 1_000_000)
        })
    }
}

impl Report<'_> {
    /// Shows all, and writes it to where it is wanted.
    pub(super) fn tell(&self, json: Option<&Path>, document: bool) -> Result<()> {
        let notes = self.notes()?;
        ui::say("");
        for table in [self.times(), self.memory()] {
            ui::say(ui::table(
                &table.head.iter().map(String::as_str).collect::<Vec<_>>(),
                &table.rows,
            ));
        }
        ui::say(&notes);
        if let Some(path) = json {
            self.write_json(path)?;
        }
        if document {
            let path = paths::workspace().join("docs/performance.md");
            std::fs::write(&path, document::text(self, &notes)?)
                .with_context(|| path.display().to_string())?;
        }
        Ok(())
    }

    fn peers(&self) -> impl Iterator<Item = &'static str> {
        let names = self.builders.iter().map(Builder::name);
        names.filter(|name| *name != "kiln")
    }

    /// One line a scenario: medians, and how they compare.
    fn times(&self) -> Table {
        let mut head = vec!["time".to_owned(), "kiln".to_owned(), "budget".to_owned()];
        head.extend(
            self.peers()
                .flat_map(|peer| [peer.to_owned(), String::new()]),
        );
        let row = |outcome: &Outcome| {
            let mut row = vec![
                outcome.scenario.what.to_owned(),
                outcome.time("kiln"),
                outcome.budget(),
            ];
            row.extend(
                self.peers()
                    .flat_map(|peer| [outcome.time(peer), outcome.ratio(peer)]),
            );
            row
        };
        Table {
            head,
            rows: self.outcomes.iter().map(row).collect(),
        }
    }

    /// One line a scenario: the largest resident sizes.
    fn memory(&self) -> Table {
        let mut head = vec!["memory".to_owned()];
        head.extend(
            self.builders
                .iter()
                .map(|builder| builder.name().to_owned()),
        );
        let row = |outcome: &Outcome| {
            let mut row = vec![outcome.scenario.what.to_owned()];
            row.extend(
                self.builders
                    .iter()
                    .map(|builder| outcome.megabytes(builder.name())),
            );
            row
        };
        Table {
            head,
            rows: self.outcomes.iter().map(row).collect(),
        }
    }

    /// Which builders these were, and what they take of the machine.
    fn notes(&self) -> Result<String> {
        let mut notes = Vec::new();
        for builder in self.builders {
            notes.push(match (builder, self.peers) {
                (Builder::Docker { .. }, Some(peers)) => format!(
                    "docker is {} with its own BuildKit and buildx {}, its daemons warm.\n{}",
                    peers.version("docker.io")?,
                    peers.version("docker-buildx")?,
                    memory::installed(self.binary, peers)?
                ),
                (Builder::Buildah { .. }, Some(peers)) => {
                    format!("buildah is {} with runc.", peers.version("buildah")?)
                }
                (Builder::BuildKit(buildkit), _) => {
                    format!("buildkit is {}, its daemon warm.", buildkit.version()?)
                }
                _ => continue,
            });
        }
        Ok(notes.join("\n"))
    }

    /// All times in seconds, by scenario and builder.
    fn write_json(&self, path: &Path) -> Result<()> {
        let mut all = serde_json::Map::new();
        for outcome in self.outcomes {
            let seconds = |times: &Vec<Duration>| times.iter().map(Duration::as_secs_f64).collect();
            let times: BTreeMap<&str, Vec<f64>> = outcome
                .times
                .iter()
                .map(|(name, times)| (*name, seconds(times)))
                .collect();
            all.insert(
                outcome.scenario.name.to_owned(),
                serde_json::to_value(times)?,
            );
        }
        let text = serde_json::to_string_pretty(&all)?;
        std::fs::write(path, text).with_context(|| path.display().to_string())
    }
}

/// The middle one, or what lies between the middle two.
fn median(mut times: Vec<Duration>) -> Option<Duration> {
    times.sort();
    let upper = *times.get(times.len() / 2)?;
    Some(match times.len() % 2 {
        0 => (times[times.len() / 2 - 1] + upper) / 2,
        _ => upper,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_lies_in_the_middle() {
        let of = |times: &[u64]| {
            let times = times.iter().copied().map(Duration::from_secs).collect();
            median(times)
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[9, 1, 5]), Some(Duration::from_secs(5)));
        assert_eq!(of(&[9, 1]), Some(Duration::from_secs(5)));
    }
}
