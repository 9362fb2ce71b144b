//! Past builds: what is kept of each, and how it is shown.

use std::io::{BufRead as _, BufReader};

use rustix::process::{Pid, Signal, kill_process};

use crate::kiln::{Kiln, Project, Ran, ended};

const DOCKERFILE: &str = "\
FROM alpine AS build
COPY file /file
RUN echo out; echo err >&2
RUN printf '\\377\\n'
FROM scratch
COPY --from=build /file /
";

fn project() -> Project {
    Project::new(&[("Dockerfile", DOCKERFILE), ("file", "1")])
}

/// One line per step of a build: its state and name.
fn steps(kiln: &Kiln, build: &str) -> String {
    let format = "{{range .Steps}}{{.State}} {{.Name}}\n{{end}}";
    kiln.ok(["history", "inspect", "--format", format, build])
        .trim_end()
        .lines()
        .filter(|line| line.contains(" [") && !line.contains("[internal]"))
        .map(|line| format!("{}\n", line.split('@').next().unwrap()))
        .collect()
}

fn field(kiln: &Kiln, build: &str, field: &str) -> String {
    let format = format!("{{{{.{field}}}}}");
    let text = kiln.ok(["history", "inspect", "--format", &format, build]);
    text.trim_end().to_owned()
}

fn ids(kiln: &Kiln, arguments: &[&str]) -> Vec<String> {
    let line = ["history", "ls", "-q"].iter().chain(arguments);
    kiln.ok(line).lines().map(str::to_owned).collect()
}

#[test]
fn each_build_leaves_a_record() {
    let kiln = Kiln::new();
    assert_eq!(
        kiln.ok(["history", "ls"]),
        "BUILD ID   NAME      STATUS    CREATED AT   DURATION\n"
    );
    let project = project();
    kiln.build(&project, &["-t", "app", "--target", "build"]);
    kiln.build(&project, &["-t", "app", "--target", "build"]);
    let name = project.path().file_name().unwrap().to_str().unwrap();
    let format = "{{.Name}} {{.Status}} {{.Cached}}/{{.Steps}}";
    let listed = kiln.ok(["history", "ls", "--format", format]);
    let lines: Vec<&str> = listed.lines().collect();
    assert_eq!(lines.len(), 2, "{listed}");
    assert!(
        lines[1].starts_with(&format!("{name} (build) Completed ")),
        "{listed}"
    );
    assert_eq!(
        steps(&kiln, "^1"),
        "ran [build 1/4] FROM docker.io/library/alpine:latest\n\
         ran [build 2/4] COPY file /file\n\
         ran [build 3/4] RUN echo out; echo err >&2\n\
         ran [build 4/4] RUN printf '\\377\\n'\n"
    );
    assert_eq!(
        steps(&kiln, "^0"),
        "cached [build 1/4] FROM docker.io/library/alpine:latest\n\
         cached [build 2/4] COPY file /file\n\
         cached [build 3/4] RUN echo out; echo err >&2\n\
         cached [build 4/4] RUN printf '\\377\\n'\n"
    );
    let image = kiln.ok(["images", "-q", "--no-trunc", "app"]);
    let images = field(&kiln, "", "Images");
    assert!(images.contains(image.trim()), "{images}");
    assert!(images.contains("docker.io/library/app:latest"), "{images}");
    for (name, expected) in [
        ("Context", project.path().to_str().unwrap()),
        ("Dockerfile", "Dockerfile"),
        ("Target", "build"),
        ("Status", "completed"),
    ] {
        assert_eq!(field(&kiln, "", name), expected);
    }
    let pretty = kiln.ok(["history", "inspect"]);
    for part in [
        "Status:         Completed\n",
        "\nSTEP   STATE ",
        "   cached: its result is in this store\n",
        "\nPrint its log: kiln history logs ",
    ] {
        assert!(pretty.contains(part), "{part}{pretty}");
    }
    kiln.assert_clean();
}

