//! Standing in for daemons by name: what they are told, by files and flags of their own, becomes one
//! configuration of kiln's, and what follows is the same as with `kiln serve`.
//!
//! A daemon is a [`Daemon`]: where its things usually are, and a table of all that it can be told
//! ([`setting`]). Nothing else knows which daemon it is.

mod buildkitd;
mod dockerd;
mod effects;
mod gc;
mod given;
mod lowering;
mod page;
mod registry;
mod setting;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use engine::Config;
use serde_json::Value;

use crate::args::Global;
use crate::environment::Environment;
use crate::error::Error;
use crate::rootless;
use crate::serve::{self, Service};
use crate::ui::Ui;

use given::Given;
use lowering::{Lowered, Lowering};
use setting::Setting;

pub(crate) use buildkitd::BUILDKITD;
pub(crate) use dockerd::DOCKERD;

/// A daemon that kiln stands in for.
pub(crate) struct Daemon {
    name: &'static str,
    /// What it says of its version.
    version: fn() -> String,
    /// Its file when it is not told of another.
    file: fn(&Environment) -> PathBuf,
    /// Which flag tells it of another.
    file_flag: &'static str,
    parse: fn(&str) -> Result<Value, String>,
    /// Where it listens when it is not told.
    socket: fn(&Environment) -> PathBuf,
    settings: &'static [Setting],
    /// Whether nothing may be told both by its file and by a flag.
    told_once: bool,
    /// What holds before it is told anything.
    usual: fn(&mut Lowering),
    /// What is left to do when it has been told everything.
    complete: fn(&mut Lowering, &Environment) -> Result<(), String>,
}

/// Serves as `daemon` would.
///
/// # Errors
/// It was told what kiln cannot do, or serving fails.
pub(crate) fn run(
    daemon: &Daemon,
    environment: &Environment,
    ui: &mut Ui<'_>,
) -> Result<u8, Error> {
    let line = environment.arguments.get(1..).unwrap_or_default();
    if let Some(text) = page::asked(daemon, line) {
        return ui.print(&text).map(|()| 0);
    }
    let lowered = daemon.lower(environment, line)?;
    if line.iter().any(|word| word == "--validate") {
        return ui.line("configuration OK").map(|()| 0);
    }
    rootless::enter(environment)?;
    start(daemon, lowered, environment, ui)?;
    Ok(0)
}

fn start(
    daemon: &Daemon,
    lowered: Lowered,
    environment: &Environment,
    ui: &mut Ui<'_>,
) -> Result<(), Error> {
    let line = environment.arguments.get(1..).unwrap_or_default();
    // The store has a place of its own beside what the daemon itself would keep there.
    let root = lowered.root.map(|root| root.join("kiln"));
    let global = Global {
        root,
        ..Global::default()
    };
    let mut options = serve::options(lowered.config, &global, environment)?;
    let is_set = |(name, _): &(String, String)| {
        let same = |(set, _): &(String, String)| set.eq_ignore_ascii_case(name);
        lowered.fetch_variables.iter().any(same)
    };
    options.fetch_variables.retain(|variable| !is_set(variable));
    options
        .fetch_variables
        .extend(lowered.fetch_variables.clone());
    let load = || -> Result<Config, Error> { Ok(daemon.lower(environment, line)?.config) };
    let service = Service {
        options,
        usual: (daemon.socket)(environment),
        pid_file: lowered.pid_file.map(|path| environment.absolute(&path)),
        warnings: lowered.warnings,
        load: &load,
    };
    serve::run(service, environment, ui)
}

impl Daemon {
    /// What its file and the command line say, as a configuration of kiln's.
    fn lower(&self, environment: &Environment, line: &[OsString]) -> Result<Lowered, Error> {
        let wrong = |message: String| Error::new(format!("{}: {message}", self.name));
        let flags = given::of_flags(self.settings, line).map_err(wrong)?;
        let is_file = |given: &&Given| given.setting.flag == self.file_flag;
        let named = flags.iter().find(is_file);
        let (path, is_required) = match named.and_then(|given| given.value.as_str()) {
            Some(path) => (environment.absolute(Path::new(path)), true),
            None => ((self.file)(environment), false),
        };
        let file = self.read(&path, is_required)?;
        let lowered = self.lower_given(environment, &path, &file, flags);
        lowered.map_err(wrong)
    }

    /// The same of what stands in `file`, which is at `path`, and of the flags.
    fn lower_given(
        &self,
        environment: &Environment,
        path: &Path,
        file: &Value,
        flags: Vec<Given>,
    ) -> Result<Lowered, String> {
        let mut lowering = Lowering::default();
        (self.usual)(&mut lowering);
        let (keys, unknown) = given::of_file(self.settings, file);
        for key in unknown {
            let shown = path.display();
            let warning = format!("{key} in {shown} has no effect: kiln does not know it");
            lowering.warnings.push(warning);
        }
        if self.told_once {
            told_once(&keys, &flags)?;
        }
        for Given { setting, value, at } in keys.into_iter().chain(flags) {
            lowering.at.clone_from(&at);
            let applied = setting.apply(&mut lowering, &value);
            applied.map_err(|error| format!("{at}: {error}"))?;
        }
        (self.complete)(&mut lowering, environment)?;
        lowering.finish().map_err(|error| error.to_string())
    }

    fn read(&self, path: &Path, is_required: bool) -> Result<Value, Error> {
        let failed = |message: String| {
            let shown = path.display();
            Error::new(format!("{}: {shown}: {message}", self.name))
        };
        match fs::read_to_string(path) {
            Ok(text) => (self.parse)(&text).map_err(failed),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !is_required => {
                Ok(Value::Null)
            }
            Err(error) => Err(failed(error.to_string())),
        }
    }
}

/// Where configurations are: the machine's, or the user's own.
fn configuration(environment: &Environment) -> PathBuf {
    let of_user = || {
        let config = environment.os("XDG_CONFIG_HOME").map(PathBuf::from);
        let home = environment.os("HOME").map(Path::new);
        config.or_else(|| Some(home?.join(".config")))
    };
    let directory = match environment.is_root {
        true => None,
        false => of_user(),
    };
    directory.unwrap_or_else(|| PathBuf::from("/etc"))
}

/// Nothing may be told twice.
fn told_once(keys: &[Given], flags: &[Given]) -> Result<(), String> {
    let twice = flags.iter().filter(|flag| {
        let is_it = |key: &Given| std::ptr::eq(key.setting, flag.setting);
        keys.iter().any(is_it)
    });
    let names: Vec<&str> = twice.map(|flag| flag.setting.key).collect();
    if names.is_empty() {
        return Ok(());
    }
    let names = names.join(", ");
    Err(format!(
        "the following directives are specified both as a flag and in the configuration file: {names}"
    ))
}
