//! What is not run again, and what is.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant, SystemTime};

use crate::kiln::{Kiln, Project};
use crate::standin;

const DOCKERFILE: &str = "FROM alpine AS one\nCOPY a /a\nRUN cat /a >/one\n\
     FROM alpine AS two\nCOPY b /b\nRUN cat /b >/two\n\
     FROM scratch\nCOPY --from=one /one /\nCOPY --from=two /two /\n";

/// Names of the steps that plain progress says were run, and of those that were not.
pub(crate) fn steps(told: &str) -> (Vec<&str>, Vec<&str>) {
    let (mut run, mut cached) = (Vec::new(), Vec::new());
    let mut name = "";
    for line in told.lines() {
        let (_, text) = line.split_once(' ').unwrap_or_default();
        // With the platform before it where there are several.
        let is_internal = text.contains("internal] ");
        if text.starts_with('[') && !is_internal && !text.contains("] FROM") {
            name = text
                .split_once("] ")
                .map_or(text, |(_, instruction)| instruction);
        } else if text == "CACHED" && !name.is_empty() {
            cached.push(std::mem::take(&mut name));
        } else if text.starts_with("DONE") && !name.is_empty() {
            run.push(std::mem::take(&mut name));
        }
    }
    run.sort_unstable();
    cached.sort_unstable();
    (run, cached)
}

fn project() -> Project {
    Project::new(&[("Dockerfile", DOCKERFILE), ("a", "A"), ("b", "B")])
}

#[test]
fn nothing_is_run_again_and_no_registry_is_asked() {
    let registry = standin::new_registry();
    let kiln = Kiln::with_mirror(&registry.host());
    let project = project();
    let first = kiln.build(&project, &["-t", "x"]);
    assert_eq!(steps(&first).1, Vec::<&str>::new(), "{first}");
    registry.clear_log();
    let second = kiln.build(&project, &["-t", "x"]);
    assert_eq!(steps(&second).0, Vec::<&str>::new(), "{second}");
    assert_eq!(registry.log(), Vec::<String>::new());
    drop(registry);
    kiln.build(&project, &["-t", "x"]);
}

#[test]
fn what_is_mounted_and_dropped_counts_by_its_content() {
    let kiln = Kiln::new();
    let project = Project::new(&[
        (
            "Dockerfile",
            "FROM alpine AS build\nCOPY a /\nRUN mkdir /out && echo x >/out/x\n\
             FROM alpine\n\
             RUN --mount=from=build,source=/out,target=/o,rw touch /o/y && cat /o/x >/x\n",
        ),
        ("a", "A"),
    ]);
    kiln.build(&project, &[]);
    project.write("a", "A2");
    let told = kiln.build(&project, &[]);
    let step = "RUN --mount=from=build,source=/out,target=/o,rw touch /o/y && cat /o/x >/x";
    assert_eq!(steps(&told).1, [step], "{told}");
    assert_eq!(steps(&told).0.len(), 2, "{told}");
}

#[test]
fn only_what_depends_on_a_change_is_run_again() {
    let kiln = Kiln::new();
    let project = project();
    kiln.build(&project, &[]);
    project.write("b", "B2");
    let told = kiln.build(&project, &[]);
    let (run, cached) = steps(&told);
    assert_eq!(
        run,
        ["COPY --from=two /two /", "COPY b /b", "RUN cat /b >/two"],
        "{told}"
    );
    assert_eq!(
        cached,
        ["COPY --from=one /one /", "COPY a /a", "RUN cat /a >/one"],
        "{told}"
    );
    // Back to the old content: everything is known, whatever the file's time.
    project.write("b", "B");
    let told = kiln.build(&project, &[]);
    assert_eq!(steps(&told).0, Vec::<&str>::new(), "{told}");
}

#[test]
fn a_copy_shares_what_did_not_change_with_the_one_before() {
    let kiln = Kiln::new();
    let project = Project::of("FROM scratch\nCOPY . /all/\n");
    for number in 0..200 {
        project.write(
            &format!("files/{}/{number}", number % 7),
            &"x".repeat(number),
        );
    }
    kiln.build(&project, &[]);
    project.write("files/1/1", "y");
    project.write("files/2/new", "new");
    std::fs::remove_file(project.join("files/3/3")).unwrap();
    let mode = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(project.join("files/4/4"), mode).unwrap();
    let touched = std::fs::File::options()
        .write(true)
        .open(project.join("files/5/5"));
    touched
        .unwrap()
        .set_modified(SystemTime::UNIX_EPOCH)
        .unwrap();
    let tar = |kiln: &Kiln, name: &str| {
        let output = kiln.root().with_file_name(name);
        kiln.build(
            &project,
            &["-o", &format!("type=tar,dest={}", output.display())],
        );
        std::fs::read(output).unwrap()
    };
    let again = tar(&kiln, "again.tar");
    assert!(
        again == tar(&Kiln::new(), "fresh.tar"),
        "another layer than without the first build"
    );
    // Of the 201 files, the Dockerfile included, all but four are in both layers.
    let find = [
        kiln.root().join("snapshots").display().to_string(),
        "-type".into(),
        "f".into(),
        "-links".into(),
        "2".into(),
    ];
    let found = crate::kiln::tool("find", &find.each_ref().map(String::as_str));
    assert_eq!(found.lines().count(), 2 * (201 - 4));
}

