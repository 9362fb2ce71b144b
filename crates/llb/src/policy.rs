//! Rules of a client about the sources of its build: which it may have, and which it has others in
//! place of. They are BuildKit's source policies and mean what they mean there: rules are read in
//! their order, the last one that allows or denies a source counts, and one that replaces it ends
//! the reading, which then begins anew with what took its place.

mod file;

use std::collections::{BTreeMap, HashMap};

use bollard_buildkit_proto::moby::buildkit::v1::sourcepolicy as proto;
use bollard_buildkit_proto::pb::SourceOp;
use proto::{AttrMatch, MatchType, PolicyAction};
use regex_lite::{Regex, RegexBuilder};

pub use file::parse_policy;

/// How often one source may be replaced; BuildKit's.
const MAX_ROUNDS: usize = 20;
/// Rules of one policy, and texts in them.
const MAX_RULES: usize = 10_000;
const MAX_TEXT: usize = 4096;
/// Bytes that one expression may take.
const MAX_EXPRESSION: usize = 1 << 20;

/// The rules of one policy.
#[derive(Debug, Clone, Default)]
pub struct SourcePolicy {
    rules: Vec<Rule>,
}

/// Why a source may not be had, or a policy not be followed. The texts are BuildKit's.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PolicyError {
    /// A rule denies it.
    #[error("source {0:?} denied by policy: source denied by policy")]
    Denied(String),
    /// Its replacements have no end.
    #[error("too many mutations on a single source: too many operations")]
    TooMany,
    /// A rule makes no sense.
    #[error("invalid source policy: rule {place}: {why}")]
    Rule {
        /// Its place in the policy, from 1.
        place: usize,
        /// What is wrong with it.
        why: String,
    },
    /// A file holds no policy.
    #[error("invalid source policy: {0}")]
    File(String),
    /// There are too many rules.
    #[error("a source policy with {0} rules, more than {MAX_RULES}, is refused")]
    Rules(usize),
}

#[derive(Debug, Clone)]
struct Rule {
    action: Action,
    identifier: String,
    matcher: Matcher,
    constraints: Vec<Constraint>,
}

#[derive(Debug, Clone)]
enum Action {
    Allow,
    Deny,
    Convert {
        identifier: String,
        attrs: HashMap<String, String>,
    },
}

/// How an identifier is compared, if it is not the same text.
#[derive(Debug, Clone)]
enum Matcher {
    Exact,
    Wildcard(Regex),
    Expression(Regex),
}

#[derive(Debug, Clone)]
struct Constraint {
    key: String,
    condition: Condition,
}

#[derive(Debug, Clone)]
enum Condition {
    Equal(String),
    NotEqual(String),
    Matches(Regex),
}

impl SourcePolicy {
    /// The rules that a client sent.
    ///
    /// # Errors
    /// There are too many, or one makes no sense.
    pub fn read(policy: &proto::Policy) -> Result<Self, PolicyError> {
        if policy.rules.len() > MAX_RULES {
            return Err(PolicyError::Rules(policy.rules.len()));
        }
        let read = |(place, given): (usize, &proto::Rule)| {
            let place = place + 1;
            rule(given).map_err(|why| PolicyError::Rule { place, why })
        };
        let rules = policy.rules.iter().enumerate().map(read);
        Ok(Self {
            rules: rules.collect::<Result<_, _>>()?,
        })
    }

    /// Puts what a build has of `source` in its place; whether that is something else.
    ///
    /// # Errors
    /// The build may not have it.
    pub fn apply(&self, source: &mut SourceOp) -> Result<bool, PolicyError> {
        for round in 0..=MAX_ROUNDS {
            if !self.apply_once(source)? {
                return Ok(round > 0);
            }
        }
        Err(PolicyError::TooMany)
    }

    fn apply_once(&self, source: &mut SourceOp) -> Result<bool, PolicyError> {
        let mut is_denied = false;
        for rule in &self.rules {
            if !rule.is_about(source) {
                continue;
            }
            match &rule.action {
                Action::Allow => is_denied = false,
                Action::Deny => is_denied = true,
                Action::Convert { identifier, attrs } => {
                    if rule.convert(source, identifier, attrs) {
                        return Ok(true);
                    }
                }
            }
        }
        match is_denied {
            true => Err(PolicyError::Denied(source.identifier.clone())),
            false => Ok(false),
        }
    }
}

impl Rule {
    fn is_about(&self, source: &SourceOp) -> bool {
        let mut constraints = self.constraints.iter();
        constraints.all(|one| one.holds(&source.attrs))
            && (self.identifier == source.identifier
                || match &self.matcher {
                    Matcher::Exact => false,
                    Matcher::Wildcard(regex) | Matcher::Expression(regex) => {
                        regex.is_match(&source.identifier)
                    }
                })
    }

