//! What `docker buildx` and `docker compose` ask for by themselves, and what only they have. Where
//! they are not there is nothing to run.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use testkit::registry::Login;

use super::MULTI_STAGE;
use crate::kiln::{Project, Ran, command, finish, tool, variable};
use crate::serving::Daemon;
use crate::standin::new_registry;

/// What `docker buildx` says; nothing if there is none.
pub(super) fn run(daemon: &Daemon, arguments: &[&str]) -> Option<Ran> {
    plug_in(daemon, "buildx", arguments)
}

/// What a plug-in of the docker client says; nothing if there is none.
fn plug_in(daemon: &Daemon, name: &str, arguments: &[&str]) -> Option<Ran> {
    let directory = daemon.socket.with_file_name("client");
    // That of the peers, where they are.
    if let Some(peers) = variable("KILN_TEST_PEERS") {
        let plugins = peers.join("usr/libexec/docker/cli-plugins");
        configure(daemon, "cliPluginsExtraDirs", json!([plugins]));
    }
    let run = |arguments: &[&str]| {
        finish(
            command("docker")
                .arg(name)
                .args(arguments)
                .env("DOCKER_HOST", format!("unix://{}", daemon.socket.display()))
                .env("DOCKER_CONFIG", &directory)
                .env("BUILDKIT_PROGRESS", "plain"),
        )
    };
    (run(&["version"]).code == 0).then(|| run(arguments))
}

/// Sets a key of the client's configuration.
fn configure(daemon: &Daemon, key: &str, value: Value) {
    let directory = daemon.socket.with_file_name("client");
    let file = directory.join("config.json");
    let known = std::fs::read(&file).ok();
    let known = known.map(|text| serde_json::from_slice(&text).unwrap());
    let mut config: Value = known.unwrap_or_else(|| json!({}));
    config[key] = value;
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(file, config.to_string()).unwrap();
}

/// Makes the daemon the client's builder, by BuildKit's API; nothing if there is no client.
fn connect(daemon: &Daemon) -> Option<()> {
    let host = format!("unix://{}", daemon.socket.display());
    let line = [
        "create", "--name", "remote", "--use", "--driver", "remote", &host,
    ];
    run(daemon, &line).map(|ran| drop(ran.ok()))
}