#[test]
fn the_log_is_what_was_told() {
    let kiln = Kiln::new();
    let project = project();
    let told = kiln.build(&project, &[]);
    let log = kiln.ok(["history", "logs"]);
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text
            .lines()
            // Numbers follow who was shown first, and times are rounded where transfers go on.
            .filter_map(|line| line.split_once(' '))
            .map(|(_, rest)| rest.to_owned())
            .filter(|rest| !rest.starts_with("sha256:") && rest != "...")
            .collect();
        lines.sort();
        lines.dedup();
        lines
    };
    assert_eq!(sorted(&log), sorted(&told), "{log}\n---\n{told}");
    assert!(log.contains(" out\n") && log.contains(" err\n"), "{log}");
    let json = kiln.ok(["history", "logs", "--progress", "rawjson"]);
    assert!(
        json.contains("\"data\":\"/wo=\""),
        "bytes stay as they are: {json}"
    );
    let explained = kiln.ok(["history", "logs", "--explain"]);
    assert!(
        explained.contains(" not cached: no earlier build of it is known\n"),
        "{explained}"
    );
    assert!(!log.contains("not cached"), "{log}");
    assert_eq!(
        kiln.run(["history", "logs", "--progress", "tty"]).error(),
        "ERROR: invalid argument \"tty\" for \"--progress\" flag: expected plain or rawjson"
    );
}

#[test]
fn a_log_of_any_length_is_whole() {
    let kiln = Kiln::new();
    let project = Project::of("FROM alpine\nRUN seq 1 400000\n");
    kiln.build(&project, &[]);
    let log = kiln.ok(["history", "logs"]);
    let numbers = log
        .lines()
        .filter(|line| line.split(' ').count() == 3)
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u32>().ok());
    let wrong = (1..=400_000)
        .zip(numbers)
        .find(|(expected, found)| expected != found);
    assert_eq!(wrong, None);
    assert!(log.contains(" 400000\n"));
}

#[test]
fn why_steps_ran() {
    let kiln = Kiln::new();
    let project = project();
    kiln.build(&project, &[]);
    project.write("file", "2");
    kiln.build(&project, &[]);
    let why = |arguments: &[&str]| kiln.ok(["history", "why"].iter().chain(arguments));
    let copy = why(&["", "COPY file"]);
    assert_eq!(
        copy.lines()
            .skip(1)
            .filter(|line| !line.contains("ran in"))
            .collect::<Vec<_>>(),
        [
            "   not cached: files that it reads from the build context changed: file has other content"
        ]
    );
    let first = why(&["^1", "copy FILE"]);
    assert!(
        first.contains("   not cached: no earlier build of it is known\n"),
        "{first}"
    );
    let from = why(&["", "FROM"]);
    assert!(from.contains("\n   cached: "), "{from}");
    let number = copy.split(' ').next().unwrap();
    assert_eq!(why(&["", number]), copy);
    assert_eq!(why(&["^0", number.trim_start_matches('#')]), copy);
    assert!(why(&[]).lines().count() > 6);
    let json = why(&["--format", "{{.State}}: {{.NotCached}}", "", "COPY file"]);
    assert_eq!(
        json,
        "ran: files that it reads from the build context changed: file has other content\n"
    );
    let missing = kiln.run(["history", "why", "", "nothing"]);
    assert!(
        missing
            .stderr
            .contains("has no step \"nothing\"\nhint: `kiln history inspect ")
    );
}

