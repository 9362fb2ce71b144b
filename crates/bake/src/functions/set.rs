//! Sets: lists in order, with each value once.

use std::collections::BTreeSet;

use super::{Arguments, Done, Function};
use crate::value::Value;

/// More combinations are taken for a mistake.
const MAX_PRODUCT: usize = 1 << 16;

pub(super) const TABLE: &[(&str, Function)] = &[
    ("sethaselement", |a| {
        a.count(2..=2)?;
        Ok(Value::Bool(a.list(0)?.contains(&a.values[1])))
    }),
    ("setintersection", |a| {
        fold(a, |set, other| set.intersection(other).cloned().collect())
    }),
    ("setproduct", product),
    ("setsubtract", |a| {
        fold(a, |set, other| set.difference(other).cloned().collect())
    }),
    ("setsymmetricdifference", |a| {
        fold(a, |set, other| {
            set.symmetric_difference(other).cloned().collect()
        })
    }),
    ("setunion", |a| {
        fold(a, |set, other| set.union(other).cloned().collect())
    }),
];

type Set = BTreeSet<Value>;

fn fold(arguments: &Arguments<'_>, of: impl Fn(&Set, &Set) -> Set) -> Done {
    arguments.count(1..=usize::MAX)?;
    let mut set: Set = arguments.list(0)?.iter().cloned().collect();
    for place in 1..arguments.values.len() {
        let other: Set = arguments.list(place)?.iter().cloned().collect();
        set = of(&set, &other);
    }
    Ok(Value::List(set.into_iter().collect()))
}

fn product(arguments: &Arguments<'_>) -> Done {
    arguments.count(2..=usize::MAX)?;
    let mut rows: Vec<Vec<Value>> = vec![Vec::new()];
    for place in 0..arguments.values.len() {
        let items = arguments.list(place)?;
        if rows.len().saturating_mul(items.len()) > MAX_PRODUCT {
            return Err(format!("more than {MAX_PRODUCT} combinations"));
        }
        let weights = |row: &[Value]| row.iter().map(Value::weight).sum::<u64>();
        let old = rows.iter().map(|row| weights(row)).sum::<u64>();
        let made = old.saturating_mul(items.len() as u64);
        arguments.fits(made.saturating_add(weights(items).saturating_mul(rows.len() as u64)))?;
        let with = |row: &Vec<Value>| {
            let row = row.clone();
            items.iter().map(move |item| {
                let mut row = row.clone();
                row.push(item.clone());
                row
            })
        };
        rows = rows.iter().flat_map(with).collect();
    }
    Ok(Value::List(rows.into_iter().map(Value::List).collect()))
}
