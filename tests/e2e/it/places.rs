//! Builds and containers where kiln is not simply root.

use crate::kiln::{Kiln, Project};
use crate::place::Place;

/// Owners, modes, special files, links, marks of what is gone and of what hides.
const DOCKERFILE: &str = "FROM alpine\n\
     RUN mkdir -p /d/e /w && touch /d/e/f /w/gone && mkfifo /d/p && chmod 4755 /d/e/f\n\
     RUN chown -R 7:8 /d && ln -s d /l && ln /d/e/f /w/hard && rm /w/gone\n\
     RUN rm -r /d && mkdir /d && echo new >/d/new && chown 65534:100 /d/new\n\
     COPY --chown=1000:1000 --chmod=600 a /a\n\
     USER 1000:1000\n\
     RUN id -u >/tmp/id && ! touch /root/x\n";

fn project() -> Project {
    Project::new(&[("Dockerfile", DOCKERFILE), ("a", "a\n")])
}

/// The digest of the image that comes of it.
fn image(kiln: &Kiln, project: &Project) -> String {
    let arguments = [
        "-t",
        "app:build",
        "--build-arg",
        "SOURCE_DATE_EPOCH=1700000000",
    ];
    kiln.build(project, &arguments);
    kiln.ok(["inspect", "--format", "{{.Id}}", "app:build"])
}

#[test]
fn an_ordinary_user_makes_the_image_that_root_makes() {
    let Some(place) = Place::subordinate() else {
        return;
    };
    let (root, user) = (Kiln::new(), Kiln::in_place(place));
    let expected = image(&root, &project());
    assert_eq!(image(&user, &project()), expected);
    user.assert_clean();
}

#[test]
fn an_ordinary_user_runs_containers_and_copies() {
    let Some(place) = Place::subordinate() else {
        return;
    };
    let kiln = Kiln::in_place(place);
    image(&kiln, &project());
    let out = kiln.ok([
        "run",
        "--rm",
        "-u",
        "0",
        "app:build",
        "cat",
        "/d/new",
        "/proc/self/uid_map",
    ]);
    let (text, map) = out.split_once('\n').unwrap();
    assert_eq!(text, "new");
    let fields: Vec<&str> = map.split_whitespace().collect();
    assert_eq!(fields, ["0", "63210", "1", "1", "1879048192", "65536"]);
    kiln.ok(["create", "--name", "box", "app:build"]);
    let to = kiln.scratch("out").join("new");
    kiln.lend(to.parent().unwrap());
    kiln.ok(["cp", "box:/d/new", to.to_str().unwrap()]);
    assert_eq!(std::fs::read_to_string(&to).unwrap(), "new\n");
    kiln.ok(["rm", "box"]);
    kiln.assert_clean();
}

#[test]
fn what_a_step_of_an_ordinary_user_sees() {
    let Some(place) = Place::subordinate() else {
        return;
    };
    let kiln = Kiln::in_place(place);
    let project = Project::of(
        "FROM alpine\n\
         RUN ls -d /sys/class/net/lo >/o && head -c 3 /dev/zero | wc -c >>/o && echo x >/dev/null\n\
         RUN --network=none ls /sys/class/net >>/o && cat /proc/interrupts | wc -c >>/o\n\
         RUN --mount=type=tmpfs,target=/t --mount=type=cache,target=/c touch /t/a /c/b && ls /c >>/o\n\
         RUN (echo x >/proc/sys/kernel/hostname) 2>&1 | grep -c 'Read-only' >>/o\n\
         RUN (mknod /n c 1 3) 2>&1 | grep -c 'not permitted' >>/o\n",
    );
    let files = kiln.files(&project, &[]);
    let line = files.lines().find(|line| line.starts_with("o ")).unwrap();
    assert!(
        line.ends_with(r"= /sys/class/net/lo\n3\nlo\n0\nb\n1\n1\n"),
        "{line}"
    );
}

#[test]
fn steps_run_where_the_root_is_no_mount() {
    let (root, chroot) = (Kiln::new(), Kiln::in_place(Place::Chroot));
    assert_eq!(image(&chroot, &project()), image(&root, &project()));
}

/// Without subordinate users there is only root, which suffices where nobody else is needed.
#[test]
fn an_ordinary_user_without_others() {
    let Some(place) = Place::single() else {
        return;
    };
    let (root, user) = (Kiln::new(), Kiln::in_place(place));
    let project = Project::new(&[
        (
            "Dockerfile",
            "FROM alpine\nCOPY a /a\nRUN mkdir /d && cat /a >/d/b && id -u >>/d/b && rm /bin/ls\n",
        ),
        ("a", "a\n"),
    ]);
    assert_eq!(image(&user, &project), image(&root, &project));
    let steps = [
        (
            "RUN chown 7 /a",
            "process \"/bin/sh -c chown 7 /a\" did not complete successfully: exit code: 1",
        ),
        (
            "USER 7\nRUN true",
            "user 7 does not exist in this user namespace",
        ),
        (
            "COPY --chown=7:8 a /b",
            "chown b: user 7 or group 8 does not exist in this user namespace",
        ),
        (
            "RUN --mount=type=secret,id=s,uid=7 true",
            "user 7 or group 0 does not exist in this user namespace",
        ),
    ];
    let lacking = ["/etc/subuid", "/etc/subgid"];
    let hint = lacking.map(|file| format!("{file} has no line for kiln-test"));
    let mut hints = vec![format!(
        "there is no user but root here: {}",
        hint.join(", ")
    )];
    for file in lacking {
        hints.push(format!("as root: echo kiln-test:100000:65536 >> {file}"));
    }
    for (step, expected) in steps {
        project.write("Dockerfile", &format!("FROM alpine\nCOPY a /a\n{step}\n"));
        let ran = user.try_build(&project, &["--secret", "id=s,env=HOME"]);
        assert_eq!(ran.hints(), hints, "{step}: {}", ran.stderr);
        let error = ran.error();
        assert!(error.ends_with(&format!(": {expected}")), "{error}");
    }
    project.write("Dockerfile", "FROM alpine\nCOPY nope /\n");
    let ran = user.try_build(&project, &[]);
    assert!(ran.code != 0 && ran.hints().is_empty(), "{}", ran.stderr);
    user.assert_clean();
}
