//! The examples of `docs/dockerfile.md`: each is built, or fails as the text below it says.

use std::path::Path;

use testkit::Scratch;

use crate::kiln::{Kiln, Project, tool};

const OPEN: &str = "```dockerfile";

/// What the examples copy.
const FILES: &[(&str, &str)] = &[
    ("app.conf", "level=1\n"),
    ("src/main.c", "int main;\n"),
    ("src/main.h", "\n"),
    ("site/index.html", "<p>\n"),
];

/// An example: what is in the line above it, itself, and the error that it says it is.
struct Example<'a> {
    info: &'a str,
    dockerfile: &'a str,
    error: Option<&'a str>,
}

#[test]
fn every_example_does_what_the_page_says() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/dockerfile.md");
    let page = std::fs::read_to_string(page).unwrap();
    let examples = examples(&page);
    assert!(examples.len() > 15, "{} examples", examples.len());
    let kiln = Kiln::new();
    let project = Project::new(FILES);
    let context = project.path().display().to_string();
    let archive = project.join("site.tar.gz").display().to_string();
    tool("tar", &["-C", &context, "-caf", &archive, "site"]);
    for example in examples {
        check(&kiln, &project, &example);
    }
}

fn examples(page: &str) -> Vec<Example<'_>> {
    let parts = page.split(OPEN).skip(1);
    parts
        .map(|part| {
            let (info, rest) = part.split_once('\n').unwrap();
            let (dockerfile, after) = rest.split_once("\n```\n").unwrap();
            let error = after.strip_prefix("```text\n");
            Example {
                info: info.trim(),
                dockerfile,
                error: error.and_then(|error| Some(error.split_once("\n```")?.0)),
            }
        })
        .collect()
}

fn check(kiln: &Kiln, project: &Project, example: &Example<'_>) {
    let dockerfile = format!("{}\n", example.dockerfile);
    let outside = Scratch::new();
    let file = outside.file("Dockerfile", &dockerfile);
    let mut command = kiln.command();
    let words = example.info.split(' ');
    let flags = words.filter(|word| word.starts_with("--"));
    command
        .args(["build", "--progress", "plain", "-f"])
        .arg(file)
        .args(flags)
        .env("TOKEN", "hidden")
        .arg(project.path());
    let ran = crate::kiln::finish(&mut command);
    let is_error = example.info.split(' ').any(|word| word == "error");
    if !is_error {
        assert_eq!(ran.code, 0, "{dockerfile}{}", ran.stderr);
        return;
    }
    let error = ran.error();
    let told = error.strip_prefix("ERROR: failed to build: failed to solve: ");
    assert_eq!(told, example.error, "{dockerfile}");
}
