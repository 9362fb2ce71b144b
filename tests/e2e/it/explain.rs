//! `kiln build --explain`: each cause of a step that runs is named, and nothing else; and of each
//! result that was known it is told where it was.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use crate::kiln::{Kiln, Project, Ran, ended};
use crate::standin;

const DOCKERFILE: &str = "\
FROM alpine AS build
ARG VERSION=1
ENV MODE=fast
WORKDIR /src
COPY files .
RUN echo $VERSION > made
FROM scratch
COPY --from=build /src/made /made
";

/// What a build says of its steps in lines that begin with `mark`, without their numbers.
fn lines(ran: &Ran, mark: &str) -> String {
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let mut step = "";
    let mut told = String::new();
    for line in ran.stderr.lines() {
        let Some((_, rest)) = line.split_once(' ').filter(|_| line.starts_with('#')) else {
            continue;
        };
        match rest.strip_prefix(mark) {
            Some(reason) => told.push_str(&format!("{step}: {}\n", without_time(reason))),
            // Others are of a layer that is fetched, or what the step writes.
            None if rest.starts_with('[') => step = rest,
            None => {}
        }
    }
    told
}

/// `evicted on 2026-11-28 15:40 UTC by …` without the time.
fn without_time(reason: &str) -> String {
    match reason.split_once("evicted on ") {
        Some((before, after)) => {
            let (time, after) = after.split_at("2026-11-28 15:40".len());
            assert!(
                time.starts_with("20") && after.starts_with(" UTC by "),
                "{reason}"
            );
            format!("{before}evicted on TIME{after}")
        }
        None => reason.to_owned(),
    }
}

/// What a build says of the steps that it runs.
fn told(kiln: &Kiln, project: &Project, arguments: &[&str]) -> String {
    let arguments = [&["--explain"], arguments].concat();
    lines(&kiln.try_build(project, &arguments), "not cached: ")
}

/// What a build with the second Dockerfile and arguments says after one with the first.
fn cause(before: (&str, &[&str]), after: (&str, &[&str])) -> String {
    let kiln = Kiln::new();
    let project = Project::new(&[("a", "A"), ("b", "B")]);
    project.write("Dockerfile", before.0);
    kiln.build(&project, before.1);
    project.write("Dockerfile", after.0);
    told(&kiln, &project, after.1)
}

/// The same when only lines after `FROM alpine` change.
fn step(before: &str, after: &str) -> String {
    let dockerfile = |step: &str| format!("FROM alpine\n{step}\n");
    cause((&dockerfile(before), &[]), (&dockerfile(after), &[]))
}

#[test]
fn each_cause_is_named() {
    let kiln = Kiln::new();
    let project = Project::new(&[
        ("Dockerfile", DOCKERFILE),
        ("files/a", "1"),
        ("files/b", "1"),
    ]);
    let check = |arguments: &[&str], expected: &str| {
        assert_eq!(told(&kiln, &project, arguments), expected);
    };
    check(
        &[],
        "[build 2/4] WORKDIR /src: no earlier build of it is known\n\
         [build 3/4] COPY files .: no earlier build of it is known\n\
         [build 4/4] RUN echo 1 > made: no earlier build of it is known\n\
         [stage-1 1/1] COPY --from=build /src/made /made: no earlier build of it is known\n",
    );
    check(&[], "");
    // What was found is the same image as what was built.
    let listed = kiln.ok(["images", "--all", "--format", "{{.Repository}}"]);
    assert_eq!(listed.matches("<none>").count(), 1, "{listed}");
    check(
        &["--build-arg", "VERSION=2"],
        "[build 4/4] RUN echo 2 > made: build argument VERSION has another value\n\
         [stage-1 1/1] COPY --from=build /src/made /made: \
         files that it reads from the result of [build 4/4] RUN echo 2 > made changed: \
         src/made has other content\n",
    );
    project.write("files/a", "2");
    project.write("files/new", "");
    check(
        &["--target", "build"],
        "[build 3/4] COPY files .: files that it reads from the build context changed: \
         files/a has other content, files/new is new\n\
         [build 4/4] RUN echo 1 > made: the result of [build 3/4] COPY files . is another one\n",
    );
    project.write("Dockerfile", &DOCKERFILE.replace("fast", "slow"));
    check(
        &["--target", "build"],
        "[build 4/4] RUN echo 1 > made: variable MODE has another value\n",
    );
    check(
        &["--target", "build", "--no-cache-filter", "build"],
        "[build 3/4] COPY files .: it was asked to run in any case (--no-cache-filter)\n\
         [build 4/4] RUN echo 1 > made: it was asked to run in any case (--no-cache-filter)\n",
    );
    check(
        &["--target", "build", "--no-cache"],
        "[build 3/4] COPY files .: it was asked to run in any case (--no-cache)\n\
         [build 4/4] RUN echo 1 > made: it was asked to run in any case (--no-cache)\n",
    );
    kiln.ok(["prune", "--all", "--force"]);
    check(
        &["--target", "build"],
        "[build 2/4] WORKDIR /src: its record was evicted on TIME UTC by kiln prune --all\n\
         [build 3/4] COPY files .: its record was evicted on TIME UTC by kiln prune --all\n\
         [build 4/4] RUN echo 1 > made: its record was evicted on TIME UTC by kiln prune --all\n",
    );
    kiln.ok(["prune", "--all", "--force"]);
    check(
        &["--target", "build", "--build-arg", "VERSION=3"],
        "[build 2/4] WORKDIR /src: its record was evicted on TIME UTC by kiln prune --all\n\
         [build 3/4] COPY files .: its record was evicted on TIME UTC by kiln prune --all\n\
         [build 4/4] RUN echo 3 > made: no earlier build of it is known: \
         the last of its kind was evicted on TIME UTC by kiln prune --all\n",
    );
}

