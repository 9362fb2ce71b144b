//! `kiln bake --list`: targets or variables.

use bake::Definitions;
use serde_json::{Value, json};

use crate::error::{Error, choice};
use crate::values::csv;

/// What `asked` asks for of `definitions`.
pub(super) fn text(definitions: &Definitions, asked: &str) -> Result<String, Error> {
    let wrong = || {
        choice(
            "--list",
            asked,
            "expected targets or variables, with format=table or json",
        )
    };
    let (mut what, mut is_json) = (String::new(), false);
    for (key, value) in csv::pairs(asked)? {
        match (key.as_str(), value.as_deref()) {
            (name, None) => name.clone_into(&mut what),
            ("type", Some(name)) => name.clone_into(&mut what),
            ("format", Some("json")) => is_json = true,
            ("format", Some("table" | "")) => is_json = false,
            _ => return Err(wrong()),
        }
    }
    match (what.as_str(), is_json) {
        ("targets", false) => Ok(table(["TARGET", "DESCRIPTION"], &targets(definitions))),
        ("targets", true) => Ok(format!("{:#}\n", targets_json(definitions))),
        ("variables", false) => {
            let headings = ["VARIABLE", "TYPE", "VALUE", "DESCRIPTION"];
            Ok(table(headings, &variables(definitions)))
        }
        ("variables", true) => {
            let all = serde_json::to_value(&definitions.variables);
            Ok(format!("{:#}\n", all.unwrap_or(Value::Null)))
        }
        _ => Err(wrong()),
    }
}

/// Targets and groups, `default` first.
fn targets(definitions: &Definitions) -> Vec<[String; 2]> {
    let mut rows = Vec::new();
    for group in &definitions.groups {
        let about = match group.description.is_empty() {
            true => group.targets.join(", "),
            false => group.description.clone(),
        };
        rows.push([group.name.clone(), about]);
    }
    for target in &definitions.targets {
        rows.push([target.name.clone(), target.description.clone()]);
    }
    rows.sort_by_key(|[name, _]| (name != "default", name.clone()));
    rows.dedup_by(|later, first| later[0] == first[0]);
    rows
}

fn targets_json(definitions: &Definitions) -> Value {
    let groups = definitions.groups.iter();
    let groups: Vec<&String> = groups.map(|group| &group.name).collect();
    let rows = targets(definitions).into_iter();
    let rows = rows.map(|[name, description]| {
        let mut row = json!({ "name": name, "description": description });
        if groups.contains(&&name) {
            row["group"] = Value::Bool(true);
        }
        row
    });
    Value::Array(rows.collect())
}

fn variables(definitions: &Definitions) -> Vec<[String; 4]> {
    let rows = definitions.variables.iter().map(|variable| {
        let value = variable
            .value
            .clone()
            .unwrap_or_else(|| "<null>".to_owned());
        [
            variable.name.clone(),
            variable.kind.clone(),
            value,
            variable.description.clone(),
        ]
    });
    rows.collect()
}

fn table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells
            .chain([headings[column].len()])
            .max()
            .unwrap_or_default()
    };
    let line = |cells: [&str; N]| {
        let padded = cells.iter().enumerate();
        let padded = padded.map(|(column, cell)| format!("{cell:<0$}", width(column) + 4));
        format!("{}\n", padded.collect::<String>().trim_end())
    };
    let rows = rows
        .iter()
        .map(|row| line(std::array::from_fn(|column| row[column].as_str())));
    std::iter::once(line(headings)).chain(rows).collect()
}
