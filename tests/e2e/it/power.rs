//! A power cut at any moment: builds are recorded call by call, and the store is opened as it would be
//! found after each of them, with what nobody had waited for missing.
//!
//! What SQLite keeps is replayed like any other file, but whether it puts its own files right is
//! SQLite's: nothing is expected here of their bytes. Snapshots are not brought to disk by a build,
//! and a power cut drops them; what is found afterwards has another boot's number to go by.

mod calls;
mod disk;
mod replay;

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::Mutex;

use testkit::{FakeRegistry, Scratch};

use crate::kiln::{Kiln, Project, Ran, finish, tool};
use crate::standin;
use replay::{Known, State};

const DOCKERFILE: &str = "FROM small AS base\nCOPY a /a\nFROM base\nCOPY d /d\nENV x=y\n";

/// Images do not depend on when they are built.
const EPOCH: &str = "1700000000";
/// States that are tried at once.
const THREADS: usize = 3;

/// What is recorded. `$1` is the binary, `$2` the project, `$3` a directory for what is exported.
const WORK: &str = r#"
"$1" build -q -t app -o type=image,name=app -o "type=oci,tar=false,dest=$3/layout" "$2"
"$1" build -q -t other --target base "$2"
"$1" create --name made app
"$1" rmi other
"$1" builder prune -af
"$1" rm made
"#;

/// The machine has another boot's number while `$1`, a shell's script, is recorded in the file `$2`.
const RECORD: &str = r#"
mount --bind "$3" /proc/sys/kernel/random/boot_id
exec strace -f -y -xx -s 16777216 -e signal=none -e trace="$4" -o "$2" sh -e "$1" "$0" "$5" "$6"
"#;

/// An image of one file.
fn registry() -> FakeRegistry {
    let scratch = Scratch::new();
    let _small = scratch.file("root/small", "small\n");
    let (root, tar) = (scratch.join("root"), scratch.join("layer.tar"));
    let names = [root.to_str().unwrap(), tar.to_str().unwrap()];
    tool("tar", &["-C", names[0], "-cf", names[1], "small"]);
    tool("gzip", &["-1nk", names[1]]);
    let registry = FakeRegistry::start();
    let gzip = fs::read(scratch.join("layer.tar.gz")).unwrap();
    let image = standin::image_of(&fs::read(&tar).unwrap(), gzip);
    registry.put_image("library/small", "latest", &image);
    registry
}

