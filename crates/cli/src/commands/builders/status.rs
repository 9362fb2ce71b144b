//! What nodes say of themselves, all asked at once.

use std::collections::BTreeMap;
use std::time::Duration;

use client::Client;
use client::messages::{GcPolicy, WorkerRecord};
use futures_util::future::join_all;
use oci::Platform;
use serde_json::{Map, Value, json};

use super::known::Known;
use super::platforms;
use crate::builders::Node;
use crate::commands::session::{Session, block_on};
use crate::error::Error;
use crate::remote::Host;

/// How long is between two looks for a node that is waited for.
const PAUSE: Duration = Duration::from_millis(100);

/// A builder with what its nodes say.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) known: Known,
    pub(super) nodes: Vec<Loading>,
}

/// A node with what it says, or why it is not asked.
#[derive(Debug)]
pub(super) struct Loading {
    pub(super) node: Node,
    pub(super) status: Result<Status, String>,
}

/// What a node says.
#[derive(Debug, Default)]
pub(super) struct Status {
    pub(super) is_running: bool,
    pub(super) version: String,
    pub(super) ids: Vec<String>,
    pub(super) platforms: Vec<Platform>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) gc: Vec<GcPolicy>,
}

/// Asks the nodes of all of `builders`; who does not answer in time does not run.
pub(super) fn load(
    session: &Session<'_, '_>,
    builders: Vec<Known>,
    patience: Duration,
) -> Result<Vec<Loaded>, Error> {
    let reached: Vec<Vec<Result<Option<Host>, String>>> = builders
        .iter()
        .map(|known| {
            let nodes = known.group.nodes.iter();
            let hosts = nodes.map(|node| known.reach(node, session));
            hosts.map(|host| host.map_err(said)).collect()
        })
        .collect();
    let asked = reached.iter().map(|hosts| {
        let each = hosts.iter().map(|host| async move {
            match host {
                Err(error) => Err(error.clone()),
                Ok(None) => Ok(Status::own()),
                Ok(Some(host)) => {
                    let answer = tokio::time::timeout(patience, ask(host)).await;
                    Ok(answer.ok().flatten().unwrap_or_default())
                }
            }
        });
        join_all(each)
    });
    let answers = block_on(join_all(asked))?;
    let loaded = builders.into_iter().zip(answers);
    Ok(loaded
        .map(|(known, told)| Loaded::new(known, told))
        .collect())
}

/// Waits until all nodes of `known` answer.
pub(super) fn boot(
    session: &Session<'_, '_>,
    known: &Known,
    patience: Duration,
) -> Result<(), Error> {
    let mut waits = Vec::new();
    for node in &known.group.nodes {
        let Some(host) = known.reach(node, session)? else {
            continue;
        };
        waits.push(async move {
            let wait = async {
                while ask(&host).await.is_none() {
                    tokio::time::sleep(PAUSE).await;
                }
            };
            let waited = tokio::time::timeout(patience, wait).await;
            waited.map_err(|_| {
                let name = &node.name;
                Error::new(format!("node {name} does not answer at {}", host.url()))
                    .hint(format!("is it running? kiln serve --host {}", host.url()))
            })
        });
    }
    block_on(join_all(waits))?.into_iter().collect()
}

async fn ask(host: &Host) -> Option<Status> {
    let client = Client::connect(&host.address, host.way).await.ok()?;
    let workers = client.workers().await.ok()?;
    let version = client.version().await.ok().flatten();
    Some(Status::of(workers, version.unwrap_or_default()))
}

fn said(error: Error) -> String {
    let Error { message, hints, .. } = error;
    let hints: Vec<String> = hints.iter().map(|hint| format!(" ({hint})")).collect();
    message + &hints.concat()
}

impl Loaded {
    fn new(known: Known, told: Vec<Result<Status, String>>) -> Self {
        let nodes = known.group.nodes.iter().cloned().zip(told);
        let nodes = nodes.map(|(node, status)| Loading { node, status });
        Self {
            nodes: nodes.collect(),
            known,
        }
    }

