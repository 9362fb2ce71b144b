//! What the binary is made of, as CycloneDX 1.5 (JSON): every crate that is compiled into it, with
//! its licence, its checksum and what it depends on. The same sources give the same bytes.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::{command, environment, paths};

/// The document for the binary of this target.
pub(super) fn document(triple: &str) -> Result<String> {
    let mut metadata = command::program(environment::cargo());
    metadata.current_dir(paths::workspace()).args([
        "metadata",
        "--locked",
        "--format-version",
        "1",
        "--filter-platform",
        triple,
    ]);
    let metadata: Value = serde_json::from_str(&command::read(&mut metadata)?)?;
    let lock = std::fs::read_to_string(paths::workspace().join("Cargo.lock"))?;
    let document = of(&metadata, &checksums(&lock)?)?;
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

/// The checksums of crates by name and version.
fn checksums(lock: &str) -> Result<BTreeMap<(String, String), String>> {
    let lock: toml::Value = toml::from_str(lock)?;
    let packages = lock.get("package").and_then(toml::Value::as_array);
    let text = |package: &toml::Value, key: &str| {
        let value = package.get(key).and_then(toml::Value::as_str);
        value.map(str::to_owned)
    };
    let each = packages.into_iter().flatten().filter_map(|package| {
        let key = (text(package, "name")?, text(package, "version")?);
        Some((key, text(package, "checksum")?))
    });
    Ok(each.collect())
}

fn of(metadata: &Value, checksums: &BTreeMap<(String, String), String>) -> Result<Value> {
    let packages = by_id(&metadata["packages"]);
    let nodes = by_id(&metadata["resolve"]["nodes"]);
    let root = packages
        .iter()
        .find(|(_, package)| package["name"] == "cli")
        .context("cargo metadata names no package cli")?;
    let used = used(root.0, &nodes);
    let mut components = Vec::new();
    let mut dependencies = Vec::new();
    for id in &used {
        let package = packages[id];
        if id != root.0 {
            components.push(component(package, checksums));
        }
        let on: BTreeSet<String> = direct(nodes[id]).map(|id| name_of(packages[id])).collect();
        dependencies.push(json!({ "ref": name_of(package), "dependsOn": on }));
    }
    components.sort_by_key(|component| component["bom-ref"].to_string());
    dependencies.sort_by_key(|dependency| dependency["ref"].to_string());
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": name_of(root.1),
                "name": "kiln",
                "version": root.1["version"],
                "licenses": licences(root.1),
            }
        },
        "components": components,
        "dependencies": dependencies,
    }))
}

fn by_id(list: &Value) -> BTreeMap<&str, &Value> {
    let all = list.as_array().into_iter().flatten();
    all.filter_map(|entry| Some((entry["id"].as_str()?, entry)))
        .collect()
}

/// All that is compiled into the binary: neither tests nor what only builds it.
fn used<'a>(root: &'a str, nodes: &BTreeMap<&'a str, &'a Value>) -> BTreeSet<&'a str> {
    let mut used = BTreeSet::new();
    let mut waiting = vec![root];
    while let Some(id) = waiting.pop() {
        if used.insert(id) {
            waiting.extend(nodes.get(id).into_iter().flat_map(|node| direct(node)));
        }
    }
    used
}

fn direct(node: &Value) -> impl Iterator<Item = &str> {
    let all = node["deps"].as_array().into_iter().flatten();
    let is_in = |dependency: &&Value| {
        let kinds = dependency["dep_kinds"].as_array();
        let mut kinds = kinds.into_iter().flatten();
        kinds.any(|kind| kind["kind"].is_null())
    };
    all.filter(is_in)
        .filter_map(|dependency| dependency["pkg"].as_str())
}

fn component(package: &Value, checksums: &BTreeMap<(String, String), String>) -> Value {
    let text = |key: &str| package[key].as_str().unwrap_or_default().to_owned();
    let mut component = json!({
        "type": "library",
        "bom-ref": name_of(package),
        "name": package["name"],
        "version": package["version"],
        "licenses": licences(package),
    });
    if let Some(checksum) = checksums.get(&(text("name"), text("version"))) {
        component["purl"] = json!(name_of(package));
        component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
    }
    component
}

fn name_of(package: &Value) -> String {
    let text = |key: &str| package[key].as_str().unwrap_or_default();
    format!("pkg:cargo/{}@{}", text("name"), text("version"))
}

fn licences(package: &Value) -> Value {
    match package["license"].as_str() {
        // Before SPDX expressions a slash meant a choice.
        Some(licence) => json!([{ "expression": licence.replace('/', " OR ") }]),
        None => json!([]),
    }
}

#[cfg(test)]
mod tests {
    use super::{checksums, of};
    use serde_json::json;

    #[test]
    fn what_is_compiled_in_is_listed() {
        let package = |name: &str| json!({ "id": name, "name": name, "version": "1.0.0", "license": "MIT/Apache-2.0" });
        let on = |name: &str, kind: serde_json::Value| json!({ "pkg": name, "dep_kinds": [{ "kind": kind }] });
        let metadata = json!({
            "packages": [package("cli"), package("used"), package("tests"), package("builds")],
            "resolve": { "nodes": [
                { "id": "cli", "deps": [on("used", json!(null)), on("tests", json!("dev")), on("builds", json!("build"))] },
                { "id": "used", "deps": [] },
                { "id": "tests", "deps": [] },
                { "id": "builds", "deps": [] },
            ] },
        });
        let lock = "[[package]]\nname = \"used\"\nversion = \"1.0.0\"\nchecksum = \"abc\"\n";
        let found = of(&metadata, &checksums(lock).unwrap()).unwrap();
        let licences = json!([{ "expression": "MIT OR Apache-2.0" }]);
        assert_eq!(
            found["components"],
            json!([{
                "type": "library",
                "bom-ref": "pkg:cargo/used@1.0.0",
                "name": "used",
                "version": "1.0.0",
                "licenses": licences,
                "purl": "pkg:cargo/used@1.0.0",
                "hashes": [{ "alg": "SHA-256", "content": "abc" }],
            }])
        );
        assert_eq!(
            found["dependencies"],
            json!([
                { "ref": "pkg:cargo/cli@1.0.0", "dependsOn": ["pkg:cargo/used@1.0.0"] },
                { "ref": "pkg:cargo/used@1.0.0", "dependsOn": [] },
            ])
        );
    }
}
