//! All groups, targets and variables of several files, and those of them that are asked for.

use std::collections::{BTreeMap, BTreeSet};

use crate::compose;
use crate::error::{BakeError, Problem};
use crate::given::{File, Given};
use crate::glob;
use crate::module::{Module, Variable};
use crate::overrides::Overrides;
use crate::selection::Selection;
use crate::syntax;
use crate::target::{Entry, Group, Target};

/// What is built when nothing is named.
pub(crate) const DEFAULT: &str = "default";
/// What a context begins with that is another target's result.
pub const TARGET: &str = "target:";

/// What bake files define.
#[derive(Debug, Clone, Default)]
pub struct Definitions {
    /// In the order of the files.
    pub groups: Vec<Group>,
    /// The same; nothing is inherited yet.
    pub targets: Vec<Target>,
    /// By name.
    pub variables: Vec<Variable>,
    pub(crate) environment: BTreeMap<String, String>,
}

/// Reads `files` in their order.
///
/// # Errors
/// A file makes no sense, or asks for something that kiln does not have.
pub fn read(files: &[File], given: &Given) -> Result<Definitions, BakeError> {
    let is_compose = |file: &&File| compose::is_compose(file);
    let composes: Vec<&File> = files.iter().filter(is_compose).collect();
    let mut definitions = compose::read(&composes, given)?;
    definitions.environment.clone_from(&given.environment);
    let mut bodies = Vec::new();
    for (number, file) in files.iter().enumerate() {
        if !compose::is_compose(file) {
            bodies.push(syntax::read(files, number)?);
        }
    }
    let module = Module::new(files, given, &bodies)?;
    definitions.variables = module.all_variables()?;
    module.check_functions()?;
    let (mut groups, mut targets) = (Vec::new(), Vec::new());
    let renamed = module.definitions(|group| groups.push(group), |target| targets.push(target))?;
    groups
        .into_iter()
        .for_each(|group| definitions.add_group(group));
    targets
        .into_iter()
        .for_each(|target| definitions.add_target(target));
    for (name, mut made) in renamed {
        crate::target::once(&mut made);
        if made != [name.clone()] {
            definitions.groups.push(Group {
                name,
                targets: made,
                ..Group::default()
            });
        }
    }
    for group in &mut definitions.groups {
        let mut seen = BTreeSet::new();
        group.targets.retain(|target| seen.insert(target.clone()));
    }
    Ok(definitions)
}

impl Definitions {
    /// A group of the same name goes.
    pub(crate) fn add_group(&mut self, group: Group) {
        match self
            .groups
            .iter_mut()
            .find(|known| known.name == group.name)
        {
            Some(known) => *known = group,
            None => self.groups.push(group),
        }
    }

    /// A target of the same name takes over what this one says.
    pub(crate) fn add_target(&mut self, target: Target) {
        match self
            .targets
            .iter_mut()
            .find(|known| known.name == target.name)
        {
            Some(known) => known.merge(&target),
            None => self.targets.push(target),
        }
    }

    /// The targets that `names` ask for, and those that they need, with what `set` sets.
    ///
    /// # Errors
    /// There is no such target, or what they say of each other makes no sense.
    pub fn select(&self, names: &[String], set: &[String]) -> Result<Selection, BakeError> {
        let names = self.matching(names)?;
        let overrides = self.overrides(set)?;
        let mut selection = Selection::default();
        for name in &names {
            let (targets, groups) = self.members(name, &mut BTreeMap::new());
            for target in targets {
                let resolved = self.resolve(&target, &overrides)?;
                selection.targets.insert(target, resolved);
            }
            for name in groups {
                let group = self.groups.iter().find(|group| group.name == name);
                selection
                    .groups
                    .extend(group.cloned().map(|group| (name, group)));
            }
        }
        selection.ask_for(&names);
        let asked: Vec<String> = selection.targets.keys().cloned().collect();
        for name in asked {
            self.link(&name, &mut selection, &overrides, &mut Vec::new())?;
        }
        for target in selection.targets.values_mut() {
            target.settle().map_err(Problem::nowhere)?;
        }
        Ok(selection)
    }

    /// Names that are there for names that may be patterns.
    fn matching(&self, names: &[String]) -> Result<Vec<String>, BakeError> {
        let mut matching = Vec::new();
        for name in names {
            // Names of services may have dots.
            let name = name.replace('.', "_");
            if !glob::is_pattern(&name) {
                matching.push(name);
                continue;
            }
            let groups = self.groups.iter().map(|group| &group.name);
            let all = groups.chain(self.targets.iter().map(|target| &target.name));
            let found: Vec<&String> = all.filter(|known| glob::matches(&name, known)).collect();
            if found.is_empty() {
                return Err(self.missing(&name));
            }
            matching.extend(found.into_iter().cloned());
        }
        crate::target::once(&mut matching);
        match matching.is_empty() {
            true => Ok(vec![DEFAULT.to_owned()]),
            false => Ok(matching),
        }
    }

