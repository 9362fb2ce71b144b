//! `dockerd`: its file `daemon.json`, its flags, and where its things are.

mod effects;
mod settings;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::lowering::Lowering;
use super::{Daemon, configuration, gc};
use crate::environment::Environment;

/// The daemon.
pub(crate) const DOCKERD: Daemon = Daemon {
    name: "dockerd",
    version,
    file,
    file_flag: "config-file",
    parse,
    socket,
    settings: settings::SETTINGS,
    told_once: true,
    usual,
    complete,
};

fn version() -> String {
    let (stands_for, own) = (api::docker::STANDS_FOR, env!("CARGO_PKG_VERSION"));
    format!("Docker version {stands_for}, build kiln-{own}")
}

fn file(environment: &Environment) -> PathBuf {
    configuration(environment).join("docker/daemon.json")
}

fn parse(text: &str) -> Result<Value, String> {
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Ok(Value::Null);
    }
    let parsed: Result<Value, serde_json::Error> = serde_json::from_str(text);
    match parsed {
        Ok(value) if value.is_object() => Ok(value),
        Ok(_) => Err("invalid JSON: it is no object".to_owned()),
        Err(error) => Err(format!("invalid JSON: {error}")),
    }
}

fn socket(environment: &Environment) -> PathBuf {
    match environment.os("XDG_RUNTIME_DIR") {
        Some(directory) if !environment.is_root => Path::new(directory).join("docker.sock"),
        _ => PathBuf::from("/var/run/docker.sock"),
    }
}

/// Docker lets builds use the machine's network by name, and waits longer for containers. Its
/// socket is for the group `docker` where there is one.
fn usual(lowering: &mut Lowering) {
    lowering.set(&["serve", "entitlements"], vec!["network.host"].into());
    lowering.set(&["serve", "stop-timeout"], 15.into());
    let groups = fs::read_to_string("/etc/group").unwrap_or_default();
    if groups.lines().any(|line| line.starts_with("docker:")) {
        lowering.set(&["serve", "group"], "docker".into());
    }
}

/// What takes more than one setting to know.
fn complete(lowering: &mut Lowering, _: &Environment) -> Result<(), String> {
    gc::complete(lowering);
    effects::tls(lowering)
}
