//! What targets have of those that they inherit from, and of what further files say of them.

use std::collections::BTreeMap;

use super::{Attest, Entry, Secret, Ssh, Target};

impl Target {
    /// Takes over what `other` says: its values are stronger, and lists of what is offered to steps
    /// or looked in grow.
    pub(crate) fn merge(&mut self, other: &Self) {
        let put = |to: &mut Option<String>, from: &Option<String>| {
            if from.is_some() {
                to.clone_from(from);
            }
        };
        put(&mut self.context, &other.context);
        put(&mut self.dockerfile, &other.dockerfile);
        put(&mut self.dockerfile_inline, &other.dockerfile_inline);
        put(&mut self.target, &other.target);
        put(&mut self.call, &other.call);
        put(&mut self.network, &other.network);
        put(&mut self.shm_size, &other.shm_size);
        self.pull = other.pull.or(self.pull);
        self.no_cache = other.no_cache.or(self.no_cache);
        if !other.description.is_empty() {
            self.description.clone_from(&other.description);
        }
        self.merge_lists(other);
        self.args.extend(other.args.clone());
        self.contexts.extend(other.contexts.clone());
        self.labels.extend(other.labels.clone());
        self.extra_hosts.extend(other.extra_hosts.clone());
    }

    fn merge_lists(&mut self, other: &Self) {
        if other.tags.is_some() {
            self.tags.clone_from(&other.tags);
        }
        if other.platforms.is_some() {
            self.platforms.clone_from(&other.platforms);
        }
        if other.cache_to.is_some() {
            self.cache_to.clone_from(&other.cache_to);
        }
        if other.output.is_some() {
            self.output.clone_from(&other.output);
        }
        self.inherits.extend(other.inherits.clone());
        self.annotations.extend(other.annotations.clone());
        self.no_cache_filter.extend(other.no_cache_filter.clone());
        self.ulimits.extend(other.ulimits.clone());
        self.entitlements.extend(other.entitlements.clone());
        self.add_caches_from(&other.cache_from);
        self.add_secrets(&other.secret);
        self.add_ssh(&other.ssh);
        self.add_attests(&other.attest);
    }

    pub(crate) fn add_caches_from(&mut self, more: &[Entry]) {
        self.cache_from.extend_from_slice(more);
        without_doubles(&mut self.cache_from);
    }

    pub(crate) fn add_secrets(&mut self, more: &[Secret]) {
        self.secret.extend_from_slice(more);
        last_of_name(&mut self.secret, |secret| secret.id.clone());
    }

    pub(crate) fn add_ssh(&mut self, more: &[Ssh]) {
        self.ssh.extend_from_slice(more);
        last_of_name(&mut self.ssh, |ssh| ssh.id.clone());
    }

    pub(crate) fn add_attests(&mut self, more: &[Attest]) {
        self.attest.extend_from_slice(more);
        last_of_name(&mut self.attest, |attest| attest.kind.clone());
    }

    /// Removes what says nothing or says it again.
    pub(crate) fn normalize(&mut self) {
        for list in [
            &mut self.annotations,
            &mut self.no_cache_filter,
            &mut self.ulimits,
        ] {
            once(list);
        }
        for list in [&mut self.tags, &mut self.platforms].into_iter().flatten() {
            once(list);
        }
        without_doubles(&mut self.cache_from);
        for list in [&mut self.cache_to, &mut self.output] {
            if let Some(entries) = list {
                without_doubles(entries);
            }
            if list.as_ref().is_some_and(Vec::is_empty) {
                *list = None;
            }
        }
        self.add_secrets(&[]);
        self.add_ssh(&[]);
        self.add_attests(&[]);
        if self.network.as_deref() == Some("host") {
            self.entitlements.push("network.host".to_owned());
        }
        once(&mut self.entitlements);
        self.contexts.retain(|_, context| !context.is_empty());
    }
}

/// Each text once, and none that is empty.
pub(crate) fn once(list: &mut Vec<String>) {
    let mut seen = std::collections::BTreeSet::new();
    list.retain(|text| !text.is_empty() && seen.insert(text.clone()));
}

/// Each entry once, in the order in which buildx shows them: the last entry takes the place of one
/// that was there before.
pub(crate) fn without_doubles(entries: &mut Vec<Entry>) {
    let mut places: BTreeMap<Entry, usize> = BTreeMap::new();
    for place in (0..entries.len()).rev() {
        let Some(double) = places.insert(entries[place].clone(), place) else {
            continue;
        };
        entries.swap_remove(double);
        if let Some(moved) = entries.get(double) {
            places.insert(moved.clone(), double);
        }
    }
}

/// Of each name the last entry, at the place of the first.
fn last_of_name<T>(entries: &mut Vec<T>, name: impl Fn(&T) -> String) {
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut kept: Vec<T> = Vec::with_capacity(entries.len());
    for entry in entries.drain(..) {
        let place = *places.entry(name(&entry)).or_insert(kept.len());
        match kept.get_mut(place) {
            Some(known) => *known = entry,
            None => kept.push(entry),
        }
    }
    *entries = kept;
}
