//! Expressions to values. What an expression names is found through the [`Module`], when it is
//! needed and not before.

mod call;
mod iterate;
mod operator;
mod template;
mod traverse;

pub(crate) use iterate::entries;
pub(crate) use operator::calculate;
pub(crate) use traverse::part;

use std::collections::BTreeMap;
use std::ops::Range;

use hcl_edit::Span as _;
use hcl_edit::expr::{Conditional, Expression, Object, ObjectKey};

use crate::error::{BakeError, Problem};
use crate::module::Module;
use crate::number::Number;
use crate::syntax::Origin;
use crate::value::Value;

/// What it costs to look at an expression, at least.
const STEP: u64 = 16;

/// Where an expression stands, and what it can name.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) module: &'a Module<'a>,
    pub(crate) at: &'a Origin,
    pub(crate) locals: Option<&'a Locals<'a>>,
}

/// Names that hold in an expression alone, such as those of a loop.
#[derive(Debug, Default)]
pub(crate) struct Locals<'a> {
    pub(crate) outer: Option<&'a Locals<'a>>,
    pub(crate) values: BTreeMap<String, Value>,
}

impl Locals<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        let outer = || self.outer.and_then(|outer| outer.get(name));
        self.values.get(name).or_else(outer)
    }

    fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.outer.map(Locals::names).unwrap_or_default();
        names.extend(self.values.keys().map(String::as_str));
        names
    }
}

impl Scope<'_> {
    /// What `expression` is.
    pub(crate) fn value(&self, expression: &Expression) -> Result<Value, BakeError> {
        self.spend(expression.span(), STEP)?;
        match expression {
            Expression::Null(_) => Ok(Value::Null),
            Expression::Bool(bool) => Ok(Value::Bool(*bool.value())),
            Expression::Number(number) => {
                number_of(number.value()).map(Value::Number).ok_or_else(|| {
                    self.error(expression.span(), Problem::value("number", "too large"))
                })
            }
            Expression::String(text) => {
                self.spend(expression.span(), text.len() as u64)?;
                Ok(Value::text(text.as_str()))
            }
            Expression::Array(items) => {
                let items = items.iter().map(|item| self.value(item));
                Ok(Value::List(items.collect::<Result<_, _>>()?))
            }
            Expression::Object(object) => self.object(object),
            Expression::StringTemplate(template) => self.template(template.iter()),
            Expression::HeredocTemplate(heredoc) => self.heredoc(heredoc),
            Expression::Parenthesis(inner) => self.value(inner.inner()),
            Expression::Variable(name) => self.variable(name.as_str(), expression.span()),
            Expression::Conditional(conditional) => self.conditional(conditional),
            Expression::FuncCall(call) => self.call(call, expression.span()),
            Expression::Traversal(traversal) => self.traversal(traversal),
            Expression::UnaryOp(operation) => self.unary(operation),
            Expression::BinaryOp(operation) => self.binary(operation),
            Expression::ForExpr(each) => self.each(each),
        }
    }

    /// What is wrong with what stands at `span`.
    pub(crate) fn error(&self, span: Option<Range<usize>>, problem: Problem) -> BakeError {
        let start = span.map(|span| span.start);
        problem.at(self.at.place(self.module.files(), start))
    }

    /// The same of a value of the wrong kind.
    pub(crate) fn kind(
        &self,
        span: Option<Range<usize>>,
        expected: &'static str,
        found: &Value,
    ) -> BakeError {
        let problem = Problem::Kind {
            what: "this value".to_owned(),
            expected,
            found: found.kind().to_owned(),
        };
        self.error(span, problem)
    }

    /// The variable `name`.
    pub(crate) fn variable(
        &self,
        name: &str,
        span: Option<Range<usize>>,
    ) -> Result<Value, BakeError> {
        let local = self.locals.and_then(|locals| locals.get(name));
        let value = match local {
            Some(value) => Some(value.clone()),
            None => self.module.variable(name)?,
        };
        let Some(value) = value else {
            let locals = self.locals.map(Locals::names).unwrap_or_default();
            let options = locals.into_iter().chain(self.module.names());
            let problem = Problem::unknown("variable", name, options);
            return Err(self.error(span, problem));
        };
        self.spend(span, value.weight())?;
        Ok(value)
    }

    /// Counts room that a value takes.
    pub(crate) fn spend(&self, span: Option<Range<usize>>, bytes: u64) -> Result<(), BakeError> {
        let spent = self.module.spend(bytes);
        spent.map_err(|problem| self.error(span, problem))
    }

    /// The text that `expression` is.
    pub(crate) fn text(&self, expression: &Expression) -> Result<String, BakeError> {
        let value = self.value(expression)?;
        let text = value.to_text();
        text.ok_or_else(|| self.kind(expression.span(), "a string", &value))
    }

    /// The same names and more.
    pub(crate) const fn with<'b>(&'b self, locals: &'b Locals<'b>) -> Scope<'b> {
        Scope {
            module: self.module,
            at: self.at,
            locals: Some(locals),
        }
    }

    fn conditional(&self, conditional: &Conditional) -> Result<Value, BakeError> {
        let condition = self.value(&conditional.cond_expr)?;
        let is_met = condition.to_bool();
        match is_met {
            Some(true) => self.value(&conditional.true_expr),
            Some(false) => self.value(&conditional.false_expr),
            None => Err(self.kind(conditional.cond_expr.span(), "a bool", &condition)),
        }
    }

    fn object(&self, object: &Object) -> Result<Value, BakeError> {
        let mut map = BTreeMap::new();
        for (key, value) in object {
            let key = match key {
                ObjectKey::Ident(name) => name.as_str().to_owned(),
                // A lone name is itself, also where something else has that name.
                ObjectKey::Expression(Expression::Variable(name)) => name.as_str().to_owned(),
                ObjectKey::Expression(expression) => self.text(expression)?,
            };
            self.spend(value.expr().span(), key.len() as u64)?;
            map.insert(key, self.value(value.expr())?);
        }
        Ok(Value::Object(map))
    }
}

fn number_of(number: &hcl_edit::Number) -> Option<Number> {
    let whole = number.as_i64().map(i128::from);
    let whole = whole.or_else(|| number.as_u64().map(i128::from));
    match whole {
        Some(whole) => Some(Number::Int(whole)),
        None => number.as_f64().and_then(Number::of),
    }
}
