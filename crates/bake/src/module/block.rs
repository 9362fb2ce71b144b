//! Targets and groups: their names, of which a matrix makes several, and their attributes.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::{Module, placed};
use crate::error::{BakeError, Problem};
use crate::eval::{Locals, Scope};
use crate::syntax::{Attribute, Block};
use crate::target::{Group, Target};
use crate::value::Value;

/// More targets are taken for a mistake.
const MAX_INSTANCES: usize = 4096;

/// A block, or one cell of its matrix.
#[derive(Debug)]
pub(super) struct Instance {
    /// Which of the blocks.
    block: usize,
    name: String,
    cell: BTreeMap<String, Value>,
}

/// Names that a matrix made, by what its block is called.
pub(crate) type Renamed = BTreeMap<String, Vec<String>>;

impl Module<'_> {
    /// All groups and targets in order, and what matrices made.
    pub(crate) fn definitions(
        &self,
        mut group: impl FnMut(Group),
        mut target: impl FnMut(Target),
    ) -> Result<Renamed, BakeError> {
        let mut renamed = Renamed::new();
        for instance in self.instances()?.iter() {
            let block = self.block(instance);
            let made = if block.kind == "group" {
                self.group(instance).map(&mut group)
            } else {
                let label = block.labels[0].clone();
                renamed
                    .entry(label)
                    .or_default()
                    .push(instance.name.clone());
                self.target(instance).map(&mut target)
            };
            made.map_err(|error| placed(error, || block.at.place(self.files, None)))?;
        }
        Ok(renamed)
    }

    /// The attribute of the last block of this kind and name; none when there is no such block.
    pub(crate) fn block_attribute(
        &self,
        kind: &str,
        name: &str,
        attribute: &str,
    ) -> Result<Option<Value>, BakeError> {
        if attribute != "targets" && !crate::target::is_attribute(attribute) {
            let known = crate::target::attributes();
            return Err(Problem::unknown("attribute of a target", attribute, known).nowhere());
        }
        let instances = self.instances()?;
        let of_name =
            |instance: &&Instance| self.block(instance).kind == kind && instance.name == name;
        let Some(instance) = instances.iter().rev().find(of_name) else {
            return Ok(None);
        };
        let Some(said) = self.block(instance).body.attribute(attribute) else {
            return Ok(Some(Value::Null));
        };
        let what = format!("{kind}.{name}.{attribute}");
        let value = self.once(what, || {
            let locals = instance.locals();
            let value = self.in_cell(said, &locals).value(&said.expression)?;
            Ok(match kind {
                "target" => crate::target::as_seen(attribute, value),
                _ => value,
            })
        });
        value.map(Some)
    }

    /// All attributes of such a block.
    pub(crate) fn block_value(&self, kind: &str, name: &str) -> Result<Option<Value>, BakeError> {
        let mut map = BTreeMap::new();
        let attributes: Vec<&str> = match kind {
            "group" => vec!["targets", "description"],
            _ => crate::target::attributes().collect(),
        };
        for attribute in attributes {
            match self.block_attribute(kind, name, attribute)? {
                Some(value) => drop(map.insert(attribute.to_owned(), value)),
                None => return Ok(None),
            }
        }
        map.insert("name".to_owned(), Value::text(name));
        Ok(Some(Value::Object(map)))
    }

    /// Names of the blocks of this kind.
    pub(crate) fn block_names(&self, kind: &str) -> Vec<String> {
        let Ok(instances) = self.instances() else {
            return Vec::new();
        };
        let of_kind = instances
            .iter()
            .filter(|instance| self.block(instance).kind == kind);
        of_kind.map(|instance| instance.name.clone()).collect()
    }

    fn instances(&self) -> Result<Rc<Vec<Instance>>, BakeError> {
        if let Some(known) = self.instances.borrow().as_ref() {
            return Ok(Rc::clone(known));
        }
        let found = self.once("a matrix or its name".to_owned(), || {
            let mut instances = Vec::new();
            for (number, block) in self.blocks.iter().enumerate() {
                self.instances_of(number, &mut instances)
                    .map_err(|error| placed(error, || block.at.place(self.files, None)))?;
                if instances.len() > MAX_INSTANCES {
                    let why = format!("there are more than {MAX_INSTANCES}");
                    return Err(Problem::value("targets", why).nowhere());
                }
            }
            Ok(Rc::new(instances))
        })?;
        *self.instances.borrow_mut() = Some(Rc::clone(&found));
        Ok(found)
    }

    fn instances_of(&self, number: usize, instances: &mut Vec<Instance>) -> Result<(), BakeError> {
        let block = self.blocks[number];
        check_name(&block.labels[0])?;
        let naming = block.body.attribute("name");
        let mut names: Vec<String> = Vec::new();
        let matrix = block
            .body
            .attribute("matrix")
            .filter(|_| block.kind == "target");
        if naming.is_some() && matrix.is_none() && block.kind == "target" {
            return Err(Problem::value("name", "is for targets with a matrix").nowhere());
        }
        for cell in self.cells(matrix)? {
            let mut instance = Instance {
                block: number,
                name: block.labels[0].clone(),
                cell,
            };
            if let (Some(naming), Some(_)) = (naming, matrix) {
                let locals = instance.locals();
                instance.name = self.in_cell(naming, &locals).text(&naming.expression)?;
                check_name(&instance.name)?;
            }
            if names.contains(&instance.name) {
                let why = "the matrix makes it twice: say name = with what differs";
                return Err(Problem::value(format!("target {:?}", instance.name), why).nowhere());
            }
            names.push(instance.name.clone());
            instances.push(instance);
        }
        Ok(())
    }

    /// What the axes of a matrix are in each of its cells; one empty cell where there is none.
    fn cells(&self, matrix: Option<&Attribute>) -> Result<Vec<BTreeMap<String, Value>>, BakeError> {
        let mut cells = vec![BTreeMap::new()];
        let Some(matrix) = matrix else {
            return Ok(cells);
        };
        let value = self.at(matrix).value(&matrix.expression)?;
        let wrong = |what: &str, expected, found: &Value| {
            let problem = Problem::Kind {
                what: what.to_owned(),
                expected,
                found: found.kind().to_owned(),
            };
            problem.at(matrix.at.place(self.files, None))
        };
        let Value::Object(axes) = value else {
            return Err(wrong("matrix", "a map of lists", &value));
        };
        for (axis, values) in axes {
            let items = crate::eval::entries(&values);
            let items = items.ok_or_else(|| wrong(&axis, "a list", &values))?;
            if items.len().saturating_mul(cells.len()) > MAX_INSTANCES {
                let problem =
                    Problem::value("matrix", format!("has more than {MAX_INSTANCES} cells"));
                return Err(problem.at(matrix.at.place(self.files, None)));
            }
            let bytes = |value: &Value| value.weight().saturating_add(axis.len() as u64);
            let grown = items.iter().map(|(_, item)| bytes(item)).sum::<u64>();
            let grown = grown.saturating_mul(cells.len() as u64);
            let old: u64 = cells.iter().flat_map(BTreeMap::values).map(bytes).sum();
            let all = grown.saturating_add(old.saturating_mul(items.len() as u64));
            let spent = self.spend(all);
            spent.map_err(|problem| problem.at(matrix.at.place(self.files, None)))?;
            let with = |(_, item): (Value, Value)| {
                let mut cells = cells.clone();
                for cell in &mut cells {
                    cell.insert(axis.clone(), item.clone());
                }
                cells
            };
            cells = items.into_iter().flat_map(with).collect();
        }
        Ok(cells)
    }

    fn group(&self, instance: &Instance) -> Result<Group, BakeError> {
        let known = ["targets", "description"];
        let mut group = Group {
            name: instance.name.clone(),
            ..Group::default()
        };
        self.no_blocks(self.block(instance))?;
        for attribute in &self.block(instance).body.attributes {
            let scope = self.at(attribute);
            let place = || attribute.at.place(self.files, None);
            match attribute.name.as_str() {
                "targets" => {
                    let value = scope.value(&attribute.expression)?;
                    let targets = crate::target::texts("targets", value);
                    group.targets = targets.map_err(|problem| problem.at(place()))?;
                }
                "description" => group.description = scope.text(&attribute.expression)?,
                "matrix" | "name" => {
                    let problem = Problem::value(&attribute.name, "is not for groups");
                    return Err(problem.at(place()));
                }
                other => {
                    return Err(Problem::unknown("attribute of a group", other, known).at(place()));
                }
            }
        }
        Ok(group)
    }

    fn target(&self, instance: &Instance) -> Result<Target, BakeError> {
        self.no_blocks(self.block(instance))?;
        let mut target = Target {
            name: instance.name.clone(),
            ..Target::default()
        };
        let locals = instance.locals();
        for attribute in &self.block(instance).body.attributes {
            let name = attribute.name.as_str();
            if matches!(name, "matrix" | "name") {
                continue;
            }
            let place = || attribute.at.place(self.files, None);
            if !crate::target::is_attribute(name) {
                let known = crate::target::attributes().chain(["matrix", "name"]);
                return Err(Problem::unknown("attribute of a target", name, known).at(place()));
            }
            let value = self
                .in_cell(attribute, &locals)
                .value(&attribute.expression);
            let value = value.map_err(|error| placed(error, place))?;
            target
                .set(name, value)
                .map_err(|problem| problem.at(place()))?;
        }
        Ok(target)
    }

    fn block(&self, instance: &Instance) -> &Block {
        self.blocks[instance.block]
    }

    fn no_blocks(&self, block: &Block) -> Result<(), BakeError> {
        let Some(inner) = block.body.blocks.first() else {
            return Ok(());
        };
        let why = format!(
            "is in a {}, which has no blocks: say {} = …",
            block.kind, inner.kind
        );
        let problem = Problem::value(format!("block {:?}", inner.kind), why);
        Err(problem.at(inner.at.place(self.files, None)))
    }

    const fn in_cell<'b>(&'b self, attribute: &'b Attribute, cell: &'b Locals<'b>) -> Scope<'b> {
        Scope {
            module: self,
            at: &attribute.at,
            locals: Some(cell),
        }
    }
}

impl Instance {
    fn locals(&self) -> Locals<'_> {
        Locals {
            outer: None,
            values: self.cell.clone(),
        }
    }
}

/// What targets and groups may be called.
pub(crate) fn check_name(name: &str) -> Result<(), BakeError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.chars().all(fits) {
        return Ok(());
    }
    let why = "a name has letters, digits, \"_\" and \"-\" alone; sanitize() makes one";
    Err(Problem::value(format!("{name:?}"), why).nowhere())
}
