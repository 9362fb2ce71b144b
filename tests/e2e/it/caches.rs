//! `--cache-to` and `--cache-from`: what one store has built, another one need not.

use std::path::Path;

use testkit::Scratch;
use testkit::registry::{Effect, Fault};

use crate::caching::steps;
use crate::kiln::{Kiln, Project};
use crate::standin;

const DOCKERFILE: &str = "FROM alpine AS build\nWORKDIR /src\nCOPY input .\nRUN cat input >/made\n\
     FROM alpine\nENV MODE=fast\nCOPY --from=build /made /made\nRUN cat /made >/again\n";

fn project() -> Project {
    Project::new(&[("Dockerfile", DOCKERFILE), ("input", "one")])
}

/// Steps that were run.
fn run(told: &str) -> Vec<&str> {
    steps(told).0
}

const NONE: Vec<&str> = Vec::new();

/// Requests for blobs, apart from those that ask whether there is one.
fn blobs(log: &[String]) -> Vec<&String> {
    let is_blob = |line: &&String| line.contains("/blobs/") && !line.starts_with("HEAD");
    log.iter().filter(is_blob).collect()
}

#[test]
fn through_a_directory() {
    let (here, there) = (Kiln::new(), Kiln::new());
    let project = project();
    let scratch = Scratch::new();
    let place = scratch.join("cache");
    let (to, from) = (
        format!("type=local,dest={},mode=max", place.display()),
        format!("type=local,src={}", place.display()),
    );
    here.build(&project, &["-t", "app", "--cache-to", &to]);
    let told = there.build(&project, &["-t", "app", "--cache-from", &from]);
    assert_eq!(run(&told), NONE, "{told}");
    assert_eq!(there.ok(["run", "--rm", "app", "cat", "/again"]), "one");
    let id = ["inspect", "--format", "{{.Id}}", "app"];
    assert_eq!(here.ok(id), there.ok(id), "the same image");
    there.assert_clean();

    // What is there is not written again, and what nothing leads to goes.
    let count = || {
        std::fs::read_dir(place.join("blobs/sha256"))
            .unwrap()
            .count()
    };
    let before = count();
    std::fs::write(place.join("blobs/sha256").join("0".repeat(64)), "").unwrap();
    here.build(&project, &["--cache-to", &format!("{to},reset=true")]);
    assert_eq!(count(), before);

    // From what was found, only what depends on a change is run again.
    project.write("input", "two");
    let told = there.build(&project, &["-t", "app", "--cache-from", &from]);
    assert_eq!(
        run(&told),
        [
            "COPY --from=build /made /made",
            "COPY input .",
            "RUN cat /made >/again",
            "RUN cat input >/made"
        ],
        "{told}"
    );
}

#[test]
fn through_a_registry_and_no_layer_is_pulled_before_it_is_needed() {
    let registry = standin::new_registry();
    let [here, there] = [(); 2].map(|()| Kiln::with_mirror(&registry.host()));
    let project = project();
    let name = format!("{}/me/cache:1", registry.host());
    let to = format!("type=registry,ref={name},mode=max");
    here.build(&project, &["--cache-to", &to]);
    // Nothing is sent that is there.
    registry.clear_log();
    here.build(&project, &["--cache-to", &to]);
    let sent = registry.log();
    let sent: Vec<_> = sent
        .iter()
        .filter(|line| line.starts_with("POST") || line.starts_with("PATCH"))
        .collect();
    assert_eq!(sent, Vec::<&String>::new());

    registry.clear_log();
    let told = there.build(&project, &["--cache-from", &name]);
    assert_eq!(run(&told), NONE, "{told}");
    let log = registry.log();
    // The configs of the base image and of the cache.
    assert_eq!(blobs(&log).len(), 2, "{log:#?}");
    // What the store has, nobody is asked for.
    registry.clear_log();
    there.build(&project, &["--cache-from", &name]);
    assert_eq!(registry.log(), Vec::<String>::new());
    there.build(&project, &["-t", "app", "--cache-from", &name]);
    assert_eq!(there.ok(["run", "--rm", "app", "cat", "/again"]), "one");
    there.assert_clean();
}

#[test]
fn inside_of_an_image() {
    let registry = standin::new_registry();
    let [here, there] = [(); 2].map(|()| Kiln::with_mirror(&registry.host()));
    let project = project();
    let name = format!("{}/me/app:1", registry.host());
    here.build(
        &project,
        &["-t", &name, "--push", "--cache-to", "type=inline"],
    );
    let told = there.build(&project, &["-t", "app", "--cache-from", &name]);
    assert_eq!(run(&told), NONE, "{told}");
    assert_eq!(there.ok(["run", "--rm", "app", "cat", "/again"]), "one");
    // An image that is built on it does not carry its records.
    let child = format!("{}/me/child:1", registry.host());
    here.build(
        &Project::of(&format!("FROM {name}\nRUN true\n")),
        &["-t", &child, "--push"],
    );
    let other = Kiln::with_mirror(&registry.host());
    let told = other.build(&project, &["--cache-from", &child]);
    assert_eq!(run(&told).len(), 5, "{told}");
    let expected = format!("registry cache {child} holds neither a cache nor an image with one");
    assert!(told.contains(&expected), "{told}");
}

