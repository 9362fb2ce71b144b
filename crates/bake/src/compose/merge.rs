//! Several compose files as one: later ones are stronger, and lists grow.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json};

use crate::error::Problem;

/// What of a build may be a list of `KEY=VALUE` in place of a map.
const MAPS: [&str; 3] = ["additional_contexts", "args", "labels"];

/// Puts what `more` says over `all`.
pub(super) fn files(all: &mut Map<String, Json>, more: Map<String, Json>) -> Result<(), Problem> {
    for (key, mut value) in more {
        if key == "services"
            && let Json::Object(services) = &mut value
        {
            services.values_mut().try_for_each(write_out)?;
        }
        put(all.entry(key).or_insert(Json::Null), value);
    }
    Ok(())
}

/// Writes what a service says in its short form in the long one.
fn write_out(service: &mut Json) -> Result<(), Problem> {
    let Json::Object(service) = service else {
        return Ok(());
    };
    pairs(service, "environment")?;
    if let Some(file @ (Json::String(_) | Json::Object(_))) = service.get_mut("env_file") {
        *file = Json::Array(vec![file.take()]);
    }
    match service.get_mut("build") {
        Some(Json::Object(build)) => MAPS.iter().try_for_each(|key| pairs(build, key)),
        Some(build @ Json::String(_)) => {
            let context = Map::from_iter([("context".to_owned(), build.take())]);
            *build = Json::Object(context);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Makes a map of a list of `KEY=VALUE`.
fn pairs(within: &mut Map<String, Json>, key: &str) -> Result<(), Problem> {
    let Some(Json::Array(items)) = within.get(key) else {
        return Ok(());
    };
    let mut map = Map::new();
    for item in items {
        let Json::String(item) = item else {
            return Err(Problem::value(key, "expected strings"));
        };
        let (name, value) = match item.split_once('=') {
            Some((name, value)) => (name, Json::from(value)),
            None => (item.as_str(), Json::Null),
        };
        map.insert(name.to_owned(), value);
    }
    within.insert(key.to_owned(), Json::Object(map));
    Ok(())
}

fn put(known: &mut Json, more: Json) {
    match (known, more) {
        (Json::Object(known), Json::Object(more)) => {
            for (key, value) in more {
                put(known.entry(key).or_insert(Json::Null), value);
            }
        }
        (Json::Array(known), Json::Array(more)) => {
            let mut seen: BTreeSet<String> = known.iter().map(Json::to_string).collect();
            let new = more
                .into_iter()
                .filter(|item| seen.insert(item.to_string()));
            known.extend(new);
        }
        (_, Json::Null) => {}
        (known, more) => *known = more,
    }
}
