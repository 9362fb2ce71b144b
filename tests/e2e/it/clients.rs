//! kiln called by the names of clients, and as the plug-in of the real docker client.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::kiln::{Kiln, Project, Ran, command, finish};
use crate::serving::Daemon;

/// A link to the binary under another name.
pub(crate) fn link(kiln: &Kiln, directory: &Path, name: &str) -> PathBuf {
    let link = directory.join(name);
    symlink(kiln.command().get_program(), &link).unwrap();
    link
}

/// A program with the environment that kiln gets.
pub(crate) fn like(kiln: &Kiln, program: &Path) -> Command {
    let mut command = command(program.to_str().unwrap());
    command.env_clear();
    for (name, value) in kiln.command().get_envs() {
        command.envs(value.map(|value| (name, value)));
    }
    command
}

fn run(kiln: &Kiln, program: &Path, arguments: &[&str]) -> Ran {
    finish(like(kiln, program).args(arguments))
}

#[test]
fn docker() {
    let kiln = Kiln::new();
    let bin = kiln.scratch("bin");
    let docker = link(&kiln, &bin, "docker");
    let ok = |arguments: &[&str]| run(&kiln, &docker, arguments).ok();
    let project = Project::new(&[("Dockerfile.build", "FROM alpine\nRUN echo made >/x\n")]);
    let path = project.path().to_str().unwrap();
    let file = project.join("Dockerfile.build");
    // The builder pattern, as scripts have it.
    ok(&[
        "build",
        "--rm",
        "--force-rm",
        "-t",
        "app:build",
        "-f",
        file.to_str().unwrap(),
        path,
    ]);
    ok(&["container", "create", "--name", "extract", "app:build"]);
    let out = project.join("out");
    ok(&["container", "cp", "extract:/x", out.to_str().unwrap()]);
    assert_eq!(fs::read_to_string(&out).unwrap(), "made\n");
    ok(&["container", "rm", "-f", "extract"]);
    assert_eq!(ok(&["run", "--rm", "app:build", "cat", "/x"]), "made\n");
    let names = ok(&["image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "app"]);
    assert_eq!(names, "app:build\n");
    assert_eq!(
        ok(&[
            "buildx",
            "build",
            "--provenance=false",
            "-q",
            "-f",
            file.to_str().unwrap(),
            path
        ])
        .len(),
        72
    );
    assert!(ok(&["--version"]).starts_with("Docker version 2"));

    let error = |arguments: &[&str]| run(&kiln, &docker, arguments).error();
    assert_eq!(
        error(&["buildx", "bake", "-f", "/nowhere.hcl"]),
        "ERROR: open /nowhere.hcl: no such file or directory"
    );
    assert!(error(&["build", "--squash", path]).contains("--squash"));
    assert!(error(&["--tlsverify", "images"]).contains("--tlsverify"));
    let unverified = error(&["--tls", "-H", "tcp://127.0.0.1:1", "images"]);
    assert!(
        unverified.contains("without knowing who it is"),
        "{unverified}"
    );
    assert_eq!(
        error(&["-H", "unix:///nowhere", "images"]),
        "ERROR: cannot connect to /nowhere: No such file or directory (os error 2)"
    );
    let file = file.to_str().unwrap();
    let nowhere = error(&["-H", "unix:///nowhere", "build", "-f", file, path]);
    assert!(nowhere.contains("cannot connect to /nowhere"), "{nowhere}");
}

#[test]
fn builds_go_to_the_docker_that_is_named() {
    let daemon = Daemon::new();
    let kiln = Kiln::new();
    let bin = kiln.scratch("bin");
    let (docker, buildx) = (
        link(&kiln, &bin, "docker"),
        link(&kiln, &bin, "docker-buildx"),
    );
    let project = Project::of("FROM scratch\nLABEL who=me\n");
    let host = format!("unix://{}", daemon.socket.display());
    let config = kiln.scratch("config");
    for (place, (program, before, words)) in [
        (&docker, vec!["-H", host.as_str()], vec!["build"]),
        (&docker, vec![], vec!["buildx", "build"]),
        (&buildx, vec![], vec!["build"]),
        (
            &buildx,
            vec!["--config", config.to_str().unwrap()],
            vec!["buildx", "build"],
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("made:{place}");
        let mut command = like(&kiln, program);
        command
            .args(&before)
            .args(words)
            .args(["-t", &name])
            .arg(project.path());
        if !before.contains(&"-H") {
            command.env("DOCKER_HOST", &host);
        }
        finish(&mut command).ok();
        let found = daemon.ask(&format!("GET /images/{name}/json"), b"").json();
        assert_eq!(found["Config"]["Labels"]["who"], "me", "{name}");
    }
    assert_eq!(kiln.ok(["images", "-q"]), "", "nothing is built here");
    // So does all else, also by a context.
    let meta = config
        .join("contexts/meta")
        .join(oci::Digest::of(b"there").hex());
    fs::create_dir_all(&meta).unwrap();
    let there =
        format!("{{\"Name\":\"there\",\"Endpoints\":{{\"docker\":{{\"Host\":\"{host}\"}}}}}}");
    fs::write(meta.join("meta.json"), there).unwrap();
    let by_context = ["--config", config.to_str().unwrap(), "--context", "there"];
    for before in [&["-H", host.as_str()][..], &by_context] {
        let ask = |words: &[&str]| run(&kiln, &docker, &[before, words].concat()).ok();
        assert_eq!(ask(&["images", "-q", "made:0"]).len(), 13);
        assert_eq!(
            ask(&["image", "inspect", "-f", "{{.Config.Labels.who}}", "made:1"]),
            "me\n"
        );
        assert!(ask(&["buildx", "history", "ls"]).lines().count() > 3);
        ask(&["tag", "made:0", "again"]);
        assert_eq!(ask(&["rmi", "again"]), "Untagged: again:latest\n");
    }
    let missing = run(&kiln, &docker, &["--context", "other", "build", "."]).error();
    assert!(missing.contains("context \"other\": "), "{missing}");
}

#[test]
fn the_plug_in_of_the_real_client() {
    if finish(command("sh").args(["-c", "command -v docker"])).code != 0 {
        return;
    }
    let daemon = Daemon::new();
    let kiln = Kiln::new();
    let config = kiln.scratch("client");
    let plug_ins = config.join("cli-plugins");
    fs::create_dir(&plug_ins).unwrap();
    let plug_in = link(&kiln, &plug_ins, "docker-buildx");
    let told = run(&kiln, &plug_in, &["docker-cli-plugin-metadata"]).ok();
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        (&told["SchemaVersion"], &told["Vendor"]),
        (&"0.1.0".into(), &"kiln".into())
    );
    let project = Project::new(&[
        ("Dockerfile", "FROM alpine\nCOPY a /\nRUN cat a\n"),
        ("a", "x\n"),
    ]);
    let host = format!("unix://{}", daemon.socket.display());
    for (place, words) in [vec!["buildx", "build"], vec!["build"]]
        .into_iter()
        .enumerate()
    {
        let name = format!("plugged:{place}");
        let mut docker = like(&kiln, Path::new("docker"));
        docker
            .env("DOCKER_CONFIG", &config)
            .env("DOCKER_HOST", &host);
        docker.args(words).args(["-t", &name]).arg(project.path());
        finish(&mut docker).ok();
        let found = daemon.ask(&format!("GET /images/{name}/json"), b"");
        assert_eq!(found.status, 200, "{name}");
    }
    let mut docker = like(&kiln, Path::new("docker"));
    docker
        .env("DOCKER_CONFIG", &config)
        .env("DOCKER_HOST", &host);
    let version = finish(docker.args(["buildx", "version"])).ok();
    assert!(
        version.starts_with("github.com/docker/buildx v"),
        "{version}"
    );
}

#[test]
fn buildctl() {
    let daemon = Daemon::new();
    let kiln = Kiln::new();
    let buildctl = link(&kiln, &kiln.scratch("bin"), "buildctl");
    let project = Project::new(&[
        ("d/F", "FROM alpine\nARG A\nCOPY x /\nRUN echo $A >/y\n"),
        ("x", "content\n"),
    ]);
    let local = |name: &str, place: &str| format!("{name}={}", project.join(place).display());
    let (context, dockerfile) = (local("context", ""), local("dockerfile", "d"));
    let address = format!("unix://{}", daemon.socket.display());
    let none: [&str; 0] = [];
    for before in [&["--addr", address.as_str()][..], &none] {
        let out = project.join(if before.is_empty() { "here" } else { "there" });
        let output = format!("type=local,dest={}", out.display());
        let build = ["build", "--frontend", "dockerfile.v0", "--local", &context];
        let more = [
            "--local",
            &dockerfile,
            "--opt",
            "filename=F",
            "--opt",
            "build-arg:A=b",
        ];
        let line = [before, &build, &more, &["--output", &output]].concat();
        let ran = run(&kiln, &buildctl, &line);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert_eq!(fs::read_to_string(out.join("y")).unwrap(), "b\n");
        // Nothing is kept where no output is named.
        let ran = run(&kiln, &buildctl, &[before, &build, &more].concat());
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        let du = run(&kiln, &buildctl, &[before, &["du"]].concat()).ok();
        assert!(du.contains("Total"), "{du}");
        let pruned = run(&kiln, &buildctl, &[before, &["prune", "--all"]].concat()).ok();
        assert!(pruned.contains("Total"), "{pruned}");
    }
    assert!(!kiln.ok(["images"]).contains("<none>"));
    let workers = run(&kiln, &buildctl, &["--addr", &address, "debug", "workers"]).ok();
    assert!(workers.contains("linux/"), "{workers}");
    let refused = run(&kiln, &buildctl, &["debug", "dump-llb"]).error();
    assert!(refused.contains("does not provide debug"), "{refused}");
}
