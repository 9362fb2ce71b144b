//! Every place where something is written fails once: the store is whole afterwards, and the build
//! comes to its end when it is repeated.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use testkit::{FakeRegistry, Scratch};

use crate::kiln::{Kiln, Project, finish, tool};
use crate::standin;

const DOCKERFILE: &str = "FROM small AS base\nCOPY a /a\nRUN /bin/busybox mkdir /d && echo x >/d/x\n\
     FROM base\nCOPY --from=base /d /e\n";

/// An image of a shell and nothing else: of a larger one there is more to write, but nothing else.
fn registry() -> FakeRegistry {
    let scratch = Scratch::new();
    let bin = scratch.dir("root/bin");
    fs::copy("/bin/busybox", bin.join("busybox")).unwrap();
    std::os::unix::fs::symlink("busybox", bin.join("sh")).unwrap();
    let (root, tar) = (scratch.join("root"), scratch.join("layer.tar"));
    let names = [root.to_str().unwrap(), tar.to_str().unwrap()];
    tool("tar", &["-C", names[0], "-cf", names[1], "bin"]);
    tool("gzip", &["-1nk", names[1]]);
    let registry = FakeRegistry::start();
    let gzip = fs::read(scratch.join("layer.tar.gz")).unwrap();
    let image = standin::image_of(&fs::read(&tar).unwrap(), gzip);
    registry.put_image("library/small", "latest", &image);
    registry
}

/// The names of all fail points in the sources.
fn points(directory: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).unwrap().flatten() {
        if entry.file_type().unwrap().is_dir() {
            points(&entry.path(), found);
            continue;
        }
        let text = fs::read_to_string(entry.path()).unwrap_or_default();
        let calls = text.split("fail::point(\"").skip(1);
        found.extend(calls.map(|call| call.split('"').next().unwrap().to_owned()));
    }
}

/// A build into the store, an archive, a layout, files, a registry and caches, in which the `nth` pass
/// of the point fails; whether there were so many.
fn fails_at(point: &str, nth: u64, host: &str, project: &Project) -> bool {
    let kiln = Kiln::with_mirror(host);
    kiln.configure("[gc]\nenabled = false\n");
    let out = kiln.scratch("out");
    let (mark, path) = (out.join("mark"), project.path());
    let to = standin::new_registry();
    kiln.configure(&format!("[registry.\"{}\"]\nhttp = true\n", to.host()));
    let pushed = format!("type=registry,name={}/app:1", to.host());
    let cache = format!("type=registry,mode=max,ref={}/app:cache", to.host());
    let cached = format!("type=local,mode=max,dest={}", out.join("cache").display());
    let build = || {
        let mut command = kiln.command();
        command.args(["build", "--progress", "plain", "-o", &pushed]);
        command.args(["--cache-to", &cache, "--cache-to", &cached]);
        for output in [
            "type=image,name=app:1",
            "type=oci,dest=oci.tar",
            "type=oci,tar=false,dest=layout",
            "type=local,dest=files",
        ] {
            let output = output.replace("dest=", &format!("dest={}/", out.display()));
            command.args(["-o", &output]);
        }
        command.arg(path);
        command
    };
    let armed = format!("{point}:{nth}:{}", mark.display());
    let ran = finish(build().env("KILN_FAIL_POINT", armed));
    if !mark.exists() {
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        return false;
    }
    if ran.code != 0 {
        let is_told = ran.stderr.contains("fail point");
        assert!(is_told, "{point} {nth}: {}", ran.stderr);
    }
    kiln.assert_clean();
    let again = finish(&mut build());
    assert_eq!(again.code, 0, "{point} {nth}: {}", again.stderr);
    kiln.assert_clean();
    assert!(to.manifest("app", "1").is_some() && to.manifest("app", "cache").is_some());
    assert_eq!(testkit::check_layout(&out.join("cache")), ["latest"]);
    let script = "read x </e/x; echo $x";
    let said = kiln.ok(["run", "--rm", "app:1", "/bin/sh", "-c", script]);
    assert_eq!(said, "x\n", "{point} {nth}");
    true
}

/// All fail points, the first `most` passes of each.
fn all(most: u64) {
    let registry = registry();
    let project = Project::new(&[("Dockerfile", DOCKERFILE), ("a", "a\n")]);
    let mut names = BTreeSet::new();
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates");
    points(&workspace, &mut names);
    for name in &names {
        let fails = |nth: &u64| fails_at(name, *nth, &registry.host(), &project);
        let failed = (1..=most).take_while(fails).count();
        assert!(failed > 0, "{name} is never passed");
    }
}

#[test]
fn every_kind_of_write_fails_once() {
    all(1);
}

#[test]
#[ignore = "slow: some minutes"]
fn every_write_fails_once() {
    all(u64::MAX);
}
