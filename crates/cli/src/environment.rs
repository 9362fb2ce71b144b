//! What the process was given: variables, working directory, clock, terminals, user.
//!
//! The one place that reads them; everything below takes an [`Environment`], so that tests hand
//! in one of their own.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::error::{CliError, Error};

/// What the process was given.
#[derive(Debug, Clone)]
pub struct Environment {
    /// The command line, the program first.
    pub arguments: Vec<OsString>,
    /// Variables.
    pub variables: BTreeMap<OsString, OsString>,
    /// Absolute.
    pub working_directory: PathBuf,
    /// The effective user is root.
    pub is_root: bool,
    /// Which of the standard streams are terminals.
    pub terminals: Terminals,
    /// Tells the time.
    pub now: fn() -> SystemTime,
}

/// Which of the standard streams are terminals.
#[derive(Debug, Clone, Copy, Default)]
pub struct Terminals {
    /// Standard input.
    pub stdin: bool,
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
}

impl Environment {
    /// Reads what this process was given.
    ///
    /// # Errors
    /// The working directory does not exist any more.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the place that reads the environment"
    )]
    pub fn of_process() -> Result<Self, Error> {
        Ok(Self {
            arguments: std::env::args_os().collect(),
            variables: std::env::vars_os().collect(),
            working_directory: std::env::current_dir().map_err(CliError::WorkingDirectory)?,
            is_root: rustix::process::geteuid().is_root(),
            terminals: Terminals {
                stdin: std::io::stdin().is_terminal(),
                stdout: std::io::stdout().is_terminal(),
                stderr: std::io::stderr().is_terminal(),
            },
            now: SystemTime::now,
        })
    }

    /// The variable `name` when it is set and not empty.
    #[must_use]
    pub fn os(&self, name: &str) -> Option<&OsStr> {
        let value = self.variables.get(OsStr::new(name))?;
        (!value.is_empty()).then_some(value)
    }

    /// The variable `name` as text when it is set and not empty.
    ///
    /// # Errors
    /// It is not UTF-8.
    pub fn text(&self, name: &str) -> Result<Option<&str>, Error> {
        self.os(name)
            .map(|value| {
                value
                    .to_str()
                    .ok_or_else(|| CliError::VariableNotText(name.to_owned()).into())
            })
            .transpose()
    }

    /// The variable `name` as text, also when it is empty; not when it is not UTF-8.
    #[must_use]
    pub fn raw(&self, name: &str) -> Option<String> {
        let value = self.variables.get(OsStr::new(name))?;
        value.to_str().map(str::to_owned)
    }

    /// The terminal's width, when there is one.
    #[must_use]
    pub fn columns(&self) -> Option<usize> {
        let asked = self.terminals.stdout.then(crossterm::terminal::size);
        let (columns, _) = asked?.ok()?;
        (columns > 0).then_some(usize::from(columns))
    }

    /// `path` from the working directory.
    #[must_use]
    pub fn absolute(&self, path: &Path) -> PathBuf {
        self.working_directory.join(path)
    }

    /// The store's root: `--root`, `KILN_ROOT`, a system directory for root, else the user's
    /// data directory.
    ///
    /// # Errors
    /// There is no home directory to put it in.
    pub fn store_root(&self, flag: Option<&Path>) -> Result<PathBuf, Error> {
        if let Some(path) = flag.or_else(|| self.os("KILN_ROOT").map(Path::new)) {
            return Ok(self.absolute(path));
        }
        if self.is_root {
            return Ok(PathBuf::from("/var/lib/kiln"));
        }
        if let Some(data) = self.os("XDG_DATA_HOME") {
            return Ok(Path::new(data).join("kiln"));
        }
        Ok(self.home()?.join(".local/share/kiln"))
    }

    /// Where `kiln.toml` may be, first choice first, and whether it must be there.
    #[must_use]
    pub fn config_files(&self, flag: Option<&Path>) -> (Vec<PathBuf>, bool) {
        if let Some(path) = flag.or_else(|| self.os("KILN_CONFIG").map(Path::new)) {
            return (vec![self.absolute(path)], true);
        }
        let user = match self.os("XDG_CONFIG_HOME") {
            Some(config) => Some(Path::new(config).to_path_buf()),
            None => self.home().ok().map(|home| home.join(".config")),
        };
        let user = user.map(|config| config.join("kiln/kiln.toml"));
        let system = PathBuf::from("/etc/kiln/kiln.toml");
        (user.into_iter().chain([system]).collect(), false)
    }

    /// Where what this user's kiln has to remember is kept, beside stores; none without a home.
    #[must_use]
    pub fn state_directory(&self) -> Option<PathBuf> {
        let state = match self.os("XDG_STATE_HOME") {
            Some(state) => self.absolute(Path::new(state)),
            None => self.home().ok()?.join(".local/state"),
        };
        Some(state.join("kiln"))
    }

    /// The directory of docker's `config.json`.
    #[must_use]
    pub fn docker_config(&self) -> Option<PathBuf> {
        match self.os("DOCKER_CONFIG") {
            Some(directory) => Some(self.absolute(Path::new(directory))),
            None => self.home().ok().map(|home| home.join(".docker")),
        }
    }

    /// Where programs are looked for.
    #[must_use]
    pub fn program_path(&self) -> Vec<PathBuf> {
        let path = self.os("PATH").unwrap_or_default();
        std::env::split_paths(path).collect()
    }

    /// The variables that are set for programs that fetch: proxies, and whose certificates they
    /// trust beside the system's.
    #[must_use]
    pub fn fetch_variables(&self) -> Vec<(String, String)> {
        let names = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"];
        let spelled = names
            .iter()
            .flat_map(|name| [name.to_string(), name.to_lowercase()]);
        let trusted = ["GIT_SSL_CAINFO", "GIT_SSL_CAPATH"].map(str::to_owned);
        spelled
            .chain(trusted)
            .filter_map(|name| self.raw(&name).map(|value| (name, value)))
            .collect()
    }

    fn home(&self) -> Result<&Path, Error> {
        let home = self.os("HOME").map(Path::new);
        home.ok_or_else(|| CliError::NoHome.into())
    }
}
