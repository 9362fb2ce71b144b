//! What people read when something is wrong.

use crate::kiln::{Kiln, Project};

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
