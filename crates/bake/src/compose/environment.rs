//! What a service has for arguments that have no value: its `environment`, the files of variables that
//! it names, and what all compose files may use.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::build::{kind, map};
use super::dot_env;
use crate::error::Problem;
use crate::given::Given;

/// A file of variables.
pub(super) struct VariableFile {
    pub(super) path: String,
    is_required: bool,
    is_raw: bool,
}

/// The arguments of a service's build, each with its value; what has none is left out.
pub(super) fn arguments(
    name: &str,
    service: &Json,
    args: &Json,
    given: &Given,
) -> Result<BTreeMap<String, String>, Problem> {
    let own = own(service)?;
    let of_files = of_files(name, service, &own, given)?;
    let mut arguments = BTreeMap::new();
    for (key, value) in map("args", args)? {
        let outside = || given.compose_variable(&key).map(str::to_owned);
        let value = value.or_else(|| match own.get(&key) {
            Some(Some(value)) => Some(value.clone()),
            Some(None) => outside(),
            None => of_files.get(&key).cloned().or_else(outside),
        });
        arguments.extend(value.map(|value| (key, value)));
    }
    Ok(arguments)
}

/// The files of variables that the arguments of a service's build need.
pub(super) fn files_of(name: &str, service: &Json) -> Result<Vec<VariableFile>, Problem> {
    let args = service.get("build").and_then(|build| build.get("args"));
    let args = args.and_then(Json::as_object).into_iter().flatten();
    let mut open = args
        .filter(|(_, value)| value.is_null())
        .map(|(key, _)| key);
    let own = own(service)?;
    if !open.any(|key| !own.contains_key(key)) {
        return Ok(Vec::new());
    }
    match service.get("env_file") {
        None | Some(Json::Null) => Ok(Vec::new()),
        Some(Json::Array(files)) => files.iter().map(VariableFile::of).collect(),
        Some(other) => Err(kind(
            &format!("env_file of service {name}"),
            "a list",
            other,
        )),
    }
}

impl VariableFile {
    fn of(said: &Json) -> Result<Self, Problem> {
        let mut file = Self {
            path: String::new(),
            is_required: true,
            is_raw: false,
        };
        let map = match said {
            Json::String(path) => {
                file.path.clone_from(path);
                return Ok(file);
            }
            Json::Object(map) => map,
            other => return Err(kind("env_file", "a path or a map", other)),
        };
        for (key, value) in map {
            match (key.as_str(), value) {
                ("path", Json::String(path)) => file.path.clone_from(path),
                ("required", Json::Bool(is_required)) => file.is_required = *is_required,
                ("format", Json::String(format)) if format == "raw" => file.is_raw = true,
                _ => {
                    let why = format!("{key} cannot be {value}");
                    return Err(Problem::value("env_file", why));
                }
            }
        }
        match file.path.is_empty() {
            true => Err(Problem::value("env_file", "lacks path")),
            false => Ok(file),
        }
    }
}

/// The service's own variables.
fn own(service: &Json) -> Result<BTreeMap<String, Option<String>>, Problem> {
    let environment = service.get("environment").filter(|said| !said.is_null());
    let own = environment.map(|said| map("environment", said)).transpose();
    Ok(own?.unwrap_or_default())
}

/// Those of its files, of which later ones are stronger.
fn of_files(
    name: &str,
    service: &Json,
    own: &BTreeMap<String, Option<String>>,
    given: &Given,
) -> Result<BTreeMap<String, String>, Problem> {
    let outside = |name: &str| {
        let own = || own.get(name).cloned().flatten();
        given.compose_variable(name).map(str::to_owned).or_else(own)
    };
    let mut all = BTreeMap::new();
    for file in files_of(name, service)? {
        match given.variable_files.get(&file.path) {
            Some(text) if file.is_raw => all.extend(dot_env::raw(text, &outside)),
            Some(text) => all.extend(dot_env::variables(&file.path, text, &outside)?),
            None if file.is_required => {
                let why = format!("there is no file {:?}", file.path);
                return Err(Problem::value(format!("env_file of service {name}"), why));
            }
            None => {}
        }
    }
    Ok(all)
}
