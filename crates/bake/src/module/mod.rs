//! What HCL and JSON files define together. A value is found when something needs it, once.

mod block;
mod function;
mod variable;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use crate::error::{BakeError, Problem};
use crate::given::{File, Given};
use crate::syntax::{Attribute, Block, Body};
use crate::value::Value;

pub use variable::Variable;

pub(crate) use block::check_name;

/// Values take no more room than this, all together, and what is looked at counts as room too.
pub(crate) const MAX_BYTES: u64 = 64 << 20;
/// Values and calls in each other: deeper ones would exhaust the stack.
const MAX_DEPTH: usize = 48;

/// Whether blocks of this kind are named in expressions.
pub(crate) fn is_block_kind(name: &str) -> bool {
    matches!(name, "target" | "group")
}

/// What the files define.
pub(crate) struct Module<'a> {
    files: &'a [File],
    given: &'a Given,
    /// The last of a name counts.
    variables: BTreeMap<String, &'a Block>,
    functions: BTreeMap<String, &'a Block>,
    /// The first of a name counts.
    attributes: BTreeMap<String, &'a Attribute>,
    /// Targets and groups, in order.
    blocks: Vec<&'a Block>,
    values: RefCell<BTreeMap<String, Value>>,
    instances: RefCell<Option<std::rc::Rc<Vec<block::Instance>>>>,
    /// What is being found.
    under_way: RefCell<Vec<String>>,
    spent: Cell<u64>,
    /// How often something random was asked for.
    drawn: Cell<u64>,
}

impl<'a> Module<'a> {
    /// Of the files' bodies, in their order.
    pub(crate) fn new(
        files: &'a [File],
        given: &'a Given,
        bodies: &'a [Body],
    ) -> Result<Self, BakeError> {
        let mut module = Self {
            files,
            given,
            variables: BTreeMap::new(),
            functions: BTreeMap::new(),
            attributes: BTreeMap::new(),
            blocks: Vec::new(),
            values: RefCell::default(),
            instances: RefCell::default(),
            under_way: RefCell::default(),
            spent: Cell::new(0),
            drawn: Cell::new(0),
        };
        for body in bodies {
            for attribute in &body.attributes {
                let name = attribute.name.clone();
                module.attributes.entry(name).or_insert(attribute);
            }
            for block in &body.blocks {
                module.add(block)?;
            }
        }
        Ok(module)
    }

    fn add(&mut self, block: &'a Block) -> Result<(), BakeError> {
        let refuse = |problem: Problem| Err(problem.at(block.at.place(self.files, None)));
        let known = ["variable", "function", "target", "group"];
        if !known.contains(&block.kind.as_str()) {
            return refuse(Problem::unknown("block", &block.kind, known));
        }
        let [label] = block.labels.as_slice() else {
            let why = format!("takes one name, not {}", block.labels.len());
            return refuse(Problem::value(&block.kind, why));
        };
        match block.kind.as_str() {
            "variable" => drop(self.variables.insert(label.clone(), block)),
            "function" => drop(self.functions.insert(label.clone(), block)),
            _ => self.blocks.push(block),
        }
        Ok(())
    }

    pub(crate) const fn files(&self) -> &'a [File] {
        self.files
    }

    pub(crate) const fn given(&self) -> &'a Given {
        self.given
    }

    /// Counts room that a value takes.
    pub(crate) fn spend(&self, bytes: u64) -> Result<(), Problem> {
        let spent = self.spent.get().saturating_add(bytes);
        self.spent.set(spent);
        match spent > MAX_BYTES {
            true => Err(Problem::TooLarge(MAX_BYTES)),
            false => Ok(()),
        }
    }

    /// How much more values may take.
    pub(crate) fn room(&self) -> u64 {
        MAX_BYTES.saturating_sub(self.spent.get())
    }

    /// Bytes that were given out to nobody else.
    pub(crate) fn random(&self) -> [u8; 16] {
        let drawn = self.drawn.get();
        self.drawn.set(drawn.wrapping_add(1));
        let digest = Sha256::new()
            .chain_update(self.given.random)
            .chain_update(drawn.to_le_bytes())
            .finalize();
        let mut bytes = [0; 16];
        bytes
            .iter_mut()
            .zip(digest)
            .for_each(|(to, from)| *to = from);
        bytes
    }

    /// Finds something that must not need itself.
    fn once<T>(
        &self,
        what: String,
        find: impl FnOnce() -> Result<T, BakeError>,
    ) -> Result<T, BakeError> {
        {
            let mut under_way = self.under_way.borrow_mut();
            if under_way.contains(&what) {
                return Err(Problem::Cycle(what).nowhere());
            }
            if under_way.len() >= MAX_DEPTH {
                let why = "is needed too deep within others";
                return Err(Problem::value(what, why).nowhere());
            }
            under_way.push(what);
        }
        let found = find();
        self.under_way.borrow_mut().pop();
        found
    }
}

/// What is wrong in a block, at its place unless a better one is known.
fn placed(error: BakeError, place: impl FnOnce() -> crate::error::Place) -> BakeError {
    match error.place {
        Some(_) => error,
        None => error.problem.at(place()),
    }
}

impl std::fmt::Debug for Module<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Module")
    }
}