#[test]
fn failed_builds() {
    let kiln = Kiln::new();
    let project = Project::of(
        "FROM alpine AS slow\nRUN echo begun; sleep 60\n\
         FROM alpine AS bad\nRUN sleep 1; exit 3\n\
         FROM scratch\nCOPY --from=slow / /\nCOPY --from=bad / /\n",
    );
    let ran = kiln.try_build(&project, &[]);
    assert_eq!(ran.code, 1);
    let told = steps(&kiln, "");
    assert!(
        told.contains("failed [bad 2/2] RUN sleep 1; exit 3\n"),
        "{told}"
    );
    assert!(
        told.contains("canceled [slow 2/2] RUN echo begun; sleep 60\n"),
        "{told}"
    );
    assert_eq!(field(&kiln, "", "Status"), "failed");
    let error = field(&kiln, "", "Error.Message");
    assert!(
        error.ends_with("did not complete successfully: exit code: 3"),
        "{error}"
    );

    // Also what has no step yet.
    let broken = Project::of("FROM alpine\nNONSENSE\n");
    kiln.try_build(&broken, &[]).error();
    assert_eq!(field(&kiln, "", "Status"), "failed");
    assert_eq!(
        field(&kiln, "", "Error.Message"),
        "dockerfile parse error on line 2: unknown instruction: NONSENSE"
    );
}

#[test]
fn running_cancelled_and_killed_builds() {
    let kiln = Kiln::new();
    let project = Project::of("FROM alpine\nRUN echo begun; sleep 60\n");
    let (child, running) = begun(&kiln, &project);
    assert_eq!(
        ids(&kiln, &["--filter", "status=running"]),
        std::slice::from_ref(&running)
    );
    let log = kiln.ok(["history", "logs", &running]);
    assert!(
        log.contains(" begun\n"),
        "a log can be read while it is written: {log}"
    );
    let refused = kiln.run(["history", "rm", &running]);
    assert_eq!(
        refused.error(),
        format!("ERROR: build {running} is running")
    );
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(ended(child).code, 130);
    assert_eq!(field(&kiln, &running, "Status"), "canceled");
    assert!(steps(&kiln, "").contains("canceled [2/2] RUN echo begun; sleep 60\n"));

    let (mut child, killed) = begun(&kiln, &project);
    child.kill().unwrap();
    ended(child);
    assert_eq!(field(&kiln, &killed, "Status"), "failed");
    assert_eq!(field(&kiln, &killed, "Error.Message"), "its process died");
    assert!(steps(&kiln, "").contains("lost [2/2] RUN echo begun; sleep 60\n"));
    assert_eq!(ids(&kiln, &["--filter", "status=error"]), [killed]);
    assert_eq!(ids(&kiln, &["--filter", "status=canceled"]), [running]);
    assert_eq!(ids(&kiln, &["--filter", "duration>1m"]), [""; 0]);
    assert_eq!(ids(&kiln, &["--filter", "startedAt>1h"]).len(), 2);
    kiln.ok(["history", "rm", "--all"]);
    assert_eq!(ids(&kiln, &[]), [""; 0]);
    let logs = std::fs::read_dir(kiln.root().join("logs")).unwrap();
    assert_eq!(logs.count(), 0);
    kiln.assert_clean();
}

/// A build that runs a step, and its ID.
fn begun(kiln: &Kiln, project: &Project) -> (std::process::Child, String) {
    let arguments = ["build", "--progress", "plain"];
    let mut child = kiln.start(kiln.command().args(arguments).arg(project.path()));
    let mut told = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.ends_with(" begun\n") {
        line.clear();
        assert_ne!(
            told.read_line(&mut line).unwrap(),
            0,
            "the step does not run"
        );
    }
    // The rest is read so that the build is not held up.
    std::thread::spawn(move || std::io::copy(&mut told, &mut std::io::sink()));
    let id = ids(kiln, &["--filter", "status=running"]).remove(0);
    (child, id)
}

#[test]
fn builds_by_name() {
    let kiln = Kiln::new();
    let project = project();
    for _ in 0..3 {
        kiln.build(&project, &[]);
    }
    let all = ids(&kiln, &[]);
    let latest = |reference: &str| field(&kiln, reference, "Ref");
    assert_eq!(latest(""), all[0]);
    assert_eq!(latest("^0"), all[0]);
    assert_eq!(latest("^2"), all[2]);
    assert_eq!(latest(&all[1]), all[1]);
    assert_eq!(latest(&all[1][..10]), all[1]);
    let fails = |reference: &str| kiln.run(["history", "inspect", reference]);
    let hint = "hint: `kiln history ls` lists them; ^0 is the latest, ^1 the one before it\n";
    for unknown in ["^3", "^x", "zzz"] {
        assert_eq!(
            fails(unknown).stderr,
            format!("ERROR: no such build: {unknown}\n{hint}")
        );
    }
    kiln.ok(["history", "rm", "^0", "^1"]);
    assert_eq!(ids(&kiln, &[]), [all[2].clone()]);
}