#[test]
fn no_cache() {
    let kiln = Kiln::new();
    let project = project();
    kiln.build(&project, &[]);
    let told = kiln.build(&project, &["--no-cache"]);
    assert_eq!(steps(&told).1, Vec::<&str>::new(), "{told}");
    let told = kiln.build(&project, &["--no-cache-filter", "TWO"]);
    let (run, _) = steps(&told);
    assert_eq!(run, ["COPY b /b", "RUN cat /b >/two"], "{told}");
}

#[test]
fn a_failed_step_is_run_again() {
    let kiln = Kiln::new();
    let project = Project::of("FROM alpine\nRUN echo ran; exit 1\n");
    for _ in 0..2 {
        let ran = kiln.try_build(&project, &[]);
        assert!(
            ran.stderr.lines().any(|line| line.ends_with(" ran")),
            "{}",
            ran.stderr
        );
        assert_eq!(ran.code, 1);
    }
}

#[test]
fn independent_stages_run_at_once() {
    let stage = |name: &str| format!("FROM alpine AS {name}\nRUN sleep 2; echo {name} >/{name}\n");
    let names = ["one", "two", "three"];
    let mut dockerfile: String = names.iter().map(|name| stage(name)).collect();
    dockerfile.push_str("FROM scratch\n");
    for name in names {
        dockerfile.push_str(&format!("COPY --from={name} /{name} /\n"));
    }
    let kiln = Kiln::new();
    kiln.ok(["pull", "-q", "alpine"]);
    let project = Project::of(&dockerfile);
    // Other tests may keep the machine busy, so the quickest of some tries counts.
    let mut tries = (0..5).map(|_| {
        let begun = Instant::now();
        kiln.build(&project, &["--no-cache"]);
        begun.elapsed()
    });
    assert!(
        tries.any(|took| took < Duration::from_millis(2600)),
        "one after the other they take six seconds"
    );
    let begun = Instant::now();
    kiln.build(&project, &["--no-cache", "--jobs", "1"]);
    assert!(
        begun.elapsed() >= Duration::from_secs(6),
        "one job at a time"
    );
}

#[test]
fn two_processes_run_a_step_once() {
    let kiln = Kiln::new();
    let project = Project::of(
        "FROM alpine\nRUN sleep 1; head -c 16 /dev/urandom | od -tx1 >/x\nRUN sleep 1; cat /x\n",
    );
    let path = project.path().to_str().unwrap();
    let line = ["build", "--progress", "plain", "--iidfile"];
    let run = |iid: &str| {
        let iid = project.join(iid);
        kiln.start(kiln.command().args(line).arg(iid).arg(path))
    };
    let children = [run("1"), run("2")];
    let ran = children.map(crate::kiln::ended);
    let total: usize = ran.iter().map(|ran| steps(&ran.stderr).0.len()).sum();
    let told = format!("{}\n{}", ran[0].stderr, ran[1].stderr);
    assert_eq!(ran.map(|ran| ran.code), [0, 0], "{told}");
    assert_eq!(
        total, 2,
        "each of the two steps is run by one of the two:\n{told}"
    );
    let read = |name: &str| std::fs::read_to_string(project.join(name)).unwrap();
    assert_eq!(read("1"), read("2"));
    kiln.assert_clean();
}

/// What was copied is what the key was made of: else a later build with the first content would
/// get the second.
#[test]
fn a_file_that_changes_during_a_build_ends_it() {
    let kiln = Kiln::new();
    let project = Project::new(&[
        (
            "Dockerfile",
            "FROM alpine\nRUN echo the step runs; sleep 2\nCOPY f /f\n",
        ),
        ("f", "first"),
    ]);
    let path = project.path().to_str().unwrap().to_owned();
    let arguments = ["build", "--progress", "plain", "-t", "app", &path];
    let mut child = kiln.start(kiln.command().args(arguments));
    let mut told = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.ends_with(" the step runs\n") {
        line.clear();
        assert_ne!(
            told.read_line(&mut line).unwrap(),
            0,
            "the step does not run"
        );
    }
    project.write("f", "second");
    let mut rest = String::new();
    told.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{rest}");
    assert!(rest.contains("changed during the build"), "{rest}");

    project.write("f", "first");
    kiln.build(&project, &["-t", "app"]);
    assert_eq!(kiln.ok(["run", "--rm", "app", "cat", "/f"]), "first");
    kiln.assert_clean();
}
