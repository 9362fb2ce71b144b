//! `kiln build --explain`: each cause of a step that runs is named.

use crate::kiln::{Kiln, Project};

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

/// What a build says of the steps that it runs, without their numbers.
fn told(kiln: &Kiln, project: &Project, arguments: &[&str]) -> String {
    let arguments = [&["--explain", "--progress", "plain"], arguments].concat();
    let ran = kiln.try_build(project, &arguments);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let mut step = "";
    let mut told = String::new();
    for line in ran.stderr.lines() {
        let Some((_, rest)) = line.split_once(' ').filter(|_| line.starts_with('#')) else {
            continue;
        };
        match rest.strip_prefix("not cached: ") {
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
        "[build 4/4] RUN echo 2 > made: the instruction was RUN echo 1 > made; \
         build argument VERSION has another value\n\
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
        "[build 3/4] COPY files .: it was asked to run in any case \
         (--no-cache or --no-cache-filter)\n\
         [build 4/4] RUN echo 1 > made: it was asked to run in any case \
         (--no-cache or --no-cache-filter)\n",
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
