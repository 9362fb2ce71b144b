//! The functions that bake files can call; names, arguments and results are buildx's.

mod cidr;
mod collection;
mod encode;
mod format;
mod number;
mod regex;
mod semver;
mod set;
mod text;
mod time;
mod uuid;

use std::collections::BTreeMap;

use crate::given::Given;
use crate::module::Module;
use crate::number::Number;
use crate::value::Value;

/// What a call comes to, or why to nothing.
type Done = Result<Value, String>;

/// A function.
type Function = fn(&Arguments<'_>) -> Done;

/// Functions of buildx's that are not here, and what to do instead.
const MISSING: [(&str, &str); 2] = [
    ("bcrypt", "pass a secret to the step instead"),
    ("rsadecrypt", "pass a secret to the step instead"),
];

/// Functions that are told of arguments that are null.
const TAKES_NULL: [&str; 7] = [
    "coalesce",
    "concat",
    "contains",
    "equal",
    "jsonencode",
    "merge",
    "notequal",
];

/// Calls `name`; none when there is no such function.
pub(crate) fn call(name: &str, values: &[Value], module: &Module<'_>) -> Option<Done> {
    if let Some((_, instead)) = MISSING.iter().find(|(missing, _)| *missing == name) {
        return Some(Err(format!("kiln does not have it: {instead}")));
    }
    let function = tables().find_map(|table| table.iter().find(|(known, _)| *known == name))?;
    let takes_null = TAKES_NULL.contains(&name) || name == "lookup" || name == "formatlist";
    if !takes_null && let Some(place) = values.iter().position(|value| *value == Value::Null) {
        return Some(Err(format!("argument {} must not be null", place + 1)));
    }
    let arguments = Arguments {
        values,
        given: module.given(),
        module,
    };
    Some((function.1)(&arguments))
}

/// Names of all functions, also of those that are special.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    let all = tables().flat_map(|table| table.iter().map(|(name, _)| *name));
    all.chain(["try", "can", "convert"])
}

fn tables() -> impl Iterator<Item = &'static [(&'static str, Function)]> {
    [
        cidr::TABLE,
        collection::TABLE,
        encode::TABLE,
        number::TABLE,
        regex::TABLE,
        semver::TABLE,
        set::TABLE,
        text::TABLE,
        time::TABLE,
        uuid::TABLE,
    ]
    .into_iter()
}

/// What a function is called with.
struct Arguments<'a> {
    values: &'a [Value],
    given: &'a Given,
    module: &'a Module<'a>,
}

impl<'a> Arguments<'a> {
    /// There must be so many.
    fn count(&self, counts: std::ops::RangeInclusive<usize>) -> Result<(), String> {
        let found = self.values.len();
        if counts.contains(&found) {
            return Ok(());
        }
        let expected = match (counts.start(), counts.end()) {
            (least, most) if least == most => least.to_string(),
            (least, &usize::MAX) => format!("at least {least}"),
            (least, most) => format!("{least} to {most}"),
        };
        Err(format!("takes {expected} arguments, not {found}"))
    }

    /// There must be room for this, before it is made.
    fn fits(&self, bytes: u64) -> Result<(), String> {
        match bytes > self.module.room() {
            true => Err("the result takes too much room".to_owned()),
            false => Ok(()),
        }
    }

    /// Counts work as room.
    fn spend(&self, bytes: u64) -> Result<(), String> {
        self.module
            .spend(bytes)
            .map_err(|problem| problem.to_string())
    }

    fn get(&self, place: usize) -> Result<&'a Value, String> {
        let missing = || format!("lacks argument {}", place + 1);
        self.values.get(place).ok_or_else(missing)
    }

    fn text(&self, place: usize) -> Result<String, String> {
        let value = self.get(place)?;
        value
            .to_text()
            .ok_or_else(|| wrong(place, "a string", value))
    }

    fn number(&self, place: usize) -> Result<Number, String> {
        let value = self.get(place)?;
        let number = value.to_number();
        number.ok_or_else(|| wrong(place, "a number", value))
    }

    /// A number that may be negative.
    fn whole(&self, place: usize) -> Result<i64, String> {
        let number = self.number(place)?;
        let whole = number.whole().and_then(|whole| i64::try_from(whole).ok());
        whole.ok_or_else(|| {
            wrong(
                place,
                "a whole number",
                self.values.get(place).unwrap_or(&Value::Null),
            )
        })
    }

    fn bool(&self, place: usize) -> Result<bool, String> {
        let value = self.get(place)?;
        value.to_bool().ok_or_else(|| wrong(place, "a bool", value))
    }

    fn list(&self, place: usize) -> Result<&'a [Value], String> {
        match self.get(place)? {
            Value::List(items) => Ok(items),
            other => Err(wrong(place, "a list", other)),
        }
    }

    fn texts(&self, place: usize) -> Result<Vec<String>, String> {
        let items = self.list(place)?.iter();
        let texts = items.map(|item| {
            item.to_text()
                .ok_or_else(|| wrong(place, "a list of strings", item))
        });
        texts.collect()
    }

    fn map(&self, place: usize) -> Result<&'a BTreeMap<String, Value>, String> {
        match self.get(place)? {
            Value::Object(map) => Ok(map),
            other => Err(wrong(place, "a map", other)),
        }
    }
}

fn wrong(place: usize, expected: &str, found: &Value) -> String {
    let found = found.kind();
    format!("argument {}: expected {expected}, found {found}", place + 1)
}
