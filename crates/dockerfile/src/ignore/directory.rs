//! What the patterns say of the names in one directory.
//!
//! A directory knows what is left of each pattern there: the steps that a name in it may be. Those
//! behind a `**` hold in all directories beneath and are shared with them, so a directory costs what
//! begins in it and a name costs the few patterns that its text leads to.

use std::sync::Arc;

use super::index::{Index, Item};
use super::pattern::Pattern;
use super::places::Places;
use super::steps::Step;
use super::{Patterns, Verdict};

/// A directory on the way down a walk.
#[derive(Debug, Clone)]
pub struct Directory {
    patterns: Arc<[Pattern]>,
    /// Those that match it or a directory above, in order.
    matched: Vec<usize>,
    /// What a name in it may be.
    here: Index,
    /// What a name in it or anywhere beneath may be.
    beneath: Vec<Arc<Index>>,
    /// How far patterns without steps have come with its path and a slash.
    places: Vec<(usize, Places)>,
}

/// What a name is in a directory.
#[derive(Default)]
struct Hits {
    /// Patterns that match.
    matched: Vec<usize>,
    /// Steps of others, which go on beneath.
    open: Vec<Item>,
}

impl Patterns {
    /// What they say in the root of the context.
    #[must_use]
    pub fn root(&self) -> Directory {
        let patterns = Arc::clone(&self.patterns);
        let numbered = patterns.iter().enumerate();
        let places = numbered
            .filter(|(_, pattern)| pattern.steps().is_none())
            .map(|(number, pattern)| (number, Places::new(pattern.tokens())))
            .collect();
        let first = (0..patterns.len()).map(|pattern| Item { pattern, step: 0 });
        let (here, beneath) = reached(&patterns, first);
        let beneath = Index::new(&patterns, beneath);
        Directory {
            here: Index::new(&patterns, here),
            beneath: (!beneath.is_empty())
                .then(|| Arc::new(beneath))
                .into_iter()
                .collect(),
            patterns,
            matched: Vec::new(),
            places,
        }
    }
}

impl Directory {
    /// What they say of the file or directory `name` in it.
    #[must_use]
    pub fn verdict(&self, name: &str, is_directory: bool) -> Verdict {
        // What matches earlier may say otherwise, but the last pattern has the last word.
        let last = self.last_match(name);
        let excluded = last.is_some_and(|last| !self.patterns[last].is_exception());
        Verdict {
            excluded,
            skip: excluded && is_directory && !self.has_exceptions_in(name),
        }
    }

    /// The pattern because of which `name` is left out, if it is.
    #[must_use]
    pub fn excluded_by(&self, name: &str) -> Option<String> {
        let last = &self.patterns[self.last_match(name)?];
        (!last.is_exception()).then(|| last.line())
    }

    fn last_match(&self, name: &str) -> Option<usize> {
        let mut last = self.matched.last().copied();
        let mut add = |pattern| last = last.max(Some(pattern));
        for index in self.indexes() {
            index.find(&self.patterns, name, |item| {
                if item.is_last(&self.patterns) {
                    add(item.pattern);
                }
            });
        }
        for (pattern, _) in self.places_after(name).filter(|(_, after)| after.is_end()) {
            add(pattern);
        }
        last
    }

    /// What they say in the directory `name` in it.
    #[must_use]
    pub fn enter(&self, name: &str) -> Self {
        let hits = self.hits(name);
        let matched = self.follow(hits.matched);
        let open = hits.open.into_iter().filter(|item| {
            // What matched once holds for all that is beneath.
            matched.binary_search(&item.pattern).is_err()
        });
        let next = open.map(|item| Item {
            step: item.step + 1,
            ..item
        });
        let (here, mut new) = reached(&self.patterns, next);
        let is_known = |item: &Item| self.beneath.iter().any(|index| index.contains(*item));
        new.retain(|item| !is_known(item));
        let mut beneath = self.beneath.clone();
        if !new.is_empty() {
            beneath.push(Arc::new(Index::new(&self.patterns, new)));
        }
        let places = self
            .places_after(name)
            .filter_map(|(pattern, places)| Some((pattern, self.step_in(pattern, places)?)))
            .collect();
        Self {
            here: Index::new(&self.patterns, here),
            patterns: Arc::clone(&self.patterns),
            matched,
            beneath,
            places,
        }
    }

