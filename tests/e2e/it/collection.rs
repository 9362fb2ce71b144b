//! What of the cache goes: by itself, by the policy of `kiln.toml`, and when it is asked for.

use std::time::{Duration, Instant};

use crate::kiln::{Kiln, Project};

/// Steps that are told apart by what they say.
fn project(says: &str) -> Project {
    Project::of(&format!(
        "FROM alpine\nRUN echo {says} >/said && head -c 200000 /dev/zero >/zero\n"
    ))
}

/// No image is made, so that nothing but the cache has the layers.
const NOTHING: &[&str] = &["-o", "type=tar,dest=/dev/null", "--explain"];

/// Whether a build has to run its step.
fn runs(kiln: &Kiln, project: &Project) -> bool {
    kiln.build(project, NOTHING).contains("not cached: ")
}

/// A policy that leaves nothing that nobody uses.
const STRICT: &str = "interval = \"0s\"\n[[gc.policy]]\nmax-used-space = 1000\n";

#[test]
fn the_policy_is_kept_by_itself() {
    let kiln = Kiln::configured(&format!("[gc]\nwait = true\n{STRICT}"));
    let (first, second, image) = (project("one"), project("two"), project("image"));
    // Begins the count.
    kiln.build(&image, &["-t", "image"]);
    assert!(runs(&kiln, &first));
    assert!(
        !runs(&kiln, &first),
        "what a build uses is not removed by it"
    );
    assert!(runs(&kiln, &second));
    let told = kiln.build(&first, NOTHING);
    assert!(told.contains("its record was evicted on "), "{told}");
    assert!(
        told.contains(" UTC by gc rule 1: max used space 1000"),
        "{told}"
    );
    assert!(!runs(&kiln, &image), "an image uses it");
    kiln.assert_clean();
    assert_eq!(kiln.ok(["run", "--rm", "image", "cat", "/said"]), "image\n");
}

#[test]
fn a_build_does_not_wait_for_it() {
    let kiln = Kiln::configured(&format!("[gc]\n{STRICT}"));
    let project = project("one");
    let layers = || kiln.ok(["du", "--format", "{{.Type}} {{.TotalCount}}"]);
    kiln.build(&project, NOTHING);
    kiln.build(&project, NOTHING);
    let begun = Instant::now();
    // That of the base image stays, which has a name.
    while !layers().contains("Snapshots 1\n") {
        assert!(begun.elapsed() < Duration::from_secs(30), "{}", layers());
        std::thread::sleep(Duration::from_millis(20));
    }
    kiln.assert_clean();
}

#[test]
fn images_without_names_go_some_time() {
    let age = |keep: &str| Kiln::configured(&format!("[gc]\nkeep-untagged = \"{keep}\"\n"));
    for (keep, expected) in [
        ("0s", "image\n"),
        ("1h", "image\n<none>\n"),
        ("forever", "image\n<none>\n"),
    ] {
        let kiln = age(keep);
        kiln.build(&project("one"), &["-t", "image"]);
        kiln.build(&project("two"), &[]);
        kiln.ok(["store", "gc"]);
        let images = kiln.ok(["images", "--format", "{{.Repository}}"]);
        let mut images: Vec<_> = images.lines().filter(|name| *name != "alpine").collect();
        images.sort_by_key(|name| *name == "<none>");
        assert_eq!(images.join("\n") + "\n", expected, "{keep}");
        kiln.assert_clean();
    }
}

#[test]
fn the_policy_on_demand() {
    let kiln = Kiln::configured(&format!("[gc]\nenabled = false\n{STRICT}"));
    let project = project("one");
    assert!(runs(&kiln, &project));
    assert!(!runs(&kiln, &project));
    let told = kiln.ok(["store", "gc", "--dry-run"]);
    assert!(
        told.starts_with("Would delete build cache objects:\n"),
        "{told}"
    );
    assert!(told.contains("Total reclaimable space: "), "{told}");
    assert!(!runs(&kiln, &project));
    let told = kiln.ok(["store", "gc", "--verbose"]);
    assert!(told.contains("Snapshots"), "{told}");
    assert!(runs(&kiln, &project));
}

#[test]
fn a_killed_collection_loses_nothing() {
    let kiln = Kiln::configured(&format!("[gc]\nenabled = false\n{STRICT}"));
    for round in 0..24 {
        let image = project(&format!("image {}", round % 4));
        kiln.build(&image, &["-t", "image"]);
        kiln.build(&project(&format!("gone {round}")), NOTHING);
        let mut child = kiln.start(kiln.command().args(["store", "gc"]));
        std::thread::sleep(Duration::from_millis(round % 8));
        // It may have come to its end already.
        let _ = child.kill();
        drop(crate::kiln::ended(child));
        kiln.assert_clean();
        let said = kiln.ok(["run", "--rm", "image", "cat", "/said"]);
        assert_eq!(said, format!("image {}\n", round % 4));
    }
    kiln.ok(["store", "gc"]);
    // The base's, and the image's.
    let layers = kiln.ok(["du", "--format", "{{.Type}} {{.TotalCount}}"]);
    assert!(layers.contains("Snapshots 2\n"), "{layers}");
}