/// `history IMAGE` is docker's; the words of commands are not names of images there.
#[test]
fn history_of_an_image_called_as_a_command() {
    let kiln = Kiln::new();
    let project = project();
    kiln.build(&project, &["-t", "ls", "-t", "other"]);
    let of_image = |line: &[&str]| kiln.ok(line).contains("COPY /file / # buildkit");
    assert!(of_image(&["history", "other"]));
    assert!(!of_image(&["history", "ls"]));
    assert!(of_image(&["history", "ls:latest"]));
    assert!(of_image(&["history", "--no-trunc", "ls"]));
    assert!(of_image(&["image", "history", "ls"]));
    assert_eq!(
        kiln.ok(["buildx", "history", "ls", "-q"]),
        kiln.ok(["history", "ls", "-q"])
    );
    let Ran { code, stderr, .. } = kiln.run(["history", "open"]);
    assert_eq!(code, 1);
    assert_eq!(
        stderr,
        "ERROR: kiln history open is Docker Desktop's\n\
         hint: `kiln history inspect` shows a build\n"
    );
}

#[test]
fn only_so_many_are_kept() {
    let scratch = testkit::Scratch::new();
    let config = |builds: u32| scratch.file("kiln.toml", format!("[history]\nbuilds = {builds}\n"));
    let kiln = Kiln::with_config(&config(2));
    let project = Project::of("FROM scratch\nCOPY Dockerfile /\n");
    for _ in 0..4 {
        kiln.build(&project, &["--no-cache"]);
    }
    assert_eq!(ids(&kiln, &[]).len(), 2);
    let logs = || std::fs::read_dir(kiln.root().join("logs")).unwrap().count();
    assert_eq!(logs(), 2);
    config(0);
    kiln.build(&project, &["--no-cache"]);
    assert_eq!(ids(&kiln, &[]).len(), 2);
    let _ = scratch.file("kiln.toml", "[history]\nmax-used-space = \"1B\"\n");
    kiln.build(&project, &["--no-cache"]);
    assert_eq!(ids(&kiln, &[]).len(), 1);
    kiln.assert_clean();
}

#[test]
fn no_secret_is_in_it() {
    let kiln = Kiln::new();
    let project = Project::of(
        "FROM alpine\nARG TOKEN\nARG API_KEY=none\n\
         RUN test -n \"$TOKEN\"; echo ${API_KEY:-x} >/dev/null\nCOPY Dockerfile /$TOKEN\n",
    );
    for value in ["hunter2", "hunter3"] {
        let argument = format!("TOKEN={value}");
        let told = kiln.build(&project, &["--explain", "--build-arg", &argument]);
        assert!(!told.contains("hunter"), "{told}");
    }
    let why = kiln.ok(["history", "why", "", "RUN"]);
    assert!(
        why.ends_with("\n   not cached: build argument TOKEN has another value\n"),
        "{why}"
    );
    let why = kiln.ok(["history", "why", "", "COPY"]);
    assert!(
        why.contains("build argument TOKEN has another value"),
        "{why}"
    );
    for entry in std::fs::read_dir(kiln.root().join("logs")).unwrap() {
        let log = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        assert!(!log.contains("hunter"), "{log}");
    }
    let url = "https://me:hunter2@127.0.0.1:1/r.git";
    kiln.run(["build", "--progress", "plain", url]).error();
    assert_eq!(field(&kiln, "", "Context"), "https://127.0.0.1:1/r.git");
    assert_eq!(field(&kiln, "", "Status"), "failed");
}
