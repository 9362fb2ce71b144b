//! Parts of values: attributes, places of lists, and the same of each of several.

use std::ops::Range;

use hcl_edit::expr::{Expression, Traversal, TraversalOperator};
use hcl_edit::{Decorated, Span as _};

use super::Scope;
use crate::error::{BakeError, Problem};
use crate::module::is_block_kind;
use crate::value::Value;

type Operators<'a> = &'a [Decorated<TraversalOperator>];

impl Scope<'_> {
    pub(super) fn traversal(&self, traversal: &Traversal) -> Result<Value, BakeError> {
        let operators = traversal.operators.as_slice();
        if let Expression::Variable(kind) = &traversal.expr
            && is_block_kind(kind.as_str())
            && self
                .locals
                .is_none_or(|locals| locals.get(kind.as_str()).is_none())
        {
            return self.block(kind.as_str(), operators, traversal.span());
        }
        let value = self.value(&traversal.expr)?;
        self.walk(value, operators)
    }

    /// What `target.NAME…` is: only what is asked of the target is looked at.
    fn block(
        &self,
        kind: &str,
        operators: Operators<'_>,
        span: Option<Range<usize>>,
    ) -> Result<Value, BakeError> {
        let name = |operator: Option<&Decorated<TraversalOperator>>| match operator?.value() {
            TraversalOperator::GetAttr(name) => Some(name.as_str().to_owned()),
            TraversalOperator::Index(Expression::String(name)) => Some(name.as_str().to_owned()),
            _ => None,
        };
        let Some(block) = name(operators.first()) else {
            let problem = Problem::value(kind, format!("expected {kind}.NAME.ATTRIBUTE"));
            return Err(self.error(span, problem));
        };
        let (value, rest) = match name(operators.get(1)) {
            Some(attribute) => {
                let value = self.module.block_attribute(kind, &block, &attribute)?;
                (value, operators.get(2..).unwrap_or_default())
            }
            None => {
                let value = self.module.block_value(kind, &block)?;
                (value, operators.get(1..).unwrap_or_default())
            }
        };
        let Some(value) = value else {
            let what = if kind == "group" { "group" } else { "target" };
            let names = self.module.block_names(kind);
            let problem = Problem::unknown(what, &block, names.iter().map(String::as_str));
            return Err(self.error(span, problem));
        };
        self.spend(span, value.weight())?;
        self.walk(value, rest)
    }

    fn walk(&self, mut value: Value, operators: Operators<'_>) -> Result<Value, BakeError> {
        for (place, operator) in operators.iter().enumerate() {
            let rest = operators.get(place + 1..).unwrap_or_default();
            match operator.value() {
                TraversalOperator::FullSplat(_) => return self.splat(value, rest),
                TraversalOperator::AttrSplat(_) => {
                    let is_attribute = |operator: &Decorated<TraversalOperator>| {
                        matches!(operator.value(), TraversalOperator::GetAttr(_))
                    };
                    let end = rest.iter().position(|operator| !is_attribute(operator));
                    let (each, rest) = rest.split_at(end.unwrap_or(rest.len()));
                    let list = self.splat(value, each)?;
                    return self.walk(list, rest);
                }
                _ => value = self.part_of(&value, operator)?,
            }
        }
        Ok(value)
    }

    /// The same part of each.
    fn splat(&self, value: Value, operators: Operators<'_>) -> Result<Value, BakeError> {
        let items = match value {
            Value::Null => Vec::new(),
            Value::List(items) => items,
            alone => vec![alone],
        };
        let items = items.into_iter().map(|item| self.walk(item, operators));
        Ok(Value::List(items.collect::<Result<_, _>>()?))
    }

    fn part_of(
        &self,
        value: &Value,
        operator: &Decorated<TraversalOperator>,
    ) -> Result<Value, BakeError> {
        let key = match operator.value() {
            TraversalOperator::GetAttr(name) => Value::text(name.as_str()),
            TraversalOperator::LegacyIndex(place) => Value::int(*place.value()),
            TraversalOperator::Index(expression) => self.value(expression)?,
            TraversalOperator::AttrSplat(_) | TraversalOperator::FullSplat(_) => Value::Null,
        };
        let found = part(value, &key);
        found.map_err(|problem| self.error(operator.span(), problem))
    }
}

/// The part of `value` that `key` names.
pub(crate) fn part(value: &Value, key: &Value) -> Result<Value, Problem> {
    match value {
        Value::Object(map) => {
            let name = key.to_text().unwrap_or_default();
            let missing = || {
                let names = map.keys().map(String::as_str);
                Problem::unknown("attribute", &name, names)
            };
            map.get(&name).cloned().ok_or_else(missing)
        }
        Value::List(items) => {
            let place = key.to_number().and_then(crate::number::Number::index);
            let found = place.and_then(|place| items.get(place));
            found.cloned().ok_or_else(|| {
                let key = key.to_text().unwrap_or_default();
                let why = format!("there is no place {key} in a list of {}", items.len());
                Problem::value("a list", why)
            })
        }
        other => Err(Problem::Kind {
            what: "this value".to_owned(),
            expected: "a map or a list",
            found: other.kind().to_owned(),
        }),
    }
}
