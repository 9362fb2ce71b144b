//! `kiln bake`: targets of bake files, built together.

use std::fs;

use serde_json::Value;

use crate::kiln::{Kiln, Project, Ran, finish, tool};
use crate::serving::Daemon;

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
    let printed = bake(&kiln, &project, &["--print", "app"]).ok();
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

#[test]
fn nothing_is_opened_before_it_is_allowed() {
    let kiln = Kiln::new();
    let project = Project::new(&[
        (
            "inner/docker-bake.hcl",
            "target \"default\" {\n  dockerfile = \"github.com/../../Dockerfile\"\n}\n\
             target \"key\" {\n  ssh = [\"default=../key\"]\n}\n",
        ),
        (
            "inner/compose.yaml",
            "services:\n  app:\n    build: {args: [A]}\n    env_file: ../secret.env\n",
        ),
        ("inner/github.com/x", ""),
        ("inner/Dockerfile", "FROM scratch\n"),
        ("Dockerfile", "no instruction\n"),
        ("secret.env", "A=hidden\n"),
        ("key", "no key"),
    ]);
    let run = |arguments: &[&str]| {
        let mut command = kiln.command();
        command.arg("bake").args(arguments);
        finish(command.current_dir(project.join("inner")))
    };
    let hcl = ["-f", "docker-bake.hcl"];
    for asked in [&["default"][..], &["--check", "default"], &["key"]] {
        let ran = run(&[&hcl, asked].concat());
        assert_eq!(ran.error(), "ERROR: additional privileges requested");
    }
    let ran = run(&["-f", "compose.yaml", "--print"]);
    let hints = ran.hints().join("\n");
    assert!(hints.contains("secret.env"), "{hints}");
    assert_eq!(ran.error(), "ERROR: additional privileges requested");
    let printed = run(&["-f", "compose.yaml", "--print", "--allow", "fs.read=.."]).ok();
    assert!(printed.contains("\"A\": \"hidden\""), "{printed}");
    // What is allowed is opened.
    let opened = run(&[&hcl[..], &["--allow=fs.read=..", "--check"]].concat());
    assert!(
        opened.stderr.contains("no instruction"),
        "{}",
        opened.stderr
    );
}

#[test]
fn targets_that_are_not_asked_are_built() {
    let (kiln, project) = (Kiln::new(), project());
    let asked = ["--set", "tool.call=targets", "--metadata-file", "meta.json"];
    let ran = bake(&kiln, &project, &asked);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(project.join("out/app/x").is_file());
    assert!(!project.join("out/tool").exists());
    assert!(ran.stdout.starts_with("tool\n\n"), "{}", ran.stdout);
    let metadata = fs::read_to_string(project.join("meta.json")).unwrap();
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    assert!(metadata.get("app").is_some() && metadata.get("tool").is_none());
    let nothing = bake(
        &kiln,
        &project,
        &["--check", "--metadata-file", "none.json"],
    );
    let error = nothing.error();
    assert!(
        error.contains("--metadata-file is for targets that are built"),
        "{error}"
    );
}

