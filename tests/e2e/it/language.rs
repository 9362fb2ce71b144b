//! Every file in `cases`: Dockerfiles that are built for real, and all that comes of each.
//!
//! The files of a result are those that the stand-in `alpine` does not have as they are, and
//! `gone` for those of it that are missing. The config is without the path and the working
//! directory that every image has. Set `BLESS=1` to write what comes out into the files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use serde_json::Value;
use testkit::Scratch;

use crate::case::{Case, Done, split};
use crate::kiln::{Kiln, Ran, tool, variable};
use crate::matrix;
use crate::place::{Place, is_in_container, is_single, skip};
use crate::standin;
use crate::unpacked::{is_root, unpack};

const THREADS: usize = 4;
const USUAL: [&str; 2] = [
    r#"Env ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]"#,
    r#"WorkingDir "/""#,
];

#[test]
fn cases() {
    let refused: &[&str] = if is_in_container() {
        &NOT_IN_CHROOT
    } else {
        &[]
    };
    check(&Kiln::new(), |case| {
        refused.contains(&case.title)
            || is_single() && case.title == OF_KERNEL
            || !is_root() && (case.has_others() || is_of_root(case))
    });
}

/// What a chroot refuses, finds out afterwards, or has no `/proc` for.
const NOT_IN_CHROOT: [&str; 8] = [
    "a bind is read only",
    "a cache that is read only",
    "memory",
    "a step has files of its own in etc and leaves none",
    "without a network there is only loopback",
    "the default network can be asked for",
    "more rights that are allowed",
    "the group of a process is one of its groups",
];

/// What `/proc` says of groups, of which the kernel knows none where there is one user only.
const OF_KERNEL: &str = "the group of a process is one of its groups";

/// What an ordinary user's steps cannot do: make device nodes.
const OF_ROOT: [&str; 1] = ["everything that a file can be"];

/// An ordinary user's images are root's.
#[test]
fn cases_of_an_ordinary_user() {
    if let Some(place) = Place::subordinate() {
        check(&Kiln::in_place(place), is_of_root);
    }
}

fn is_of_root(case: &Case<'_>) -> bool {
    OF_ROOT.contains(&case.title)
}

/// Runs all cases but those that are to be passed over.
fn check(kiln: &Kiln, is_passed_over: impl Fn(&Case<'_>) -> bool + Sync) {
    let mut files = Vec::new();
    for path in paths() {
        files.push((fs::read_to_string(&path).unwrap(), path));
    }
    let cases: Vec<Case<'_>> = files.iter().flat_map(|(text, _)| split(text)).collect();
    let outcomes = run(kiln, &cases, is_passed_over);
    let mut answered = cases.iter().zip(outcomes);
    let mut failed = Vec::new();
    for (text, path) in &files {
        let count = split(text).len();
        let answers: Vec<(&Case<'_>, String)> = answered.by_ref().take(count).collect();
        let whole: String = answers.iter().map(|(_, answer)| answer.as_str()).collect();
        if whole != *text && variable("BLESS").is_some() {
            fs::write(path, whole).unwrap();
            continue;
        }
        for (case, answer) in answers {
            if answer != case.text {
                failed.push(format!("{}\n{answer}", path.display()));
            }
        }
    }
    assert!(
        failed.is_empty(),
        "these came out otherwise:\n{}",
        failed.join("\n")
    );
    kiln.assert_clean();
}

fn paths() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let entries = fs::read_dir(directory).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// Runs cases on several threads; what each comes to, in their order.
fn run(
    kiln: &Kiln,
    cases: &[Case<'_>],
    is_passed_over: impl Fn(&Case<'_>) -> bool + Sync,
) -> Vec<String> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(number) else { break };
                    let answer = if is_passed_over(case) {
                        skip(&format!("{}: it takes root, and mounts", case.title));
                        case.text.to_owned()
                    } else {
                        let done = case.run(kiln);
                        note(case, &done);
                        case.with(&outcome(&done))
                    };
                    done.lock().unwrap().insert(number, answer);
                }
            });
        }
    });
    done.into_inner().unwrap().into_values().collect()
}

/// The image as an archive is to be the same wherever kiln runs.
fn note(case: &Case<'_>, done: &Done) {
    if done.ran.code == 0 && case.is_repeatable() {
        let archive = fs::read(done.scratch.join("out.oci")).unwrap();
        let digest = oci::Digest::of(&archive).to_string();
        matrix::note(case.title, &digest);
    }
}