#[test]
fn builds_by_both_ways() {
    let daemon = Daemon::new();
    let Some(version) = run(&daemon, &["version"]) else {
        return;
    };
    assert_eq!(version.code, 0, "{}", version.stderr);
    let project = Project::new(&[
        ("Dockerfile", MULTI_STAGE),
        ("a", "first\n"),
        ("failing/Dockerfile", "FROM alpine\nRUN exit 3\n"),
    ]);
    let context = project.path().to_str().unwrap();
    let host = format!("unix://{}", daemon.socket.display());
    let remote = ["create", "--name", "remote", "--driver", "remote", &host];
    run(&daemon, &remote).unwrap().ok();
    let files = project.join("out");
    let local = format!("type=local,dest={}", files.display());
    for arguments in [
        // By way of Docker's API, and by gRPC on the socket itself.
        ["build", "--builder", "default", "-t", "made", context],
        ["build", "--builder", "remote", "-o", &local, context],
    ] {
        let ran = run(&daemon, &arguments).unwrap();
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert!(ran.stderr.contains("RUN cat /a | tee /x"), "{}", ran.stderr);
    }
    let image = daemon.ask("GET /images/made/json", b"").json();
    assert_eq!(image["Config"]["Labels"], json!({"who": "kiln"}));
    let content = std::fs::read_to_string(files.join("y")).unwrap();
    assert_eq!(content, "first\n");
    let failing = project.join("failing");
    let arguments = ["build", "--builder", "remote", failing.to_str().unwrap()];
    let ran = run(&daemon, &arguments).unwrap();
    assert_eq!(ran.code, 1);
    let called = ["build", "--builder", "remote", "--call", "targets", context];
    let told = run(&daemon, &called).unwrap().ok();
    assert_eq!(told, "TARGET    DESCRIPTION\none       \n(default) \n");
    let called = [
        "build",
        "--builder",
        "remote",
        "--call",
        "outline,format=json",
        context,
    ];
    let told = run(&daemon, &called).unwrap().ok();
    let told: Value = serde_json::from_str(&told).unwrap();
    assert!(told["sources"][0].is_string(), "{told}");
    for part in [
        ">>> RUN exit 3",
        "process \"/bin/sh -c exit 3\" did not complete successfully: exit code: 3",
    ] {
        assert!(ran.stderr.contains(part), "{}", ran.stderr);
    }
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn has_caches_and_layouts_in_directories() {
    let daemon = Daemon::new();
    if run(&daemon, &["version"]).is_none() {
        return;
    }
    let project = Project::new(&[
        ("Dockerfile", "FROM alpine\nRUN echo made >/made\n"),
        ("based/Dockerfile", "FROM other\nRUN cat /made\n"),
    ]);
    let host = format!("unix://{}", daemon.socket.display());
    let remote = [
        "create", "--name", "r", "--use", "--driver", "remote", &host,
    ];
    run(&daemon, &remote).unwrap().ok();
    let at = |name: &str| project.join(name).to_str().unwrap().to_owned();
    let (context, based) = (at(""), at("based"));
    let to = format!("type=local,dest={},mode=max", at("cache"));
    let layout = format!("type=oci,tar=false,dest={}", at("layout"));
    let ran = run(
        &daemon,
        &["build", "--cache-to", &to, "-o", &layout, &context],
    )
    .unwrap();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let other = format!("other=oci-layout://{}", at("layout"));
    let line = [
        "build",
        "--progress",
        "plain",
        "--build-context",
        &other,
        &based,
    ];
    let ran = run(&daemon, &line).unwrap();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("made"), "{}", ran.stderr);
    assert_eq!(daemon.stop().code, 0);

    // A machine that knows nothing has the cache.
    let daemon = Daemon::new();
    let host = format!("unix://{}", daemon.socket.display());
    let remote = [
        "create", "--name", "r", "--use", "--driver", "remote", &host,
    ];
    run(&daemon, &remote).unwrap().ok();
    let from = format!("type=local,src={}", at("cache"));
    let ran = run(&daemon, &["build", "--cache-from", &from, &context]).unwrap();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("CACHED"), "{}", ran.stderr);
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn reads_the_history() {
    let daemon = Daemon::new();
    let Some(version) = run(&daemon, &["version"]) else {
        return;
    };
    assert_eq!(version.code, 0, "{}", version.stderr);
    let files = [
        ("Dockerfile", "FROM alpine\nARG A\nRUN echo told\n"),
        ("bad/Dockerfile", "FROM alpine\nRUN echo begun; exit 3\n"),
    ];
    let project = Project::new(&files);
    let context = project.path().to_str().unwrap();
    let host = format!("unix://{}", daemon.socket.display());
    let remote = [
        "create", "--name", "r", "--use", "--driver", "remote", &host,
    ];
    run(&daemon, &remote).unwrap().ok();
    let run = |arguments: &[&str]| run(&daemon, arguments).unwrap();
    let build = ["build", "--provenance=false", "--build-arg", "A=b"];
    let line = [&build[..], &["-o", "type=image,name=made", context]].concat();
    let ran = run(&line);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let bad = project.join("bad");
    assert_eq!(
        run(&[&build[..], &[bad.to_str().unwrap()]].concat()).code,
        1
    );

    let list = run(&["history", "ls", "--format", "{{.Name}} {{.Status}}"]).ok();
    let name = project.path().file_name().unwrap().to_str().unwrap();
    assert_eq!(list, format!("bad Error\n{name} Completed\n"));
    let list = run(&[
        "history",
        "ls",
        "--filter",
        "status=error",
        "--format",
        "{{.Name}}",
    ]);
    assert_eq!(list.ok(), "bad\n");
    let logs = run(&["history", "logs", "^1"]);
    assert!(logs.stderr.contains("told"), "{}", logs.stderr);
    let shown = run(&["history", "inspect", "--format", "json", "^1"]).ok();
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["Status"], "completed");
    assert_eq!(shown["BuildArgs"], json!([{"Name": "A", "Value": "b"}]));
    let kind = "application/vnd.oci.image.manifest.v1+json";
    assert_eq!(shown["Attachments"][0]["Type"], kind);
    let shown = run(&["history", "inspect"]).ok();
    for part in [">>> RUN echo begun; exit 3", "exit code: 3"] {
        assert!(shown.contains(part), "{shown}");
    }
    let attachment = [
        "history",
        "inspect",
        "attachment",
        "--type",
        "manifest",
        "^1",
    ];
    let manifest: Value = serde_json::from_str(&run(&attachment).ok()).unwrap();
    assert_eq!(manifest["mediaType"], kind);
    check_bundle(&run, &project.join("bundle"));
    run(&["history", "rm", "--all"]).ok();
    assert_eq!(run(&["history", "ls", "--format", "{{.Name}}"]).ok(), "");
    assert_eq!(daemon.stop().code, 0);
}

