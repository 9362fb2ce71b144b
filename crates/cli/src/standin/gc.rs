//! What daemons are told of collecting the cache, whose rules kiln's are.

use serde_json::{Map, Value};

use super::lowering::Lowering;

/// Names of bounds in the files of daemons, without capitals, and in `kiln.toml`.
const BOUNDS: &[(&str, &str)] = &[
    ("keepbytes", "reserved-space"),
    ("keepstorage", "reserved-space"),
    ("reservedspace", "reserved-space"),
    ("maxusedspace", "max-used-space"),
    ("minfreespace", "min-free-space"),
];

/// A bound of the default policy. Nothing is bounded by nothing.
pub(super) fn bound(lowering: &mut Lowering, name: &str, value: &Value) {
    if !is_nothing(value) {
        lowering.set(&["gc", name], value.clone());
    }
}

/// A policy, as `buildkitd.toml` and `daemon.json` have it.
///
/// # Errors
/// It is no list of rules, or one says what kiln's rules cannot.
pub(super) fn policy(lowering: &mut Lowering, value: &Value) -> Result<(), String> {
    let rules = value.as_array().ok_or("expected a list of rules")?;
    let mut policy = Vec::new();
    for rule in rules {
        let rule = rule.as_object().ok_or("expected a list of rules")?;
        let mut lowered = Map::new();
        for (name, value) in rule {
            lower(lowering, &mut lowered, name, value)?;
        }
        policy.push(Value::Object(lowered));
    }
    if !policy.is_empty() {
        lowering.set(&["gc", "policy"], policy.into());
    }
    Ok(())
}

fn lower(
    lowering: &mut Lowering,
    rule: &mut Map<String, Value>,
    name: &str,
    value: &Value,
) -> Result<(), String> {
    let plain = name.to_ascii_lowercase();
    let bound = BOUNDS.iter().find(|(known, _)| *known == plain);
    if let Some((_, name)) = bound {
        if !is_nothing(value) {
            rule.insert((*name).to_owned(), value.clone());
        }
        return Ok(());
    }
    match plain.as_str() {
        "all" => rule.insert("all".to_owned(), value.clone()),
        "filters" => rule.insert("filters".to_owned(), value.clone()),
        "keepduration" if is_nothing(value) => None,
        "keepduration" => rule.insert("keep-duration".to_owned(), value.clone()),
        "filter" => return filter(rule, value),
        _ => {
            lowering.warn(format!(
                "has no effect in its key {name}, which kiln does not know"
            ));
            None
        }
    };
    Ok(())
}

/// Filters as Docker has them: all must hold, and one of them is an age.
fn filter(rule: &mut Map<String, Value>, value: &Value) -> Result<(), String> {
    let texts = value.as_array().ok_or("filter is no list")?;
    let mut all = Vec::new();
    for text in texts {
        let text = text.as_str().ok_or("filter is no list of texts")?;
        match text.split_once('=') {
            Some(("unused-for" | "until", age)) => {
                rule.insert("keep-duration".to_owned(), age.trim().into());
            }
            Some((name, value)) => all.push(format!("{}=={}", name.trim(), value.trim())),
            None => all.push(text.trim().to_owned()),
        }
    }
    if !all.is_empty() {
        rule.insert("filters".to_owned(), vec![all.join(",")].into());
    }
    Ok(())
}

/// A policy takes the place of the default one, and of its bounds.
pub(super) fn complete(lowering: &mut Lowering) {
    if lowering.get(&["gc", "policy"]).is_some() {
        for name in ["reserved-space", "max-used-space", "min-free-space"] {
            lowering.unset(&["gc", name]);
        }
    }
}

fn is_nothing(value: &Value) -> bool {
    matches!(value.as_str(), Some("" | "0")) || value.as_i64() == Some(0)
}
