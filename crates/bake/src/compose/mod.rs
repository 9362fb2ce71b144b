//! Compose files: what their services build. Everything else in them is left alone.

mod build;
mod dot_env;
mod interpolate;
mod merge;
mod service;

pub use dot_env::dot_env;

use serde_json::{Map, Value as Json};

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
    let mut all = Map::new();
    for file in files {
        let mut map = parse(file)?;
        if map.contains_key("include") {
            let problem = Problem::Unsupported {
                what: "include in compose files".to_owned(),
                instead: "name the files with -f, one after the other",
            };
            return Err(problem.at(whole(file)));
        }
        map.retain(|key, _| PARTS.contains(&key.as_str()));
        let lookup = |name: &str| given.compose_variable(name).map(str::to_owned);
        let map = interpolate::all(Json::Object(map), &lookup, 0);
        let map = map.map_err(|problem| problem.at(whole(file)))?;
        if let Json::Object(map) = map {
            merge::files(&mut all, map).map_err(|problem| problem.at(whole(file)))?;
        }
    }
    let mut default = Group {
        name: "default".to_owned(),
        ..Group::default()
    };
    let secrets = all.remove("secrets");
    let services = all.remove("services").unwrap_or_default();
    for (name, service) in services.as_object().into_iter().flatten() {
        let target = service::target(name, service, secrets.as_ref(), given);
        let target = target.map_err(|problem| problem.at(whole(last)))?;
        if let Some(target) = target {
            default.targets.push(target.name.clone());
            definitions.add_target(target);
        }
    }
    definitions.groups.push(default);
    Ok(definitions)
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
