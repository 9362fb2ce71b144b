//! Stores that something happened to: a blob that changed or went, a disk that is full, a file system
//! or a directory that cannot be written. What is wrong is named, and can be made right.

use std::fs;
use std::path::{Path, PathBuf};

use crate::kiln::{Kiln, Project, finish};
use crate::place::Place;

/// The largest blob: the layer.
fn layer(kiln: &Kiln) -> PathBuf {
    let blobs = fs::read_dir(kiln.root().join("blobs/sha256")).unwrap();
    let blobs = blobs.map(|blob| blob.unwrap().path());
    blobs
        .max_by_key(|blob| blob.metadata().unwrap().len())
        .unwrap()
}

/// Changes a byte in the middle.
fn change(blob: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(blob, fs::Permissions::from_mode(0o644)).unwrap();
    let mut bytes = fs::read(blob).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(blob, bytes).unwrap();
}

fn name(blob: &Path) -> String {
    blob.file_name().unwrap().to_string_lossy().into_owned()
}

#[test]
fn a_pulled_blob_that_changed_comes_again() {
    let kiln = Kiln::new();
    kiln.ok(["pull", "-q", "alpine"]);
    let blob = layer(&kiln);
    change(&blob);
    let found = kiln.run(["store", "fsck", "--deep"]);
    assert_eq!(found.code, 1, "{}", found.stdout);
    assert!(found.stdout.contains(&name(&blob)), "{}", found.stdout);
    // What is made of it is looked at in any case.
    let used = kiln.run(["run", "--rm", "alpine", "true"]);
    assert!(
        used.clone().error().contains(&name(&blob)),
        "{}",
        used.stderr
    );
    let repaired = kiln.run(["store", "fsck", "--deep", "--repair"]);
    assert!(
        repaired.stdout.contains("repaired\n"),
        "{}",
        repaired.stdout
    );
    assert!(!blob.exists());
    kiln.ok(["pull", "-q", "alpine"]);
    kiln.ok(["run", "--rm", "alpine", "true"]);
    kiln.assert_clean();
}

#[test]
fn a_blob_that_went_comes_again() {
    let kiln = Kiln::new();
    kiln.ok(["pull", "-q", "alpine"]);
    fs::remove_file(layer(&kiln)).unwrap();
    kiln.build(&Project::of("FROM alpine\nRUN true\n"), &[]);
    kiln.assert_clean();
}

#[test]
fn a_built_blob_that_changed_is_built_again() {
    let kiln = Kiln::new();
    let project = Project::of("FROM scratch\nCOPY x /x\n");
    project.write("x", &"content\n".repeat(1000));
    kiln.build(&project, &["-t", "own:1"]);
    let blob = layer(&kiln);
    change(&blob);
    let repaired = kiln.run(["store", "fsck", "--deep", "--repair"]);
    assert!(
        repaired.stdout.contains(&name(&blob)),
        "{}",
        repaired.stdout
    );
    kiln.build(&project, &["-t", "own:1"]);
    assert!(blob.exists());
    kiln.assert_clean();
}

#[test]
fn a_full_disk() {
    let kiln = Kiln::new();
    let project = Project::of("FROM alpine\nRUN head -c 50000000 /dev/urandom >/x\n");
    let small = Project::of("FROM alpine\nRUN echo small >/x\n");
    let script = format!(
        "unshare -m sh -c 'mkdir -p \"$KILN_ROOT\"; mount -t tmpfs -o size=24m disk \"$KILN_ROOT\"; \
         \"$0\" build {} && echo built; \"$0\" build -t a:1 {} && \"$0\" store fsck --deep' \"$0\"",
        project.path().display(),
        small.path().display()
    );
    let ran = finish(&mut kiln.shell(&script));
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert!(
        ran.stderr.contains("did not complete successfully"),
        "{}",
        ran.stderr
    );
    assert!(!ran.stdout.contains("built"), "{}", ran.stdout);
    assert!(ran.stdout.ends_with("clean\n"), "{}", ran.stdout);
}

#[test]
fn a_file_system_that_is_read_only() {
    let kiln = Kiln::new();
    let project = Project::of("FROM alpine\nRUN true\n");
    kiln.build(&project, &[]);
    let script = format!(
        "unshare -m sh -c 'mount --bind \"$KILN_ROOT\" \"$KILN_ROOT\"; mount -o remount,bind,ro \"$KILN_ROOT\"; \
         exec \"$0\" build {}' \"$0\"",
        project.path().display()
    );
    let ran = finish(&mut kiln.shell(&script));
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(
        ran.clone().error().contains("ead-only file system"),
        "{}",
        ran.stderr
    );
    kiln.build(&project, &[]);
    kiln.assert_clean();
}

#[test]
fn a_directory_that_was_taken_away() {
    use std::os::unix::fs::PermissionsExt as _;
    let Some(place) = Place::single() else {
        return;
    };
    let kiln = Kiln::in_place(place);
    let project = Project::of("FROM scratch\nCOPY x /\n");
    project.write("x", "x");
    kiln.build(&project, &[]);
    let blobs = kiln.root().join("ingest");
    fs::set_permissions(&blobs, fs::Permissions::from_mode(0o500)).unwrap();
    let ran = kiln.try_build(&project, &["-t", "x:1"]);
    if ran.code != 0 {
        assert!(
            ran.clone().error().contains("ermission denied"),
            "{}",
            ran.stderr
        );
    }
    fs::set_permissions(&blobs, fs::Permissions::from_mode(0o700)).unwrap();
    kiln.build(&project, &["-t", "x:1"]);
    kiln.assert_clean();
}
