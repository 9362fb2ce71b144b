//! The files that a build plan names.

use std::fs;

use cli::args::{self, Command, Parsed};
use cli::build::{load, plan};
use engine::Context;

use crate::arguments::{environment, words};

/// What `line` loads in a scratch directory with these files: name and text of the Dockerfile, and
/// the ignore file's text; or the error.
fn loaded(files: &[(&str, &str)], line: &str, stdin: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let mut environment = environment(&[]);
    environment.working_directory = directory.path().to_path_buf();
    let Ok(Parsed::Run(arguments)) = args::parse(&words(line), 80) else {
        panic!("{line}")
    };
    let Command::Build(typed) = arguments.command else {
        panic!("{line}")
    };
    let request = plan(&typed, &environment)
        .and_then(|plan| load(plan, &environment, std::io::Cursor::new(stdin.to_owned())));
    match request {
        Ok(request) => {
            let ignore = match &request.context {
                Context::Directory { path, ignore } => {
                    let below = path.strip_prefix(directory.path()).unwrap();
                    format!("{} ignore={ignore}", below.display())
                }
                Context::Empty => "empty".to_owned(),
                other => format!("{other:?}"),
            };
            format!(
                "{}={} {ignore}",
                request.dockerfile.name, request.dockerfile.text
            )
        }
        Err(error) => error
            .message
            .replace(directory.path().to_str().unwrap(), "HERE"),
    }
}

#[test]
fn dockerfiles_and_ignore_files() {
    let files = &[
        ("c/Dockerfile", "in context"),
        ("c/only", "only in context"),
        ("c/.dockerignore", "general"),
        ("f/Dockerfile", "outside"),
        ("f/Dockerfile.dockerignore", "special"),
        ("lower/dockerfile", "lower case"),
        ("empty/x", ""),
        ("bytes/Dockerfile", "FROM x\n"),
    ];
    for (line, expected) in [
        ("kiln build c", "Dockerfile=in context c ignore=general"),
        (
            "kiln build -f f/Dockerfile c",
            "Dockerfile=outside c ignore=special",
        ),
        (
            "kiln build -f only c",
            "only=only in context c ignore=general",
        ),
        (
            "kiln build -f - c",
            "Dockerfile=from stdin c ignore=general",
        ),
        ("kiln build -", "Dockerfile=from stdin empty"),
        ("kiln build lower", "dockerfile=lower case lower ignore="),
        (
            "kiln build empty",
            "failed to solve: failed to read dockerfile: open Dockerfile: no such file or directory",
        ),
        (
            "kiln build -f f/nope c",
            "failed to solve: failed to read dockerfile: open nope: no such file or directory",
        ),
        (
            "kiln build -f c c",
            "failed to solve: failed to read dockerfile: open c: is a directory",
        ),
        (
            "kiln build nope",
            "unable to prepare context: path \"nope\" not found",
        ),
        (
            "kiln build c/only",
            "unable to prepare context: path \"c/only\" not found",
        ),
        (
            "kiln build --build-context x=nope c",
            "failed to get build context x: path \"HERE/nope\" is no directory",
        ),
    ] {
        assert_eq!(loaded(files, line, "from stdin"), expected, "{line}");
    }
    assert_eq!(
        loaded(files, "kiln build -", "\x1f"),
        "Dockerfile=\x1f empty",
        "a single byte is no archive"
    );
    assert_eq!(
        loaded(files, "kiln build -", "BZh91"),
        "Dockerfile= Remote { from: Stream(ByteStream(…)), dockerfile: Some(Default), subdirectory: None }"
    );
}
