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
    let root = Kiln::new();
    let expected = image(&root, &project());
    for place in [Place::subordinate(), Place::single()]
        .into_iter()
        .flatten()
    {
        let user = Kiln::in_place(place);
        assert_eq!(image(&user, &project()), expected, "{place:?}");
        user.assert_clean();
    }
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
fn steps_run_where_the_root_is_not_that_of_the_mounts() {
    let root = image(&Kiln::new(), &project());
    for place in [Place::Chroot, Place::ChrootOfMount] {
        let image = image(&Kiln::in_place(place), &project());
        assert_eq!(image, root, "{}", place.name());
    }
}

/// Files of others: copied, copied again, in a base image, beneath directories that a step changes.
const OF_OTHERS: &str = "FROM alpine AS made\n\
     COPY --chown=7:8 --chmod=4750 a /d/a\n\
     COPY --chown=9:0 l /d/l\n\
     COPY --chown=7:65534 d /d/d\n\
     FROM scratch AS layers\n\
     COPY --from=made /d /d\n\
     FROM made\n\
     COPY --from=layers --chown=0:5 /d/a /root-and-5\n\
     COPY --from=layers /d /e\n\
     RUN echo more >>/e/d/f && mv /e/l /e/moved && ln /d/a /d/again && chmod 700 /d/d && rm /d/d/f\n\
     RUN --mount=type=secret,id=s,uid=7 --mount=type=cache,uid=7,gid=8,target=/c touch /c/x\n";

#[test]
fn files_of_others_are_theirs_wherever_kiln_runs() {
    let project = Project::new(&[("Dockerfile", OF_OTHERS), ("a", "a\n"), ("d/f", "f\n")]);
    std::os::unix::fs::symlink("a", project.join("l")).unwrap();
    let root = Kiln::new();
    let expected = image(&root, &project);
    for place in [Place::subordinate(), Place::single()]
        .into_iter()
        .flatten()
    {
        let kiln = Kiln::in_place(place);
        assert_eq!(image(&kiln, &project), expected, "{place:?}");
        kiln.assert_clean();
    }
}

/// What a container can do as well.
const OF_ROOT: &str = "FROM alpine AS made\n\
     RUN mkdir -p /d/e /gone/x && echo 1 >/d/e/f && ln /d/e/f /d/hard && ln -s e /d/link\n\
     RUN rm -r /gone && rm -r /d/e && mkdir /d/e && echo 2 >/d/e/g && mkfifo /d/p\n\
     RUN mv /d/hard /d/moved && chmod 4755 /d/moved && mv /d/e /d/E\n\
     RUN chmod 755 /bin /d/E && chown -R 0:0 /d && touch /bin/busybox\n\
     RUN --mount=type=cache,target=/c --mount=type=tmpfs,target=/t touch /c/x /t/y && ls /c >/o\n\
     RUN --mount=type=bind,target=/deep/er/ctx cp /deep/er/ctx/a /a\n\
     FROM alpine\n\
     COPY --from=made /d /copied\n\
     COPY --chmod=600 a /a\n\
     RUN --mount=type=secret,id=s cat /run/secrets/s >/dev/null; cat /copied/E/g /a >/end\n";

#[test]
fn the_same_image_wherever_kiln_runs() {
    let project = Project::new(&[("Dockerfile", OF_ROOT), ("a", "a\n")]);
    let root = Kiln::new();
    let expected = image(&root, &project);
    let places = [Place::subordinate(), Place::single(), Place::container()];
    for place in places.into_iter().flatten() {
        let kiln = Kiln::in_place(place);
        assert_eq!(image(&kiln, &project), expected, "{place:?}");
        kiln.assert_clean();
    }
}
