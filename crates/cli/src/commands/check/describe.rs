//! `--call=subrequests.describe`: what can be asked about a Dockerfile, as BuildKit lists it.

use serde_json::{Value, json};

use crate::ui::table::align_by;

/// The name that `--call` takes, what it answers, and what it reads beside the Dockerfile.
const REQUESTS: [(&str, &str, &[&str]); 4] = [
    (
        "outline",
        "List all parameters current build target supports",
        &["target"],
    ),
    ("targets", "List all targets current build supports", &[]),
    ("lint", "Lint a Dockerfile", &["target"]),
    (
        "subrequests.describe",
        "List available subrequest types",
        &[],
    ),
];
const VERSION: &str = "1.0.0";

pub(super) fn text() -> String {
    let mut rows = "NAME\tVERSION\tDESCRIPTION\n".to_owned();
    for (name, description, _) in REQUESTS {
        rows.push_str(&format!("{name}\t{VERSION}\t{description}\n"));
    }
    align_by(&rows, 0, 1)
}

pub(super) fn json() -> String {
    let request = |(name, description, options): (&str, &str, &[&str])| {
        let named = |name: &&str| json!({ "name": name });
        json!({
            "name": format!("frontend.{name}"),
            "version": VERSION,
            "type": "rpc",
            "description": description,
            "opts": options.iter().map(named).collect::<Vec<Value>>(),
        })
    };
    let requests: Vec<Value> = REQUESTS.into_iter().map(request).collect();
    format!("{:#}\n", Value::Array(requests))
}
