//! Arithmetic, comparisons and logic.

use hcl_edit::expr::BinaryOperator;

use super::{Arguments, Done, Function};
use crate::eval::calculate;
use crate::number::Number;
use crate::value::Value;

pub(super) const TABLE: &[(&str, Function)] = &[
    ("absolute", absolute),
    ("add", |a| arithmetic(a, BinaryOperator::Plus)),
    ("and", |a| logic(a, |left, right| left && right)),
    ("ceil", |a| float(a, f64::ceil)),
    ("divide", |a| arithmetic(a, BinaryOperator::Div)),
    ("equal", |a| {
        a.count(2..=2)
            .map(|()| Value::Bool(a.values[0] == a.values[1]))
    }),
    ("floor", |a| float(a, f64::floor)),
    ("greaterthan", |a| compare(a, |left, right| left > right)),
    ("greaterthanorequalto", |a| {
        compare(a, |left, right| left >= right)
    }),
    ("int", |a| float(a, f64::trunc)),
    ("lessthan", |a| compare(a, |left, right| left < right)),
    ("lessthanorequalto", |a| {
        compare(a, |left, right| left <= right)
    }),
    ("log", |a| floats(a, f64::log)),
    ("max", |a| extreme(a, Number::max)),
    ("min", |a| extreme(a, Number::min)),
    ("modulo", |a| arithmetic(a, BinaryOperator::Mod)),
    ("multiply", |a| arithmetic(a, BinaryOperator::Mul)),
    ("negate", negate),
    ("not", |a| {
        a.count(1..=1).and_then(|()| Ok(Value::Bool(!a.bool(0)?)))
    }),
    ("notequal", |a| {
        a.count(2..=2)
            .map(|()| Value::Bool(a.values[0] != a.values[1]))
    }),
    ("or", |a| logic(a, |left, right| left || right)),
    ("parseint", parse_int),
    ("pow", |a| floats(a, f64::powf)),
    ("signum", signum),
    ("subtract", |a| arithmetic(a, BinaryOperator::Minus)),
];

fn arithmetic(arguments: &Arguments<'_>, operator: BinaryOperator) -> Done {
    arguments.count(2..=2)?;
    let made = calculate(operator, arguments.number(0)?, arguments.number(1)?);
    made.map(Value::Number).ok_or_else(no_number)
}

fn logic(arguments: &Arguments<'_>, of: impl Fn(bool, bool) -> bool) -> Done {
    arguments.count(2..=2)?;
    Ok(Value::Bool(of(arguments.bool(0)?, arguments.bool(1)?)))
}

fn compare(arguments: &Arguments<'_>, of: impl Fn(Number, Number) -> bool) -> Done {
    arguments.count(2..=2)?;
    Ok(Value::Bool(of(arguments.number(0)?, arguments.number(1)?)))
}

fn float(arguments: &Arguments<'_>, of: impl Fn(f64) -> f64) -> Done {
    arguments.count(1..=1)?;
    let number = arguments.number(0)?;
    if number.whole().is_some() {
        return Ok(Value::Number(number));
    }
    let made = Number::of(of(number.float()));
    made.map(Value::Number).ok_or_else(no_number)
}

fn floats(arguments: &Arguments<'_>, of: impl Fn(f64, f64) -> f64) -> Done {
    arguments.count(2..=2)?;
    let made = of(arguments.number(0)?.float(), arguments.number(1)?.float());
    Number::rounded(made)
        .map(Value::Number)
        .ok_or_else(no_number)
}

fn extreme(arguments: &Arguments<'_>, of: impl Fn(Number, Number) -> Number) -> Done {
    arguments.count(1..=usize::MAX)?;
    let mut extreme = arguments.number(0)?;
    for place in 1..arguments.values.len() {
        extreme = of(extreme, arguments.number(place)?);
    }
    Ok(Value::Number(extreme))
}

fn absolute(arguments: &Arguments<'_>) -> Done {
    arguments.count(1..=1)?;
    match arguments.number(0)? {
        number if number < Number::Int(0) => negate(arguments),
        number => Ok(Value::Number(number)),
    }
}

fn negate(arguments: &Arguments<'_>) -> Done {
    arguments.count(1..=1)?;
    let made = calculate(BinaryOperator::Minus, Number::Int(0), arguments.number(0)?);
    made.map(Value::Number).ok_or_else(no_number)
}

fn signum(arguments: &Arguments<'_>) -> Done {
    arguments.count(1..=1)?;
    let ordering = arguments.number(0)?.cmp(&Number::Int(0));
    Ok(Value::int(ordering as i8))
}

fn parse_int(arguments: &Arguments<'_>) -> Done {
    arguments.count(2..=2)?;
    let (text, base) = (arguments.text(0)?, arguments.whole(1)?);
    let base = u32::try_from(base)
        .ok()
        .filter(|base| (2..=36).contains(base));
    let base = base.ok_or_else(|| "the base must be from 2 to 36".to_owned())?;
    let parsed = i128::from_str_radix(&text, base);
    let parsed = parsed.map_err(|_| format!("{text:?} is no whole number of base {base}"))?;
    Ok(Value::Number(Number::Int(parsed)))
}

fn no_number() -> String {
    "the result is no number".to_owned()
}