#[test]
fn answers_as_json_are_one_document() {
    let (kiln, project) = (Kiln::new(), project());
    let ran = bake(&kiln, &project, &["--call", "targets,format=json"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let document: Value = serde_json::from_str(&ran.stdout).unwrap();
    let printed = bake(&kiln, &project, &["--call", "targets", "--print"]).ok();
    let printed: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(document["group"], printed["group"]);
    for name in ["app", "tool"] {
        let target = &document["target"][name];
        assert_eq!(target["build"], printed["target"][name]);
        assert_eq!(target["targets"]["version"], Value::Null);
        assert!(target["targets"]["targets"].is_array(), "{target}");
    }
    // What is found is told by the code.
    let check = bake(&kiln, &project, &["--call", "check,format=json"]);
    let document: Value = serde_json::from_str(&check.stdout).unwrap();
    let rules = |name: &str| {
        let warnings = document["target"][name]["check"]["warnings"].as_array();
        let rules = warnings.unwrap().iter().map(|one| one["ruleName"].clone());
        rules.collect::<Vec<_>>()
    };
    assert_eq!(rules("base"), ["LatestBaseImage"]);
    assert_eq!(rules("app").len() + rules("tool").len(), 0);
    assert_eq!(check.code, 1);
    assert_eq!(document["target"]["app"]["build"]["call"], "lint");
}

#[test]
fn contexts_that_are_archives_are_read_for_each_target() {
    let kiln = Kiln::new();
    let project = Project::new(&[
        (
            "docker-bake.hcl",
            "target \"base\" {\n  context = \"files.tar\"\n}\n\
             target \"default\" {\n  contexts = { base = \"target:base\" }\n  \
             dockerfile-inline = \"FROM base\\nCOPY own /own\"\n  output = [\"out\"]\n}\n",
        ),
        ("own", "own"),
        ("files/a", "from the archive"),
        ("files/Dockerfile", "FROM scratch\nCOPY a /a\n"),
    ]);
    let (tar, files) = (project.join("files.tar"), project.join("files"));
    let arguments = [
        "cf",
        tar.to_str().unwrap(),
        "-C",
        files.to_str().unwrap(),
        ".",
    ];
    tool("tar", &arguments);
    let ran = bake(&kiln, &project, &[]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let found = fs::read_to_string(project.join("out/a")).unwrap();
    assert_eq!(found, "from the archive");
}

#[test]
fn an_id_means_the_same_in_targets_that_need_each_other() {
    let kiln = Kiln::new();
    let base = "target \"base\" {\n  dockerfile-inline = \"FROM scratch\"\n  \
                secret = [\"id=s,src=one\"]\n}\n\
                target \"middle\" {\n  dockerfile-inline = \"FROM b\"\n  \
                contexts = { b = \"target:base\" }\n}\n\
                target \"default\" {\n  dockerfile-inline = \"FROM m\"\n  \
                contexts = { m = \"target:middle\" }\n  \
                secret = [\"id=s,src=two\"]\n  output = [\"type=cacheonly\"]\n}\n";
    let project = Project::new(&[("docker-bake.hcl", base), ("one", "1"), ("two", "2")]);
    let error = bake(&kiln, &project, &[]).error();
    let expected = "secret \"s\" is another one in the context m: give one of them another id";
    assert!(error.contains(expected), "{error}");
    let same = ["--set", "default.secrets=id=s,src=one"];
    let ran = bake(&kiln, &project, &same);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
}

#[test]
fn targets_are_built_by_a_builder_elsewhere() {
    let daemon = Daemon::new();
    let project = Project::new(&[
        (
            "docker-bake.hcl",
            "group \"default\" { targets = [\"a\", \"b\"] }\n\
             target \"a\" {\n  args = { N = \"a\" }\n  output = [\"out/a\"]\n}\n\
             target \"b\" {\n  args = { N = \"b\" }\n  output = [\"out/b\"]\n}\n\
             target \"linked\" {\n  contexts = { a = \"target:a\" }\n}\n",
        ),
        ("Dockerfile", "FROM alpine\nARG N\nRUN echo $N >/n\n"),
    ]);
    let host = format!("unix://{}", daemon.socket.display());
    let there = |arguments: &[&str]| {
        let mut command = daemon.kiln.command();
        command.env("KILN_ROOT", "/nowhere/at/all");
        command.args(["bake", "--builder", &host]).args(arguments);
        finish(command.current_dir(project.path()))
    };
    let ran = there(&["--progress", "plain"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    for name in ["a", "b"] {
        let made = fs::read_to_string(project.join(&format!("out/{name}/n"))).unwrap();
        assert_eq!(made, format!("{name}\n"));
    }
    let ran = there(&["--set", "*.dockerfile=none"]);
    let error = ran.error();
    assert!(error.contains("target "), "{error}");
    let error = there(&["linked"]).error();
    assert!(
        error.contains("the context a, which is another target's result"),
        "{error}"
    );
}

#[test]
fn a_target_puts_no_link_in_the_place_of_a_secret() {
    let kiln = Kiln::new();
    let project = Project::new(&[(
        "docker-bake.hcl",
        "group \"default\" { targets = [\"a\", \"b\"] }\n\
         target \"a\" {\n  dockerfile-inline = \"FROM alpine AS x\\nRUN mkdir /o; \
         ln -s /etc/passwd /o/s\\nFROM scratch\\nCOPY --from=x /o /\"\n  \
         output = [\"out\"]\n}\n\
         target \"b\" {\n  dockerfile-inline = \"FROM alpine\\n\
         RUN --mount=type=secret,id=s cat /run/secrets/s\"\n  \
         contexts = { a = \"target:a\" }\n  secret = [\"id=s,src=out/s\"]\n}\n",
    )]);
    let error = bake(&kiln, &project, &[]).error();
    assert!(error.contains("target b: secret s: "), "{error}");
    assert!(!project.join("out").exists());
}
