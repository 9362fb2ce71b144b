//! What templates of `imagetools inspect` are filled in from: the name, the manifest or index, the
//! configs of images, and what is stated about them.

use std::collections::BTreeMap;

use engine::{Inspected, InspectedImage, Statements};
use oci::Document;
use serde_json::{Map, Value, json};

/// The field of where images come from.
pub(super) const PROVENANCE: &str = "Provenance";
/// The field of what is in images.
pub(super) const SBOM: &str = "SBOM";

/// Fields of configs, in the order of Go's type; others of Docker's are left out, as buildx does.
pub(super) const CONFIG: &[&str] = &[
    "created",
    "author",
    "architecture",
    "os",
    "os.version",
    "os.features",
    "variant",
    "config",
    "rootfs",
    "history",
];
/// The same of what a config says of processes.
pub(super) const PROCESS: &[&str] = &[
    "User",
    "ExposedPorts",
    "Env",
    "Entrypoint",
    "Cmd",
    "Volumes",
    "WorkingDir",
    "Labels",
    "StopSignal",
    "ArgsEscaped",
];

/// The same of what it says of steps.
pub(super) const STEP: &[&str] = &["created", "created_by", "author", "comment", "empty_layer"];

/// What a template is filled in from. Of several images there are maps by platform.
pub(super) fn value(
    name: &str,
    found: &Inspected,
    images: &BTreeMap<String, InspectedImage>,
    wanted: Statements,
) -> Value {
    let of_each = |of: &dyn Fn(&InspectedImage) -> Option<Value>| {
        let mut all = images
            .iter()
            .filter_map(|(platform, image)| Some((platform.clone(), of(image)?)));
        match images.len() {
            0 | 1 => all.next().map(|(_, only)| only),
            _ => Some(Value::Object(all.collect())),
        }
    };
    let empty = || Value::Object(Map::new());
    let mut fields = Map::new();
    fields.insert("name".to_owned(), json!(name));
    fields.insert("manifest".to_owned(), manifest(found));
    let configs = of_each(&|image| Some(config(&image.config)));
    fields.extend(configs.map(|configs| ("image".to_owned(), configs)));
    if wanted.provenance {
        let all = of_each(&|image| provenance(image));
        fields.insert(PROVENANCE.to_owned(), all.unwrap_or_else(empty));
    }
    if wanted.sbom {
        let all = of_each(&|image| sbom(image));
        fields.insert(SBOM.to_owned(), all.unwrap_or_else(empty));
    }
    Value::Object(fields)
}

/// The descriptor of a manifest; of an index with what it leads to.
fn manifest(found: &Inspected) -> Value {
    let descriptor = json!(found.descriptor);
    let Document::Index(index) = &found.document else {
        return descriptor;
    };
    let mut fields = json!({
        "schemaVersion": index.schema_version,
        "digest": found.descriptor.digest,
        "size": found.descriptor.size,
        "manifests": index.manifests,
    });
    if let Some(media_type) = &index.media_type {
        fields["mediaType"] = json!(media_type);
    }
    if !index.annotations.is_empty() {
        fields["annotations"] = json!(index.annotations);
    }
    fields
}

fn config(bytes: &[u8]) -> Value {
    let Value::Object(mut fields) = read(bytes) else {
        return Value::Null;
    };
    keep(&mut fields, CONFIG);
    let mut process = match fields.remove("config") {
        Some(Value::Object(process)) => process,
        _ => Map::new(),
    };
    keep(&mut process, PROCESS);
    fields.insert("config".to_owned(), Value::Object(process));
    let history = fields.get_mut("history").and_then(Value::as_array_mut);
    let steps = history.into_iter().flatten();
    for step in steps.filter_map(Value::as_object_mut) {
        keep(step, STEP);
    }
    let rootfs = fields.entry("rootfs");
    rootfs.or_insert_with(|| json!({"type": "", "diff_ids": null}));
    Value::Object(fields)
}

/// Leaves only `names`, and what is not empty.
fn keep(fields: &mut Map<String, Value>, names: &[&str]) {
    fields.retain(|name, value| {
        let is_empty = match value {
            Value::Null | Value::Bool(false) => true,
            Value::String(text) => text.is_empty() && !matches!(&**name, "architecture" | "os"),
            Value::Array(items) => items.is_empty(),
            Value::Object(fields) => fields.is_empty(),
            _ => false,
        };
        names.contains(&&**name) && !is_empty
    });
}

fn provenance(image: &InspectedImage) -> Option<Value> {
    let predicate = read(image.provenance.as_deref()?);
    Some(json!({ "SLSA": predicate }))
}

fn sbom(image: &InspectedImage) -> Option<Value> {
    let (first, more) = image.sboms.split_first()?;
    let mut fields = json!({ "SPDX": read(first) });
    if !more.is_empty() {
        let more: Vec<Value> = more.iter().map(|document| read(document)).collect();
        fields["AdditionalSPDXs"] = Value::Array(more);
    }
    Some(fields)
}

/// JSON that was read before.
fn read(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_default()
}
