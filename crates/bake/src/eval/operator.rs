//! Operators between values.

use hcl_edit::Span as _;
use hcl_edit::expr::{BinaryOp, BinaryOperator, Expression, UnaryOp, UnaryOperator};

use super::Scope;
use crate::error::{BakeError, Problem};
use crate::number::Number;
use crate::value::Value;

impl Scope<'_> {
    pub(super) fn unary(&self, operation: &UnaryOp) -> Result<Value, BakeError> {
        match operation.operator.value() {
            UnaryOperator::Not => self.bool(&operation.expr).map(|bool| Value::Bool(!bool)),
            UnaryOperator::Neg => {
                let number = self.number(&operation.expr)?;
                let negated = Number::Int(0).combine(number, i128::checked_sub, |a, b| a - b);
                Ok(negated.map_or(Value::Null, Value::Number))
            }
        }
    }

    pub(super) fn binary(&self, operation: &BinaryOp) -> Result<Value, BakeError> {
        let (left, right) = (&operation.lhs_expr, &operation.rhs_expr);
        let operator = *operation.operator.value();
        let bool = |bool| Ok(Value::Bool(bool));
        match operator {
            BinaryOperator::And => bool(self.bool(left)? && self.bool(right)?),
            BinaryOperator::Or => bool(self.bool(left)? || self.bool(right)?),
            BinaryOperator::Eq => bool(self.value(left)? == self.value(right)?),
            BinaryOperator::NotEq => bool(self.value(left)? != self.value(right)?),
            BinaryOperator::Less => bool(self.number(left)? < self.number(right)?),
            BinaryOperator::LessEq => bool(self.number(left)? <= self.number(right)?),
            BinaryOperator::Greater => bool(self.number(left)? > self.number(right)?),
            BinaryOperator::GreaterEq => bool(self.number(left)? >= self.number(right)?),
            _ => {
                let made = calculate(operator, self.number(left)?, self.number(right)?);
                let why = || Problem::value("arithmetic", "the result is no number");
                made.map(Value::Number)
                    .ok_or_else(|| self.error(right.span(), why()))
            }
        }
    }

    fn bool(&self, expression: &Expression) -> Result<bool, BakeError> {
        let value = self.value(expression)?;
        let bool = value.to_bool();
        bool.ok_or_else(|| self.kind(expression.span(), "a bool", &value))
    }

    fn number(&self, expression: &Expression) -> Result<Number, BakeError> {
        let value = self.value(expression)?;
        let number = value.to_number();
        number.ok_or_else(|| self.kind(expression.span(), "a number", &value))
    }
}

/// Arithmetic; none where there is no result.
pub(crate) fn calculate(operator: BinaryOperator, left: Number, right: Number) -> Option<Number> {
    match operator {
        BinaryOperator::Plus => left.combine(right, i128::checked_add, |a, b| a + b),
        BinaryOperator::Minus => left.combine(right, i128::checked_sub, |a, b| a - b),
        BinaryOperator::Mul => left.combine(right, i128::checked_mul, |a, b| a * b),
        BinaryOperator::Div => {
            let exact = |a: i128, b: i128| (a.checked_rem(b)? == 0).then(|| a.checked_div(b))?;
            left.combine(right, exact, |a, b| a / b)
        }
        BinaryOperator::Mod => left.combine(right, i128::checked_rem, |a, b| a % b),
        _ => None,
    }
}