    fn missing(&self, name: &str) -> BakeError {
        let targets = self.targets.iter().map(|target| target.name.as_str());
        let groups = self.groups.iter().map(|group| group.name.as_str());
        Problem::unknown("target", name, targets.chain(groups)).nowhere()
    }

    /// The targets and the groups that `name` stands for.
    fn members(
        &self,
        name: &str,
        visited: &mut BTreeMap<String, (Vec<String>, Vec<String>)>,
    ) -> (Vec<String>, Vec<String>) {
        if let Some(known) = visited.get(name) {
            return known.clone();
        }
        let Some(group) = self.groups.iter().find(|group| group.name == name) else {
            return (vec![name.to_owned()], Vec::new());
        };
        visited.insert(name.to_owned(), (Vec::new(), Vec::new()));
        let (mut targets, mut groups) = (Vec::new(), vec![name.to_owned()]);
        for member in &group.targets {
            let (more, within) = self.members(member, visited);
            targets.extend(more);
            groups.extend(within);
        }
        crate::target::once(&mut targets);
        crate::target::once(&mut groups);
        visited.insert(name.to_owned(), (targets.clone(), groups.clone()));
        (targets, groups)
    }

    /// The target `name` with all that it inherits.
    fn resolve(&self, name: &str, overrides: &Overrides) -> Result<Target, BakeError> {
        let resolved = self.inherit(name, overrides, &mut BTreeMap::new())?;
        let mut target = resolved.unwrap_or_default();
        target.inherits.clear();
        name.clone_into(&mut target.name);
        target.context.get_or_insert_with(|| ".".to_owned());
        if target.dockerfile.as_deref().is_none_or(str::is_empty) {
            target.dockerfile = Some("Dockerfile".to_owned());
        }
        Ok(target)
    }

    /// None where it leads back to itself.
    fn inherit(
        &self,
        name: &str,
        overrides: &Overrides,
        visited: &mut BTreeMap<String, Option<Target>>,
    ) -> Result<Option<Target>, BakeError> {
        if let Some(known) = visited.get(name) {
            return Ok(known.clone());
        }
        visited.insert(name.to_owned(), None);
        let own = self.targets.iter().find(|target| target.name == name);
        let own = own.ok_or_else(|| self.missing(name))?;
        let mut parents = Target::default();
        for parent in &own.inherits {
            if let Some(parent) = self.inherit(parent, overrides, visited)? {
                parents.merge(&parent);
            }
        }
        parents.merge(own);
        if let Some(set) = overrides.get(name) {
            parents.override_with(set).map_err(Problem::nowhere)?;
        }
        parents.normalize();
        visited.insert(name.to_owned(), Some(parents.clone()));
        Ok(Some(parents))
    }

    /// Adds the targets whose results are contexts of `name`.
    fn link(
        &self,
        name: &str,
        selection: &mut Selection,
        overrides: &Overrides,
        path: &mut Vec<String>,
    ) -> Result<(), BakeError> {
        path.push(name.to_owned());
        let target = selection.targets.get(name).cloned().unwrap_or_default();
        let mut entitlements = target.entitlements.clone();
        for linked in target
            .contexts
            .values()
            .filter_map(|from| from.strip_prefix(TARGET))
        {
            if path.iter().any(|known| known == linked) {
                let way = format!("target {}", path.join(" → "));
                return Err(Problem::Cycle(way).nowhere());
            }
            if !selection.targets.contains_key(linked) {
                let mut needed = self.resolve(linked, overrides)?;
                needed.output = Some(vec![Entry {
                    kind: "cacheonly".to_owned(),
                    ..Entry::default()
                }]);
                needed.linked = true;
                selection.targets.insert(linked.to_owned(), needed);
            }
            self.link(linked, selection, overrides, path)?;
            let needed = &selection.targets[linked];
            entitlements.extend(needed.entitlements.clone());
            check_platforms(&target, needed)?;
        }
        crate::target::once(&mut entitlements);
        if let Some(target) = selection.targets.get_mut(name) {
            target.entitlements = entitlements;
        }
        path.pop();
        Ok(())
    }
}

/// What is needed must be there for each platform that it is needed for.
fn check_platforms(target: &Target, needed: &Target) -> Result<(), BakeError> {
    let (Some(wanted), Some(made)) = (&target.platforms, &needed.platforms) else {
        return Ok(());
    };
    let missing = wanted.iter().find(|platform| !made.contains(platform));
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
