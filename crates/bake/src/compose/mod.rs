//! Compose files: what their services build. Everything else in them is left alone.

mod build;
mod dot_env;
mod environment;
mod interpolate;
mod merge;
mod service;

pub use dot_env::dot_env;

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json};

use interpolate::Variables;

use crate::definitions::Definitions;
use crate::error::{BakeError, Problem};
use crate::given::{File, Given};
use crate::syntax::whole;
use crate::target::Group;

/// What of a file counts.
const PARTS: [&str; 2] = ["services", "secrets"];
/// Nothing is in more levels of others than this.
const MAX_DEPTH: usize = 64;

/// Whether the file is a compose file: by its name, or else by what is in it.
pub(crate) fn is_compose(file: &File) -> bool {
    let name = file.name.to_lowercase();
    if name.ends_with(".yml") || name.ends_with(".yaml") {
        return true;
    }
    if name.ends_with(".json") || name.ends_with(".hcl") {
        return false;
    }
    parse(file).is_ok_and(|map| map.get("services").is_some_and(Json::is_object))
}

/// The targets of all `files` together: one for each service that is built.
pub(crate) fn read(files: &[&File], given: &Given) -> Result<Definitions, BakeError> {
    let mut definitions = Definitions::default();
    let Some(last) = files.last() else {
        return Ok(definitions);
    };
    let all = merged(files, given)?;
    let mut default = Group {
        name: "default".to_owned(),
        ..Group::default()
    };
    for (name, service) in services(&all) {
        let target = service::target(name, service, all.get("secrets"), given);
        let target = target.map_err(|problem| problem.at(whole(last)))?;
        if let Some(target) = target {
            default.targets.push(target.name.clone());
            let added = definitions.add_target(target);
            added.map_err(|problem| problem.at(whole(last)))?;
        }
    }
    definitions.groups.push(default);
    Ok(definitions)
}

/// Whether compose files are among `files`, which may use the variables of `.env`.
#[must_use]
pub fn has_compose(files: &[File]) -> bool {
    files.iter().any(is_compose)
}

/// Files of variables that services of `files` need, as they are named: those of
/// [`Given::variable_files`].
///
/// # Errors
/// As [`crate::read`].
pub fn variable_files(files: &[File], given: &Given) -> Result<BTreeSet<String>, BakeError> {
    let composes: Vec<&File> = files.iter().filter(|file| is_compose(file)).collect();
    let mut paths = BTreeSet::new();
    for (name, service) in services(&merged(&composes, given)?) {
        let named = environment::files_of(name, service);
        let named = named.map_err(|problem| match composes.last() {
            Some(last) => problem.at(whole(last)),
            None => problem.nowhere(),
        });
        paths.extend(named?.into_iter().map(|file| file.path));
    }
    Ok(paths)
}

/// All files as one, with the values of variables.
fn merged(files: &[&File], given: &Given) -> Result<Map<String, Json>, BakeError> {
    let lookup = |name: &str| given.compose_variable(name).map(str::to_owned);
    let variables = Variables::new(&lookup);
    let mut all = Map::new();
    for file in files {
        let at = |problem: Problem| problem.at(whole(file));
        let mut map = parse(file)?;
        if map.contains_key("include") {
            return Err(at(Problem::Unsupported {
                what: "include in compose files".to_owned(),
                instead: "name the files with -f, one after the other",
            }));
        }
        map.retain(|key, _| PARTS.contains(&key.as_str()));
        if let Json::Object(map) = variables.all(Json::Object(map), 0).map_err(at)? {
            merge::files(&mut all, map).map_err(at)?;
        }
    }
    Ok(all)
}

fn services(all: &Map<String, Json>) -> impl Iterator<Item = (&String, &Json)> {
    let services = all.get("services").and_then(Json::as_object);
    services.into_iter().flatten()
}

fn parse(file: &File) -> Result<Map<String, Json>, BakeError> {
    let parsed: Result<Json, _> = serde_saphyr::from_str(&file.text);
    match parsed {
        Ok(Json::Object(map)) => Ok(map),
        Ok(_) => Err(Problem::Syntax("expected a map".to_owned()).at(whole(file))),
        Err(error) => {
            let message = error.to_string();
            let first = message.lines().next().unwrap_or_default().to_owned();
            Err(Problem::Syntax(first).at(whole(file)))
        }
    }
}