/// Records the work on an empty store; what strace wrote.
fn record(kiln: &Kiln, project: &Project) -> String {
    let out = kiln.scratch("out");
    let files = kiln.scratch("files");
    let (work, boot, log) = (files.join("work"), files.join("boot"), files.join("log"));
    fs::write(&work, WORK).unwrap();
    fs::write(&boot, "00000000-0000-0000-0000-000000000000\n").unwrap();
    let mut shell = kiln.shell(r#"exec unshare --mount sh -e -c "$RECORD" "$0" "$@""#);
    shell.env("RECORD", RECORD).env("SOURCE_DATE_EPOCH", EPOCH);
    shell.args([&work, &log, &boot, Path::new(calls::CALLS)]);
    shell.args([project.path(), &out]);
    finish(&mut shell).ok();
    let names = fs::read_dir(out.join("layout/blobs/sha256")).unwrap();
    assert!(names.count() >= 4, "the image was exported");
    fs::read_to_string(log).unwrap()
}

/// The store in `root` is opened after a power cut: it is whole, what was done stays done, and the
/// build comes to what it came to before. Else what is wrong.
fn check(trial: &Trial<'_>, root: &Path, state: &State) -> Result<(), String> {
    let run = |arguments: &[&str]| -> Result<String, String> {
        let ran = trial.run(root, arguments);
        let failed = || format!("{arguments:?}: {}{}", ran.stdout, ran.stderr);
        (ran.code == 0)
            .then(|| ran.stdout.clone())
            .ok_or_else(failed)
    };
    found_by_check(&trial.run(root, &["store", "fsck", "--deep"]))?;
    let images = run(&["images", "-q", "--no-trunc"])?;
    let containers = run(&["ps", "-aq"])?;
    let has_image = images.lines().any(|id| id == trial.image.id);
    if state.known.contains(&Known::Built) && !has_image {
        return Err("the image is lost".to_owned());
    }
    if state.known.contains(&Known::Created) && containers.lines().count() != 1 {
        return Err("the container is lost".to_owned());
    }
    let image = build(root, run, trial.project)?;
    if image.id != trial.image.id || image.files != trial.image.files {
        return Err(format!("the image is another: {}", image.id));
    }
    run(&["store", "fsck", "--deep"]).map(drop)
}

/// What a power cut may leave: files that nothing leads to, and records of snapshots that were not on
/// disk, which the next build makes again.
fn found_by_check(ran: &Ran) -> Result<(), String> {
    let is_expected = |line: &str| {
        line.ends_with("is left over from a process that died")
            || (line.starts_with("cache record ") && line.ends_with(", which is lost"))
            || line.ends_with(" problems found")
            || line.ends_with(" problem found")
    };
    if ran.code == 0 {
        return Ok(());
    }
    let mut lines = ran.stdout.lines().chain(ran.stderr.lines());
    match lines.find(|line| !line.is_empty() && !is_expected(line)) {
        Some(line) => Err(format!("the check found: {line}")),
        None => Ok(()),
    }
}

/// Builds the image into the store at `root`, and its files beside it.
fn build(
    root: &Path,
    run: impl Fn(&[&str]) -> Result<String, String>,
    project: &Project,
) -> Result<Image, String> {
    let tar = root.with_extension("tar");
    let files = format!("type=tar,dest={}", tar.display());
    let path = project.path().to_str().unwrap();
    let id = run(&[
        "build",
        "-q",
        "-o",
        "type=image,name=app",
        "-o",
        &files,
        path,
    ])?;
    Ok(Image {
        id: id.trim_end().to_owned(),
        files: fs::read(tar).unwrap(),
    })
}

/// What a build comes to.
struct Image {
    id: String,
    files: Vec<u8>,
}

/// What is tried in each state.
struct Trial<'a> {
    kiln: &'a Kiln,
    project: &'a Project,
    /// When nothing happens.
    image: Image,
}

impl Trial<'_> {
    fn run(&self, root: &Path, arguments: &[&str]) -> Ran {
        run_in(self.kiln, root, arguments)
    }
}

fn run_in(kiln: &Kiln, root: &Path, arguments: &[&str]) -> Ran {
    let mut command = kiln.command();
    command
        .env("KILN_ROOT", root)
        .env("SOURCE_DATE_EPOCH", EPOCH);
    finish(command.args(arguments))
}

/// A directory in memory, where nobody waits for a disk.
fn in_memory() -> tempfile::TempDir {
    tempfile::Builder::new()
        .prefix("kiln-test-")
        .tempdir_in("/dev/shm")
        .unwrap()
}

#[test]
fn a_power_cut_at_any_moment() {
    let registry = registry();
    let kiln = Kiln::with_mirror(&registry.host());
    kiln.configure("[gc]\nenabled = false\n");
    let project = Project::new(&[("Dockerfile", DOCKERFILE), ("a", "a\n"), ("d/x", "x\n")]);
    let undisturbed = in_memory();
    let root = undisturbed.path().join("store");
    let run = |arguments: &[&str]| Ok(run_in(&kiln, &root, arguments).ok());
    let trial = Trial {
        image: build(&root, run, &project).unwrap(),
        kiln: &kiln,
        project: &project,
    };
    let recording = record(&kiln, &project);
    let mut seen = HashSet::new();
    let mut states = replay::states(&recording, &kiln.root());
    states.retain(|state| seen.insert((state.found.clone(), state.known.clone())));
    assert!(states.len() > 50, "{} states", states.len());
    let failures = try_all(&trial, states);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// What is wrong in which states.
fn try_all(trial: &Trial<'_>, states: Vec<State>) -> Vec<String> {
    let next = Mutex::new(states.into_iter());
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let Some(state) = next.lock().unwrap().next() else {
                        return;
                    };
                    let directory = in_memory();
                    disk::put(&state.found, directory.path());
                    let root = directory.path().join("store");
                    if let Err(failure) = check(trial, &root, &state) {
                        let failure = format!("{}: {failure}", state.name);
                        failures.lock().unwrap().push(failure);
                    }
                }
            });
        }
    });
    failures.into_inner().unwrap()
}