/// The records of two builds as an OCI layout: all that their manifests name is in it.
fn check_bundle(run: &dyn Fn(&[&str]) -> Ran, bundle: &Path) {
    std::fs::create_dir(bundle).unwrap();
    let archive = bundle.join("bundle.tar.gz");
    let archive = archive.to_str().unwrap();
    run(&["history", "export", "--output", archive, "--all"]).ok();
    tool("tar", &["-xzf", archive, "-C", bundle.to_str().unwrap()]);
    let blob = |descriptor: &Value| -> Value {
        let digest = descriptor["digest"].as_str().unwrap();
        let (kind, hex) = digest.split_once(':').unwrap();
        let bytes = std::fs::read(bundle.join("blobs").join(kind).join(hex)).unwrap();
        assert_eq!(bytes.len() as u64, descriptor["size"].as_u64().unwrap());
        serde_json::from_slice(&bytes).unwrap_or_default()
    };
    let index = std::fs::read(bundle.join("index.json")).unwrap();
    let index: Value = serde_json::from_slice(&index).unwrap();
    let records = blob(&index["manifests"][0]);
    let records = records["manifests"].as_array().unwrap();
    assert_eq!(records.len(), 2);
    for (record, is_failed) in records.iter().zip([true, false]) {
        let manifest = blob(record);
        let config = blob(&manifest["config"]);
        assert_eq!(config["error"].is_object(), is_failed, "{config}");
        // The failure with its details, or the image.
        let layers = manifest["layers"].as_array().unwrap();
        assert_eq!(layers.len(), 1, "{manifest}");
        layers.iter().for_each(|layer| drop(blob(layer)));
    }
}

#[test]
fn pushes_images_for_platforms_with_a_statement_about_each() {
    let daemon = Daemon::new();
    let Some(()) = connect(&daemon) else { return };
    let project = Project::new(&[(
        "Dockerfile",
        "FROM --platform=$BUILDPLATFORM alpine AS made\nARG TARGETARCH\n\
             RUN echo $TARGETARCH >/arch\nFROM scratch\nCOPY --from=made /arch /\n",
    )]);
    let registry = variable("KILN_TEST_SCRATCH_REGISTRY").unwrap();
    let name = format!("{}/of-buildx:1", registry.display());
    let platforms = "linux/amd64,linux/arm64";
    let context = project.path().to_str().unwrap();
    let line = [
        "build",
        "--push",
        "-t",
        &name,
        "--platform",
        platforms,
        context,
    ];
    let ran = run(&daemon, &line).unwrap();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let image = format!("docker://{name}");
    let raw = tool(
        "skopeo",
        &["inspect", "--raw", "--tls-verify=false", &image],
    );
    let index: Value = serde_json::from_str(&raw).unwrap();
    let manifests = index["manifests"].as_array().unwrap();
    let told = manifests.iter().map(|one| {
        let about = &one["annotations"]["vnd.docker.reference.digest"];
        (
            one["platform"]["architecture"].as_str().unwrap(),
            about.clone(),
        )
    });
    let digest = |place: usize| manifests[place]["digest"].clone();
    let expected = [
        ("amd64", Value::Null),
        ("arm64", Value::Null),
        ("unknown", digest(0)),
        ("unknown", digest(1)),
    ];
    assert_eq!(told.collect::<Vec<_>>(), expected, "{raw}");
}

#[test]
fn gets_tokens_by_itself() {
    let daemon = Daemon::new();
    let Some(()) = connect(&daemon) else { return };
    let registry = new_registry();
    registry.rules(|rules| rules.login = Login::Bearer("me", "password"));
    let auth = STANDARD.encode("me:password");
    configure(&daemon, "auths", json!({registry.host(): {"auth": auth}}));
    let base = format!("FROM {}/library/alpine\nRUN true\n", registry.host());
    let project = Project::of(&base);
    let name = format!("{}/made:1", registry.host());
    let context = project.path().to_str().unwrap();
    let line = ["build", "--push", "-t", &name, context];
    let ran = run(&daemon, &line).unwrap();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(registry.manifest("made", "1").is_some());
    // Who shows the password is not the daemon.
    let mut shown = 0;
    for request in registry.noted() {
        let authorization = request.header("authorization").unwrap_or_default();
        if authorization.starts_with("Basic ") {
            let agent = request.header("user-agent").unwrap_or_default();
            assert!(!agent.contains("kiln"), "{request:?}");
            shown += 1;
        }
    }
    assert_ne!(shown, 0);
}

