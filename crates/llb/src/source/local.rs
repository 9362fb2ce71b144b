//! `local://name`: files that the client offers.

use std::collections::BTreeMap;

use graph::{LocalSource, SourceOp};

use super::unknown;
use crate::error::Problem;
use crate::load::Given;

pub(super) fn convert(
    name: &str,
    attrs: &BTreeMap<String, String>,
    given: &Given<'_>,
) -> Result<SourceOp, Problem> {
    let mut source = LocalSource {
        name: name.to_owned(),
        include: Vec::new(),
        exclude: Vec::new(),
        follow: Vec::new(),
    };
    for (key, value) in attrs {
        match key.as_str() {
            "local.includepattern" => source.include = list(key, value)?,
            "local.excludepatterns" => source.exclude = list(key, value)?,
            "local.followpaths" => source.follow = list(key, value)?,
            "local.session" if given.options.session.as_ref() == Some(value) => {}
            "local.session" => {
                return Err(Problem::unsupported(
                    format!("files of session {value:?}"),
                    "offer them in the session of the build",
                ));
            }
            // They keep definitions of different clients apart, and say how files are compared
            // with those of an earlier build: what comes of it is the same.
            "local.unique" | "local.sharedkeyhint" => {}
            "local.differ" if matches!(value.as_str(), "" | "none" | "metadata") => {}
            "local.differ" => return Err(Problem::value(key, value, "expected none or metadata")),
            _ => return Err(unknown(key)),
        }
    }
    Ok(SourceOp::Local(source))
}

fn list(key: &str, value: &str) -> Result<Vec<String>, Problem> {
    let list: Option<Vec<String>> =
        serde_json::from_str(value).map_err(|error| Problem::value(key, value, error))?;
    Ok(list.unwrap_or_default())
}
