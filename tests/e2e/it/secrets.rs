//! Secrets leave nothing behind.

use std::path::Path;

use crate::kiln::{Kiln, Project, finish};

const SECRET: &str = "correct-horse-battery-staple";

/// Files below `directory` with the secret in them.
fn holders(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(holders(&entry.path()));
        } else if kind.is_file() {
            let bytes = std::fs::read(entry.path()).unwrap();
            let holds = |window: &[u8]| window == SECRET.as_bytes();
            if bytes.windows(SECRET.len()).any(holds) {
                found.push(entry.path().display().to_string());
            }
        }
    }
    found
}

#[test]
fn in_no_store_and_no_output() {
    let kiln = Kiln::new();
    let project = Project::of(
        "FROM alpine\n\
         RUN --mount=type=secret,id=f,required grep -c horse /run/secrets/f\n\
         RUN --mount=type=secret,id=e,env=TOKEN test ${#TOKEN} = 28\n\
         RUN --mount=type=secret,id=e,target=/t,uid=3,gid=4,mode=0440 stat -c '%a %u:%g' /t >/seen\n",
    );
    let secret = testkit::Scratch::new();
    let file = secret.file("f", SECRET);
    let from_file = format!("id=f,src={}", file.display());
    let mut command = kiln.command();
    command
        .args([
            "build",
            "--progress",
            "plain",
            "-t",
            "x",
            "--secret",
            &from_file,
        ])
        .args(["--secret", "id=e,env=VARIABLE"])
        .arg(project.path())
        .env("VARIABLE", SECRET);
    let ran = finish(&mut command);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(!ran.stderr.contains(SECRET), "{}", ran.stderr);
    assert_eq!(holders(&kiln.root()), [""; 0]);
    // Not by its value, so another one is no other step.
    let ran = finish(command.env("VARIABLE", "other"));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let cached = ran.stderr.matches("CACHED").count();
    assert_eq!(cached, 4, "the base and three steps: {}", ran.stderr);
    kiln.assert_clean();
}
