//! The file with rules about sources that the environment names: in this process, and by a daemon.

use testkit::Scratch;

use crate::kiln::{Kiln, Project, Ran, finish, variable};
use crate::serving::Daemon;

const VARIABLE: &str = "EXPERIMENTAL_BUILDKIT_SOURCE_POLICY";
const ALPINE: &str = "docker-image://docker.io/library/alpine:latest";
const BUSYBOX: &str = "docker-image://docker.io/library/busybox:latest";

/// One rule.
fn rules(action: &str, identifier: &str) -> String {
    format!(
        r#"{{"rules": [{{"action": "{action}", "selector": {{"identifier": "{identifier}"}},
            "updates": {{"identifier": "{BUSYBOX}"}}}}]}}"#
    )
}

/// Builds with these rules.
fn build(kiln: &Kiln, project: &Project, rules: &str, arguments: &[&str]) -> Ran {
    let scratch = Scratch::new();
    let file = scratch.file("rules.json", rules);
    let mut command = kiln.command();
    command.env(VARIABLE, file).arg("build").args(arguments);
    finish(command.arg(project.path()))
}

fn keeps_to_rules(kiln: &Kiln, arguments: &[&str]) {
    let project =
        Project::of("FROM alpine\nCOPY a /\nRUN ls /etc/os-release || echo it is 'no alpine'\n");
    project.write("a", "a\n");
    let build = |rules: &str| build(kiln, &project, rules, arguments);
    let told = |ran: Ran| ran.stderr.contains(" it is no alpine");
    assert!(told(build(&rules("CONVERT", ALPINE))));
    for denied in [ALPINE, "local://context"] {
        let error = build(&rules("DENY", denied)).error();
        let expected = format!("source {denied:?} denied by policy: source denied by policy");
        assert!(error.ends_with(&expected), "{error}");
    }
    let error = build(r#"{"rules": [{"deny": "all"}]}"#).error();
    let expected = "invalid source policy: unknown field `deny`, expected one of `action`, \
                    `selector`, `updates` at line 1 column 18";
    assert!(error.ends_with(expected), "{error}");
    // Without rules the steps of the other image are not taken for these.
    assert!(!told(build("")));
}

#[test]
fn in_this_process() {
    let kiln = Kiln::with_config(&variable("KILN_TEST_CONFIG").unwrap());
    keeps_to_rules(&kiln, &[]);
    let project = Project::of("FROM alpine\nRUN true\n");
    let mut command = kiln.command();
    command.env(VARIABLE, "/nowhere.json").arg("build");
    let error = finish(command.arg(project.path())).error();
    let expected = "ERROR: failed to read policy file /nowhere.json: No such file or directory \
                    (os error 2)";
    assert_eq!(error, expected);
    kiln.assert_clean();
}

#[test]
fn by_a_daemon() {
    let daemon = Daemon::with_config(&variable("KILN_TEST_CONFIG").unwrap());
    let builder = format!("unix://{}", daemon.socket.display());
    keeps_to_rules(&daemon.kiln, &["--builder", &builder]);
    assert_eq!(daemon.stop().code, 0);
}