    /// No pattern leaves out anything that is in it.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let last = self.matched.last();
        last.is_none_or(|last| self.patterns[*last].is_exception())
            && self.here.is_empty()
            && self.beneath.is_empty()
            && self.places.is_empty()
    }

    fn indexes(&self) -> impl Iterator<Item = &Index> {
        let beneath = self.beneath.iter().map(|index| &**index);
        beneath.chain([&self.here])
    }

    fn hits(&self, name: &str) -> Hits {
        let mut hits = Hits::default();
        for index in self.indexes() {
            index.find(&self.patterns, name, |item| {
                if item.is_last(&self.patterns) {
                    hits.matched.push(item.pattern);
                } else {
                    hits.open.push(item);
                }
            });
        }
        let ended = self.places_after(name).filter(|(_, after)| after.is_end());
        hits.matched.extend(ended.map(|(pattern, _)| pattern));
        hits
    }

    /// Those of `matched` that count for what is beneath, with those from above. A pattern that
    /// would have changed nothing when its turn came is not remembered.
    fn follow(&self, mut matched: Vec<usize>) -> Vec<usize> {
        matched.extend(&self.matched);
        matched.sort_unstable();
        matched.dedup();
        let mut excluded = false;
        matched.retain(|pattern| {
            let is_exception = self.patterns[*pattern].is_exception();
            let by_parent = self.matched.binary_search(pattern).is_ok();
            let counts = by_parent || is_exception == excluded;
            if counts {
                excluded = !is_exception;
            }
            counts
        });
        matched
    }

    /// Some pattern that takes back could match in the directory `name`.
    fn has_exceptions_in(&self, name: &str) -> bool {
        let mut found = self.beneath.iter().any(|index| index.has_exceptions());
        for index in self.indexes().filter(|index| index.has_exceptions()) {
            index.find(&self.patterns, name, |item| {
                let goes_on = !item.is_last(&self.patterns);
                found |= goes_on && self.patterns[item.pattern].is_exception();
            });
        }
        found
            || self.places_after(name).any(|(pattern, places)| {
                self.patterns[pattern].is_exception() && self.step_in(pattern, places).is_some()
            })
    }

    /// How far patterns without steps come with `name`; those that cannot match are left out.
    fn places_after(&self, name: &str) -> impl Iterator<Item = (usize, Places)> {
        let first = name.chars().next();
        self.places.iter().filter_map(move |(pattern, places)| {
            let tokens = self.patterns[*pattern].tokens();
            // Most end here, before anything is copied.
            first.filter(|character| places.can_take(tokens, *character))?;
            let mut places = places.clone();
            let mut characters = name.chars();
            let goes_on = characters.all(|character| places.step(tokens, character));
            goes_on.then_some((*pattern, places))
        })
    }

    /// The same with a slash behind it, if there is anything that could follow.
    fn step_in(&self, pattern: usize, mut places: Places) -> Option<Places> {
        let goes_on = places.step(self.patterns[pattern].tokens(), '/');
        (goes_on && places.can_go_on()).then_some(places)
    }
}

/// The steps that a name can be when `items` are next: in this directory alone, and in all that are
/// beneath it.
fn reached(patterns: &[Pattern], items: impl Iterator<Item = Item>) -> (Vec<Item>, Vec<Item>) {
    let (mut here, mut beneath) = (Vec::new(), Vec::new());
    for item in items {
        match item.of(patterns) {
            Some(Step::Name(_)) => here.push(item),
            Some(Step::Rest) => beneath.push(item),
            Some(Step::Parts) => beneath.push(Item {
                step: item.step + 1,
                ..item
            }),
            None => {}
        }
    }
    (here, beneath)
}