fn outcome(done: &Done) -> String {
    if done.ran.code != 0 {
        return failure(&done.ran);
    }
    let mut text = if done.is_again {
        steps(&done.ran)
    } else {
        String::new()
    };
    let (tar, out) = (done.scratch.join("out.tar"), done.scratch.dir("out"));
    text += &changed(&unpack(&tar, &out));
    text + &config(&path(done, "out.oci"))
}

/// From the first error on; in front of it are the lines of the Dockerfile.
fn failure(ran: &Ran) -> String {
    let lines = ran.stderr.lines();
    let told = lines.skip_while(|line| !line.starts_with("ERROR: "));
    told.map(|line| format!("{}\n", line.trim_end())).collect()
}

fn path(done: &Done, name: &str) -> String {
    done.scratch.join(name).display().to_string()
}

/// Each step, and whether it ran.
fn steps(ran: &Ran) -> String {
    let mut lines = Vec::new();
    for line in ran.stderr.lines() {
        let Some((number, name)) = line.split_once(" [").filter(|(n, _)| n.starts_with('#')) else {
            continue;
        };
        let is_cached = ran.stderr.contains(&format!("\n{number} CACHED"));
        let what = if is_cached { "cached" } else { "ran" };
        // The stand-in's digest is the host's.
        let name = name.split("@sha256:").next().unwrap_or_default();
        if !name.starts_with("internal] ") {
            lines.push(format!("[{name} {what}\n"));
        }
    }
    // Steps that do not wait for each other begin in any order.
    lines.sort();
    lines.concat()
}

/// What of a listing is not in the stand-in, and what of the stand-in is not in a listing that
/// has something of it.
fn changed(listing: &str) -> String {
    let base = base();
    let lines: BTreeSet<&str> = listing.lines().collect();
    let mut changed: Vec<String> = listing
        .lines()
        .filter(|line| !base.contains(*line))
        .map(str::to_owned)
        .collect();
    if listing.lines().any(|line| line.starts_with("bin/busybox ")) {
        let name = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
        let names: BTreeSet<String> = lines.iter().map(|line| name(line)).collect();
        let gone = base.iter().map(|line| name(line));
        changed.extend(
            gone.filter(|gone| !names.contains(gone))
                .map(|gone| format!("gone {gone}")),
        );
    }
    changed.into_iter().map(|line| line + "\n").collect()
}

/// The listing of the stand-in.
fn base() -> &'static BTreeSet<String> {
    static BASE: OnceLock<BTreeSet<String>> = OnceLock::new();
    BASE.get_or_init(|| {
        let scratch = Scratch::new();
        let (_, layer) = standin::alpine().blobs.last().unwrap();
        let blob = scratch.file("layer.tar.gz", layer);
        let listing = unpack(&blob, &scratch.dir("out"));
        listing.lines().map(str::to_owned).collect()
    })
}

/// The config of the image in an archive, a line for each of its keys.
fn config(archive: &str) -> String {
    let read = |name: &str| -> Value {
        serde_json::from_str(&tool("tar", &["-xOf", archive, name])).unwrap()
    };
    let blob = |descriptor: &Value| -> Value {
        let digest = descriptor["digest"].as_str().unwrap().replace(':', "/");
        read(&format!("blobs/{digest}"))
    };
    let manifest = blob(&read("index.json")["manifests"][0]);
    let image = blob(&manifest["config"]);
    let mut lines = String::new();
    let host = oci::Platform::host().architecture;
    if image["architecture"] != host.as_str() {
        let variant = image["variant"].as_str().map(|v| format!("/{v}"));
        let variant = variant.unwrap_or_default();
        let architecture = image["architecture"].as_str().unwrap();
        lines += &format!("platform {architecture}{variant}\n");
    }
    if let Some(author) = image["author"].as_str() {
        lines += &format!("author {author}\n");
    }
    let empty = serde_json::Map::new();
    for (key, value) in image["config"].as_object().unwrap_or(&empty) {
        let line = format!("{key} {value}");
        if !USUAL.contains(&line.as_str()) {
            lines += &format!("{line}\n");
        }
    }
    lines
}
