//! Builds where kiln may make neither namespaces nor mounts: steps run in a chroot, and what they
//! mount is moved into their root and out again.

use crate::kiln::{Kiln, Project, command, finish};
use crate::place::Place;

/// Kiln as root, and in a container.
fn both() -> Option<(Kiln, Kiln)> {
    let place = Place::container()?;
    Some((Kiln::new(), Kiln::in_place(place)))
}

/// The digest of the image that comes of a project.
fn image(kiln: &Kiln, project: &Project, arguments: &[&str]) -> String {
    let epoch = ["--build-arg", "SOURCE_DATE_EPOCH=1700000000"];
    let arguments = [&["-t", "app:x"], arguments, &epoch].concat();
    kiln.build(project, &arguments);
    kiln.ok(["inspect", "--format", "{{.Id}}", "app:x"])
}

/// Each mount with something in its place already, and without.
const MOUNTS: &str = "FROM alpine AS other\n\
    RUN mkdir -p /from/sub && echo bound >/from/sub/b\n\
    FROM alpine\n\
    RUN mkdir -p /have/t /have/c && echo kept >/have/t/kept && echo kept >/have/c/kept \\\n\
        && ln -s have /link && echo mine >/have/file\n\
    RUN --mount=type=bind,from=other,source=/from,target=/b cat /b/sub/b >/o1 && test ! -e /from\n\
    RUN --mount=type=bind,from=other,source=/from,target=/w,rw echo x >/w/x && ls /w >/o2\n\
    RUN --mount=type=bind,target=/ctx cat /ctx/a >/o3\n\
    RUN --mount=type=bind,source=a,target=/have/file cat /have/file >/o4\n\
    RUN --mount=type=tmpfs,target=/link/t ls /link/t >/o5 && touch /have/t/gone && ls /have/t >>/o5\n\
    RUN --mount=type=cache,target=/have/c,id=c echo cached >/have/c/x && ls /have/c >/o6\n\
    RUN --mount=type=cache,target=/deep/er/c,id=c ls /deep/er/c >/o7 && touch /deep/made\n\
    RUN --mount=type=secret,id=s,mode=0440 stat -c %a /run/secrets/s >/o8 && wc -c </run/secrets/s >>/o8\n\
    RUN --mount=type=secret,id=s,env=S test \"$S\" = hush\n\
    RUN grep -c localhost /etc/hosts >/o9; cat /have/t/kept /have/c/kept /have/file >>/o9\n\
    RUN echo x >/dev/null && head -c 3 /dev/zero | wc -c >/o10 && ls /dev/shm >>/o10\n\
    RUN chown -R 7:8 /have && chmod 4755 /have/file && mkdir -p /d/e && rm /o10\n\
    USER 7:8\n\
    RUN --mount=type=cache,target=/c,uid=7,gid=8 id -u >/c/id && cat /c/id && ! touch /root/x\n";

#[test]
fn mounts_are_honoured_and_leave_nothing() {
    let Some((root, inside)) = both() else {
        return;
    };
    let project = Project::new(&[("Dockerfile", MOUNTS), ("a", "a\n"), ("s", "hush")]);
    let secret = format!("id=s,src={}", project.join("s").display());
    let arguments = ["--secret", secret.as_str()];
    let expected = root.files(&project, &arguments);
    assert_eq!(inside.files(&project, &arguments), expected);
    let digests = [&root, &inside].map(|kiln| image(kiln, &project, &arguments));
    assert_eq!(digests[0], digests[1]);
    inside.assert_clean();
}

#[test]
fn what_cannot_be_honoured_is_refused() {
    let Some((_, inside)) = both() else {
        return;
    };
    let refused = [
        (
            "RUN --network=none true",
            "a network of a step's own (--network=none)",
        ),
        (
            "RUN --mount=type=tmpfs,target=/t,size=1m true",
            "a size of a tmpfs mount",
        ),
        ("RUN --security=insecure true", "security.insecure"),
        (
            "RUN --mount=type=cache,target=/a,id=x --mount=type=cache,target=/b,id=x true",
            "a cache mount in two places at once",
        ),
    ];
    let project = Project::new(&[]);
    for (step, what) in refused {
        project.write("Dockerfile", &format!("FROM alpine\n{step}\n"));
        let ran = inside.try_build(&project, &["--allow", "security.insecure"]);
        let hint = "let kiln make user namespaces, or give it SYS_ADMIN; see docs/rootless.md";
        assert_eq!(ran.hints(), [hint], "{}", ran.stderr);
        let expected =
            format!(": {what} cannot be had in a chroot: it takes namespaces and mounts");
        let error = ran.error();
        assert!(error.ends_with(&expected), "{error}");
    }
    inside.assert_clean();
}

