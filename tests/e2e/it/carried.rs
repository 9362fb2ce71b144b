//! `--cache-mounts-to` and `--cache-mounts-from`: package caches that outlive a machine.

use testkit::Scratch;

use crate::kiln::{Kiln, Project};
use crate::standin;

/// Counts the builds that had the mount, whose owner and mode are its own.
const DOCKERFILE: &str = "FROM alpine\nARG ROUND\n\
     RUN --mount=type=cache,id=pkg,target=/c,uid=5,gid=6,mode=0710 \
     echo x >>/c/log && chown 7:8 /c/log && chmod 4755 /c/log && \
     echo \"had $(wc -l </c/log) $(stat -c '%a %u:%g' /c /c/log | tr '\\n' ' ')\" && : $ROUND\n";

/// What the step says of the mount.
fn had(told: &str) -> &str {
    let lines = told.lines().filter(|line| !line.contains("RUN "));
    let mut lines = lines.filter_map(|line| line.split_once(" had "));
    lines.next().map_or("nothing", |(_, had)| had.trim())
}

fn build(kiln: &Kiln, project: &Project, round: &str, arguments: &[&str]) -> String {
    let round = format!("ROUND={round}");
    let arguments = [&["--build-arg", &round], arguments].concat();
    kiln.build(project, &arguments)
}

#[test]
fn through_a_directory() {
    let (here, there) = (Kiln::new(), Kiln::new());
    let project = Project::of(DOCKERFILE);
    let scratch = Scratch::new();
    let place = scratch.join("mounts");
    let to = format!("type=local,dest={}", place.display());
    let from = format!("type=local,src={}", place.display());
    // The first time there is nothing, which stops nothing.
    let told = build(&here, &project, "a", &["--cache-mounts-from", &from]);
    assert!(told.contains("#4 ERROR: cannot read "), "{told}");
    let told = build(&here, &project, "b", &["--cache-mounts-to", &to]);
    assert_eq!(had(&told), "2 710 5:6 4755 7:8");
    let told = build(
        &there,
        &project,
        "c",
        &["--cache-mounts-from", &from, "--cache-mounts-to", &to],
    );
    assert_eq!(had(&told), "3 710 5:6 4755 7:8");
    assert!(told.contains("importing cache mount pkg"), "{told}");
    // What is cached, or here already, is not brought.
    let told = build(&there, &project, "c", &["--cache-mounts-from", &from]);
    assert!(!told.contains("importing"), "{told}");
    let told = build(&there, &project, "d", &["--cache-mounts-from", &from]);
    assert_eq!(had(&told), "4 710 5:6 4755 7:8");
    assert!(!told.contains("importing"), "{told}");
    // Other tools read it, and what nothing leads to is removed in time.
    assert_eq!(testkit::check_layout(&place).len(), 1);
    // Another owner is another mount.
    project.write("Dockerfile", &DOCKERFILE.replace("uid=5", "uid=9"));
    let told = build(&Kiln::new(), &project, "e", &["--cache-mounts-from", &from]);
    assert_eq!(had(&told), "1 710 9:6 4755 7:8");
    there.assert_clean();
}

#[test]
fn through_a_registry() {
    let registry = standin::new_registry();
    let [here, there] = [(); 2].map(|()| Kiln::with_mirror(&registry.host()));
    let project = Project::of(DOCKERFILE);
    let name = format!("{}/me/mounts:1", registry.host());
    let place = format!("type=registry,ref={name}");
    let told = build(
        &here,
        &project,
        "a",
        &["--cache-mounts-to", &format!("{place},compression=gzip")],
    );
    assert_eq!(had(&told), "1 710 5:6 4755 7:8");
    let told = build(&there, &project, "b", &["--cache-mounts-from", &place]);
    assert_eq!(had(&told), "2 710 5:6 4755 7:8");
    // What has not changed is not sent again.
    registry.clear_log();
    build(
        &here,
        &project,
        "a",
        &["--cache-mounts-to", &format!("{place},compression=gzip")],
    );
    let log = registry.log();
    assert!(!log.iter().any(|line| line.starts_with("POST")), "{log:?}");
    // An image is none.
    let image = format!(
        "type=registry,ref={}/library/alpine:latest",
        registry.host()
    );
    let told = build(
        &Kiln::with_mirror(&registry.host()),
        &project,
        "c",
        &["--cache-mounts-from", &image],
    );
    assert!(told.contains("holds no cache mounts"), "{told}");
    assert_eq!(had(&told), "1 710 5:6 4755 7:8");
    there.assert_clean();
}

#[test]
fn what_is_in_use_is_not_left_out_in_silence() {
    let kiln = Kiln::new();
    let project = Project::of(DOCKERFILE);
    let scratch = Scratch::new();
    build(&kiln, &project, "a", &[]);
    let lock = std::fs::File::open(kiln.root().join("cache-mounts/1/lock")).unwrap();
    lock.lock().unwrap();
    let place = scratch.join("mounts");
    let to = format!("type=local,dest={}", place.display());
    let round = ["--build-arg", "ROUND=a", "--cache-mounts-to"];
    let ran = kiln.try_build(&project, &[&round[..], &[&to]].concat());
    assert!(ran.error().contains("cache mount pkg is in use"));
    let ignored = format!("{to},ignore-error=true");
    kiln.build(&project, &[&round[..], &[&ignored]].concat());
    assert!(!place.exists());
}