#[test]
fn what_one_build_writes_into_its_image_the_next_one_writes_too() {
    let registry = standin::new_registry();
    let project = Project::of(
        "FROM alpine AS base\nRUN echo a >/a && echo b >/b\n\
         FROM scratch\nCOPY --from=base /a /\nCOPY --from=base /b /\n",
    );
    let name = format!("{}/me/app:1", registry.host());
    let flags = ["-t", &name, "--push", "--cache-to", "type=inline"];
    let made = |more: &[&str]| {
        let kiln = Kiln::with_mirror(&registry.host());
        let told = kiln.build(&project, &[&flags, more].concat());
        let id = kiln.ok(["image", "inspect", &name, "--format", "{{.Id}}"]);
        (id, run(&told).len())
    };
    let (first, _) = made(&[]);
    let again = (first, 0);
    assert_eq!(made(&["--cache-from", &name]), again);
    assert_eq!(made(&["--cache-from", &name]), again);
}

#[test]
fn the_least_and_the_most() {
    let registry = standin::new_registry();
    let project = project();
    let host = registry.host();
    for (mode, expected) in [
        (
            "min",
            &["COPY input .", "RUN cat input >/made", "WORKDIR /src"][..],
        ),
        ("max", &[]),
    ] {
        let [here, there] = [(); 2].map(|()| Kiln::with_mirror(&host));
        let name = format!("{host}/me/cache:{mode}");
        let to = format!("type=registry,ref={name},mode={mode},compression=zstd");
        here.build(&project, &["--cache-to", &to]);
        let told = there.build(&project, &["--target", "build", "--cache-from", &name]);
        assert_eq!(run(&told), expected, "{mode}: {told}");
        // The target itself is in both.
        let other = Kiln::with_mirror(&host);
        let told = other.build(&project, &["--cache-from", &name]);
        assert_eq!(run(&told), NONE, "{mode}: {told}");
    }
}

#[test]
fn a_cache_that_is_not_there_stops_nothing() {
    let registry = standin::new_registry();
    let kiln = Kiln::with_mirror(&registry.host());
    let project = project();
    let name = format!("{}/me/none:1", registry.host());
    let told = kiln.build(
        &project,
        &[
            "--cache-from",
            &name,
            "--cache-from",
            "type=local,src=/none",
        ],
    );
    assert_eq!(run(&told).len(), 5, "{told}");
    assert!(
        told.contains(&format!("importing cache manifest from {name}")),
        "{told}"
    );
    // One that cannot be written does, unless it may.
    registry.fault(Fault::once("POST", "/me/none/", Effect::status(403)).always());
    let to = format!("type=registry,ref={name}");
    let failed = kiln.try_build(&project, &["--cache-to", &to]);
    assert!(
        failed.stderr.contains("ignore-error=true lets the build"),
        "{}",
        failed.stderr
    );
    let failed = failed.error();
    assert!(failed.contains("cannot write registry cache"), "{failed}");
    kiln.build(
        &project,
        &["--cache-to", &format!("{to},ignore-error=true")],
    );
}

/// Hits whose layers are gone before they were needed are made after all, also when the cache still
/// names them.
#[test]
fn layers_that_are_gone_are_made_again() {
    let project = project();
    for is_still_named in [false, true] {
        let (here, there) = (Kiln::new(), Kiln::new());
        let scratch = Scratch::new();
        let place = scratch.join("cache");
        let to = format!("type=local,dest={},mode=max", place.display());
        here.build(&project, &["--cache-to", &to]);
        let from = format!("type=local,src={}", place.display());
        let told = there.build(&project, &["--cache-from", &from]);
        assert_eq!(run(&told), NONE, "{told}");
        let found = format!("found in local cache {}", place.display());
        assert!(told.contains(&found), "{told}");
        let told = if is_still_named {
            remove_layers(&place);
            there.build(&project, &["-t", "app", "--cache-from", &from])
        } else {
            std::fs::remove_dir_all(&place).unwrap();
            there.build(&project, &["-t", "app"])
        };
        assert!(!run(&told).is_empty(), "{told}");
        assert_eq!(there.ok(["run", "--rm", "app", "cat", "/again"]), "one");
        there.assert_clean();
    }
}

/// Removes blobs that are layers.
fn remove_layers(layout: &Path) {
    let mut removed = 0;
    for blob in std::fs::read_dir(layout.join("blobs/sha256")).unwrap() {
        let path = blob.unwrap().path();
        if std::fs::read(&path).unwrap().starts_with(&[0x1f, 0x8b]) {
            std::fs::remove_file(&path).unwrap();
            removed += 1;
        }
    }
    assert!(removed > 0);
}
