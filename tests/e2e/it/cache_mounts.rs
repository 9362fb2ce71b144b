//! Cache mounts as things of their own, and who shares them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use testkit::Scratch;

use crate::kiln::{Kiln, Project, ended, tool};

/// A project whose step runs `script` with the cache mount `mount` at `/c`.
fn step(mount: &str, script: &str) -> Project {
    Project::of(&format!(
        "FROM alpine\nRUN --mount=type=cache,target=/c,{mount} {script}\n"
    ))
}

/// A script that no step had yet, so that it runs.
fn new_script(script: &str) -> String {
    static SCRIPTS: AtomicU32 = AtomicU32::new(0);
    format!("true {}; {script}", SCRIPTS.fetch_add(1, Ordering::Relaxed))
}

/// What the step prints.
fn says(kiln: &Kiln, mount: &str, script: &str) -> String {
    let told = kiln.build(&step(mount, &new_script(script)), &[]);
    let lines = told.lines().filter(|line| !line.contains("RUN "));
    let lines = lines.filter_map(|line| line.split_once(" said ")?.1.into());
    lines.collect::<Vec<&str>>().join("\n")
}

#[test]
fn listed_shown_and_removed() {
    let kiln = Kiln::new();
    let fill = "head -c 100000 /dev/zero >/c/zero";
    kiln.build(&step("id=go", fill), &[]);
    kiln.build(&step("id=npm,uid=5,gid=6,mode=0700", fill), &[]);
    let row = "{{.Instance}} {{.ID}} {{.Mode}} {{.Owner}} {{.InUse}} {{.Limit}}";
    assert_eq!(
        kiln.ok(["cache", "mounts", "ls", "--format", row]),
        "1 go 0755 0:0 false \n2 npm 0700 5:6 false \n"
    );
    assert_eq!(kiln.ok(["cache", "mounts", "ls", "-q"]), "1\n2\n");
    let table = kiln.ok(["cache", "mounts", "ls"]);
    assert!(table.starts_with("INSTANCE   ID "), "{table}");
    let shown = kiln.ok([
        "cache",
        "mounts",
        "show",
        "npm",
        "--format",
        "{{.Path}} {{.Files}} {{.Uid}}",
    ]);
    let path = kiln.root().join("cache-mounts/2/data");
    assert_eq!(shown, format!("{} 1 5\n", path.display()));
    let measured = kiln.ok([
        "cache",
        "mounts",
        "du",
        "--format",
        "{{.Instance}} {{.Size}} {{.Files}}",
    ]);
    assert_eq!(measured, "1 106kB 1\n2 106kB 1\nTotal 213kB 2\n");
    let missing = kiln.run(["cache", "mounts", "rm", "none"]);
    assert_eq!(missing.error(), "ERROR: No such cache mount: none");
    assert_eq!(
        kiln.ok(["cache", "mounts", "rm", "-f", "none", "go"]),
        "go\n"
    );
    assert_eq!(kiln.ok(["cache", "mounts", "rm", "2"]), "2\n");
    assert_eq!(kiln.ok(["cache", "mounts", "ls", "-q"]), "");
    kiln.assert_clean();
}

#[test]
fn steps_that_run_in_any_case_begin_their_mounts_anew() {
    let kiln = Kiln::new();
    for mount in ["id=a", "id=b,mode=0770", "id=c,uid=5,gid=6"] {
        let mount = format!("RUN --mount=type=cache,target=/c,{mount}");
        let project = Project::of(&format!(
            "FROM alpine AS one\nARG NAME\n{mount} touch /c/$NAME && echo said $(ls /c)\n\
             FROM one\n{mount} echo then $(ls /c)\n"
        ));
        let said = |name: &str, flags: &[&str]| {
            let name = format!("NAME={name}");
            let flags = [&["--build-arg", &name], flags].concat();
            let told = kiln.build(&project, &flags);
            let lines = told.lines().filter(|line| !line.contains("RUN "));
            let lines = lines.filter_map(|line| {
                let place = line.find(" said ").or_else(|| line.find(" then "))?;
                line.get(place + 1..)
            });
            lines.collect::<Vec<&str>>().join(", ")
        };
        assert_eq!(said("a", &[]), "said a, then a");
        assert_eq!(said("b", &[]), "said a b, then a b");
        assert_eq!(said("c", &["--no-cache"]), "said c, then c");
        assert_eq!(said("d", &[]), "said c d, then c d");
        assert_eq!(said("e", &["--no-cache-filter", "one"]), "said e, then e");
    }
    kiln.assert_clean();
}