#[test]
fn what_an_instruction_says() {
    for (before, after, expected) in [
        (
            "RUN echo a",
            "RUN echo b",
            "[2/2] RUN echo b: the instruction was RUN echo a\n",
        ),
        (
            "RUN echo a",
            "RUN [\"echo\", \"a\"]",
            "[2/2] RUN [\"echo\", \"a\"]: the instruction was RUN echo a\n",
        ),
        (
            "COPY a /x",
            "COPY b /x",
            "[2/2] COPY b /x: the instruction was COPY a /x\n",
        ),
        (
            "COPY a /x",
            "COPY a /y",
            "[2/2] COPY a /y: the instruction was COPY a /x\n",
        ),
        (
            "COPY a /x",
            "COPY --chmod=600 a /x",
            "[2/2] COPY --chmod=600 a /x: the instruction was COPY a /x\n",
        ),
        (
            "RUN <<EOF\necho 1\necho 2\nEOF",
            "RUN <<EOF\necho 1\necho 3\nEOF",
            "[2/2] RUN <<EOF (echo 1...): its script has changed\n",
        ),
        (
            "COPY <<EOF /x\n1\nEOF",
            "COPY <<EOF /x\n2\nEOF",
            "[internal] preparing inline document: what it does has changed\n\
             [2/2] COPY <<EOF /x: files that it reads from the result of \
             [internal] preparing inline document changed: EOF has other content\n",
        ),
        (
            "SHELL [\"/bin/sh\", \"-c\"]\nRUN true",
            "SHELL [\"/bin/sh\", \"-e\", \"-c\"]\nRUN true",
            "[2/2] RUN true: the shell was /bin/sh -c and is /bin/sh -e -c\n",
        ),
        (
            "USER root\nRUN true",
            "USER nobody\nRUN true",
            "[2/2] RUN true: the user was root and is nobody\n",
        ),
        (
            "WORKDIR /tmp\nRUN true",
            "WORKDIR /etc\nRUN true",
            "[2/3] WORKDIR /etc: the instruction was WORKDIR /tmp\n\
             [3/3] RUN true: the working directory was /tmp and is /etc; \
             the result of [2/3] WORKDIR /etc is another one\n",
        ),
        (
            "ENV A=1 B=1\nRUN true",
            "ENV B=2 C=1\nRUN true",
            "[2/2] RUN true: variable A is gone; variable B has another value; variable C is new\n",
        ),
        (
            "RUN true",
            "RUN --network=none true",
            "[2/2] RUN --network=none true: the network mode was default and is none\n",
        ),
    ] {
        assert_eq!(step(before, after), expected, "{before}");
    }
}

