//! The walls between the crates: `ARCHITECTURE.md` says which exist, the manifests must agree.
//!
//! The page holds two things that are read here: a `toml` block whose one table is `[layers]`,
//! with the crates that each crate may depend on, and under the heading `## Dependencies` tables
//! whose first column names external crates in backticks.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{Finding, Rule};
use crate::{command, environment};

const PAGE: &str = "ARCHITECTURE.md";

/// The crate that only tests may use, and every crate's tests may.
const TEST_ONLY: &str = "testkit";

/// Crates that stand outside the product, and may use what they like of it.
const TOOLS: [&str; 1] = ["xtask"];

/// The tables in a manifest that hold dependencies.
const TABLES: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// Compares the page with the workspace beneath `top`.
pub(super) fn check(top: &Path) -> Result<Vec<Finding>> {
    let page = std::fs::read_to_string(top.join(PAGE)).with_context(|| PAGE.to_owned())?;
    let workspace = read_manifest(&top.join("Cargo.toml"))?;
    let packages = packages(top)?;

    let mut findings = Vec::new();
    match layers(&page) {
        Ok(layers) => {
            findings.extend(check_layers(&layers));
            for package in &packages {
                findings.extend(check_edges(&layers, package));
            }
        }
        Err(detail) => findings.push(finding(PAGE, Rule::Layer, detail)),
    }
    findings.extend(check_dependency_table(&page, &workspace));
    for package in &packages {
        findings.extend(check_manifest(package));
    }
    Ok(findings)
}

/// Which crates each crate may depend on.
type Layers = BTreeMap<String, Vec<String>>;

/// A member of the workspace.
#[derive(Debug)]
struct Package {
    name: String,
    /// Relative to the top of the source tree.
    manifest_path: String,
    manifest: toml::Table,
    edges: Vec<Edge>,
}

/// A dependency of one member on another.
#[derive(Debug)]
struct Edge {
    to: String,
    for_tests: bool,
}

fn check_layers(layers: &Layers) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut settled = BTreeSet::new();
    loop {
        let ready = |below: &Vec<String>| below.iter().all(|name| settled.contains(name));
        let more: Vec<&String> = layers
            .iter()
            .filter(|(name, below)| !settled.contains(*name) && ready(below))
            .map(|(name, _)| name)
            .collect();
        if more.is_empty() {
            break;
        }
        settled.extend(more);
    }
    for name in layers.keys().filter(|name| !settled.contains(*name)) {
        let detail = format!("`{name}` is in a circle, or above a crate that is not in the table");
        findings.push(finding(PAGE, Rule::Layer, detail));
    }
    findings
}

fn check_edges(layers: &Layers, package: &Package) -> Vec<Finding> {
    let name = &package.name;
    if TOOLS.contains(&name.as_str()) {
        return Vec::new();
    }
    let Some(below) = layers.get(name) else {
        let detail = format!("`{name}` is not in the table of layers in {PAGE}");
        return vec![finding(&package.manifest_path, Rule::Layer, detail)];
    };
    let mut findings = Vec::new();
    for Edge { to, for_tests } in &package.edges {
        let allowed = if to == TEST_ONLY {
            *for_tests
        } else {
            below.contains(to)
        };
        if !allowed {
            let detail = format!("`{name}` may not depend on `{to}`");
            findings.push(finding(&package.manifest_path, Rule::Layer, detail));
        }
    }
    findings
}

fn check_dependency_table(page: &str, workspace: &toml::Table) -> Vec<Finding> {
    let named = named_dependencies(page);
    let declared = workspace_dependencies(workspace);
    let mut findings = Vec::new();
    for name in declared.difference(&named) {
        let detail = format!("`{name}` is not in the dependency table of {PAGE}");
        findings.push(finding("Cargo.toml", Rule::DependencyTable, detail));
    }
    for name in named.difference(&declared) {
        let detail = format!("`{name}` is not a dependency of the workspace");
        findings.push(finding(PAGE, Rule::DependencyTable, detail));
    }
    findings
}

