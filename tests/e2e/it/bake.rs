//! `kiln bake`: targets of bake files, built together.

use std::fs;

use serde_json::Value;

use crate::kiln::{Kiln, Project, Ran, finish};

const DEFINITION: &str = r#"
group "default" { targets = ["app", "tool"] }
target "base" {
  dockerfile-inline = "FROM alpine\nENV FROM=base\nRUN echo $RANDOM$RANDOM >/made"
}
target "app" {
  contexts = { base = "target:base" }
  dockerfile = "Dockerfile.app"
  output = ["out/app"]
}
target "tool" {
  contexts = { base = "target:base" }
  dockerfile = "Dockerfile.app"
  args = { NAME = "tool" }
  output = ["out/tool"]
}
"#;
const APP: &str = "FROM base AS b\nARG NAME=app\nRUN cat /made >/x; echo $FROM $NAME >>/x\n\
     FROM scratch\nCOPY --from=b /x /\n";

fn project() -> Project {
    Project::new(&[("docker-bake.hcl", DEFINITION), ("Dockerfile.app", APP)])
}

fn bake(kiln: &Kiln, project: &Project, arguments: &[&str]) -> Ran {
    let mut command = kiln.command();
    command.arg("bake").args(arguments);
    finish(command.current_dir(project.path()))
}