/// Installing a program would not help.
#[test]
fn a_network_of_a_steps_own_is_refused() {
    let Some((_, inside)) = both() else {
        return;
    };
    let project = Project::of("FROM alpine\nRUN true\n");
    for network in ["pasta", "slirp4netns", "sandbox"] {
        let mut command = inside.command();
        command
            .args(["build", "--network", network])
            .arg(project.path());
        let ran = finish(command.env("PATH", "/usr/bin:/bin"));
        let hint = "let kiln make user namespaces, or give it SYS_ADMIN; see docs/rootless.md";
        assert_eq!(ran.hints(), [hint], "{}", ran.stderr);
        let expected = ": a network of a step's own cannot be had in a chroot: it takes namespaces \
                        and mounts";
        let error = ran.error();
        assert!(error.ends_with(expected), "{error}");
    }
    inside.build(&project, &["--network", "host"]);
    inside.assert_clean();
}

#[test]
fn what_is_mounted_read_only_is_not_changed_unseen() {
    let Some((_, inside)) = both() else {
        return;
    };
    let project = Project::new(&[("a", "a\n")]);
    let bind = "FROM alpine\nRUN --mount=type=bind,target=/ctx";
    for change in [
        "echo b >/ctx/a",
        "touch /ctx/new",
        "mv /ctx /elsewhere",
        "chmod 600 /ctx/a",
    ] {
        project.write("Dockerfile", &format!("{bind} {change}\n"));
        let error = inside.try_build(&project, &[]).error();
        let expected = ": the step has changed /ctx, which it mounts read-only";
        assert!(error.ends_with(expected), "{change}: {error}");
    }
    assert_eq!(std::fs::read_to_string(project.join("a")).unwrap(), "a\n");
    // Packages do this, and take no for an answer.
    project.write(
        "Dockerfile",
        "FROM alpine\nRUN rm /etc/hosts && echo x >/etc/resolv.conf; ls /etc\n",
    );
    let (files, _) = (inside.files(&project, &[]), ());
    assert!(
        !files.contains("etc/hosts") && !files.contains("etc/resolv.conf"),
        "{files}"
    );
}

#[test]
fn nothing_of_a_step_goes_on_after_it() {
    let Some((_, inside)) = both() else {
        return;
    };
    let project = Project::of(
        "FROM alpine\n\
         RUN (setsid sleep 75319 &) ; (setsid sh -c 'sleep 75319 & sleep 75319' &) ; sleep 75319 &\n\
         RUN ! ps | grep 7531[9] && chroot / true 2>&1 | grep -c permitted >/o || true\n",
    );
    inside.build(&project, &[]);
    let ran = finish(command("pgrep").args(["-f", "sleep 75319"]));
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
}

#[test]
fn a_cache_that_a_step_removes_is_empty_afterwards() {
    let Some((_, inside)) = both() else {
        return;
    };
    let step = "RUN --mount=type=cache,target=/a/b";
    let project = Project::of(&format!(
        "FROM alpine\n{step} echo x >/a/b/x\n{step} test -e /a/b/x && rm -r /a\n{step} ls -A /a/b >/o\n"
    ));
    let files = inside.files(&project, &[]);
    assert!(files.lines().any(|line| line == "o 0644 0:0 ="), "{files}");
    inside.assert_clean();
}

#[test]
fn a_user_chooses() {
    let kiln = Kiln::new();
    let project = Project::of("FROM alpine\nRUN --network=none true\n");
    let run = |isolation: &str| {
        let mut command = kiln.command();
        command
            .env("KILN_ISOLATION", isolation)
            .arg("build")
            .arg(project.path());
        finish(&mut command)
    };
    let error = run("chroot").error();
    assert!(error.contains("cannot be had in a chroot"), "{error}");
    assert_eq!(run("namespaces").code, 0);
    let error = run("prison").error();
    let expected = "ERROR: KILN_ISOLATION: \"prison\" is no isolation: namespaces or chroot";
    assert_eq!(error, expected);
    kiln.configure("[build]\nisolation = \"chroot\"\n");
    assert_ne!(kiln.try_build(&project, &["--no-cache"]).code, 0);
}
