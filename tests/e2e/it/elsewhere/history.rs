//! Past builds of a builder that is another process.

use super::{build, client};
use crate::kiln::{Project, Ran, finish};
use crate::serving::Daemon;

fn ask(daemon: &Daemon, arguments: &[&str]) -> Ran {
    finish(client(daemon).arg("history").args(arguments))
}

/// What it shows here, on the daemon's own store.
fn here(daemon: &Daemon, arguments: &[&str]) -> String {
    let line = ["history"].iter().chain(arguments);
    daemon.kiln.ok(line)
}

#[test]
fn past_builds_are_the_builders() {
    let daemon = Daemon::new();
    assert_eq!(
        ask(&daemon, &["ls"]).ok(),
        "BUILD ID   NAME      STATUS    CREATED AT   DURATION\n"
    );
    let project = Project::of("FROM alpine AS made\nRUN echo told\n");
    // One that was typed, one through the daemon, and one that fails.
    daemon.kiln.build(&project, &["-t", "app"]);
    let through = build(&daemon, &project, &["--target", "made", "-t", "again:1"]);
    assert_eq!(through.code, 0, "{}", through.stderr);
    let broken = Project::of("FROM alpine\nRUN echo why; exit 3\n");
    assert_eq!(build(&daemon, &broken, &[]).code, 1);

    for line in [
        &["ls", "-q"][..],
        &["ls", "--filter", "status=error", "-q"],
        &[
            "ls",
            "--format",
            "{{.Status}} {{.Cached}}/{{.Steps}} {{.Error}}",
        ],
        &["ls", "--format", "json", "--filter", "status=completed"],
    ] {
        let there = ask(&daemon, line).ok();
        // Of a build of a client's the record has no short name.
        let without_names = |text: String| -> Vec<String> {
            let lines = text
                .lines()
                .map(|line| match line.split_once("\"name\":\"") {
                    Some((before, after)) => {
                        format!("{before}{}", after.split_once('"').unwrap().1)
                    }
                    None => line.to_owned(),
                });
            lines.collect()
        };
        assert!(!there.is_empty(), "{line:?}");
        assert_eq!(
            without_names(there),
            without_names(here(&daemon, line)),
            "{line:?}"
        );
    }
    let fields = "{{.Ref}} {{.Name}} {{.Context}} {{.Dockerfile}} {{.Target}} {{.Status}} \
                  {{.NumCachedSteps}} {{.Duration}} {{.Images}}";
    let inspect = ["inspect", "--format", fields, "^2"];
    assert_eq!(ask(&daemon, &inspect).ok(), here(&daemon, &inspect));
    let shown = ask(&daemon, &["inspect", "^1"]).ok();
    for part in [
        "Target:         made\n",
        "Status:         Completed\n",
        " docker.io/library/again:1\n",
        "[2/2] RUN echo told\n",
        "   cached: found in the builder's cache\n",
    ] {
        assert!(shown.contains(part), "{part}{shown}");
    }
    let failed = ask(&daemon, &["inspect"]).ok();
    for part in ["failed ", "did not complete successfully: exit code: 3\n"] {
        assert!(failed.contains(part), "{part}{failed}");
    }
    let log = ask(&daemon, &["logs", "^2"]).ok();
    assert!(log.contains(" told\n"), "{log}");
    let log = ask(&daemon, &["logs", "--progress", "rawjson"]).ok();
    assert!(log.contains("\"data\":\"d2h5Cg==\""), "{log}");
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn what_is_removed_is_the_builders() {
    let daemon = Daemon::new();
    let project = Project::of("FROM scratch\nLABEL a=b\n");
    for _ in 0..3 {
        assert_eq!(build(&daemon, &project, &[]).code, 0);
    }
    let first = ask(&daemon, &["ls", "-q"]).ok();
    let ids: Vec<&str> = first.lines().collect();
    ask(&daemon, &["rm", "^1"]).ok();
    assert_eq!(
        ask(&daemon, &["ls", "-q"]).ok(),
        format!("{}\n{}\n", ids[0], ids[2])
    );
    let missing = ask(&daemon, &["rm", ids[1]]).error();
    assert!(missing.contains(ids[1]), "{missing}");
    ask(&daemon, &["rm", "--all"]).ok();
    assert_eq!(here(&daemon, &["ls", "-q"]), "");
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn what_no_builder_tells_is_named() {
    let daemon = Daemon::new();
    for (arguments, what) in [
        (&["why"][..], "kiln history why"),
        (&["logs", "--explain"], "--explain"),
    ] {
        let refused = ask(&daemon, arguments).error();
        let named = format!("ERROR: {what} cannot be had of a builder that is another process: ");
        assert!(refused.starts_with(&named), "{refused}");
    }
}
