//! `docs/cache.md`: its commands are run in order in one store, its configurations are read.

use std::path::Path;

use testkit::Scratch;

use crate::kiln::{Kiln, Project, command, finish};
use crate::standin;

const DOCKERFILE: &str =
    "FROM alpine\nRUN --mount=type=cache,target=/cache echo made >/cache/file\n";

/// A block of the page: what stands after the fence, and its text.
fn blocks(page: &str) -> Vec<(&str, &str)> {
    let parts = page.split("```").collect::<Vec<_>>();
    parts
        .chunks(2)
        .filter_map(|pair| pair.get(1)?.split_once('\n'))
        .collect()
}

#[test]
fn everything_on_the_page_is_so() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cache.md");
    let page = std::fs::read_to_string(page).unwrap();
    let kiln = Kiln::new();
    let project = Project::of(DOCKERFILE);
    let mut expected_error = None;
    let (mut commands, mut configurations) = (0, 0);
    for (info, text) in blocks(&page) {
        match info {
            "console" => commands += console(&kiln, &project, text),
            "toml" | "toml error" => {
                expected_error = read(&kiln, text);
                assert_eq!(expected_error.is_some(), info == "toml error", "{text}");
                configurations += 1;
            }
            "text" => {
                let error = expected_error.take().unwrap();
                assert!(error.contains(text.trim()), "{error}");
            }
            other => panic!("{other}"),
        }
    }
    assert!(
        commands > 20 && configurations > 2,
        "{commands} {configurations}"
    );
}

/// The error of a configuration.
fn read(kiln: &Kiln, text: &str) -> Option<String> {
    let scratch = Scratch::new();
    let file = scratch.file("kiln.toml", text);
    let ran = kiln.run(["--config", file.to_str().unwrap(), "store", "gc"]);
    (ran.code != 0).then_some(ran.stderr)
}

/// Runs the lines that begin with `$ `; what follows each is its output, where `…` is anything.
fn console(kiln: &Kiln, project: &Project, text: &str) -> usize {
    let steps: Vec<&str> = text.split("$ ").skip(1).collect();
    for step in &steps {
        let (line, expected) = step.split_once('\n').unwrap();
        let binary = kiln.command();
        let mut shell = command("sh");
        shell
            .args(["-ec", &line.replace("kiln ", "\"$KILN\" ")])
            .env("KILN", binary.get_program())
            .env("REGISTRY", standin::registry().host())
            .current_dir(project.path());
        for (name, value) in binary.get_envs() {
            if let Some(value) = value {
                shell.env(name, value);
            }
        }
        let ran = finish(&mut shell);
        assert_eq!(ran.code, 0, "{line}\n{}", ran.stderr);
        assert!(
            matches(expected, &ran.stdout),
            "{line}\n{}\nnot\n{expected}",
            ran.stdout
        );
    }
    steps.len()
}

/// Whether the text is as expected, where `…` stands for anything.
fn matches(expected: &str, found: &str) -> bool {
    let mut parts = expected.split('…');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = found.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}
