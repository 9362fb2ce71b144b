//! Which layer of the image a file is in, told in a document of SPDX where the scanner says nothing
//! of the file. A scanner sees no layers, and their digests are those of one export.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use oci::Digest;
use serde_json::{Value, json};
use snapshot::{Dir, Kind, Marks, Tree};

use crate::error::EngineError;

/// What a file is said to be in.
const LAYER: &str = "layerID: ";
/// Who says it.
const TOOL: &str = concat!("Tool: kiln-", env!("CARGO_PKG_VERSION"));

/// The document with the layers of its files; as it is if it is none of SPDX. `layers` are
/// directories, bottom first, with the digests of what they are in the image. May block.
pub(crate) fn name_layers(
    document: &Value,
    layers: &[(PathBuf, Digest)],
    marks: Marks,
) -> Result<Value, EngineError> {
    let mut named = document.clone();
    let is_spdx = named.get("spdxVersion").is_some_and(Value::is_string);
    let Some(fields) = named.as_object_mut().filter(|_| is_spdx) else {
        return Ok(named);
    };
    if let Some(files) = fields.get_mut("files").and_then(Value::as_array_mut) {
        let wanted = files.iter().filter_map(uncommented).collect();
        let found = find(wanted, layers, marks)?;
        for file in files {
            let layer = uncommented(file).and_then(|path| found.get(&path));
            if let (Some(layer), Some(fields)) = (layer, file.as_object_mut()) {
                fields.insert("comment".to_owned(), json!(format!("{LAYER}{layer}")));
            }
        }
    }
    let info = fields.entry("creationInfo").or_insert_with(|| json!({}));
    if let Some(info) = info.as_object_mut()
        && let Some(creators) = info.entry("creators").or_insert(json!([])).as_array_mut()
        && !creators.contains(&json!(TOOL))
    {
        creators.push(json!(TOOL));
    }
    Ok(named)
}

/// The document without those of `layers` that its files are said to be in, for an image that has
/// others in their place; none if they are in none of them.
pub(crate) fn forget_layers(document: &Value, layers: &[Digest]) -> Option<Value> {
    let said: BTreeSet<String> = layers.iter().map(|one| format!("{LAYER}{one}")).collect();
    let mut forgotten = document.clone();
    let mut is_changed = false;
    for file in forgotten.get_mut("files")?.as_array_mut()? {
        let comment = file.get("comment").and_then(Value::as_str);
        if comment.is_some_and(|comment| said.contains(comment))
            && let Some(fields) = file.as_object_mut()
        {
            is_changed |= fields.remove("comment").is_some();
        }
    }
    is_changed.then_some(forgotten)
}

/// Where a file is of which nothing is said.
fn uncommented(file: &Value) -> Option<PathBuf> {
    let comment = file.get("comment").and_then(Value::as_str);
    let name = file.get("fileName")?.as_str()?;
    let names = |part| match part {
        Component::Normal(name) => Some(name),
        _ => None,
    };
    let path = Path::new(name).components().filter_map(names).collect();
    comment.is_none_or(str::is_empty).then_some(path)
}

/// The uppermost layer that has each of the files.
fn find(
    mut wanted: BTreeSet<PathBuf>,
    layers: &[(PathBuf, Digest)],
    marks: Marks,
) -> Result<BTreeMap<PathBuf, Digest>, EngineError> {
    let mut found = BTreeMap::new();
    for (directory, digest) in layers.iter().rev() {
        if wanted.is_empty() {
            break;
        }
        let tree = Tree::layers(std::slice::from_ref(directory), marks)?;
        let mut here = Vec::new();
        list(tree.root(), Path::new(""), &mut wanted, &mut here)?;
        found.extend(here.into_iter().map(|path| (path, *digest)));
    }
    Ok(found)
}

/// Takes those of `wanted` that are in the directory at `path`.
fn list(
    directory: &Dir,
    path: &Path,
    wanted: &mut BTreeSet<PathBuf>,
    here: &mut Vec<PathBuf>,
) -> Result<(), EngineError> {
    for entry in directory.entries()? {
        let path = path.join(&entry.name);
        if entry.kind == Kind::Directory {
            list(&directory.enter(&entry)?, &path, wanted, here)?;
        }
        here.extend(wanted.take(&path));
    }
    Ok(())
}

#[cfg(test)]
mod tests {

    use super::*;

    #[test]
    fn files_are_in_the_uppermost_layer_that_has_them() {
        let scratch = tempfile::tempdir().unwrap();
        for path in ["low/d/a", "low/d/b", "up/d/b"] {
            let path = scratch.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let (low, up) = (Digest::of(b"low"), Digest::of(b"up"));
        let layers = [
            (scratch.path().join("low"), low),
            (scratch.path().join("up"), up),
        ];
        let file = |name: &str| json!({"fileName": name});
        let said = json!({"fileName": "d/b", "comment": "mine"});
        let document = json!({
            "spdxVersion": "SPDX-2.3",
            "files": [file("/d/a"), file("d/b"), file("./d/c"), said.clone()],
            "creationInfo": {"creators": ["Tool: s"]},
        });
        let marks = Marks::detect(scratch.path());
        let named = name_layers(&document, &layers, marks).unwrap();
        let with = |name: &str, layer: Digest| json!({"fileName": name, "comment": format!("layerID: {layer}")});
        let files = json!([with("/d/a", low), with("d/b", up), file("./d/c"), said]);
        assert_eq!(named["files"], files);
        assert_eq!(named["creationInfo"]["creators"], json!(["Tool: s", TOOL]));

        let forgotten = forget_layers(&named, &[low, up]).unwrap();
        assert_eq!(forgotten["files"], document["files"]);
        assert_eq!(name_layers(&forgotten, &layers, marks).unwrap(), named);
        assert_eq!(forget_layers(&document, &[low]), None);
        assert_eq!(
            name_layers(&json!([1]), &layers, marks).unwrap(),
            json!([1])
        );
    }
}