/// Versions and lints are the workspace's to choose.
fn check_manifest(package: &Package) -> Vec<Finding> {
    let inherited = |value: Option<&toml::Value>| {
        value
            .and_then(|value| value.get("workspace"))
            .and_then(toml::Value::as_bool)
            == Some(true)
    };
    let mut findings = Vec::new();
    if !inherited(package.manifest.get("lints")) {
        let detail = "`[lints] workspace = true` is missing".to_owned();
        findings.push(finding(&package.manifest_path, Rule::Manifest, detail));
    }
    for table in TABLES {
        let Some(table) = package.manifest.get(table).and_then(toml::Value::as_table) else {
            continue;
        };
        for (name, value) in table {
            if !inherited(Some(value)) {
                let detail = format!("`{name}` does not take its version from the workspace");
                findings.push(finding(&package.manifest_path, Rule::Manifest, detail));
            }
        }
    }
    findings
}

/// The table of layers, or what is wrong with it.
fn layers(page: &str) -> Result<Layers, String> {
    #[derive(serde::Deserialize)]
    struct Block {
        layers: Layers,
    }
    let block = page
        .split("\n```toml\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("\n```").map(|(block, _)| block))
        .find(|block| block.trim_start().starts_with("[layers]"))
        .ok_or("there is no toml block that begins with [layers]")?;
    toml::from_str::<Block>(block)
        .map(|block| block.layers)
        .map_err(|error| format!("the table of layers: {}", error.message()))
}

/// The external crates named in the first column of the tables under `## Dependencies`.
fn named_dependencies(page: &str) -> BTreeSet<String> {
    let section = page
        .lines()
        .skip_while(|line| *line != "## Dependencies")
        .skip(1);
    let mut names = BTreeSet::new();
    for line in section.take_while(|line| !line.starts_with("## ")) {
        let Some(cell) = line.strip_prefix('|').and_then(|row| row.split('|').next()) else {
            continue;
        };
        names.extend(cell.split('`').skip(1).step_by(2).map(str::to_owned));
    }
    names
}

/// The external crates that the workspace declares.
fn workspace_dependencies(manifest: &toml::Table) -> BTreeSet<String> {
    let table = manifest
        .get("workspace")
        .and_then(|workspace| workspace.get("dependencies"))
        .and_then(toml::Value::as_table);
    let external =
        |(name, value): (&String, &toml::Value)| value.get("path").is_none().then(|| name.clone());
    table.into_iter().flatten().filter_map(external).collect()
}

fn packages(top: &Path) -> Result<Vec<Package>> {
    let metadata = command::read(
        command::program(environment::cargo())
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .current_dir(top),
    )?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let packages = metadata["packages"]
        .as_array()
        .context("cargo metadata names no packages")?;
    packages
        .iter()
        .map(|package| read_package(top, package))
        .collect()
}

fn read_package(top: &Path, package: &Value) -> Result<Package> {
    let name = package["name"]
        .as_str()
        .context("a package without a name")?
        .to_owned();
    let path = Path::new(
        package["manifest_path"]
            .as_str()
            .context("a package without a path")?,
    );
    let manifest_path = path.strip_prefix(top).unwrap_or(path).display().to_string();
    let manifest = read_manifest(path)?;
    let edge = |dependency: &Value| {
        dependency["path"].as_str()?;
        let to = dependency["name"].as_str()?.to_owned();
        Some(Edge {
            to,
            for_tests: dependency["kind"].as_str() == Some("dev"),
        })
    };
    let edges = package["dependencies"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(edge);
    let edges = edges.collect();
    Ok(Package {
        name,
        manifest_path,
        manifest,
        edges,
    })
}

fn read_manifest(path: &Path) -> Result<toml::Table> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    toml::from_str(&text).with_context(|| path.display().to_string())
}

fn finding(path: &str, rule: Rule, detail: String) -> Finding {
    Finding {
        path: path.to_owned(),
        line: 0,
        rule,
        detail,
    }
}

#[cfg(test)]
mod tests;
