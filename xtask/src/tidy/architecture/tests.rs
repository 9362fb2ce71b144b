//! Pages and manifests in, findings out.

use super::{
    Edge, Finding, Package, check_dependency_table, check_edges, check_layers, check_manifest,
    layers,
};

const PAGE: &str = "\
# Architecture

```toml
[layers]
oci = []
store = [\"oci\"]
cli = [\"store\"]
```

## Dependencies

| Crate | Why |
|---|---|
| `serde`, `toml` | configuration; not `ron` |
| `gone` | nobody |

## After

| `later` | not a dependency |
";

fn shown(findings: Vec<Finding>) -> Vec<String> {
    findings.iter().map(ToString::to_string).collect()
}

fn package(name: &str, manifest: &str, edges: &[(&str, bool)]) -> Package {
    let edge = |(to, for_tests): &(&str, bool)| Edge {
        to: (*to).to_owned(),
        for_tests: *for_tests,
    };
    Package {
        name: name.to_owned(),
        manifest_path: format!("crates/{name}/Cargo.toml"),
        manifest: toml::from_str(manifest).unwrap(),
        edges: edges.iter().map(edge).collect(),
    }
}

#[test]
fn edges_are_those_of_the_table() {
    let layers = layers(PAGE).unwrap();
    let check =
        |name: &str, edges: &[(&str, bool)]| shown(check_edges(&layers, &package(name, "", edges)));
    assert_eq!(
        check("store", &[("oci", false), ("testkit", true)]),
        [""; 0]
    );
    assert_eq!(
        check(
            "store",
            &[("cli", false), ("cli", true), ("testkit", false)]
        ),
        [
            "crates/store/Cargo.toml: layer: `store` may not depend on `cli`",
            "crates/store/Cargo.toml: layer: `store` may not depend on `cli`",
            "crates/store/Cargo.toml: layer: `store` may not depend on `testkit`",
        ]
    );
    assert_eq!(
        check("new", &[]),
        ["crates/new/Cargo.toml: layer: `new` is not in the table of layers in ARCHITECTURE.md"]
    );
}

#[test]
fn the_table_has_no_circles() {
    assert_eq!(shown(check_layers(&layers(PAGE).unwrap())), [""; 0]);
    let page = PAGE
        .replace("oci = []", "oci = [\"store\"]")
        .replace("\"store\"]\n```", "]\n```");
    assert_eq!(
        shown(check_layers(&layers(&page).unwrap())),
        [
            "ARCHITECTURE.md: layer: `oci` is in a circle, or above a crate that is not in the table",
            "ARCHITECTURE.md: layer: `store` is in a circle, or above a crate that is not in the table",
        ]
    );
    assert_eq!(
        layers("no page").unwrap_err(),
        "there is no toml block that begins with [layers]"
    );
}

#[test]
fn each_external_crate_has_its_reason() {
    let manifest = "[workspace.dependencies]\noci = { path = \"crates/oci\" }\nserde = \"1\"\n\
                    libc = { version = \"0.2\" }\ntoml = \"1\"\n";
    let manifest = toml::from_str(manifest).unwrap();
    assert_eq!(
        shown(check_dependency_table(PAGE, &manifest)),
        [
            "Cargo.toml: dependency-table: `libc` is not in the dependency table of ARCHITECTURE.md",
            "ARCHITECTURE.md: dependency-table: `gone` is not a dependency of the workspace",
        ]
    );
}

#[test]
fn manifests_inherit() {
    let good = "[lints]\nworkspace = true\n[dependencies]\noci.workspace = true\n";
    assert_eq!(shown(check_manifest(&package("store", good, &[]))), [""; 0]);
    let bad = "[dev-dependencies]\nlibc = \"0.2\"\n";
    assert_eq!(
        shown(check_manifest(&package("store", bad, &[]))),
        [
            "crates/store/Cargo.toml: manifest: `[lints] workspace = true` is missing",
            "crates/store/Cargo.toml: manifest: `libc` does not take its version from the workspace",
        ]
    );
}
