//! Lists and maps.

use std::collections::BTreeMap;

use super::{Arguments, Done, Function, wrong};
use crate::eval::{calculate, part};
use crate::number::Number;
use crate::value::Value;

/// As many as buildx makes.
const MAX_RANGE: usize = 1024;
/// How deep lists are flattened.
const MAX_DEPTH: usize = 64;

pub(super) const TABLE: &[(&str, Function)] = &[
    ("chunklist", chunk_list),
    ("coalesce", |a| {
        let first = a.values.iter().find(|value| **value != Value::Null);
        first
            .cloned()
            .ok_or_else(|| "no argument is other than null".to_owned())
    }),
    ("coalescelist", coalesce_list),
    ("compact", |a| {
        a.count(1..=1)?;
        let texts = a.texts(0)?.into_iter().filter(|text| !text.is_empty());
        Ok(Value::List(texts.map(Value::String).collect()))
    }),
    ("concat", concat),
    ("contains", |a| {
        a.count(2..=2)?;
        Ok(Value::Bool(a.list(0)?.contains(&a.values[1])))
    }),
    ("distinct", distinct),
    ("element", element),
    ("flatten", |a| {
        a.count(1..=1)?;
        let mut flat = Vec::new();
        flatten(a.list(0)?, &mut flat, 0)?;
        Ok(Value::List(flat))
    }),
    ("hasindex", |a| {
        a.count(2..=2)?;
        Ok(Value::Bool(part(&a.values[0], &a.values[1]).is_ok()))
    }),
    ("index", |a| {
        a.count(2..=2)?;
        part(&a.values[0], &a.values[1]).map_err(|problem| problem.to_string())
    }),
    ("indexof", |a| {
        a.count(2..=2)?;
        let place = a.list(0)?.iter().position(|item| *item == a.values[1]);
        place
            .map(|place| Value::int(place as u64))
            .ok_or_else(|| "item not found".to_owned())
    }),
    ("keys", |a| {
        a.count(1..=1)?;
        Ok(Value::List(a.map(0)?.keys().map(Value::text).collect()))
    }),
    ("length", length),
    ("lookup", lookup),
    ("merge", merge),
    ("range", range),
    ("reverselist", |a| {
        a.count(1..=1)?;
        Ok(Value::List(a.list(0)?.iter().rev().cloned().collect()))
    }),
    ("slice", slice),
    ("values", |a| {
        a.count(1..=1)?;
        Ok(Value::List(a.map(0)?.values().cloned().collect()))
    }),
    ("zipmap", zip_map),
];

fn chunk_list(arguments: &Arguments<'_>) -> Done {
    arguments.count(2..=2)?;
    let size = arguments.number(1)?.index();
    let size = size.ok_or_else(|| "the size must not be negative".to_owned())?;
    let items = arguments.list(0)?;
    let size = if size == 0 { items.len().max(1) } else { size };
    let chunks = items.chunks(size).map(|chunk| Value::List(chunk.to_vec()));
    Ok(Value::List(chunks.collect()))
}

fn coalesce_list(arguments: &Arguments<'_>) -> Done {
    for place in 0..arguments.values.len() {
        if !arguments.list(place)?.is_empty() {
            return Ok(arguments.values[place].clone());
        }
    }
    Err("all lists are empty".to_owned())
}

fn concat(arguments: &Arguments<'_>) -> Done {
    arguments.count(1..=usize::MAX)?;
    let mut all = Vec::new();
    for place in 0..arguments.values.len() {
        all.extend_from_slice(arguments.list(place)?);
    }
    Ok(Value::List(all))
}

fn distinct(arguments: &Arguments<'_>) -> Done {
    arguments.count(1..=1)?;
    let mut seen = std::collections::BTreeSet::new();
    let items = arguments.list(0)?.iter();
    let items = items.filter(|item| seen.insert(*item));
    Ok(Value::List(items.cloned().collect()))
}

