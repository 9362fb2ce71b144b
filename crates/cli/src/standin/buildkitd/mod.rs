//! `buildkitd`: its file `buildkitd.toml`, its flags, and where its things are.

mod network;
mod settings;

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::lowering::Lowering;
use super::{Daemon, configuration, gc};
use crate::environment::Environment;

/// The daemon.
pub(crate) const BUILDKITD: Daemon = Daemon {
    name: "buildkitd",
    version,
    file,
    file_flag: "config",
    parse,
    socket,
    settings: settings::SETTINGS,
    told_once: false,
    usual,
    complete,
};

fn version() -> String {
    let (stands_for, own) = (daemon::BUILDKIT, env!("CARGO_PKG_VERSION"));
    format!("buildkitd github.com/moby/buildkit {stands_for} kiln-{own}")
}

fn file(environment: &Environment) -> PathBuf {
    configuration(environment).join("buildkit/buildkitd.toml")
}

fn parse(text: &str) -> Result<Value, String> {
    let parsed = toml::from_str(text);
    parsed.map_err(|error: toml::de::Error| error.to_string().trim_end().to_owned())
}

fn socket(environment: &Environment) -> PathBuf {
    let directory = match environment.os("XDG_RUNTIME_DIR") {
        Some(directory) if !environment.is_root => Path::new(directory),
        _ => Path::new("/run"),
    };
    directory.join("buildkit/buildkitd.sock")
}

fn usual(_: &mut Lowering) {}

/// What takes more than one setting to know.
fn complete(lowering: &mut Lowering, environment: &Environment) -> Result<(), String> {
    gc::complete(lowering);
    network::complete(lowering, environment)?;
    settings::tls(lowering)
}
