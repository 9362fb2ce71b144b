//! All groups, targets and variables of several files, and those of them that are asked for.

use std::collections::{BTreeMap, BTreeSet};

use graph::matches_pattern;

use crate::compose;
use crate::error::{BakeError, Problem};
use crate::given::{File, Given};
use crate::module::{Module, Variable};
use crate::resolve::{Resolving, spend};
use crate::selection::Selection;
use crate::syntax;
use crate::target::{Group, Target};

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
    /// What it took to put them together.
    spent: u64,
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
    if composes.is_empty() {
        module.check_typed()?;
    }
    definitions.variables = module.all_variables()?;
    module.check_functions()?;
    let (mut groups, mut targets) = (Vec::new(), Vec::new());
    let renamed = module.definitions(|group| groups.push(group), |target| targets.push(target))?;
    groups
        .into_iter()
        .for_each(|group| definitions.add_group(group));
    for target in targets {
        definitions.add_target(target).map_err(Problem::nowhere)?;
    }
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
    pub(crate) fn add_target(&mut self, target: Target) -> Result<(), Problem> {
        let mut known = self.targets.iter_mut();
        match known.find(|known| known.name == target.name) {
            Some(known) => {
                known.merge(&target);
                spend(&mut self.spent, known.weight())
            }
            None => {
                self.targets.push(target);
                Ok(())
            }
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
        let mut resolving = Resolving::new(self, &overrides);
        let (targets, groups) = self.members(&names);
        for name in targets {
            let resolved = resolving.target(name)?;
            selection.targets.insert(name.to_owned(), resolved);
        }
        for group in groups {
            selection.groups.insert(group.name.clone(), group.clone());
        }
        selection.ask_for(&names);
        resolving.link(&mut selection)?;
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
            if !name.contains(['*', '?', '[', ']']) {
                matching.push(name);
                continue;
            }
            let groups = self.groups.iter().map(|group| &group.name);
            let all = groups.chain(self.targets.iter().map(|target| &target.name));
            let found: Vec<&String> = all.filter(|known| matches_pattern(&name, known)).collect();
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

    pub(crate) fn missing(&self, name: &str) -> BakeError {
        let targets = self.targets.iter().map(|target| target.name.as_str());
        let groups = self.groups.iter().map(|group| group.name.as_str());
        Problem::unknown("target", name, targets.chain(groups)).nowhere()
    }

    /// The targets and the groups that `names` stand for.
    fn members<'a>(&'a self, names: &'a [String]) -> (BTreeSet<&'a str>, Vec<&'a Group>) {
        let (mut targets, mut groups) = (BTreeSet::new(), BTreeMap::new());
        let mut ahead: Vec<&String> = names.iter().collect();
        while let Some(name) = ahead.pop() {
            match self.groups.iter().find(|group| group.name == *name) {
                None => drop(targets.insert(name.as_str())),
                Some(group) => {
                    if groups.insert(name, group).is_none() {
                        ahead.extend(&group.targets);
                    }
                }
            }
        }
        (targets, groups.into_values().collect())
    }
}
