//! The examples, on stand-ins for their base images; the suite serves them and says where.

use std::path::{Path, PathBuf};

use crate::kiln::{Kiln, Ran, finish, variable};
use crate::matrix::{self, EPOCH};

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples")
}

fn kiln() -> Kiln {
    let config = variable("KILN_TEST_CONFIG")
        .unwrap_or_else(|| panic!("KILN_TEST_CONFIG is not set: run these by `cargo xtask test`"));
    Kiln::with_config(&config)
}

fn build(kiln: &Kiln, arguments: &[&str], context: &Path) -> Ran {
    let line = ["build", "--progress", "plain"].iter().chain(arguments);
    let mut command = kiln.command();
    command
        .env("SOURCE_DATE_EPOCH", EPOCH)
        .args(line)
        .arg(context);
    let ran = finish(&mut command);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    ran
}

/// The images are to be the same wherever kiln runs.
fn note(kiln: &Kiln, names: &[&str]) {
    for name in names {
        let id = kiln.ok(["inspect", "--format", "{{.Id}}", name]);
        matrix::note(&format!("example {name}"), &id);
    }
}

#[test]
fn href_counter() {
    let kiln = kiln();
    let folder = examples().join("href-counter");
    let file = |name: &str| folder.join(name).display().to_string();
    build(&kiln, &["-t", "named"], &folder);
    build(
        &kiln,
        &["-t", "numbered", "-f", &file("Dockerfile.index")],
        &folder,
    );
    build(
        &kiln,
        &["-t", "with-nginx", "-f", &file("Dockerfile.nginx")],
        &folder,
    );
    build(&kiln, &["-t", "compiler", "--target", "builder"], &folder);
    note(&kiln, &["named", "numbered", "with-nginx"]);
    let size = |name: &str| -> u64 {
        kiln.ok(["inspect", "--format", "{{.Size}}", name])
            .trim()
            .parse()
            .unwrap()
    };
    assert!(
        size("compiler") >= 20 * size("named"),
        "{} {}",
        size("compiler"),
        size("named")
    );
    let ran = kiln.run(["run", "--rm", "-e", "url=http://127.0.0.1:1/", "named"]);
    assert_ne!(ran.code, 0, "nobody listens there");
    assert_eq!(
        kiln.ok(["run", "--rm", "with-nginx", "ls"]),
        "app\nnginx.conf\n"
    );
    kiln.assert_clean();
}

#[test]
fn one_stage_continued_twice() {
    let kiln = kiln();
    let folder = examples().join("stage-twice");
    for (target, other) in [("build1", "build2"), ("build2", "build1")] {
        let told = build(&kiln, &["-t", target, "--target", target], &folder).stderr;
        assert!(!told.contains(&format!("[{other} ")), "{told}");
        note(&kiln, &[target]);
        assert!(!kiln.ok(["run", "--rm", target]).is_empty());
    }
}

#[test]
fn nextjs() {
    let kiln = kiln();
    let folder = examples().join("nextjs");
    let told = build(&kiln, &["-t", "dev", "--target", "development"], &folder).stderr;
    assert!(told.contains("[dependencies "), "{told}");
    assert!(
        !told.contains("[builder "),
        "development must not run the builder:\n{told}"
    );
    let told = build(&kiln, &["-t", "next"], &folder).stderr;
    assert!(told.contains("[builder "), "{told}");
    assert_eq!(kiln.ok(["run", "--rm", "next", "id", "-un"]), "nextjs\n");
    kiln.assert_clean();
}
