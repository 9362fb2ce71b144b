//! What one step may take, as far as that needs nothing of the kernel's: time, output and disk, which
//! hold in every place.

use std::time::{Duration, Instant};

use crate::kiln::{Kiln, Project};

/// The end of the error of a build that fails.
fn failure(kiln: &Kiln, step: &str, arguments: &[&str]) -> String {
    let project = Project::of(&format!("FROM alpine\nRUN {step}\n"));
    kiln.try_build(&project, arguments).error()
}

fn told(step: &str, what: &str, key: &str) -> String {
    format!(
        "process \"/bin/sh -c {step}\" did not complete within its limits: it {what}; --resource \
         {key}=…, or {key} of [limits.step] in kiln.toml, allows it more"
    )
}

#[test]
fn a_step_that_takes_too_long_is_ended() {
    let kiln = Kiln::new();
    let begun = Instant::now();
    // Whatever it has started ends with it.
    let step = "(trap '' TERM; sleep 1000) & sleep 1000";
    let error = failure(&kiln, step, &["--resource", "time=1s"]);
    assert!(begun.elapsed() < Duration::from_secs(60));
    assert!(
        error.ends_with(&told(step, "takes longer than 1s", "time")),
        "{error}"
    );
    kiln.assert_clean();
}

#[test]
fn a_step_that_does_not_stop_writing_is_ended() {
    let kiln = Kiln::new();
    let project = Project::of("FROM alpine\nRUN echo first && yes\n");
    let ran = kiln.try_build(&project, &["--resource", "output=10k"]);
    let shown = ran.stderr.matches(" y\n").count();
    assert!((4000..6000).contains(&shown), "{shown}");
    let expected = told(
        "echo first && yes",
        "writes more than 10240 bytes of output",
        "output",
    );
    let error = ran.error();
    assert!(error.ends_with(&expected), "{error}");
    // What it writes last counts too, and so does what goes to standard error.
    let step = "head -c 20000 /dev/zero >&2";
    let error = failure(&kiln, step, &["--resource", "output=10k"]);
    assert!(
        error.contains("writes more than 10240 bytes of output"),
        "{error}"
    );
    let enough = Project::of("FROM alpine\nRUN head -c 10240 /dev/zero | tr '\\0' x\n");
    kiln.build(&enough, &["--resource", "output=10k"]);
}

#[test]
fn a_step_that_fills_the_disk_is_ended() {
    let kiln = Kiln::new();
    let step = "dd if=/dev/zero of=/big bs=1M count=100000";
    let error = failure(&kiln, step, &["--resource", "disk=20m"]);
    let expected = told(step, "takes more than 20971520 bytes of disk", "disk");
    assert!(error.ends_with(&expected), "{error}");
    kiln.assert_clean();
    // One that is faster than anybody looks.
    let error = failure(
        &kiln,
        "head -c 30000000 /dev/zero >/big",
        &["--resource", "disk=20m"],
    );
    assert!(
        error.contains("takes more than 20971520 bytes of disk"),
        "{error}"
    );
    // The image itself does not count, nor does what goes elsewhere.
    let project = Project::of(
        "FROM alpine AS base\nRUN head -c 30000000 /dev/zero >/big\n\
         FROM base\n\
         RUN --mount=type=cache,target=/c head -c 9000000 /dev/zero >/small && cp /big /c\n",
    );
    kiln.build(&project, &["--target", "base"]);
    let error = kiln
        .try_build(&project, &["--no-cache", "--resource", "disk=20m"])
        .error();
    assert!(error.contains("disk"), "{error}");
    kiln.build(&project, &["--resource", "disk=20m"]);
}

#[test]
fn limits_are_in_no_key_and_leave_no_record() {
    let kiln = Kiln::new();
    let project = Project::of("FROM alpine\nRUN sleep 2 && echo done >/done\n");
    let short = ["--resource", "time=500ms"];
    kiln.try_build(&project, &short).error();
    let told = kiln.build(&project, &["--resource", "time=1m"]);
    assert!(!told.contains("#3 CACHED"), "{told}");
    for arguments in [&[][..], &short, &["--resource", "output=1m,disk=1g"]] {
        let told = kiln.build(&project, arguments);
        assert!(told.contains("#3 CACHED"), "{told}");
    }
}

#[test]
fn the_configuration_has_defaults() {
    let kiln = Kiln::configured("[limits.step]\ntime = \"500ms\"\ndisk = \"1GB\"\n");
    let error = failure(&kiln, "sleep 1000", &[]);
    assert!(error.contains("it takes longer than 500ms"), "{error}");
    let project = Project::of("FROM alpine\nRUN sleep 1\n");
    kiln.build(&project, &["--resource", "time=unlimited"]);
    for (text, expected) in [
        ("[limits.step]\nmemori = 1\n", "unknown resource \"memori\""),
        (
            "[limits.step]\npids = -1\n",
            "invalid value \"-1\" for resource pids",
        ),
        ("[limits.step]\ncpus = true\n", "expected a text such as"),
    ] {
        let kiln = Kiln::configured(text);
        let ran = kiln.try_build(&project, &[]);
        assert!(
            ran.code != 0 && ran.stderr.contains(expected),
            "{}",
            ran.stderr
        );
    }
}

#[test]
fn a_step_over_a_limit_is_kept() {
    let kiln = Kiln::new();
    let step = "echo before >/written && sleep 1000";
    failure(
        &kiln,
        step,
        &["--on-failure", "keep", "--resource", "time=1s"],
    );
    let read = kiln.ok(["debug", "shell", "--", "cat", "/written"]);
    assert_eq!(read, "before\n");
}