#[test]
fn what_the_client_says() {
    let run = "FROM alpine\nRUN true\n";
    let copy = "FROM alpine\nARG WHICH=a\nCOPY $WHICH /x\n";
    for (dockerfile, arguments, expected) in [
        (
            copy,
            &["--build-arg", "WHICH=b"][..],
            "[2/2] COPY b /x: build argument WHICH has another value\n",
        ),
        (
            run,
            &["--network", "none"],
            "[2/2] RUN true: the network mode was default and is none\n",
        ),
        (
            run,
            &["--add-host", "h:10.0.0.1"],
            "[2/2] RUN true: the list of extra hosts was empty and is h=10.0.0.1\n",
        ),
    ] {
        let told = cause((dockerfile, &[]), (dockerfile, arguments));
        assert_eq!(told, expected, "{arguments:?}");
    }
    let insecure = "FROM alpine\nRUN --security=insecure true\n";
    assert_eq!(
        cause((run, &[]), (insecure, &["--allow", "security.insecure"])),
        "[2/2] RUN --security=insecure true: the security mode was sandbox and is insecure\n"
    );
}

#[test]
fn mounts() {
    for (before, after, expected) in [
        (
            "type=cache,id=a,target=/m",
            "type=cache,id=b,target=/m",
            "mount /m was shared cache a with mode 0755 of 0:0, writable and is \
             shared cache b with mode 0755 of 0:0, writable",
        ),
        (
            "type=cache,id=a,target=/m",
            "type=cache,id=a,sharing=locked,target=/m",
            "mount /m was shared cache a with mode 0755 of 0:0, writable and is \
             locked cache a with mode 0755 of 0:0, writable",
        ),
        (
            "type=tmpfs,target=/m",
            "type=tmpfs,size=1048576,target=/m",
            "mount /m was a tmpfs and is a tmpfs of 1048576 bytes",
        ),
        (
            "type=tmpfs,target=/m",
            "type=tmpfs,target=/n",
            "mount /m is gone: it was a tmpfs; mount /n is new: a tmpfs",
        ),
        (
            "type=secret,id=a,target=/m",
            "type=secret,id=b,target=/m",
            "mount /m was secret a with mode 0400 of 0:0 and is secret b with mode 0400 of 0:0",
        ),
        (
            "type=ssh,id=a,target=/m",
            "type=ssh,id=b,target=/m",
            "mount /m was SSH agent a with mode 0600 of 0:0 and is \
             SSH agent b with mode 0600 of 0:0",
        ),
        (
            "type=bind,source=a,target=/m",
            "type=bind,source=a,target=/m,rw",
            "mount /m was a bind of /a, read-only and is a bind of /a, writable",
        ),
    ] {
        let run = |mount: &str| format!("RUN --mount={mount} true");
        let told = step(&run(before), &run(after));
        let (_, told) = told.split_once("] ").unwrap();
        assert_eq!(told, format!("{}: {expected}\n", run(after)));
    }
}

#[test]
fn what_is_mounted() {
    let stage = |made: &str| {
        format!(
            "FROM alpine AS from\nRUN echo {made} >/made\nFROM alpine\n\
             RUN --mount=from=from,source=/made,target=/m true\n"
        )
    };
    assert_eq!(
        cause((&stage("1"), &[]), (&stage("2"), &[])),
        "[from 2/2] RUN echo 2 >/made: the instruction was RUN echo 1 >/made\n\
         [stage-1 2/2] RUN --mount=from=from,source=/made,target=/m true: \
         files that it reads from the result of [from 2/2] RUN echo 2 >/made changed: \
         made has other content\n"
    );
    let kiln = Kiln::new();
    let project = Project::of("FROM alpine\nRUN --mount=type=secret,id=s true\n");
    project.write("secret", "one");
    let source = project.join("secret").display().to_string();
    let plain = format!("id=s,src={source}");
    let keyed = format!("{plain},cache=digest");
    kiln.build(&project, &["--secret", &plain]);
    let told = |flag: &str| told(&kiln, &project, &["--secret", flag]);
    let step = "[stage-0 2/2] RUN --mount=type=secret,id=s true";
    assert_eq!(
        told(&keyed),
        format!("{step}: the bytes of secret s count now (cache=digest)\n")
    );
    project.write("secret", "two");
    assert_eq!(told(&plain), "");
    assert_eq!(told(&keyed), format!("{step}: secret s has other bytes\n"));
}