/// Bakes the target `default` of `docker-bake.json` into `out`.
fn bake(daemon: &Daemon, project: &Project) {
    let file = project.join("docker-bake.json");
    let context = format!("*.context={}", project.path().display());
    let output = project.join("out");
    let output = format!("default.output=type=local,dest={}", output.display());
    let file = ["bake", "-f", file.to_str().unwrap()];
    let more = ["--set", &context, "--set", &output, "--allow", "fs=*"];
    let ran = run(daemon, &[&file[..], &more].concat()).unwrap();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
}

#[test]
fn bakes_targets_that_are_contexts_of_others() {
    let daemon = Daemon::new();
    let Some(()) = connect(&daemon) else { return };
    let project = Project::new(&[
        (
            "docker-bake.json",
            r#"{"target": {
                "base": {"dockerfile": "Dockerfile.base"},
                "default": {"contexts": {"base": "target:base"}, "output": ["type=local,dest=out"]}
            }}"#,
        ),
        (
            "Dockerfile.base",
            "FROM alpine\nENV FROM=base\nRUN echo made >/made\n",
        ),
        (
            "Dockerfile",
            "FROM base AS b\nRUN cat /made >/x; echo $FROM >>/x\nFROM scratch\nCOPY --from=b /x /\n",
        ),
    ]);
    bake(&daemon, &project);
    let made = std::fs::read_to_string(project.join("out/x")).unwrap();
    assert_eq!(made, "made\nbase\n");
}

#[test]
fn bakes_targets_that_are_contexts_of_others_for_several_platforms() {
    let daemon = Daemon::new();
    let Some(()) = connect(&daemon) else { return };
    let project = Project::new(&[
        (
            "docker-bake.json",
            r#"{"target": {
                "base": {"dockerfile": "Dockerfile.base", "platforms": ["linux/amd64", "linux/arm64"]},
                "default": {"contexts": {"base": "target:base"}, "platforms": ["linux/amd64", "linux/arm64"]}
            }}"#,
        ),
        (
            "Dockerfile.base",
            "FROM --platform=$BUILDPLATFORM alpine AS made\nARG TARGETARCH\n\
             RUN echo base of $TARGETARCH >/made\n\
             FROM scratch\nCOPY --from=made /made /\nENV FROM=base\n",
        ),
        (
            "Dockerfile",
            "FROM --platform=$BUILDPLATFORM alpine AS tools\nCOPY --from=base /made /from\n\
             RUN cat /from >/copied\n\
             FROM base\nCOPY --from=tools /copied /is-$FROM\n",
        ),
    ]);
    bake(&daemon, &project);
    for arch in ["amd64", "arm64"] {
        let of_platform = project.join(&format!("out/linux_{arch}"));
        // The name is of the base's environment.
        for name in ["made", "is-base"] {
            let content = std::fs::read_to_string(of_platform.join(name)).unwrap();
            assert_eq!(content, format!("base of {arch}\n"));
        }
    }
}

#[test]
fn composes_services_from_others() {
    let daemon = Daemon::new();
    let project = Project::new(&[
        (
            "compose.yaml",
            "name: composed\nservices:\n  base:\n    build: {context: ., dockerfile: Dockerfile.base}\n  \
             app:\n    build:\n      context: .\n      additional_contexts: {base: \"service:base\"}\n",
        ),
        ("Dockerfile.base", "FROM alpine\nRUN echo made >/made\n"),
        ("Dockerfile", "FROM base\nLABEL of=app\nRUN cat /made\n"),
    ]);
    let file = project.join("compose.yaml");
    let line = ["-f", file.to_str().unwrap(), "build"];
    let Some(ran) = plug_in(&daemon, "compose", &line) else {
        return;
    };
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let image = daemon.ask("GET /images/composed-app/json", b"").json();
    assert_eq!(image["Config"]["Labels"]["of"], "app");
}
