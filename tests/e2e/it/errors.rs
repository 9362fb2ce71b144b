//! What people read when something is wrong.

use crate::kiln::{Kiln, Project};

#[test]
fn messages() {
    let kiln = Kiln::new();
    for (dockerfile, arguments, expected) in [
        ("", &[][..], "the Dockerfile cannot be empty"),
        ("ARG A\n", &[], "dockerfile contains no stages to build"),
        ("RUN x\n", &[], "no build stage in current context"),
        (
            "FROM scratch\nFOO x\n",
            &[],
            "dockerfile parse error on line 2: unknown instruction: FOO (did you mean FROM?)",
        ),
        (
            "FROM alpine\nRUN echo hello; exit 3\n",
            &[],
            "process \"/bin/sh -c echo hello; exit 3\" did not complete successfully: exit code: 3",
        ),
        ("FROM scratch\nCOPY nope /\n", &[], "\"/nope\": not found"),
        (
            "FROM scratch AS build\nFROM scratch\n",
            &["--target", "bulid"],
            "target stage \"bulid\" could not be found (did you mean build?)",
        ),
        (
            "FROM scratch AS a\nFROM scratch\n",
            &["--target", "zzz"],
            "target stage \"zzz\" could not be found",
        ),
        (
            "FROM scratch AS a\nCOPY --from=b /x /\nFROM scratch AS b\nFROM a\n",
            &[],
            "cannot copy from stage \"b\", it needs to be defined before current stage \"a\"",
        ),
        (
            "FROM scratch AS a\nCOPY --from=a /x /\n",
            &[],
            "circular dependency detected on stage: a",
        ),
        (
            "FROM scratch\nCOPY --from=5 /x /\n",
            &[],
            "invalid stage index 5",
        ),
        (
            "FROM scratch AS 1abc\n",
            &[],
            "invalid name for build stage: \"1abc\", name can't start with a number or contain symbols",
        ),
        (
            "FROM a b\n",
            &[],
            "FROM requires either one or three arguments",
        ),
        (
            "ARG S\nFROM ${S}\n",
            &[],
            "base name (${S}) should not be blank",
        ),
        (
            "FROM Build\n",
            &[],
            "failed to parse stage name \"Build\": invalid reference format: repository name \
             (library/Build) must be lowercase",
        ),
    ] {
        let error = kiln.try_build(&Project::of(dockerfile), arguments).error();
        assert!(
            error.starts_with("ERROR: failed to build: failed to solve: "),
            "{error}"
        );
        assert!(error.ends_with(expected), "{error}\nis not\n{expected}");
    }
    kiln.assert_clean();
}

#[test]
fn a_failed_step_shows_its_last_lines_and_its_place() {
    let project = Project::of(
        "FROM alpine AS build\n\nRUN for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo line $i; done; exit 3\n# end\n",
    );
    let ran = Kiln::new().try_build(&project, &[]);
    let (_, shown) = ran.stderr.split_once("------\n").unwrap();
    let untimed: Vec<String> = shown
        .lines()
        .map(|line| match line.split_once(' ') {
            Some((time, text)) if time.parse::<f64>().is_ok() => text.to_owned(),
            _ => line.to_owned(),
        })
        .collect();
    let step = "RUN for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo line $i; done; exit 3";
    let expected = format!(
        " > [2/2] {step}:\nline 3\nline 4\nline 5\nline 6\nline 7\nline 8\nline 9\nline 10\n\
         line 11\nline 12\n------\nDockerfile:3\n--------------------\n   1 |     FROM alpine AS build\n   \
         2 |     \n   3 | >>> {step}\n   4 |     # end\n   5 |     \n--------------------\n\
         ERROR: failed to build: failed to solve: process \"/bin/sh -c {}\" did not complete \
         successfully: exit code: 3",
        step.strip_prefix("RUN ").unwrap()
    );
    assert_eq!(untimed.join("\n"), expected);
    assert_eq!(ran.code, 1);
}

