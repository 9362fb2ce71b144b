//! What a daemon was told, on its way to being a configuration of kiln's.

use std::path::PathBuf;

use engine::Config;
use serde_json::{Map, Value};

/// What a daemon was told, in kiln's words.
#[derive(Debug, Default)]
pub(super) struct Lowering {
    /// What would stand in `kiln.toml`.
    file: Map<String, Value>,
    /// The directory of the daemon's own, if it is another than the usual one.
    pub(super) root: Option<PathBuf>,
    /// Where the process's number is written.
    pub(super) pid_file: Option<PathBuf>,
    /// Variables for programs that fetch, before those of the environment.
    pub(super) fetch_variables: Vec<(String, String)>,
    /// What is not as it may be thought to be.
    pub(super) warnings: Vec<String>,
    /// By what name the setting that is being lowered was given.
    pub(super) at: String,
}

/// What is started.
pub(super) struct Lowered {
    pub(super) config: Config,
    pub(super) root: Option<PathBuf>,
    pub(super) pid_file: Option<PathBuf>,
    pub(super) fetch_variables: Vec<(String, String)>,
    pub(super) warnings: Vec<String>,
}

impl Lowering {
    /// Sets the key at `path`.
    pub(super) fn set(&mut self, path: &[&str], value: Value) {
        let Some((last, tables)) = path.split_last() else {
            return;
        };
        let mut table = &mut self.file;
        for name in tables {
            let next = table.entry(*name).or_insert_with(|| Map::new().into());
            if !next.is_object() {
                *next = Map::new().into();
            }
            let Value::Object(next) = next else {
                return;
            };
            table = next;
        }
        table.insert((*last).to_owned(), value);
    }

    /// Adds to the list at `path`.
    pub(super) fn add(&mut self, path: &[&str], value: Value) {
        let mut all = match self.get(path) {
            Some(Value::Array(all)) => all.clone(),
            _ => Vec::new(),
        };
        all.push(value);
        self.set(path, all.into());
    }

    /// What was set.
    pub(super) fn get(&self, path: &[&str]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        let found = self.file.get(*first)?;
        rest.iter().try_fold(found, |found, name| found.get(*name))
    }

    /// Takes back what was set.
    pub(super) fn unset(&mut self, path: &[&str]) -> Option<Value> {
        let (last, tables) = path.split_last()?;
        let mut tables = tables.iter();
        let table = tables.try_fold(&mut self.file, |table, name| {
            table.get_mut(*name)?.as_object_mut()
        });
        table?.remove(*last)
    }

    /// Says something about the setting that is being lowered.
    pub(super) fn warn(&mut self, said: impl AsRef<str>) {
        self.warnings.push(format!("{} {}", self.at, said.as_ref()));
    }

    /// The configuration.
    ///
    /// # Errors
    /// A value is none that its key has.
    pub(super) fn finish(self) -> Result<Lowered, engine::ConfigError> {
        Ok(Lowered {
            config: Config::of_values(self.file.into())?,
            root: self.root,
            pid_file: self.pid_file,
            fetch_variables: self.fetch_variables,
            warnings: self.warnings,
        })
    }
}
