//! Which patterns are worth trying for a name: found by the whole name, by its extension or by its
//! first byte. Those that say nothing of these are always tried.

use std::collections::HashMap;
use std::sync::Arc;

use super::pattern::Pattern;
use super::steps::{Name, Step};

/// A step of a pattern that a name in a directory may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Item {
    /// Which pattern.
    pub(super) pattern: usize,
    /// Which of its steps.
    pub(super) step: usize,
}

/// Items by what they ask of a name.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    /// All of them, in order.
    items: Vec<Item>,
    exact: HashMap<Arc<str>, Vec<Item>>,
    /// Bit n: there is an exact name of n bytes; the last bit for all that are longer.
    lengths: u64,
    by_extension: HashMap<Arc<str>, Vec<Item>>,
    /// By the first byte, in its order.
    by_beginning: Vec<(u8, Item)>,
    others: Vec<Item>,
    /// Some are of patterns that take back.
    has_exceptions: bool,
}

impl Index {
    pub(super) fn new(patterns: &[Pattern], mut items: Vec<Item>) -> Self {
        items.sort_unstable();
        items.dedup();
        let mut index = Self::default();
        for &item in &items {
            index.has_exceptions |= patterns[item.pattern].is_exception();
            index.add(item.of(patterns), item);
        }
        index.by_beginning.sort_unstable();
        index.items = items;
        index
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(super) fn contains(&self, item: Item) -> bool {
        self.items.binary_search(&item).is_ok()
    }

    pub(super) const fn has_exceptions(&self) -> bool {
        self.has_exceptions
    }

    /// Calls `found` for every item that `name` is.
    pub(super) fn find(&self, patterns: &[Pattern], name: &str, mut found: impl FnMut(Item)) {
        if self.lengths & length_bit(name) != 0 {
            for &item in self.exact.get(name).into_iter().flatten() {
                found(item);
            }
        }
        let mut try_all = |items: &[Item]| {
            for &item in items {
                if item.is(patterns, name) {
                    found(item);
                }
            }
        };
        if !self.by_extension.is_empty()
            && let Some(dot) = name.bytes().rposition(|byte| byte == b'.')
            && let Some(items) = self.by_extension.get(&name[dot + 1..])
        {
            try_all(items);
        }
        try_all(&self.others);
        if let (false, Some(&first)) = (self.by_beginning.is_empty(), name.as_bytes().first()) {
            let start = self.by_beginning.partition_point(|(byte, _)| *byte < first);
            let same = self.by_beginning[start..].iter();
            for &(_, item) in same.take_while(|(byte, _)| *byte == first) {
                if item.is(patterns, name) {
                    found(item);
                }
            }
        }
    }

    fn add(&mut self, step: Option<&Step>, item: Item) {
        match step {
            Some(Step::Name(Name::Exact(name))) => {
                self.lengths |= length_bit(name);
                self.exact.entry(Arc::clone(name)).or_default().push(item);
            }
            Some(Step::Name(Name::Glob(glob))) => {
                if let Some(extension) = &glob.extension {
                    let same = self.by_extension.entry(Arc::clone(extension));
                    same.or_default().push(item);
                } else if let Some(first) = glob.beginning.as_bytes().first() {
                    self.by_beginning.push((*first, item));
                } else {
                    self.others.push(item);
                }
            }
            Some(Step::Rest) => self.others.push(item),
            // It is no step that one name can be.
            Some(Step::Parts) | None => {}
        }
    }
}

impl Item {
    /// It is the last step of its pattern.
    pub(super) fn is_last(self, patterns: &[Pattern]) -> bool {
        let steps = patterns[self.pattern].steps();
        steps.is_some_and(|steps| self.step + 1 == steps.len())
    }

    pub(super) fn of(self, patterns: &[Pattern]) -> Option<&Step> {
        patterns[self.pattern].steps()?.get(self.step)
    }

    fn is(self, patterns: &[Pattern], name: &str) -> bool {
        match self.of(patterns) {
            Some(Step::Name(wanted)) => wanted.matches(name),
            Some(Step::Rest) => true,
            Some(Step::Parts) | None => false,
        }
    }
}

fn length_bit(name: &str) -> u64 {
    1 << name.len().min(63)
}
