//! Policies by example: rules, a source, and what becomes of it.

use super::*;

const IMAGE: &str = "docker-image://docker.io/library/alpine:latest";

fn selector(kind: MatchType, identifier: &str) -> proto::Selector {
    proto::Selector {
        identifier: identifier.to_owned(),
        match_type: kind.into(),
        constraints: Vec::new(),
    }
}

fn rule(action: PolicyAction, kind: MatchType, identifier: &str) -> proto::Rule {
    proto::Rule {
        action: action.into(),
        selector: Some(selector(kind, identifier)),
        updates: None,
    }
}

fn convert(kind: MatchType, from: &str, to: &str) -> proto::Rule {
    proto::Rule {
        updates: Some(proto::Update {
            identifier: to.to_owned(),
            attrs: HashMap::new(),
        }),
        ..rule(PolicyAction::Convert, kind, from)
    }
}

/// What becomes of the source, with its attributes, or why it may not be had.
fn judged(rules: Vec<proto::Rule>, identifier: &str, attrs: &[(&str, &str)]) -> String {
    let policy = proto::Policy { version: 1, rules };
    let attrs = attrs.iter();
    let attrs = attrs.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let mut source = SourceOp {
        identifier: identifier.to_owned(),
        attrs: attrs.collect(),
    };
    let before = source.clone();
    let applied = SourcePolicy::read(&policy).and_then(|policy| policy.apply(&mut source));
    match applied {
        Ok(is_changed) => {
            assert_eq!(is_changed, source != before);
            let mut shown = source.identifier;
            for (key, value) in source.attrs {
                shown += &format!(" {key}={value}");
            }
            shown
        }
        Err(error) => error.to_string(),
    }
}

#[test]
fn the_last_rule_that_allows_or_denies_counts() {
    use MatchType::{Exact, Regex, Wildcard};
    use PolicyAction::{Allow, Deny};
    let denied = format!("source {IMAGE:?} denied by policy: source denied by policy");
    for (rules, expected) in [
        (vec![], IMAGE),
        (vec![rule(Deny, Exact, IMAGE)], &denied),
        (vec![rule(Deny, Exact, "docker-image://*")], IMAGE),
        (vec![rule(Deny, Wildcard, "docker-image://*")], &denied),
        (vec![rule(Deny, Wildcard, "*alpine*")], &denied),
        (vec![rule(Deny, Wildcard, "docker-image://")], IMAGE),
        (vec![rule(Deny, Regex, "alpine:.*st$")], &denied),
        (
            vec![rule(Deny, Wildcard, "*"), rule(Allow, Exact, IMAGE)],
            IMAGE,
        ),
        (
            vec![rule(Allow, Exact, IMAGE), rule(Deny, Wildcard, "*")],
            &denied,
        ),
    ] {
        assert_eq!(judged(rules.clone(), IMAGE, &[]), expected, "{rules:?}");
    }
}

#[test]
fn sources_are_replaced() {
    use MatchType::{Exact, Regex, Wildcard};
    let to = "docker-image://e.org/mirror/alpine:3";
    for (rules, expected) in [
        (vec![convert(Exact, IMAGE, to)], to),
        (
            vec![convert(
                Wildcard,
                "docker-image://docker.io/library/*:*",
                "docker-image://e.org/${1}-slim:$2",
            )],
            "docker-image://e.org/alpine-slim:latest",
        ),
        (
            vec![convert(Regex, "docker\\.io/(library)/", "e.org/mirror-$1/")],
            "docker-image://e.org/mirror-library/alpine:latest",
        ),
        // What takes its place is judged too.
        (
            vec![
                convert(Exact, IMAGE, to),
                rule(PolicyAction::Deny, Exact, to),
            ],
            &format!("source {to:?} denied by policy: source denied by policy"),
        ),
        // It changes nothing, so the rules behind it are read.
        (
            vec![
                convert(Exact, IMAGE, ""),
                rule(PolicyAction::Deny, Exact, IMAGE),
            ],
            &format!("source {IMAGE:?} denied by policy: source denied by policy"),
        ),
        (
            vec![convert(Regex, "^.*$", "${0}x")],
            "too many mutations on a single source: too many operations",
        ),
    ] {
        assert_eq!(judged(rules.clone(), IMAGE, &[]), expected, "{rules:?}");
    }
}

#[test]
fn attributes_are_looked_at_and_set() {
    let url = "https://e.org/a";
    let on = |condition: AttrMatch, value: &str| {
        let mut denied = rule(PolicyAction::Deny, MatchType::Exact, url);
        let selector = denied.selector.as_mut().unwrap();
        selector.constraints.push(proto::AttrConstraint {
            key: "http.filename".to_owned(),
            value: value.to_owned(),
            condition: condition.into(),
        });
        denied
    };
    for (condition, value, is_denied) in [
        (AttrMatch::Equal, "b", true),
        (AttrMatch::Equal, "c", false),
        (AttrMatch::Notequal, "b", false),
        (AttrMatch::Notequal, "c", true),
        (AttrMatch::Matches, "^[a-b]$", true),
        (AttrMatch::Matches, "^$", false),
    ] {
        let told = judged(vec![on(condition, value)], url, &[("http.filename", "b")]);
        assert_eq!(told.contains("denied"), is_denied, "{condition:?} {value}");
    }
    let mut pinned = convert(MatchType::Exact, url, "");
    let updates = pinned.updates.as_mut().unwrap();
    let checksum = ("http.checksum".to_owned(), "sha256:1".to_owned());
    updates.attrs.extend([checksum]);
    assert_eq!(
        judged(vec![pinned], url, &[]),
        "https://e.org/a http.checksum=sha256:1"
    );
}

#[test]
fn rules_that_make_no_sense() {
    let deny = |identifier: &str, kind| rule(PolicyAction::Deny, kind, identifier);
    for (rule, expected) in [
        (deny("(", MatchType::Regex), "rule 1: invalid regex \"(\": "),
        (
            deny("a**", MatchType::Wildcard),
            "rule 1: failed to translate wildcard \"a**\" to regexp: invalid wildcard: \"**\"",
        ),
        (
            rule(PolicyAction::Convert, MatchType::Exact, "a"),
            "rule 1: missing destination for convert rule",
        ),
        (
            proto::Rule {
                action: 7,
                ..deny("a", MatchType::Exact)
            },
            "rule 1: unknown action 7",
        ),
        (
            proto::Rule {
                selector: None,
                ..deny("a", MatchType::Exact)
            },
            "rule 1: it has no selector",
        ),
        (
            deny(&"a".repeat(5000), MatchType::Exact),
            "rule 1: a text of 5000 bytes, more than 4096",
        ),
        (
            deny("(((a{100}){100}){100}){100}", MatchType::Regex),
            "rule 1: invalid regex ",
        ),
    ] {
        let told = judged(vec![rule], IMAGE, &[]);
        let expected = format!("invalid source policy: {expected}");
        assert!(told.starts_with(&expected), "{told} is not {expected}");
    }
    let many = vec![deny("a", MatchType::Exact); 10_001];
    let expected = "a source policy with 10001 rules, more than 10000, is refused";
    assert_eq!(judged(many, IMAGE, &[]), expected);
}
