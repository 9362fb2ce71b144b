//! `frontend.subrequests.describe`: what can be asked about a Dockerfile, as BuildKit lists it.

use serde_json::{Value, json};

use crate::view::table::align_by;

/// A name, and what has it.
type Named = (&'static str, &'static str);

/// What can be asked, what it answers, and what it reads beside the Dockerfile.
const REQUESTS: [(&str, &str, &[Named]); 4] = [
    (
        "outline",
        "List all parameters current build target supports",
        &[("target", "Target build stage")],
    ),
    ("targets", "List all targets current build supports", &[]),
    (
        "lint",
        "Lint a Dockerfile",
        &[("target", "Target build stage")],
    ),
    (
        "subrequests.describe",
        "List available subrequest types",
        &[],
    ),
];
/// The version of each of them.
pub const VERSION: &str = "1.0.0";

/// As a table.
#[must_use]
pub fn text() -> String {
    let mut rows = "NAME\tVERSION\tDESCRIPTION\n".to_owned();
    for (name, description, _) in REQUESTS {
        rows.push_str(&format!("{name}\t{VERSION}\t{description}\n"));
    }
    align_by(&rows, 0, 1)
}

/// As JSON.
#[must_use]
pub fn json() -> String {
    let named =
        |(name, description): &(&str, &str)| json!({ "name": name, "description": description });
    let request = |(name, description, options): (&str, &str, &[Named])| {
        json!({
            "name": format!("frontend.{name}"),
            "version": VERSION,
            "type": "rpc",
            "description": description,
            "opts": options.iter().map(named).collect::<Vec<Value>>(),
            "inputs": null,
            "metadata": [named(&("result.json", "")), named(&("result.txt", ""))],
            "refs": null,
        })
    };
    let requests: Vec<Value> = REQUESTS.into_iter().map(request).collect();
    format!("{:#}", Value::Array(requests))
}
