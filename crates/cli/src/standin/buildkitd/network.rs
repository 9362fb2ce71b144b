//! Which network steps have: the machine's, or one that plugins of CNI set up.
//!
//! What `buildkitd` is told of it becomes `network` and `[build.cni]` as it comes, and makes sense
//! when it has been told everything.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::environment::Environment;
use crate::standin::configuration;
use crate::standin::effects::text;
use crate::standin::lowering::Lowering;

const NETWORK: [&str; 2] = ["build", "network"];
/// A bridge of kiln's own is a network of CNI too.
const BRIDGE: &str = "bridge";
/// The name that it has when it is not told.
const BRIDGE_NAME: &str = "buildkit0";

/// A flag comes after the file: what asks for the usual takes back what stands there.
pub(super) fn mode(lowering: &mut Lowering, value: &Value) -> Result<(), String> {
    match text(value) {
        "auto" | "" => drop(lowering.unset(&NETWORK)),
        mode @ ("host" | "cni" | BRIDGE) => lowering.set(&NETWORK, mode.into()),
        other => return Err(format!("invalid network mode: {other:?}")),
    }
    Ok(())
}

pub(super) fn config(lowering: &mut Lowering, value: &Value) -> Result<(), String> {
    given(lowering, "config", value, value.clone());
    Ok(())
}

pub(super) fn plugins(lowering: &mut Lowering, value: &Value) -> Result<(), String> {
    given(lowering, "plugins", value, vec![value.clone()].into());
    Ok(())
}

pub(super) fn bridge(lowering: &mut Lowering, value: &Value) -> Result<(), String> {
    given(lowering, "bridge", value, value.clone());
    Ok(())
}

pub(super) fn subnet(lowering: &mut Lowering, value: &Value) -> Result<(), String> {
    given(lowering, "subnet", value, value.clone());
    Ok(())
}

fn given(lowering: &mut Lowering, key: &str, given: &Value, value: Value) {
    let path = ["build", "cni", key];
    match text(given) {
        "" => drop(lowering.unset(&path)),
        _ => lowering.set(&path, value),
    }
}

/// Chooses, and leaves what that one needs.
///
/// # Errors
/// The one that was asked for cannot be had.
pub(super) fn complete(lowering: &mut Lowering, environment: &Environment) -> Result<(), String> {
    let told = lowering.unset(&["build", "cni"]).unwrap_or_default();
    let told = |key: &str| told.get(key).cloned();
    let path = match told("config") {
        Some(path) => PathBuf::from(text(&path)),
        None => configuration(environment).join("buildkit/cni.json"),
    };
    let asked = lowering.get(&NETWORK).map(text).map(str::to_owned);
    let chosen = match asked {
        Some(mode) => mode,
        None => usual(lowering, environment, &path),
    };
    if chosen == "host" {
        return Ok(());
    }
    if !environment.is_root {
        return Err(format!(
            "worker.oci.networkMode: {chosen:?} takes root: leave it out or say \"host\""
        ));
    }
    lowering.set(&NETWORK, "cni".into());
    let mut set = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            lowering.set(&["build", "cni", key], value);
        }
    };
    if chosen == BRIDGE {
        set("bridge", Some(told("bridge").unwrap_or(BRIDGE_NAME.into())));
        set("subnet", told("subnet"));
    } else {
        is_there(&path).map_err(|error| format!("failed to read cni config {error}"))?;
        set("config", path.to_str().map(Value::from));
    }
    if let Some(directory) = told("plugins").as_ref().and_then(|all| all.get(0)) {
        let found = is_there(Path::new(text(directory)));
        found.map_err(|error| format!("failed to read cni binary dir {error}"))?;
    }
    set("plugins", told("plugins"));
    Ok(())
}

/// What BuildKit takes when it is not told.
fn usual(lowering: &mut Lowering, environment: &Environment, path: &Path) -> String {
    // As Go reads a truth.
    const TRUE: [&str; 6] = ["1", "t", "T", "TRUE", "true", "True"];
    let asks = environment.raw("BUILDKIT_NETWORK_BRIDGE_AUTO");
    let chosen = if asks.is_some_and(|value| TRUE.contains(&value.as_str())) {
        BRIDGE
    } else if path.exists() {
        "cni"
    } else {
        "host"
    };
    if chosen != "host" && !environment.is_root {
        lowering.warnings.push(format!(
            "worker.oci.networkMode: steps have the machine's network, since {chosen:?} takes root"
        ));
        return "host".to_owned();
    }
    chosen.to_owned()
}

fn is_there(path: &Path) -> Result<(), String> {
    let found = path.metadata();
    found
        .map(drop)
        .map_err(|error| format!("{:?}: {error}", path.display().to_string()))
}