#[test]
fn targets_are_contexts_of_others_and_are_made_once() {
    let (kiln, project) = (Kiln::new(), project());
    let ran = bake(&kiln, &project, &["--progress", "plain"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let of = |name: &str| fs::read_to_string(project.join(&format!("out/{name}/x"))).unwrap();
    let (app, tool) = (of("app"), of("tool"));
    // A random number: the step ran once.
    assert_eq!(app.lines().next(), tool.lines().next());
    assert_eq!(app.lines().nth(1), Some("base app"));
    assert_eq!(tool.lines().nth(1), Some("base tool"));
    for shown in [
        "[base 2/2] RUN",
        "[app b 1/2] RUN",
        "[tool] exporting to client directory",
    ] {
        assert!(
            ran.stderr.contains(shown),
            "{shown} is not in\n{}",
            ran.stderr
        );
    }
    let runs = ran.stderr.matches("RUN echo $RANDOM").count();
    assert_eq!(runs, 1, "{}", ran.stderr);
    kiln.assert_clean();
}

#[test]
fn targets_of_several_platforms_are_contexts_of_others() {
    let kiln = Kiln::new();
    let project = Project::new(&[
        (
            "docker-bake.json",
            r#"{"target": {
                "base": {"dockerfile": "Dockerfile.base", "platforms": ["linux/amd64", "linux/arm64"]},
                "default": {"contexts": {"base": "target:base"}, "platforms": ["linux/arm64", "linux/amd64"],
                    "output": ["type=local,dest=out"]}
            }}"#,
        ),
        (
            "Dockerfile.base",
            "FROM scratch\nARG TARGETARCH\nCOPY $TARGETARCH /arch\n",
        ),
        ("Dockerfile", "FROM base\nCOPY Dockerfile /own\n"),
        ("amd64", "amd64"),
        ("arm64", "arm64"),
    ]);
    let ran = bake(&kiln, &project, &[]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    for arch in ["amd64", "arm64"] {
        let found = fs::read_to_string(project.join(&format!("out/linux_{arch}/arch"))).unwrap();
        assert_eq!(found, arch);
    }
}

#[test]
fn a_target_that_fails_is_named_and_ends_the_others() {
    let kiln = Kiln::new();
    let project = Project::new(&[(
        "docker-bake.hcl",
        "group \"default\" { targets = [\"bad\", \"slow\", \"after\"] }\n\
             target \"bad\" { dockerfile-inline = \"FROM alpine\\nRUN echo broken && exit 7\" }\n\
             target \"slow\" { dockerfile-inline = \"FROM alpine\\nRUN sleep 600\" }\n\
             target \"after\" {\n  contexts = { b = \"target:bad\" }\n  dockerfile-inline = \"FROM b\"\n}\n",
    )]);
    let ran = bake(&kiln, &project, &["--progress", "plain"]);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let error = ran.error();
    assert!(error.contains("target bad: failed to build"), "{error}");
    assert!(error.contains("exit code: 7"), "{error}");
    kiln.assert_clean();
}

#[test]
fn what_is_asked_beyond_the_directory_is_allowed_by_name() {
    let kiln = Kiln::new();
    let project = Project::new(&[
        (
            "inner/docker-bake.hcl",
            "target \"default\" {\n  context = \"..\"\n  output = [\"type=cacheonly\"]\n}\n\
             target \"host\" {\n  network = \"host\"\n  output = [\"type=cacheonly\"]\n}\n",
        ),
        ("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n"),
        ("inner/Dockerfile", "FROM scratch\nCOPY Dockerfile /\n"),
    ]);
    let run = |arguments: &[&str]| {
        let mut command = kiln.command();
        command.arg("bake").args(arguments);
        finish(command.current_dir(project.join("inner")))
    };
    let ran = run(&[]);
    let hints = ran.hints().join("\n");
    assert!(hints.contains("--allow=fs.read="), "{hints}");
    assert_eq!(ran.error(), "ERROR: additional privileges requested");
    assert_eq!(run(&["--allow", "fs.read=.."]).code, 0);
    let host = run(&["host"]);
    assert!(
        host.hints().join("\n").contains("--allow=network.host"),
        "{}",
        host.stderr
    );
    assert_eq!(run(&["host", "--allow", "network.host"]).code, 0);
}

#[test]
fn metadata_has_an_entry_for_each_target() {
    let kiln = Kiln::new();
    let project = Project::new(&[
        (
            "compose.yaml",
            "services:\n  one:\n    image: example.com/one:${TAG:-1}\n    build: one\n  \
             two:\n    build: {context: two, dockerfile_inline: 'FROM scratch'}\n",
        ),
        ("one/Dockerfile", "FROM scratch\nLABEL a=b\n"),
        ("two/x", "x"),
    ]);
    let ran = bake(
        &kiln,
        &project,
        &[
            "--metadata-file",
            "meta.json",
            "--set",
            "two.tags=example.com/two",
        ],
    );
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let metadata = fs::read_to_string(project.join("meta.json")).unwrap();
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    assert_eq!(metadata["one"]["image.name"], "example.com/one:1");
    assert_eq!(metadata["two"]["image.name"], "example.com/two:latest");
    let images = kiln.ok(["images", "--format", "{{.Repository}}:{{.Tag}}"]);
    assert!(
        images.contains("example.com/one:1") && images.contains("example.com/two:latest"),
        "{images}"
    );
}

#[test]
fn questions_are_answered_target_by_target() {
    let (kiln, project) = (Kiln::new(), project());
    let list = bake(&kiln, &project, &["--list", "targets"]).ok();
    assert!(list.starts_with("TARGET"), "{list}");
    let printed = bake(&kiln, &project, &["--print", "app", "--var", "X=1"]).ok();
    assert!(printed.contains("\"base\": \"target:base\""), "{printed}");
    let checked = bake(&kiln, &project, &["--check", "app"]);
    // Of an image without a version kiln warns, and of the result of another target it does not.
    assert_eq!(checked.code, 1, "{}", checked.stderr);
    let (app, base) = checked.stdout.split_once("\nbase\n\n").unwrap();
    assert!(
        app.starts_with("app\n\n") && app.contains("no warnings"),
        "{app}"
    );
    assert!(base.contains("LatestBaseImage"), "{base}");
    let missing = bake(&kiln, &project, &["appp"]).error();
    assert_eq!(
        missing,
        "ERROR: there is no target \"appp\" (did you mean app?)"
    );
    // No store was made for that.
    assert!(!kiln.root().exists());
}
