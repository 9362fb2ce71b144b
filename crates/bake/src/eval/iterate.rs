//! Lists and maps made of others.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Range;

use hcl_edit::Span as _;
use hcl_edit::expr::ForExpr;

use super::{Locals, Scope};
use crate::error::{BakeError, Problem};
use crate::value::Value;

/// What a turn of a loop costs, at least.
const TURN: u64 = 64;

/// What is in a list or a map, with its keys or places.
pub(crate) fn entries(value: &Value) -> Option<Vec<(Value, Value)>> {
    Some(match value {
        Value::List(items) => {
            let items = items.iter().cloned().enumerate();
            items
                .map(|(place, item)| (Value::int(place as u64), item))
                .collect()
        }
        Value::Object(map) => {
            let map = map.iter();
            map.map(|(key, value)| (Value::text(key), value.clone()))
                .collect()
        }
        _ => return None,
    })
}

impl Scope<'_> {
    pub(super) fn each(&self, each: &ForExpr) -> Result<Value, BakeError> {
        let collection = self.value(&each.intro.collection_expr)?;
        let span = each.intro.collection_expr.span();
        let items = entries(&collection).ok_or_else(|| self.kind(span, "a list", &collection))?;
        let mut list = Vec::new();
        let mut map = BTreeMap::new();
        for (key, value) in items {
            let mut locals = Locals {
                outer: self.locals,
                ..Locals::default()
            };
            let name = each.intro.value_var.as_str().to_owned();
            locals.values.insert(name, value);
            if let Some(name) = &each.intro.key_var {
                locals.values.insert(name.as_str().to_owned(), key);
            }
            let scope = self.with(&locals);
            scope.turn(each.span())?;
            if !scope.is_wanted(each)? {
                continue;
            }
            match &each.key_expr {
                None => list.push(scope.value(&each.value_expr)?),
                Some(key) => scope.put(&mut map, scope.text(key)?, each)?,
            }
        }
        Ok(match &each.key_expr {
            None => Value::List(list),
            Some(_) => Value::Object(map),
        })
    }

    /// Counts one turn of a loop, whatever comes of it.
    pub(super) fn turn(&self, span: Option<Range<usize>>) -> Result<(), BakeError> {
        self.spend(span, TURN)
    }

    fn is_wanted(&self, each: &ForExpr) -> Result<bool, BakeError> {
        let Some(condition) = &each.cond else {
            return Ok(true);
        };
        let value = self.value(&condition.expr)?;
        let bool = value.to_bool();
        bool.ok_or_else(|| self.kind(condition.expr.span(), "a bool", &value))
    }

    fn put(
        &self,
        map: &mut BTreeMap<String, Value>,
        key: String,
        each: &ForExpr,
    ) -> Result<(), BakeError> {
        self.spend(each.span(), key.len() as u64)?;
        let value = self.value(&each.value_expr)?;
        if each.grouping {
            let group = map.entry(key).or_insert_with(|| Value::List(Vec::new()));
            if let Value::List(group) = group {
                group.push(value);
            }
            return Ok(());
        }
        match map.entry(key) {
            Entry::Occupied(known) => {
                let problem = Problem::value(format!("key {:?}", known.key()), "is there twice");
                return Err(self.error(each.span(), problem));
            }
            Entry::Vacant(place) => drop(place.insert(value)),
        }
        Ok(())
    }
}
