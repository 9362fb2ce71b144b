//! The commands of pages in `docs/`: each of them does what it is there for, in the order of the page.

use std::path::Path;

use crate::kiln::{Kiln, Project, finish};

/// The lines after `$ ` in blocks of commands.
fn commands(page: &str) -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs")
        .join(page);
    let page = std::fs::read_to_string(page).unwrap();
    let blocks = page.split("```console\n").skip(1);
    blocks
        .filter_map(|block| Some(block.split_once("```")?.0))
        .flat_map(str::lines)
        .filter_map(|line| Some(line.strip_prefix("$ ")?.to_owned()))
        .collect()
}

/// Runs the commands of a page in a project.
fn run(page: &str, project: &Project) {
    let kiln = Kiln::new();
    let commands = commands(page);
    assert!(commands.len() > 1, "{commands:?}");
    for line in commands {
        let words = line.strip_prefix("kiln ").unwrap();
        let mut shell = kiln.shell(&format!("\"$0\" {words}"));
        let ran = finish(shell.current_dir(project.path()));
        assert_eq!(ran.code, 0, "{line}\n{}{}", ran.stdout, ran.stderr);
    }
    kiln.assert_clean();
}

#[test]
fn history() {
    let project = Project::of("FROM alpine\nCOPY src /src\nRUN ls /src\n");
    project.write("src/a", "1");
    run("history.md", &project);
}

#[test]
fn checks() {
    run(
        "checks.md",
        &Project::of("FROM scratch\nCOPY Dockerfile /\n"),
    );
}

#[test]
fn bake() {
    let project = Project::new(&[
        (
            "web/Dockerfile",
            "FROM base\nARG VERSION\nRUN echo $VERSION >/version\n",
        ),
        ("base/Dockerfile", "FROM alpine\nRUN echo base >/base\n"),
    ]);
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/bake.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, definition) = page.split_once("```hcl\n").unwrap();
    project.write("docker-bake.hcl", definition.split_once("```").unwrap().0);
    run("bake.md", &project);
}

#[test]
fn limits() {
    let project = Project::of("FROM alpine\nRUN true\n");
    run("limits.md", &project);
}

/// The configurations that pages show are ones.
#[test]
fn configurations() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let kiln = Kiln::new();
    let scratch = testkit::Scratch::new();
    for page in ["history.md", "limits.md"] {
        let page = std::fs::read_to_string(docs.join(page)).unwrap();
        for block in page.split("```toml\n").skip(1) {
            let (text, _) = block.split_once("```").unwrap();
            let file = scratch.file("kiln.toml", text);
            kiln.ok(["--config", file.to_str().unwrap(), "images"]);
        }
    }
}
