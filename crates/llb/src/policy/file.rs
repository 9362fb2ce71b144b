//! The file of a source policy: JSON as BuildKit's clients read it, in which enums have the names of
//! `policy.proto` or its numbers, or the message itself.

use std::collections::HashMap;

use bollard_buildkit_proto::moby::buildkit::v1::sourcepolicy as proto;
use prost::Message as _;
use proto::{AttrMatch, MatchType, PolicyAction};
use serde::Deserialize;

use super::PolicyError;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Policy {
    #[serde(default)]
    version: i64,
    #[serde(default)]
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    #[serde(default)]
    action: Named,
    selector: Option<Selector>,
    updates: Option<Update>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Update {
    #[serde(default)]
    identifier: String,
    #[serde(default)]
    attrs: HashMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Selector {
    #[serde(default)]
    identifier: String,
    #[serde(default)]
    match_type: Named,
    #[serde(default)]
    constraints: Vec<Constraint>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Constraint {
    #[serde(default)]
    key: String,
    #[serde(default)]
    value: String,
    #[serde(default)]
    condition: Named,
}

/// One value of an enum; the first when none is given.
#[derive(Deserialize)]
#[serde(untagged)]
enum Named {
    Number(i32),
    Name(String),
}

impl Default for Named {
    fn default() -> Self {
        Self::Number(0)
    }
}

impl Named {
    fn number<E: Into<i32>>(
        self,
        what: &str,
        by_name: fn(&str) -> Option<E>,
    ) -> Result<i32, PolicyError> {
        match self {
            Self::Number(number) => Ok(number),
            Self::Name(name) => {
                let known = by_name(&name).map(Into::into);
                known.ok_or_else(|| PolicyError::File(format!("unknown {what} {name:?}")))
            }
        }
    }
}

/// The policy that a file holds.
///
/// # Errors
/// It holds none.
pub fn parse_policy(bytes: &[u8]) -> Result<proto::Policy, PolicyError> {
    let malformed = |error: serde_json::Error| PolicyError::File(error.to_string());
    if !bytes.trim_ascii_start().starts_with(b"{") {
        let decoded = proto::Policy::decode(bytes);
        return decoded.map_err(|_| PolicyError::File("it is not JSON".to_owned()));
    }
    let policy: Policy = serde_json::from_slice(bytes).map_err(malformed)?;
    let rules = policy.rules.into_iter().map(rule);
    Ok(proto::Policy {
        version: policy.version,
        rules: rules.collect::<Result<_, _>>()?,
    })
}

fn rule(rule: Rule) -> Result<proto::Rule, PolicyError> {
    Ok(proto::Rule {
        action: rule.action.number("action", PolicyAction::from_str_name)?,
        selector: rule.selector.map(selector).transpose()?,
        updates: rule.updates.map(|updates| proto::Update {
            identifier: updates.identifier,
            attrs: updates.attrs,
        }),
    })
}

fn selector(selector: Selector) -> Result<proto::Selector, PolicyError> {
    let constraint = |one: Constraint| {
        Ok(proto::AttrConstraint {
            key: one.key,
            value: one.value,
            condition: one
                .condition
                .number("condition", AttrMatch::from_str_name)?,
        })
    };
    let kind = selector.match_type;
    let constraints = selector.constraints.into_iter().map(constraint);
    Ok(proto::Selector {
        identifier: selector.identifier,
        match_type: kind.number("match_type", MatchType::from_str_name)?,
        constraints: constraints.collect::<Result<_, PolicyError>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files() {
        let text = br#" {"version": 1, "rules": [
            {"action": "DENY", "selector": {"identifier": "a", "match_type": "REGEX",
                "constraints": [{"key": "k", "value": "v", "condition": "NOTEQUAL"}]}},
            {"action": 2, "selector": {"identifier": "b"},
                "updates": {"identifier": "c", "attrs": {"d": "e"}}}]}"#;
        let policy = parse_policy(text).unwrap();
        let shown = format!("{policy:?}");
        let expected = "Policy { version: 1, rules: [\
            Rule { action: Deny, selector: Some(Selector { identifier: \"a\", match_type: Regex, \
            constraints: [AttrConstraint { key: \"k\", value: \"v\", condition: Notequal }] }), \
            updates: None }, \
            Rule { action: Convert, selector: Some(Selector { identifier: \"b\", \
            match_type: Wildcard, constraints: [] }), \
            updates: Some(Update { identifier: \"c\", attrs: {\"d\": \"e\"} }) }] }";
        assert_eq!(shown, expected);
        assert_eq!(parse_policy(&policy.encode_to_vec()).unwrap(), policy);
    }

    #[test]
    fn what_is_no_policy() {
        for (text, expected) in [
            ("rules", "invalid source policy: it is not JSON"),
            (
                "{",
                "invalid source policy: EOF while parsing an object at line 1 column 1",
            ),
            (
                r#"{"rules": [{"action": "ASK"}]}"#,
                "invalid source policy: unknown action \"ASK\"",
            ),
            (
                r#"{"rules": [{"selector": {"matchType": "EXACT"}}]}"#,
                "invalid source policy: unknown field `matchType`, expected one of `identifier`, \
                 `match_type`, `constraints` at line 1 column 36",
            ),
        ] {
            let told = parse_policy(text.as_bytes()).unwrap_err().to_string();
            assert_eq!(told, expected, "{text}");
        }
    }
}