#[test]
fn every_error_of_a_dockerfile_is_shown() {
    let project = Project::of("FROM scratch\nFOO x\nCOPY onlyone\nBAR y\n");
    let ran = Kiln::new().try_build(&project, &[]);
    for expected in [
        "unknown instruction: FOO",
        "unknown instruction: BAR",
        "COPY requires at least two arguments",
    ] {
        assert!(
            ran.stderr.contains(expected),
            "{expected} is not in {}",
            ran.stderr
        );
    }
}

#[test]
fn arguments_that_lead_nowhere() {
    let kiln = Kiln::new();
    let project = Project::new(&[("x", "")]);
    let path = project.path().to_str().unwrap();
    for (arguments, expected) in [
        (
            &["build", "no-such-directory"][..],
            "ERROR: failed to build: unable to prepare context: path \"no-such-directory\" not found",
        ),
        (
            &["build", path],
            "ERROR: failed to build: failed to solve: failed to read dockerfile: open Dockerfile: \
             no such file or directory",
        ),
        (&["inspect", "nothing"], "ERROR: No such object: nothing"),
        (&["history", "nothing"], "ERROR: No such image: nothing"),
        (&["tag", "nothing", "x"], "ERROR: No such image: nothing"),
        (&["rmi", "nothing"], "ERROR: No such image: nothing"),
        (
            &["save", "-o", "/dev/null", "nothing"],
            "ERROR: No such image: nothing",
        ),
        (&["rm", "nothing"], "ERROR: No such container: nothing"),
        (
            &["cp", "nothing:/x", "."],
            "ERROR: No such container: nothing",
        ),
    ] {
        let ran = kiln.run(arguments);
        assert_eq!(
            (ran.code, ran.clone().error()),
            (1, expected.to_owned()),
            "{}",
            ran.stderr
        );
    }
}

#[test]
fn files_that_are_not_there() {
    let kiln = Kiln::new();
    let project = Project::new(&[
        (".dockerignore", "*.log\n"),
        ("src/main.go", ""),
        ("build.log", ""),
        ("README.md", ""),
    ]);
    for (dockerfile, expected) in [
        (
            "FROM scratch\nCOPY srcc/mian.go /\n",
            "hint: did you mean src/main.go?\n",
        ),
        (
            "FROM scratch\nCOPY readme.md /\n",
            "hint: did you mean README.md?\n",
        ),
        (
            "FROM scratch\nCOPY build.log /\n",
            "hint: build.log is there, but .dockerignore excludes it: add !build.log to have it\n",
        ),
        ("FROM scratch\nCOPY builds.log /\n", "not found\n"),
        (
            "FROM scratch AS a\nFROM scratch\nCOPY --from=a srcc /\n",
            "not found\n",
        ),
    ] {
        project.write("Dockerfile", dockerfile);
        let ran = kiln.try_build(&project, &[]);
        assert_eq!(ran.code, 1);
        assert!(ran.stderr.ends_with(expected), "{}", ran.stderr);
    }
}

#[test]
fn errors_for_editors() {
    let kiln = Kiln::new();
    for (dockerfile, message, line) in [
        (
            "FROM scratch\nFOO\n",
            "dockerfile parse error on line 2: unknown instruction: FOO (did you mean FROM?)",
            2,
        ),
        (
            "FROM scratch\n\nCOPY a /\n",
            "failed to compute cache key: failed to calculate checksum of ref context: \"/a\": \
             not found",
            3,
        ),
    ] {
        let project = Project::of(dockerfile);
        let path = project.path().to_str().unwrap();
        let ran = kiln.run(["build", "--progress", "rawjson", path]);
        let mut lines = ran.stderr.lines();
        let told = lines.find(|line| line.starts_with("{\"errors\"")).unwrap();
        let told: serde_json::Value = serde_json::from_str(told).unwrap();
        assert_eq!(told["errors"][0]["message"], message);
        let start = &told["errors"][0]["location"]["ranges"][0]["start"];
        assert_eq!(start["line"], line);
    }
}
