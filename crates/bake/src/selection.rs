//! What is asked for of bake files, and how it is shown.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::definitions::DEFAULT;
use crate::error::Problem;
use crate::path::{clean, is_remote};
use crate::target::{Group, Target};

/// What a context begins with that is a path of this machine in any case.
const HERE: &str = "cwd://";

/// What is asked for.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Selection {
    /// By name; `default` is what was asked for.
    #[serde(rename = "group", skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, Group>,
    /// By name, with those that others need.
    #[serde(rename = "target")]
    pub targets: BTreeMap<String, Target>,
}

/// The same with answers beside the targets.
#[derive(Serialize)]
struct Answered<'a> {
    #[serde(rename = "group", skip_serializing_if = "BTreeMap::is_empty")]
    groups: &'a BTreeMap<String, Group>,
    #[serde(rename = "target")]
    targets: BTreeMap<&'a String, AnsweredTarget<'a>>,
}

#[derive(Serialize)]
struct AnsweredTarget<'a> {
    build: &'a Target,
    #[serde(flatten)]
    answer: Option<BTreeMap<&'a str, &'a serde_json::Value>>,
}

impl Target {
    /// Writes where its files are in the shortest way.
    pub(crate) fn settle(&mut self) -> Result<(), Problem> {
        let stdin = |what| {
            let why = format!("the {what} cannot come on standard input");
            Err(Problem::value(format!("target {}", self.name), why))
        };
        if self.dockerfile.as_deref() == Some("-") {
            return stdin("Dockerfile");
        }
        if let Some(context) = &mut self.context {
            if let Some(local) = context.strip_prefix(HERE) {
                *context = clean(local);
            } else if !is_remote(context) {
                *context = clean(context);
            }
        }
        if self.context.as_deref() == Some("-") {
            return stdin("context");
        }
        Ok(())
    }
}

impl Selection {
    /// Names what was asked for `default`.
    pub(crate) fn ask_for(&mut self, names: &[String]) {
        for name in names {
            if name == DEFAULT && self.groups.contains_key(DEFAULT) {
                continue;
            }
            let default = self
                .groups
                .entry(DEFAULT.to_owned())
                .or_insert_with(|| Group {
                    name: DEFAULT.to_owned(),
                    ..Group::default()
                });
            default.targets.push(name.clone());
        }
        if let Some(default) = self.groups.get_mut(DEFAULT) {
            crate::target::once(&mut default.targets);
            default.targets.sort();
        }
    }

    /// As buildx prints it.
    #[must_use]
    pub fn to_json(&self) -> String {
        let json = serde_json::to_string_pretty(self).unwrap_or_default();
        crate::value::go_json(&json)
    }

    /// As buildx prints it with what was answered to questions: by target, what was asked and the
    /// answer.
    #[must_use]
    pub fn answered(&self, answers: &BTreeMap<String, (&str, serde_json::Value)>) -> String {
        let target = |(name, build)| {
            let answer = answers.get(name);
            let answer = answer.map(|(asked, answer)| BTreeMap::from([(*asked, answer)]));
            (name, AnsweredTarget { build, answer })
        };
        let all = Answered {
            groups: &self.groups,
            targets: self.targets.iter().map(target).collect(),
        };
        let json = serde_json::to_string_pretty(&all).unwrap_or_default();
        crate::value::go_json(&json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_beside_what_would_be_built() {
        let target = Target {
            name: "a".to_owned(),
            context: Some(".".to_owned()),
            call: Some("lint".to_owned()),
            ..Target::default()
        };
        let mut selection = Selection::default();
        selection.targets.insert("a".to_owned(), target);
        selection.targets.insert("b".to_owned(), Target::default());
        let answer = serde_json::json!({"warnings": []});
        let answers = BTreeMap::from([("a".to_owned(), ("check", answer))]);
        let told = selection.answered(&answers);
        let flat: String = told.split_whitespace().collect();
        assert!(
            flat.starts_with("{\"target\":{\"a\":{\"build\":{\"context\":\".\""),
            "{told}"
        );
        assert!(
            flat.ends_with(
                "\"call\":\"lint\"},\"check\":{\"warnings\":[]}},\"b\":{\"build\":{}}}}"
            ),
            "{told}"
        );
    }
}
