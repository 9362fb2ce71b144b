//! What a token is asked for: `repository:NAME:ACTION,ACTION`, several joined by spaces.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use oci::Reference;

/// A set of scopes; equal sets share a token.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Scopes(BTreeMap<(String, String), BTreeSet<String>>);

impl Scopes {
    /// To read from the repository of `reference`.
    pub(crate) fn pull(reference: &Reference) -> Self {
        Self::default().with(reference, &["pull"])
    }

    /// To read from it and write to it.
    pub(crate) fn push(reference: &Reference) -> Self {
        Self::default().with(reference, &["pull", "push"])
    }

    /// Also to read from the repository of `reference`.
    pub(crate) fn and_pull(self, reference: &Reference) -> Self {
        self.with(reference, &["pull"])
    }

    fn with(mut self, reference: &Reference, actions: &[&str]) -> Self {
        let key = ("repository".to_owned(), reference.repository().to_owned());
        let entry = self.0.entry(key).or_default();
        entry.extend(actions.iter().map(|&action| action.to_owned()));
        self
    }

    /// Also what a registry's challenge asks for. What is no scope is left out.
    pub(crate) fn and_challenge(mut self, text: &str) -> Self {
        for scope in text.split_ascii_whitespace() {
            let parts = scope.split_once(':').and_then(|(kind, rest)| {
                let (name, actions) = rest.rsplit_once(':')?;
                Some((kind, name, actions))
            });
            if let Some((kind, name, actions)) = parts {
                let entry = self
                    .0
                    .entry((kind.to_owned(), name.to_owned()))
                    .or_default();
                entry.extend(
                    actions
                        .split(',')
                        .filter(|a| !a.is_empty())
                        .map(str::to_owned),
                );
            }
        }
        self
    }

    /// Each scope as it goes over the wire.
    pub(crate) fn texts(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|((kind, name), actions)| {
            let actions: Vec<_> = actions.iter().map(String::as_str).collect();
            format!("{kind}:{name}:{}", actions.join(","))
        })
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.texts().collect::<Vec<_>>().join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets() {
        let target: Reference = "r.test:5000/a/b:1".parse().unwrap();
        let other: Reference = "r.test:5000/c".parse().unwrap();
        for (scopes, text) in [
            (Scopes::pull(&target), "repository:a/b:pull"),
            (
                Scopes::push(&target).and_pull(&target),
                "repository:a/b:pull,push",
            ),
            (
                Scopes::push(&target).and_pull(&other),
                "repository:a/b:pull,push repository:c:pull",
            ),
            (
                Scopes::pull(&target).and_challenge(
                    " repository:a/b:push,pull  registry:catalog:* x x:y repository:h:1/z:pull",
                ),
                "registry:catalog:* repository:a/b:pull,push repository:h:1/z:pull",
            ),
        ] {
            assert_eq!(scopes.to_string(), text);
        }
    }
}