fn element(arguments: &Arguments<'_>) -> Done {
    arguments.count(2..=2)?;
    let (items, place) = (arguments.list(0)?, arguments.whole(1)?);
    if items.is_empty() {
        return Err("the list is empty".to_owned());
    }
    let place = place.rem_euclid(i64::try_from(items.len()).unwrap_or(i64::MAX));
    let found = usize::try_from(place)
        .ok()
        .and_then(|place| items.get(place));
    found
        .cloned()
        .ok_or_else(|| "there is no such place".to_owned())
}

fn flatten(items: &[Value], flat: &mut Vec<Value>, depth: usize) -> Result<(), String> {
    if depth > MAX_DEPTH {
        return Err("lists are too deep in each other".to_owned());
    }
    for item in items {
        match item {
            Value::List(inner) => flatten(inner, flat, depth + 1)?,
            other => flat.push(other.clone()),
        }
    }
    Ok(())
}

fn length(arguments: &Arguments<'_>) -> Done {
    arguments.count(1..=1)?;
    let count = match &arguments.values[0] {
        Value::List(items) => items.len(),
        Value::Object(map) => map.len(),
        other => return Err(wrong(0, "a list or a map (strlen is for strings)", other)),
    };
    Ok(Value::int(count as u64))
}

fn lookup(arguments: &Arguments<'_>) -> Done {
    arguments.count(2..=3)?;
    let name = arguments.text(1)?;
    let found = arguments
        .map(0)?
        .get(&name)
        .or_else(|| arguments.values.get(2));
    let missing = || format!("the map has no key {name:?}, and there is no default");
    found.cloned().ok_or_else(missing)
}

fn merge(arguments: &Arguments<'_>) -> Done {
    let mut all = BTreeMap::new();
    for place in 0..arguments.values.len() {
        if arguments.values[place] != Value::Null {
            let map = arguments.map(place)?.iter();
            all.extend(map.map(|(key, value)| (key.clone(), value.clone())));
        }
    }
    Ok(Value::Object(all))
}

fn range(arguments: &Arguments<'_>) -> Done {
    use hcl_edit::expr::BinaryOperator::Plus;
    arguments.count(1..=3)?;
    let zero = Number::Int(0);
    let (start, end) = match arguments.values.len() {
        1 => (zero, arguments.number(0)?),
        _ => (arguments.number(0)?, arguments.number(1)?),
    };
    let down = end < start;
    let step = match arguments.values.len() {
        3 => arguments.number(2)?,
        _ => Number::Int(if down { -1 } else { 1 }),
    };
    if step == zero || (step < zero) != down && start != end {
        return Err("the step leads away from the end".to_owned());
    }
    let mut numbers = Vec::new();
    let mut next = start;
    while if down { next > end } else { next < end } {
        if numbers.len() == MAX_RANGE {
            return Err(format!("more than {MAX_RANGE} numbers"));
        }
        numbers.push(Value::Number(next));
        let further = calculate(Plus, next, step).filter(|further| *further != next);
        next = further.ok_or_else(|| "the step is too small".to_owned())?;
    }
    Ok(Value::List(numbers))
}

fn slice(arguments: &Arguments<'_>) -> Done {
    arguments.count(3..=3)?;
    let places = arguments
        .number(1)?
        .index()
        .zip(arguments.number(2)?.index());
    let items = arguments.list(0)?;
    let found = places.and_then(|(start, end)| items.get(start..end));
    let missing = || format!("there is no such part of a list of {}", items.len());
    found
        .map(|part| Value::List(part.to_vec()))
        .ok_or_else(missing)
}

fn zip_map(arguments: &Arguments<'_>) -> Done {
    arguments.count(2..=2)?;
    let (keys, values) = (arguments.texts(0)?, arguments.list(1)?);
    if keys.len() != values.len() {
        return Err(format!("{} keys for {} values", keys.len(), values.len()));
    }
    Ok(Value::Object(
        keys.into_iter().zip(values.iter().cloned()).collect(),
    ))
}
