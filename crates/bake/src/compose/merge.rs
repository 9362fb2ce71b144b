//! Several compose files as one: later ones are stronger, and lists grow.

use serde_json::{Map, Value as Json};

use crate::error::Problem;

/// Lists of `KEY=VALUE` that are maps as well.
const MAPS: [&str; 4] = ["args", "labels", "additional_contexts", "environment"];

/// Puts what `more` says over `all`.
pub(super) fn files(all: &mut Map<String, Json>, more: Map<String, Json>) -> Result<(), Problem> {
    for (key, value) in more {
        let known = all.entry(key).or_insert(Json::Null);
        put(known, normal("", value)?)?;
    }
    Ok(())
}

/// Values that have a short form, in the long one.
fn normal(key: &str, value: Json) -> Result<Json, Problem> {
    Ok(match value {
        Json::String(context) if key == "build" => Json::Object(Map::from_iter([(
            "context".to_owned(),
            Json::String(context),
        )])),
        Json::Array(items) if MAPS.contains(&key) => {
            let mut map = Map::new();
            for item in items {
                let Json::String(item) = item else {
                    return Err(Problem::value(key, "expected strings"));
                };
                let (name, value) = match item.split_once('=') {
                    Some((name, value)) => (name.to_owned(), Json::from(value)),
                    None => (item, Json::Null),
                };
                map.insert(name, value);
            }
            Json::Object(map)
        }
        Json::Object(map) => {
            let map = map.into_iter();
            let map = map.map(|(key, value)| Ok((key.clone(), normal(&key, value)?)));
            Json::Object(map.collect::<Result<_, Problem>>()?)
        }
        other => other,
    })
}

fn put(known: &mut Json, more: Json) -> Result<(), Problem> {
    match (known, more) {
        (Json::Object(known), Json::Object(more)) => {
            for (key, value) in more {
                put(known.entry(key).or_insert(Json::Null), value)?;
            }
        }
        (Json::Array(known), Json::Array(more)) => {
            for item in more {
                if !known.contains(&item) {
                    known.push(item);
                }
            }
        }
        (_, Json::Null) => {}
        (known, more) => *known = more,
    }
    Ok(())
}
