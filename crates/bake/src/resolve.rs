//! Targets with all that they inherit and that was set, and with those that they need.
//!
//! However often files lead from one target to others, this ends: what it comes to is counted.

use std::collections::{BTreeMap, BTreeSet};

use crate::definitions::{Definitions, TARGET};
use crate::error::{BakeError, Problem};
use crate::module::MAX_BYTES;
use crate::overrides::Overrides;
use crate::selection::Selection;
use crate::target::{Entry, Target};

/// Targets inherit from and need each other through no more than this many.
const MAX_DEPTH: usize = 100;

/// Counts `bytes` among those that were taken already.
pub(crate) fn spend(spent: &mut u64, bytes: u64) -> Result<(), Problem> {
    *spent = spent.saturating_add(bytes);
    match *spent > MAX_BYTES {
        true => Err(Problem::TooLarge(MAX_BYTES)),
        false => Ok(()),
    }
}

pub(crate) struct Resolving<'a> {
    definitions: &'a Definitions,
    overrides: &'a Overrides,
    spent: u64,
    /// Targets whose contexts were looked at.
    linked: BTreeSet<String>,
}

impl<'a> Resolving<'a> {
    pub(crate) const fn new(definitions: &'a Definitions, overrides: &'a Overrides) -> Self {
        Self {
            definitions,
            overrides,
            spent: 0,
            linked: BTreeSet::new(),
        }
    }

    /// The target `name` with all that it inherits.
    pub(crate) fn target(&mut self, name: &str) -> Result<Target, BakeError> {
        let resolved = self.inherit(name, &mut BTreeMap::new(), 0)?;
        let mut target = resolved.unwrap_or_default();
        name.clone_into(&mut target.name);
        target.context.get_or_insert_with(|| ".".to_owned());
        if target.dockerfile.as_deref().is_none_or(str::is_empty) {
            target.dockerfile = Some("Dockerfile".to_owned());
        }
        Ok(target)
    }

    /// None where it leads back to itself.
    fn inherit(
        &mut self,
        name: &str,
        visited: &mut BTreeMap<String, Option<Target>>,
        depth: usize,
    ) -> Result<Option<Target>, BakeError> {
        if let Some(known) = visited.get(name) {
            return Ok(known.clone());
        }
        if depth > MAX_DEPTH {
            let why = format!("inherits through more than {MAX_DEPTH} others");
            return Err(Problem::value(format!("target {name}"), why).nowhere());
        }
        visited.insert(name.to_owned(), None);
        let mut targets = self.definitions.targets.iter();
        let own = targets.find(|target| target.name == name);
        let own = own.ok_or_else(|| self.definitions.missing(name))?;
        let mut target = Target::default();
        for parent in &own.inherits {
            if let Some(parent) = self.inherit(parent, visited, depth + 1)? {
                target.merge(&parent);
                self.spend(&target)?;
            }
        }
        target.merge(own);
        target.inherits.clear();
        if let Some(set) = self.overrides.get(name) {
            target.override_with(set).map_err(Problem::nowhere)?;
        }
        target.normalize();
        self.spend(&target)?;
        visited.insert(name.to_owned(), Some(target.clone()));
        Ok(Some(target))
    }

    /// Adds the targets whose results are contexts of those in `selection`.
    pub(crate) fn link(&mut self, selection: &mut Selection) -> Result<(), BakeError> {
        let asked: Vec<String> = selection.targets.keys().cloned().collect();
        for name in asked {
            self.link_one(&name, selection, &mut Vec::new())?;
        }
        Ok(())
    }

    /// The same for `name` alone.
    fn link_one(
        &mut self,
        name: &str,
        selection: &mut Selection,
        path: &mut Vec<String>,
    ) -> Result<(), BakeError> {
        if self.linked.contains(name) {
            return Ok(());
        }
        if path.len() > MAX_DEPTH {
            let why = format!("is needed through more than {MAX_DEPTH} others");
            return Err(Problem::value(format!("target {name}"), why).nowhere());
        }
        path.push(name.to_owned());
        let mut target = selection.targets.get(name).cloned().unwrap_or_default();
        let contexts = std::mem::take(&mut target.contexts);
        for linked in contexts
            .values()
            .filter_map(|from| from.strip_prefix(TARGET))
        {
            self.link_to(linked, selection, path)?;
            let needed = &selection.targets[linked];
            target.entitlements.extend(needed.entitlements.clone());
            self.spend(&target)?;
            check_platforms(&target, needed)?;
        }
        crate::target::once(&mut target.entitlements);
        if let Some(linked) = selection.targets.get_mut(name) {
            linked.entitlements = target.entitlements;
        }
        path.pop();
        self.linked.insert(name.to_owned());
        Ok(())
    }

    /// Adds `linked`, whose result is a context of the last target of `path`.
    fn link_to(
        &mut self,
        linked: &str,
        selection: &mut Selection,
        path: &mut Vec<String>,
    ) -> Result<(), BakeError> {
        if path.iter().any(|known| known == linked) {
            let way = format!("target {}", path.join(" → "));
            return Err(Problem::Cycle(way).nowhere());
        }
        if !selection.targets.contains_key(linked) {
            let mut needed = self.target(linked)?;
            needed.output = Some(vec![Entry {
                kind: "cacheonly".to_owned(),
                ..Entry::default()
            }]);
            needed.linked = true;
            selection.targets.insert(linked.to_owned(), needed);
        }
        self.link_one(linked, selection, path)
    }

    fn spend(&mut self, target: &Target) -> Result<(), BakeError> {
        spend(&mut self.spent, target.weight()).map_err(Problem::nowhere)
    }
}

/// What is needed must be there for each platform that it is needed for.
fn check_platforms(target: &Target, needed: &Target) -> Result<(), BakeError> {
    let (Some(wanted), Some(made)) = (&target.platforms, &needed.platforms) else {
        return Ok(());
    };
    let all: BTreeSet<&String> = made.iter().collect();
    let missing = wanted.iter().find(|platform| !all.contains(platform));
    match missing.filter(|_| wanted.len() > 1 && made.len() > 1) {
        Some(platform) => {
            let why = format!(
                "needs target {} for {platform}, which is not among its platforms",
                needed.name
            );
            Err(Problem::value(format!("target {}", target.name), why).nowhere())
        }
        None => Ok(()),
    }
}
