//! `key=value` lists: labels, build arguments, environment variables, named contexts.

use std::collections::BTreeMap;

use super::ValueError;

/// The pairs in `texts`, later ones winning. A bare key takes what `default` has for it and is
/// left out when that is nothing.
///
/// # Errors
/// A key is empty.
pub fn map(
    texts: &[String],
    default: impl Fn(&str) -> Option<String>,
) -> Result<BTreeMap<String, String>, ValueError> {
    let mut map = BTreeMap::new();
    for text in texts {
        let (key, value) = match text.split_once('=') {
            Some((key, value)) => (key, Some(value.to_owned())),
            None => (text.as_str(), default(text)),
        };
        if key.is_empty() {
            return Err(ValueError::Pair(text.clone()));
        }
        if let Some(value) = value {
            map.insert(key.to_owned(), value);
        }
    }
    Ok(map)
}

/// `name=value`, both of them there.
///
/// # Errors
/// There is no `=`, or nothing before it.
pub fn context(text: &str) -> Result<(&str, &str), ValueError> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => Ok((name, value)),
        _ => Err(ValueError::Context(text.to_owned())),
    }
}