#[test]
fn out_and_in() {
    let (from, to) = (Kiln::new(), Kiln::new());
    let fill = "mkdir -p /c/dir && echo content >/c/dir/file && chown 7:8 /c/dir/file && \
                chmod 4750 /c/dir/file && ln -s dir/file /c/link && ln /c/dir/file /c/hard && \
                touch -d '2001-02-03 04:05:06' /c/dir/file";
    from.build(&step("id=pkg,uid=5,gid=6,mode=0711", fill), &[]);
    let scratch = Scratch::new();
    let tar = scratch.join("pkg.tar");
    let path = tar.to_str().unwrap();
    from.ok(["cache", "mounts", "export", "pkg", "-o", path]);
    assert_eq!(
        to.ok(["cache", "mounts", "import", "pkg", "-i", path]),
        "Imported cache mount: pkg 711 5:6\n"
    );
    let look = "stat -c 'said %a %u:%g %h %Y' /c/dir/file; readlink /c/link | sed 's/^/x said /'; \
                stat -c 'x said %a %u:%g' /c";
    let expected = says(&from, "id=pkg,uid=5,gid=6,mode=0711", look);
    assert!(expected.contains("711 5:6"), "{expected}");
    assert_eq!(says(&to, "id=pkg,uid=5,gid=6,mode=0711", look), expected);
    let again = to.run(["cache", "mounts", "import", "pkg", "-i", path]);
    assert_eq!(
        again.clone().error(),
        "ERROR: cache mount pkg 711 5:6 exists already"
    );
    assert!(again.stderr.contains("--replace"), "{}", again.stderr);
    to.ok(["cache", "mounts", "import", "pkg", "-i", path, "--replace"]);

    // Any tar, compressed, by a pipe.
    let plain = scratch.join("plain.tar.gz");
    let dir = scratch.dir("plain");
    fs::write(dir.join("a"), "A\n").unwrap();
    tool(
        "tar",
        &[
            "-C",
            dir.to_str().unwrap(),
            "-caf",
            plain.to_str().unwrap(),
            "a",
        ],
    );
    let bytes = fs::read(&plain).unwrap();
    let ran = to.run_with(
        &["cache", "mounts", "import", "plain", "--mode", "0750"],
        &bytes,
    );
    assert_eq!(ran.ok(), "Imported cache mount: plain 750 0:0\n");
    assert_eq!(
        says(&to, "id=plain,mode=0750", "sed 's/^/x said /' /c/a"),
        "A"
    );
    let exported = to.ok(["cache", "mounts", "export", "plain"]);
    assert!(exported.starts_with("data/\0"), "{}", exported.len());
    to.assert_clean();
    let rubbish = to.run_with(&["cache", "mounts", "import", "rubbish"], &[b'x'; 2000]);
    assert_ne!(rubbish.code, 0, "{}", rubbish.stderr);
    to.assert_clean();
}

#[test]
fn a_hostile_archive_stays_inside() {
    let kiln = Kiln::new();
    let scratch = Scratch::new();
    let outside = scratch.dir("outside");
    let dir = scratch.dir("tar");
    fs::write(dir.join("evil"), "evil").unwrap();
    std::os::unix::fs::symlink(&outside, dir.join("way")).unwrap();
    let tar = scratch.join("evil.tar");
    let (dir, tar) = (dir.to_str().unwrap(), tar.to_str().unwrap());
    tool("tar", &["-C", dir, "-cf", tar, "way"]);
    let add = |name: &str| {
        let rename = format!("s,^evil$,{name},");
        tool(
            "tar",
            &["-P", "-C", dir, "-rf", tar, "--transform", &rename, "evil"],
        );
    };
    add("way/through");
    add("../../../../../../up");
    let absolute = outside.join("absolute");
    add(absolute.to_str().unwrap());
    kiln.ok(["cache", "mounts", "import", "evil", "-i", tar]);
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    assert!(!Path::new("/up").exists());
    let mount = kiln.root().join("cache-mounts/1/data");
    assert!(mount.join("up").is_file(), "names are beneath the mount");
    kiln.assert_clean();
}

