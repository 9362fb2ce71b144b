//! What a Dockerfile makes: each case is a Dockerfile and the files of its result.

use testkit::Scratch;

use crate::kiln::{Kiln, Project};

/// Files for all cases.
const FILES: &[(&str, &str)] = &[
    ("a", "A\n"),
    ("b", "B\n"),
    ("dir/c", "C\n"),
    ("dir/skip.log", "no\n"),
    (
        ".dockerignore",
        "*.log\n**/*.log\nsecret\nDockerfile\n.dockerignore\n",
    ),
    ("secret", "no\n"),
];

/// A Dockerfile, arguments, and the files of the result.
type Case<'a> = (&'a str, &'a [&'a str], &'a str);

fn check(cases: &[Case<'_>]) {
    let kiln = Kiln::new();
    for (dockerfile, arguments, expected) in cases {
        let project = Project::new(FILES);
        project.write("Dockerfile", dockerfile);
        let made = kiln.files(&project, arguments);
        let expected: Vec<&str> = expected
            .lines()
            .map(str::trim)
            .filter(|l| !l.is_empty())
            .collect();
        assert_eq!(made.lines().collect::<Vec<_>>(), expected, "{dockerfile}");
    }
    kiln.assert_clean();
}

#[test]
fn stages() {
    check(&[
        // By name in any case, by number, and out of an image that no stage builds on.
        (
            "FROM alpine AS One\nRUN echo 1 >/x\nFROM scratch\nCOPY --from=ONE /x /y\n",
            &[],
            r"y 0644 0:0 = 1\n",
        ),
        (
            "FROM alpine\nRUN echo 1 >/x\nFROM scratch\nCOPY --from=0 x /y\n",
            &[],
            r"y 0644 0:0 = 1\n",
        ),
        (
            "FROM scratch\nCOPY --from=alpine /etc/group /g\n",
            &[],
            r"g 0644 0:0 = root:x:0:\nnobody:x:65534:\n",
        ),
        // An earlier stage goes on, with what it set.
        (
            "FROM alpine AS base\nENV A=1\nWORKDIR /w\nFROM base AS next\nRUN echo $A $PWD >f\n\
             FROM scratch\nCOPY --from=next /w /\n",
            &[],
            r"f 0644 0:0 = 1 /w\n",
        ),
        // A target before the end; what comes after it is not looked at but for its syntax.
        (
            "FROM scratch AS one\nCOPY a /\nFROM scratch AS two\nCOPY nothing /\n",
            &["--target", "ONE"],
            r"a 0644 0:0 = A\n",
        ),
        // A stage is copied from by a variable.
        (
            "ARG WHICH=one\nFROM scratch AS one\nCOPY a /\nFROM scratch AS two\nCOPY b /\n\
             FROM scratch\nARG WHICH\nCOPY --from=$WHICH / /\n",
            &["--build-arg", "WHICH=two"],
            r"b 0644 0:0 = B\n",
        ),
        // The stage is chosen by a variable.
        (
            "ARG WHICH=one\nFROM scratch AS one\nCOPY a /\nFROM scratch AS two\nCOPY b /\n\
             FROM ${WHICH} AS chosen\nFROM scratch\nCOPY --from=chosen / /\n",
            &["--build-arg", "WHICH=two"],
            r"b 0644 0:0 = B\n",
        ),
    ]);
}

#[test]
fn what_the_target_does_not_reach_is_left_alone() {
    let dockerfile = "FROM no/such-image AS pulled\n\
         FROM alpine AS failing\nRUN exit 1\n\
         FROM scratch AS missing\nCOPY nothing /\n\
         FROM scratch\nCOPY a /\n";
    check(&[(dockerfile, &[], r"a 0644 0:0 = A\n")]);
}

#[test]
fn several_targets_are_one_build_with_a_name_each() {
    let kiln = Kiln::new();
    let project = Project::new(FILES);
    project.write(
        "Dockerfile",
        "FROM alpine AS base\nRUN echo base >/base\n\
         FROM base AS test\nRUN echo test >/test\n\
         FROM base AS app\nRUN echo app >/app\n\
         FROM base AS unused\nRUN exit 1\n",
    );
    let told = kiln.build(
        &project,
        &[
            "--target=test",
            "--target=app",
            "-t",
            "test=checked",
            "-t",
            "app=app:1",
            "-t",
            "app:2",
        ],
    );
    let bases = told.lines().filter(|line| line.contains("[base 2/2] RUN"));
    assert_eq!(bases.count(), 1, "{told}");
    for (image, expected) in [
        ("checked", "base\ntest\n"),
        ("app:1", "base\napp\n"),
        ("app:2", "base\napp\n"),
    ] {
        let script = "cat /base /test /app 2>/dev/null; true";
        let shown = kiln.ok(["run", "--rm", image, "/bin/sh", "-c", script]);
        assert_eq!(shown, expected, "{image}");
    }
    kiln.assert_clean();
}

#[test]
fn a_required_stage_must_succeed() {
    let kiln = Kiln::new();
    let project = Project::new(FILES);
    let dockerfile =
        |code: u8| format!("FROM alpine AS test\nRUN exit {code}\nFROM scratch\nCOPY a /\n");
    project.write("Dockerfile", &dockerfile(3));
    kiln.build(&project, &[]);
    let error = kiln.try_build(&project, &["--require=test"]).error();
    let expected = "process \"/bin/sh -c exit 3\" did not complete successfully: exit code: 3";
    assert!(error.contains(expected), "{error}");
    project.write("Dockerfile", &dockerfile(0));
    assert_eq!(
        kiln.files(&project, &["--require=test"]),
        "a 0644 0:0 = A\\n\n"
    );
}

#[test]
fn instructions() {
    check(&[
        (
            "FROM alpine AS run\nSHELL [\"/bin/sh\", \"-ec\"]\nUSER nobody\nWORKDIR /tmp/w\n\
             RUN id -u >uid && [\"/bin/echo\" = x ] || true\nRUN [\"/bin/sh\", \"-c\", \"echo $0 >exec\"]\n\
             FROM scratch\nCOPY --from=run /tmp/w /\n",
            &[],
            r"exec 0644 65534:65534 = /bin/sh\n
              uid 0644 65534:65534 = 65534\n",
        ),
        (
            "FROM alpine AS run\nRUN <<EOF\necho one >/x\necho two >>/x\nEOF\nCOPY <<\"EOF\" /y\n$HOME\nEOF\n\
             FROM scratch\nCOPY --from=run /x /y /\n",
            &[],
            r"x 0644 0:0 = one\ntwo\n
              y 0644 0:0 = $HOME\n",
        ),
        (
            "FROM scratch\nCOPY --chown=1:2 --chmod=600 a /a\nCOPY dir /d\nCOPY . /all/\nCOPY nothing* a /opt/\n",
            &[],
            r"a 0600 1:2 = A\n
              all/ 0755 0:0
              all/a 0644 0:0 = A\n
              all/b 0644 0:0 = B\n
              all/dir/ 0755 0:0
              all/dir/c 0644 0:0 = C\n
              d/ 0755 0:0
              d/c 0644 0:0 = C\n
              opt/ 0755 0:0
              opt/a 0644 0:0 = A\n",
        ),
        (
            "FROM alpine AS run\nARG V=default\nARG W\nENV E=$V-${W:-none}\nRUN echo $V $W $E >/x\n\
             FROM scratch\nCOPY --from=run /x /\n",
            &["--build-arg", "W=given"],
            r"x 0644 0:0 = default given default-given\n",
        ),
        // Each step sees what the one before it removed and replaced.
        (
            "FROM alpine AS run\nRUN mkdir /d && echo 1 >/d/x && echo 1 >/d/y\nRUN rm /d/x\n\
             RUN rm -r /d && mkdir /d && echo 2 >/d/z\nFROM scratch\nCOPY --from=run /d /\n",
            &[],
            r"z 0644 0:0 = 2\n",
        ),
    ]);
}

#[test]
fn mounts_of_steps() {
    let secret = Scratch::new();
    let secret = secret.file("token", "hidden");
    let secret = format!("id=token,src={}", secret.display());
    check(&[(
        "FROM scratch AS files\nCOPY a /\nFROM alpine AS run\n\
         RUN --mount=type=secret,id=token cat /run/secrets/token >/x\n\
         RUN --mount=from=files,target=/m cat /m/a >>/x\n\
         RUN --mount=target=/ctx cat /ctx/b >>/x\n\
         RUN --mount=type=tmpfs,target=/t echo t >/t/x && ls /t >>/x\n\
         RUN --mount=type=cache,target=/c echo c >>/c/x && cat /c/x >>/x\n\
         RUN ls -d /m /t /c /run/secrets 2>/dev/null >>/x || true\n\
         FROM scratch\nCOPY --from=run /x /\n",
        &["--secret", &secret],
        r"x 0644 0:0 = hiddenA\nB\nx\nc\n",
    )]);
}

#[test]
fn where_the_dockerfile_is() {
    let project = Project::new(FILES);
    project.write("Dockerfile", "FROM scratch\nCOPY b /usual\n");
    let outside = Project::new(&[
        ("Special", "FROM scratch\nCOPY . /\n"),
        ("Special.dockerignore", "*\n!a\n"),
    ]);
    let special = outside.join("Special");
    let kiln = Kiln::new();
    let files = |arguments: &[&str]| kiln.files(&project, arguments);
    assert_eq!(files(&[]), "usual 0644 0:0 = B\\n\n");
    assert_eq!(
        files(&["-f", special.to_str().unwrap()]),
        "a 0644 0:0 = A\\n\n"
    );

    let out = Scratch::new();
    let output = format!("type=local,dest={}", out.path().display());
    let context = project.path().to_str().unwrap();
    let stdin = b"FROM scratch\nCOPY a /from-stdin\n";
    kiln.run_with(&["build", "-f", "-", "-o", &output, context], stdin)
        .ok();
    assert_eq!(
        testkit::tree::list(out.path()),
        "from-stdin 0644 0:0 = A\\n\n"
    );
    let ran = kiln.run_with(&["build", "-"], stdin);
    assert!(ran.error().ends_with("\"/a\": not found"));
}

#[test]
fn contexts_by_name() {
    let project = Project::new(FILES);
    project.write(
        "Dockerfile",
        "FROM base\nCOPY --from=files x /x\nCOPY a /\n",
    );
    let files = Project::new(&[("x", "X\n")]);
    let files = format!("files={}", files.path().display());
    let kiln = Kiln::new();
    let arguments = [
        "--build-context",
        &files,
        "--build-context",
        "base=docker-image://alpine",
    ];
    let made = kiln.files(&project, &arguments);
    for line in [
        r"a 0644 0:0 = A\n",
        r"x 0644 0:0 = X\n",
        "bin/sh 0:0 -> busybox",
    ] {
        assert!(
            made.lines().any(|made| made == line),
            "{line} is not in {made}"
        );
    }
}
