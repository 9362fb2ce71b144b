//! `kiln build --on-failure` and `kiln debug`.

use crate::kiln::{Kiln, Project, command, finish, tool};

const DOCKERFILE: &str = "FROM alpine AS tools\n\
     RUN echo other >/other\n\
     FROM alpine\n\
     ENV GREETING=hello\n\
     WORKDIR /work\n\
     RUN --mount=type=bind,from=tools,target=/tools \
         --mount=type=bind,source=input,target=/input \
         --mount=type=cache,target=/cache \
         --mount=type=secret,id=token,required=true \
         --mount=type=tmpfs,target=/scratch \
         echo begun >begun && cp /input input && cat /tools/other && test -e /work/mended && \
         cat /run/secrets/token\n";

fn failed(kiln: &Kiln) -> (Project, String) {
    let project = Project::new(&[("Dockerfile", DOCKERFILE), ("input", "first\n")]);
    let secret = kiln.scratch("secret").join("token");
    std::fs::write(&secret, "wh1sper\n").unwrap();
    let secret = format!("id=token,src={}", secret.display());
    let ran = kiln.try_build(&project, &["--on-failure=keep", "--secret", &secret]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(
        ran.stderr
            .contains("`kiln debug shell` enters the failed step"),
        "{}",
        ran.stderr
    );
    (project, secret)
}

#[test]
fn a_kept_step_is_entered_mended_and_run_again() {
    let kiln = Kiln::new();
    let (project, secret) = failed(&kiln);
    let shell = |script: &str| {
        kiln.ok([
            "debug", "shell", "--secret", &secret, "--", "/bin/sh", "-c", script,
        ])
    };
    let seen = shell("pwd; echo $GREETING; cat begun input /tools/other /run/secrets/token; id -u");
    assert_eq!(seen, "/work\nhello\nbegun\nfirst\nother\nwh1sper\n0\n");
    // What a process writes stays, and so does what the cache mount has.
    shell("touch mended /cache/kept /scratch/lost");
    assert_eq!(
        shell("ls mended /cache/kept; ls /scratch"),
        "/cache/kept\nmended\n"
    );
    std::fs::write(project.join("input"), "second\n").unwrap();
    let again = kiln.ok(["debug", "rerun", "--secret", &secret]);
    assert_eq!(again, "other\nwh1sper\n");
    assert_eq!(shell("cat input"), "second\n");
    kiln.assert_clean();
}

#[test]
fn secrets_are_given_again_and_lie_nowhere() {
    let kiln = Kiln::new();
    let _context = failed(&kiln);
    let ran = kiln.run(["debug", "rerun"]);
    assert_eq!(ran.code, 125, "{}", ran.stderr);
    assert!(ran.stderr.contains("token"), "{}", ran.stderr);
    assert!(ran.stderr.contains("--secret id=token"), "{}", ran.stderr);
    let found = finish(command("grep").args(["-r", "wh1sper"]).arg(kiln.root()));
    assert_eq!(
        (found.code, found.stdout.as_str()),
        (1, ""),
        "{}",
        found.stderr
    );
}

#[test]
fn kept_steps_are_listed_saved_and_removed() {
    let kiln = Kiln::new();
    failed(&kiln);
    let build = kiln.ok(["history", "ls", "--quiet"]);
    let build = build.trim();
    let listed = kiln.ok(["debug", "ls", "--format", "{{.Build}}|{{.Command}}"]);
    assert!(listed.starts_with(build), "{listed} is not of {build}");
    assert!(listed.contains("/bin/sh -c echo begun"), "{listed}");
    let tar = kiln.scratch("saved").join("step.tar");
    kiln.ok(["debug", "export", "-o", tar.to_str().unwrap(), &build[..8]]);
    let names = tool("tar", &["-tf", tar.to_str().unwrap()]);
    assert!(names.lines().any(|name| name == "work/begun"), "{names}");
    assert!(!names.contains("secrets/token"), "{names}");
    kiln.ok(["debug", "rm", &build[..8]]);
    assert_eq!(kiln.ok(["debug", "ls", "-q"]), "");
    let ran = kiln.run(["debug", "shell"]);
    assert_eq!(ran.stderr.trim(), "ERROR: no failed step is kept");
}

#[test]
fn nothing_is_kept_unasked_and_the_oldest_go() {
    let kiln = Kiln::new();
    let project = Project::of("FROM alpine\nARG N\nRUN echo $N >/n && false\n");
    assert_eq!(kiln.try_build(&project, &[]).code, 1);
    assert_eq!(kiln.ok(["debug", "ls", "-q"]), "");
    for n in 0..10 {
        let argument = format!("N={n}");
        let arguments = ["--on-failure", "keep", "--build-arg", &argument];
        assert_eq!(kiln.try_build(&project, &arguments).code, 1);
    }
    let kept = kiln.ok(["debug", "ls", "-q"]);
    assert_eq!(kept.lines().count(), 8, "{kept}");
    let newest = kiln.ok(["debug", "shell", "--", "cat", "/n"]);
    assert_eq!(newest, "9\n");
    kiln.ok(["debug", "rm", "--all"]);
    kiln.assert_clean();
}

#[test]
fn a_shell_at_once_needs_a_terminal() {
    let kiln = Kiln::new();
    let project = Project::of("FROM alpine\nRUN false\n");
    let ran = kiln.try_build(&project, &["--on-failure=shell"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("needs a terminal"), "{}", ran.stderr);
}
