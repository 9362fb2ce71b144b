//! File systems laid over one another, and what has to be laid over one to get another.

use super::definitions::{Steps, told};
use super::run;
use crate::serving::Daemon;

#[test]
fn a_diff_laid_over_the_one_gives_the_other() {
    let daemon = Daemon::new();
    run(async {
        let mut steps = Steps::default();
        let one = steps.files(&[("/a", "same"), ("/b", "one"), ("/c", "gone")]);
        let other = steps.files(&[("/a", "same"), ("/b", "other"), ("/d", "new")]);
        let diff = steps.diff(&one, &other);
        let merged = steps.merge(&[one, diff]);
        let base = steps.source("docker-image://docker.io/library/alpine:latest", &[]);
        let copied = steps.copy(&base, &merged, "/");
        let last = steps.run(&copied, "cat /a /b /d; test ! -e /c", &[]);
        assert_eq!(told(&daemon, steps.end(&last)).await, "sameothernew");
    });
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn a_diff_of_a_step_says_only_what_differs() {
    let daemon = Daemon::new();
    run(async {
        let mut steps = Steps::default();
        let base = steps.source("docker-image://docker.io/library/alpine:latest", &[]);
        let made = steps.run(
            &base,
            "mkdir -p /anew /same && touch /anew/old /same/a",
            &[],
        );
        let script =
            "rm -r /anew && mkdir /anew && touch /anew/new && mv /same/a /b && mv /b /same/a";
        let changed = steps.run(&made, script, &[]);
        let diff = steps.diff(&made, &changed);
        // Over what the step was not run on, nothing is hidden that the step did not see.
        let other = steps.run(&base, "mkdir /anew && touch /anew/old /anew/other", &[]);
        let merged = steps.merge(&[other, diff]);
        let last = steps.run(&merged, "ls / | grep -xE 'anew|same|b'; ls /anew", &[]);
        let told = told(&daemon, steps.end(&last)).await;
        assert_eq!(told, "anew\nnew\nother\n");
    });
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn a_step_runs_on_a_merge_that_has_a_layer_twice() {
    let daemon = Daemon::new();
    run(async {
        let mut steps = Steps::default();
        let base = steps.source("docker-image://docker.io/library/alpine:latest", &[]);
        let (one, other) = (
            steps.files(&[("/a", "one"), ("/b", "one")]),
            steps.files(&[("/a", "other"), ("/c", "other")]),
        );
        let merged = steps.merge(&[base, one.clone(), other, one]);
        let last = steps.run(&merged, "cat /a /b /c; touch /d", &[]);
        assert_eq!(told(&daemon, steps.end(&last)).await, "oneoneother");
    });
    assert_eq!(daemon.stop().code, 0);
}