#[test]
fn files() {
    let kiln = Kiln::new();
    let project = Project::of("FROM scratch\nCOPY src /src\n");
    for name in [
        "src/content",
        "src/mode",
        "src/old",
        "src/kind",
        "src/ignored",
    ] {
        project.write(name, "1");
    }
    kiln.build(&project, &[]);
    let check = |what: &str| {
        let expected = format!(
            "[1/1] COPY src /src: files that it reads from the build context changed: {what}\n"
        );
        assert_eq!(told(&kiln, &project, &[]), expected);
    };
    project.write("src/content", "2");
    check("src/content has other content");
    let mode = Permissions::from_mode(0o755);
    std::fs::set_permissions(project.join("src/mode"), mode).unwrap();
    check("src/mode has mode 0755, not 0644");
    project.write("src/added", "1");
    check("src/added is new");
    std::fs::rename(project.join("src/old"), project.join("src/renamed")).unwrap();
    check("src/old is gone, src/renamed is new");
    std::fs::remove_file(project.join("src/kind")).unwrap();
    symlink("content", project.join("src/kind")).unwrap();
    check("src/kind is a file of another kind");
    project.write(".dockerignore", "src/ignored\n");
    check("src/ignored is gone (excluded by the ignore file)");
    project.write(".dockerignore", "");
    assert_eq!(told(&kiln, &project, &[]), "");
    std::fs::remove_file(project.join("src/content")).unwrap();
    check("src/content is gone");
}

#[test]
fn files_of_a_stage() {
    let dockerfile = |change: &str| {
        format!(
            "FROM alpine AS from\nRUN mkdir /d; echo 1 >/d/f; echo 1 >/d/g\nRUN {change}\n\
             FROM scratch\nCOPY --from=from /d /\n"
        )
    };
    for (change, expected) in [
        ("chown 1:2 /d/f", "d/f has owner 1:2, not 0:0"),
        ("chmod 4711 /d/f", "d/f has mode 4711, not 0644"),
        ("rm /d/f; ln -s g /d/f", "d/f is a file of another kind"),
        ("mv /d/f /d/h", "d/f is gone, d/h is new"),
    ] {
        let told = cause((&dockerfile("true"), &[]), (&dockerfile(change), &[]));
        let copy = told.lines().last().unwrap_or_default();
        assert_eq!(
            copy,
            format!(
                "[stage-1 1/1] COPY --from=from /d /: files that it reads from \
                 the result of [from 3/3] RUN {change} changed: {expected}"
            )
        );
    }
}

#[test]
fn another_base_under_the_same_name() {
    let registry = standin::new_registry();
    let host = registry.host();
    let kiln = Kiln::with_mirror(&host);
    let project = Project::of("FROM alpine\nRUN true\n");
    kiln.build(&project, &[]);
    let other = Project::of("FROM alpine\nRUN echo other >/other\n");
    let name = format!("{host}/library/alpine:latest");
    kiln.build(&other, &["--push", "-t", &name]);
    assert_eq!(told(&kiln, &project, &[]), "");
    assert_eq!(
        told(&kiln, &project, &["--pull"]),
        "[2/2] RUN true: base image alpine:latest is another one\n"
    );
}

#[test]
fn where_results_were() {
    let kiln = Kiln::new();
    let project = Project::new(&[("Dockerfile", DOCKERFILE), ("files/a", "1")]);
    kiln.build(&project, &[]);
    let ran = kiln.try_build(&project, &["--explain"]);
    let found = lines(&ran, "cached: ");
    let (of_alpine, rest) = found.split_once('\n').unwrap();
    assert!(
        of_alpine.ends_with(": only steps whose results are known need it"),
        "{found}"
    );
    assert_eq!(
        rest,
        "[build 2/4] WORKDIR /src: only steps whose results are known need it\n\
         [build 3/4] COPY files .: only steps whose results are known need it\n\
         [build 4/4] RUN echo 1 > made: only steps whose results are known need it\n\
         [stage-1 1/1] COPY --from=build /src/made /made: its result is in this store\n"
    );
    let silent = kiln.build(&project, &[]);
    assert!(!silent.contains("cached:"), "{silent}");

    // Another process that runs the same step at the same time.
    let project = Project::of("FROM alpine\nRUN sleep 1\n");
    let line = ["build", "--progress", "plain", "--explain"];
    let start = || kiln.start(kiln.command().args(line).arg(project.path()));
    let ran = [start(), start()].map(ended);
    let mut found = ran.map(|ran| {
        let of_step = lines(&ran, "cached: ");
        let of_step = of_step.lines().find(|line| line.starts_with("[2/2]"));
        of_step.map(str::to_owned)
    });
    found.sort();
    assert_eq!(
        found,
        [
            None,
            Some(
                "[2/2] RUN sleep 1: another build made it while this one waited for it".to_owned()
            )
        ]
    );
}
