//! What bake files are read with, all of it at hand: nothing is looked up here.

use std::collections::BTreeMap;

use jiff::Timestamp;

/// A bake file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// As it was named; its end says what it is.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// What files may ask for.
#[derive(Debug, Clone, Default)]
pub struct Given {
    /// Variables of the environment, which stand for variables of the same name.
    pub environment: BTreeMap<String, String>,
    /// Variables that were typed; stronger than those of the environment.
    pub variables: BTreeMap<String, String>,
    /// Variables that cannot be set: `BAKE_CMD_CONTEXT` and such.
    pub built_in: BTreeMap<String, String>,
    /// Variables of the file `.env`, for compose files alone.
    pub dot_env: BTreeMap<String, String>,
    /// Files of variables that compose files name, by these names, as far as they are there.
    pub variable_files: BTreeMap<String, String>,
    /// The present time.
    pub now: Timestamp,
    /// The user's home directory.
    pub home: Option<String>,
    /// What nobody can guess; `uuidv4` gives out what comes of it.
    pub random: [u8; 32],
}

impl Given {
    /// What stands for the variable `name`, if anything does.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        let given = self.variables.get(name);
        given
            .or_else(|| self.environment.get(name))
            .map(String::as_str)
    }

    /// The same in a compose file.
    pub(crate) fn compose_variable(&self, name: &str) -> Option<&str> {
        self.variable(name)
            .or_else(|| self.dot_env.get(name).map(String::as_str))
    }
}