/// Waits until `path` is there.
fn wait_for(path: &Path) {
    let begun = Instant::now();
    while !path.exists() {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "{}",
            path.display()
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Starts a build whose step has the mount of that sharing at `/c`, and one to signal at `/s`.
fn start(kiln: &Kiln, sharing: &str, script: &str) -> (Child, Project) {
    let script = new_script(script);
    let project = Project::of(&format!(
        "FROM alpine\nRUN --mount=type=cache,id=signal,target=/s \
         --mount=type=cache,id=x,target=/c,sharing={sharing} {script}\n"
    ));
    let path = project.path().to_str().unwrap();
    let child = kiln.start(kiln.command().args(["build", "-q", path]));
    (child, project)
}

/// Where steps signal.
fn signals(kiln: &Kiln) -> PathBuf {
    kiln.build(&step("id=signal", "true"), &[]);
    PathBuf::from(
        kiln.ok(["cache", "mounts", "show", "signal", "-f", "{{.Path}}"])
            .trim(),
    )
}

const UNTIL_GO: &str = "until [ -e /s/go ]; do sleep 0.02; done";

#[test]
fn two_processes_share_a_mount() {
    let kiln = Kiln::new();
    signals(&kiln);
    // Each ends only when it sees the other's file.
    let script = |own: &str, other: &str| {
        format!("touch /c/{own}; until [ -e /c/{other} ]; do sleep 0.02; done")
    };
    let first = start(&kiln, "shared", &script("a", "b"));
    let second = start(&kiln, "shared", &script("b", "a"));
    ended(first.0).ok();
    ended(second.0).ok();
    assert_eq!(
        kiln.ok(["cache", "mounts", "ls", "--format", "{{.ID}}"]),
        "signal\nx\n"
    );
}

#[test]
fn two_processes_have_private_mounts() {
    let kiln = Kiln::new();
    let signals = signals(&kiln);
    let first = start(
        &kiln,
        "private",
        &format!("touch /c/a /s/begun; {UNTIL_GO}"),
    );
    wait_for(&signals.join("begun"));
    let in_use = kiln.ok(["cache", "mounts", "ls", "--format", "{{.ID}} {{.InUse}}"]);
    assert!(in_use.contains("x true"), "{in_use}");
    for (command, expected) in [
        ("rm", "ERROR: cache mount x is in use"),
        ("export", "ERROR: cache mount x is in use"),
    ] {
        assert_eq!(
            kiln.run(["cache", "mounts", command, "x"]).error(),
            expected
        );
    }
    // It ends while the first still has its own.
    let second = start(&kiln, "private", "[ ! -e /c/a ] && touch /c/b");
    ended(second.0).ok();
    fs::write(signals.join("go"), "").unwrap();
    ended(first.0).ok();
    let rows = kiln.ok([
        "cache",
        "mounts",
        "du",
        "x",
        "--format",
        "{{.ID}} {{.Files}}",
    ]);
    assert_eq!(rows, "x 1\nx 1\n 2\n");
}

#[test]
fn two_processes_take_turns_at_a_locked_mount() {
    let kiln = Kiln::new();
    let signals = signals(&kiln);
    let script = format!("echo one >>/c/log; touch /s/begun; {UNTIL_GO}; echo two >>/c/log");
    let first = start(&kiln, "locked", &script);
    wait_for(&signals.join("begun"));
    let second = start(&kiln, "locked", "echo three >>/c/log");
    // The second has the time that it needs to come that far.
    std::thread::sleep(Duration::from_millis(300));
    fs::write(signals.join("go"), "").unwrap();
    ended(first.0).ok();
    ended(second.0).ok();
    assert_eq!(
        says(&kiln, "id=x", "sed 's/^/x said /' /c/log"),
        "one\ntwo\nthree"
    );
}

#[test]
fn a_step_has_a_mount_in_two_places() {
    let kiln = Kiln::new();
    for sharing in ["locked", "private", "shared"] {
        let mount = format!("type=cache,id={sharing},sharing={sharing}");
        let told = kiln.build(
            &Project::of(&format!(
                "FROM alpine\nRUN --mount={mount},target=/a --mount={mount},target=/b \\\n\
                 \x20   echo one >/a/x; sed 's/^/x said /' /b/x\n"
            )),
            &[],
        );
        assert!(told.contains(" x said one\n"), "{sharing}: {told}");
    }
}

#[test]
fn limits_are_kept_by_collections() {
    let kiln = Kiln::configured("[gc]\nwait = true\n");
    let fill =
        |name: &str| format!("head -c 500000 /dev/zero >/c/{name}; ls /c | sed 's/^/x said /'");
    // The count of collections begins.
    kiln.build(&Project::of("FROM alpine\n"), &[]);
    kiln.ok(["cache", "mounts", "limit", "x", "1mb", "--evict", "files"]);
    kiln.ok(["cache", "mounts", "limit", "y", "1mb"]);
    assert_eq!(
        kiln.ok(["cache", "mounts", "limit"]),
        "ID        LIMIT     EVICT\nx         1.05MB    files\ny         1.05MB    whole\n"
    );
    for id in ["x", "y"] {
        for name in ["a", "b"] {
            says(&kiln, &format!("id={id}"), &fill(name));
        }
        assert_eq!(
            says(&kiln, &format!("id={id}"), &fill("c")),
            "a\nb\nc",
            "{id}"
        );
    }
    assert_eq!(says(&kiln, "id=x", "ls /c | sed 's/^/x said /'"), "b\nc");
    assert_eq!(says(&kiln, "id=y", "ls /c | sed 's/^/x said /'"), "");
    kiln.ok(["cache", "mounts", "limit", "y", "--unset"]);
    let error = kiln
        .run(["cache", "mounts", "limit", "y", "--unset"])
        .error();
    assert_eq!(error, "ERROR: cache mount y has no limit");
    let told = kiln.ok(["cache", "mounts", "limit", "x", "100kb"]);
    assert!(told.starts_with("x\nTotal reclaimed space: 1"), "{told}");
    kiln.assert_clean();
}