    pub(super) fn is_running(&self) -> bool {
        let is_running = |node: &Loading| node.status.as_ref().is_ok_and(|told| told.is_running);
        self.nodes.iter().any(is_running)
    }

    /// As buildx writes it for programs.
    pub(super) fn to_json(&self, is_current: bool) -> Value {
        let group = &self.known.group;
        let at = self.known.last_activity.map(engine::rfc3339);
        json!({
            "Current": is_current,
            "Driver": group.driver,
            "Dynamic": group.dynamic,
            "LastActivity": at.unwrap_or_else(|| "0001-01-01T00:00:00Z".to_owned()),
            "Name": group.name,
            "Nodes": self.nodes.iter().map(Loading::to_json).collect::<Vec<Value>>(),
        })
    }
}

impl Loading {
    /// What it says of itself: `running`, `inactive` or `error`.
    pub(super) fn word(&self) -> &'static str {
        match &self.status {
            Err(_) => "error",
            Ok(status) if status.is_running => "running",
            Ok(_) => "inactive",
        }
    }

    /// What it builds for: what was said of it with a star, then what it says.
    pub(super) fn platforms(&self) -> Vec<String> {
        let said = self.status.as_ref().map(|status| &status.platforms[..]);
        platforms::grouped(&self.node.platforms, said.unwrap_or_default())
    }

    fn to_json(&self) -> Value {
        let mut object = Map::new();
        let mut add = |name: &str, value: Value| {
            let is_nothing = match &value {
                Value::String(text) => text.is_empty(),
                Value::Array(list) => list.is_empty(),
                Value::Object(map) => map.is_empty(),
                _ => false,
            };
            if !is_nothing || matches!(name, "Name" | "Endpoint") {
                object.insert(name.to_owned(), value);
            }
        };
        let node = &self.node;
        add("Name", json!(node.name));
        add("Endpoint", json!(node.endpoint));
        add("Flags", json!(node.flags));
        add("DriverOpts", json!(node.driver_opts));
        add("Files", json!(node.files));
        add("Status", json!(self.word()));
        let stars = |text: &String| text.trim_end_matches('*').to_owned();
        let platforms: Vec<String> = self.platforms().iter().map(stars).collect();
        add("Platforms", json!(platforms));
        match &self.status {
            Err(error) => add("Err", json!(error)),
            Ok(status) => {
                add("Version", json!(status.version));
                add("IDs", json!(status.ids));
                add("GCPolicy", status.gc.iter().map(rule).collect());
                add("Labels", json!(status.labels));
            }
        }
        Value::Object(object)
    }
}

impl Status {
    /// This process.
    fn own() -> Self {
        let emulated = engine::emulators().unwrap_or_default().into_iter();
        let emulated = emulated.map(|emulator| emulator.platform);
        Self {
            is_running: true,
            version: format!("{}+kiln.{}", daemon::BUILDKIT, env!("CARGO_PKG_VERSION")),
            platforms: std::iter::once(Platform::host()).chain(emulated).collect(),
            ..Self::default()
        }
    }

    fn of(workers: Vec<WorkerRecord>, version: String) -> Self {
        let mut status = Self {
            is_running: true,
            version,
            ..Self::default()
        };
        for (place, worker) in workers.into_iter().enumerate() {
            status.ids.push(worker.id);
            let platforms = worker.platforms.iter();
            let platforms = platforms.map(|p| Platform::new(&p.os, &p.architecture, &p.variant));
            status.platforms.extend(platforms);
            if place == 0 {
                status.labels = worker.labels.into_iter().collect();
                status.gc = worker.gc_policy;
            }
        }
        status.ids.sort();
        status
    }
}

fn rule(rule: &GcPolicy) -> Value {
    json!({
        "All": rule.all,
        "Filter": rule.filters,
        "KeepDuration": rule.keep_duration,
        "ReservedSpace": rule.reserved_space,
        "MaxUsedSpace": rule.max_used_space,
        "MinFreeSpace": rule.min_free_space,
    })
}
