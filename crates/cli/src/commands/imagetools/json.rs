//! The function `json` of buildx's templates: over several lines, and with the fields of documents
//! in the order of Go's types, since values of templates have their keys sorted.

use serde_json::Value;

use super::filled::{CONFIG, PROCESS, STEP};

/// The fields of each type. An object is of it that has the first of these, and no other fields.
const TYPES: &[(&str, &[&str])] = &[
    ("manifest", &["name", "manifest", "image"]),
    (
        "manifests",
        &[
            "schemaVersion",
            "mediaType",
            "digest",
            "size",
            "manifests",
            "annotations",
        ],
    ),
    (
        "mediaType",
        &[
            "mediaType",
            "digest",
            "size",
            "urls",
            "annotations",
            "data",
            "platform",
            "artifactType",
        ],
    ),
    ("rootfs", CONFIG),
    ("diff_ids", &["type", "diff_ids"]),
    ("created_by", STEP),
    ("Env", PROCESS),
];

/// `value` as JSON.
pub(super) fn indented(value: &Value) -> String {
    let mut compact = Vec::new();
    write(value, &mut compact);
    String::from_utf8_lossy(&oci::indented(&compact)).into_owned()
}

fn write(value: &Value, to: &mut Vec<u8>) {
    match value {
        Value::Array(items) => {
            to.push(b'[');
            for (at, item) in items.iter().enumerate() {
                separate(at, to);
                write(item, to);
            }
            to.push(b']');
        }
        Value::Object(fields) => {
            let mut sorted: Vec<(&String, &Value)> = fields.iter().collect();
            let is_of = |(first, all): &&(&str, &[&str])| {
                fields.contains_key(*first) && fields.keys().all(|key| all.contains(&&**key))
            };
            if let Some((_, all)) = TYPES.iter().find(is_of) {
                sorted.sort_by_key(|(key, _)| all.iter().position(|field| field == key));
            }
            to.push(b'{');
            for (at, (key, value)) in sorted.into_iter().enumerate() {
                separate(at, to);
                scalar(key, to);
                to.push(b':');
                write(value, to);
            }
            to.push(b'}');
        }
        other => scalar(other, to),
    }
}

fn separate(at: usize, to: &mut Vec<u8>) {
    if at > 0 {
        to.push(b',');
    }
}

fn scalar(value: &(impl serde::Serialize + ?Sized), to: &mut Vec<u8>) {
    // Texts and numbers are always written.
    to.extend(oci::to_canonical_json(&value).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::indented;

    #[test]
    fn fields_are_in_the_order_of_their_types() {
        let value = json!({
            "digest": "d", "mediaType": "m", "size": 1,
            "platform": {"os": "o", "architecture": "<a>"},
            "annotations": {"size": "s", "digest": "d", "z": "z"},
        });
        let expected = r#"{
  "mediaType": "m",
  "digest": "d",
  "size": 1,
  "annotations": {
    "digest": "d",
    "size": "s",
    "z": "z"
  },
  "platform": {
    "architecture": "\u003ca\u003e",
    "os": "o"
  }
}"#;
        assert_eq!(indented(&value), expected);
    }
}