#[test]
fn a_collection_that_fails_is_told_of() {
    let kiln = Kiln::configured(&format!("[gc]\nwait = true\n{STRICT}"));
    kiln.build(&project("image"), &["-t", "image"]);
    let digest = kiln.ok([
        "images",
        "image",
        "--no-trunc",
        "--digests",
        "--format",
        "{{.Digest}}",
    ]);
    let hex = digest.trim().strip_prefix("sha256:").unwrap().to_owned();
    let manifest = kiln.root().join("blobs/sha256").join(hex);
    std::fs::write(manifest, "{\"schemaVersion\":2,\"config\":7}").unwrap();
    let told = kiln.build(&project("other"), NOTHING);
    assert!(
        told.contains("WARNING: the cache is not collected: "),
        "{told}"
    );
    let told = kiln.build(&project("other"), NOTHING);
    assert!(
        told.contains("WARNING: the last collection of the cache failed: "),
        "{told}"
    );
}

#[test]
fn a_wrong_policy_is_named() {
    let kiln = Kiln::configured("[gc]\nmax-used-space = \"10GX\"\n");
    let error = kiln.run(["du"]).stderr;
    for part in [
        "max-used-space = \"10GX\"",
        "line 6",
        "invalid size \"10GX\"",
    ] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn pruned_by_filters() {
    let kiln = Kiln::new();
    let project = Project::of(
        "FROM alpine\nLABEL stage=test\nRUN --mount=type=cache,target=/cache echo a >/cache/a\n",
    );
    kiln.build(&project, &["-t", "image"]);
    let mounts = || {
        let rows = kiln.ok(["du", "--format", "{{.Type}}={{.TotalCount}}"]);
        rows.contains("Cache mounts=1\n")
    };
    kiln.ok(["builder", "prune", "-f"]);
    assert!(mounts(), "only when asked for");
    assert!(!runs(&kiln, &project), "an image uses it");
    kiln.ok([
        "builder",
        "prune",
        "-f",
        "--filter",
        "type=exec.cachemount",
        "--filter",
        "until=1h",
    ]);
    assert!(mounts(), "it was used within the hour");
    kiln.ok([
        "builder",
        "prune",
        "-f",
        "--filter",
        "type=exec.cachemount",
        "--dry-run",
    ]);
    assert!(mounts(), "a dry run");
    kiln.ok(["builder", "prune", "-f", "--filter", "type=exec.cachemount"]);
    assert!(!mounts());
    kiln.ok(["builder", "prune", "-af", "--reserved-space", "1g"]);
    assert!(!runs(&kiln, &project), "all of it is in the reserve");
    kiln.ok(["builder", "prune", "-af", "--max-used-space", "1"]);
    assert!(!runs(&kiln, &project), "images take no space of the cache");
    kiln.ok(["builder", "prune", "-af"]);
    assert!(runs(&kiln, &project));
    kiln.ok(["image", "prune", "-af", "--filter", "label!=stage=test"]);
    kiln.ok(["prune", "-af", "--filter", "label=stage=other"]);
    assert!(kiln.ok(["images"]).contains("image"));
    let would = kiln.ok(["prune", "-af", "--filter", "label=stage=test", "--dry-run"]);
    assert!(
        would.contains("Would delete Images:\nimage:latest\n"),
        "{would}"
    );
    kiln.ok(["prune", "-af", "--filter", "label=stage"]);
    assert!(!kiln.ok(["images"]).contains("image:"));
    assert!(!runs(&kiln, &project), "labels are of images alone");
    for (line, expected) in [
        (
            ["prune", "-f", "--filter", "parents=x"],
            "ERROR: invalid filter 'parents=x': unknown field \"parents\": there are id, type, \
             description, inuse, shared, private, mutable and immutable",
        ),
        (
            ["prune", "-f", "--filter", "type=layer"],
            "ERROR: invalid filter 'type=layer': unknown type \"layer\": there are regular, \
             source.git.checkout, exec.cachemount, internal, frontend and source.local",
        ),
        (
            ["prune", "-f", "--filter", "until=soon"],
            "ERROR: invalid value \"soon\" for filter 'until'",
        ),
        (
            ["prune", "-f", "--min-free-space", "10GX"],
            "ERROR: invalid argument \"10GX\" for \"--min-free-space\" flag: invalid size: '10GX'",
        ),
    ] {
        assert_eq!(kiln.run(line).error(), expected);
    }
}