    /// Whether that changed anything.
    fn convert(
        &self,
        source: &mut SourceOp,
        identifier: &str,
        attrs: &HashMap<String, String>,
    ) -> bool {
        let mut is_changed = false;
        let identifier = self.matcher.fill(&source.identifier, identifier);
        if !identifier.is_empty() && identifier != source.identifier {
            source.identifier = identifier;
            is_changed = true;
        }
        for (key, value) in attrs {
            if source.attrs.get(key).map_or("", String::as_str) != value {
                source.attrs.insert(key.clone(), value.clone());
                is_changed = true;
            }
        }
        is_changed
    }
}

impl Matcher {
    /// The new identifier, with what matched parts of the old one.
    fn fill(&self, old: &str, new: &str) -> String {
        match self {
            Self::Exact => new.to_owned(),
            Self::Expression(regex) => regex.replace_all(old, new).into_owned(),
            Self::Wildcard(regex) => match regex.captures(old) {
                Some(found) => {
                    let mut filled = String::new();
                    found.expand(new, &mut filled);
                    filled
                }
                None => old.to_owned(),
            },
        }
    }
}

impl Constraint {
    fn holds(&self, attrs: &BTreeMap<String, String>) -> bool {
        let value = attrs.get(&self.key).map_or("", String::as_str);
        match &self.condition {
            Condition::Equal(wanted) => value == wanted,
            Condition::NotEqual(unwanted) => value != unwanted,
            Condition::Matches(regex) => regex.is_match(value),
        }
    }
}

fn rule(given: &proto::Rule) -> Result<Rule, String> {
    let selector = given.selector.as_ref().ok_or("it has no selector")?;
    let unknown = |what: &str, number: i32| format!("unknown {what} {number}");
    let action = PolicyAction::try_from(given.action);
    let action = match action.map_err(|_| unknown("action", given.action))? {
        PolicyAction::Allow => Action::Allow,
        PolicyAction::Deny => Action::Deny,
        PolicyAction::Convert => {
            let updates = given.updates.as_ref();
            let updates = updates.ok_or("missing destination for convert rule")?;
            let identifier = match updates.identifier.as_str() {
                "" => &selector.identifier,
                identifier => identifier,
            };
            Action::Convert {
                identifier: bounded(identifier)?.to_owned(),
                attrs: updates.attrs.clone(),
            }
        }
    };
    let identifier = bounded(&selector.identifier)?.to_owned();
    let kind = MatchType::try_from(selector.match_type);
    let matcher = match kind.map_err(|_| unknown("match type", selector.match_type))? {
        MatchType::Exact => Matcher::Exact,
        MatchType::Regex => Matcher::Expression(regex(&identifier)?),
        MatchType::Wildcard => Matcher::Wildcard(wildcard(&identifier)?),
    };
    let constraints = selector.constraints.iter().map(constraint);
    Ok(Rule {
        action,
        matcher,
        constraints: constraints.collect::<Result<_, _>>()?,
        identifier,
    })
}

fn constraint(given: &proto::AttrConstraint) -> Result<Constraint, String> {
    let value = bounded(&given.value)?;
    let condition = AttrMatch::try_from(given.condition);
    let unknown = |_| format!("unknown attr condition: {}", given.condition);
    Ok(Constraint {
        key: given.key.clone(),
        condition: match condition.map_err(unknown)? {
            AttrMatch::Equal => Condition::Equal(value.to_owned()),
            AttrMatch::Notequal => Condition::NotEqual(value.to_owned()),
            AttrMatch::Matches => Condition::Matches(regex(value)?),
        },
    })
}

/// Each `*` stands for any text.
fn wildcard(text: &str) -> Result<Regex, String> {
    if text.contains("**") {
        return Err(format!(
            "failed to translate wildcard {text:?} to regexp: invalid wildcard: \"**\""
        ));
    }
    let parts: Vec<String> = text.split('*').map(regex_lite::escape).collect();
    regex(&format!("^{}$", parts.join("(.*)")))
}

fn regex(text: &str) -> Result<Regex, String> {
    let built = RegexBuilder::new(text).size_limit(MAX_EXPRESSION).build();
    built.map_err(|error| format!("invalid regex {text:?}: {error}"))
}

fn bounded(text: &str) -> Result<&str, String> {
    match text.len() > MAX_TEXT {
        true => Err(format!(
            "a text of {} bytes, more than {MAX_TEXT}",
            text.len()
        )),
        false => Ok(text),
    }
}

#[cfg(test)]
mod tests;
