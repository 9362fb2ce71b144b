//! `kiln serve`, by the real docker client where there is one, and by the protocol.

use std::fs;
use std::io::{Read as _, Write as _};

use serde_json::{Value, json};

use crate::kiln::{Project, command, finish, tool};
use crate::serving::Daemon;

/// A context as clients send it.
pub(crate) fn context(dockerfile: &str) -> Vec<u8> {
    let (project, packed) = (Project::of(dockerfile), Project::new(&[]));
    let archive = packed.join("context.tar");
    let (archive, path) = (archive.to_str().unwrap(), project.path().to_str().unwrap());
    tool("tar", &["-cf", archive, "-C", path, "."]);
    fs::read(archive).unwrap()
}

#[test]
fn what_it_says_of_itself() {
    let daemon = Daemon::new();
    let ping = daemon.ask("GET /_ping", b"");
    assert_eq!((ping.status, ping.text().as_str()), (200, "OK"));
    for header in ["api-version: 1.51", "builder-version: 2", "ostype: linux"] {
        assert!(ping.head.contains(header), "{}", ping.head);
    }
    let version = daemon.ask("GET /v1.43/version", b"").json();
    assert_eq!(version["Platform"]["Name"], "kiln");
    assert_eq!(version["MinAPIVersion"], "1.24");
    let info = daemon.ask("GET /info", b"").json();
    assert_eq!(
        (&info["Images"], &info["OSType"]),
        (&json!(0), &json!("linux"))
    );
    let ran = daemon.stop();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
}

#[test]
fn what_is_not_provided_is_refused_by_name() {
    let daemon = Daemon::new();
    let refusal = |line: &str, body: &str| daemon.ask(line, body.as_bytes()).failure();
    for (line, body, status, message) in [
        ("GET /swarm", "", 501, "GET /swarm is not provided by kiln"),
        (
            "POST /v1.43/containers/x/pause",
            "",
            501,
            "POST /containers/x/pause is not provided by kiln",
        ),
        (
            "GET /v1.20/info",
            "",
            400,
            "client version 1.20 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version",
        ),
        (
            "GET /v1.99/info",
            "",
            400,
            "client version 1.99 is too new. Maximum supported API version is 1.51",
        ),
        (
            "POST /build?squash=1",
            "",
            501,
            "the parameter \"squash\" is not provided by kiln",
        ),
        (
            "POST /build?memory=5",
            "",
            400,
            "invalid value \"5\" for resource memory: a size of 6m or more, such as 2g, or unlimited",
        ),
        (
            "POST /build?version=2",
            "",
            501,
            "version 2 of a build (it is asked for through /grpc) is not provided by kiln",
        ),
        (
            "GET /images/nothing/json",
            "",
            404,
            "No such image: nothing:latest",
        ),
        (
            "DELETE /containers/nothing",
            "",
            404,
            "No such container: nothing",
        ),
        (
            "POST /containers/create",
            r#"{"Image":"a","HostConfig":{"Privileged":true}}"#,
            501,
            "the field \"Privileged\" of a container is not provided by kiln",
        ),
        (
            "POST /containers/create",
            r#"{"Image":"nothing"}"#,
            404,
            "No such image: nothing:latest",
        ),
        (
            "GET /images/get?names=nothing",
            "",
            404,
            "No such image: nothing:latest",
        ),
        (
            "POST /containers/create?platform=linux/s390x",
            r#"{"Image":"nothing"}"#,
            501,
            "a container for the platform \"linux/s390x\" is not provided by kiln",
        ),
        (
            "POST /images/nothing/tag",
            "",
            400,
            "missing query parameter \"repo\"",
        ),
    ] {
        assert_eq!(refusal(line, body), (status, message.to_owned()), "{line}");
    }
}

#[test]
fn builds_by_the_protocol() {
    let daemon = Daemon::new();
    let text = "FROM alpine AS one\nRUN echo hello | tee /x\nFROM alpine\nCOPY --from=one /x /y\nLABEL a=b\n";
    let told = daemon
        .ask("POST /v1.43/build?t=made&rm=1", &context(text))
        .text();
    assert!(
        told.contains(r#"{"stream":"Step one 2/2 : RUN echo hello | tee /x\n"}"#),
        "{told}"
    );
    assert!(
        told.contains(r"Successfully tagged made:latest\n"),
        "{told}"
    );
    let image = daemon.ask("GET /images/made/json", b"").json();
    assert_eq!(image["Config"]["Labels"], json!({"a": "b"}));
    let listed = daemon.ask("GET /images/json", b"").json();
    let made = |row: &&Value| row["RepoTags"] == json!(["made:latest"]);
    let made = listed.as_array().unwrap().iter().find(made).unwrap();
    assert_eq!(made["Id"], image["Id"]);
    let told = daemon.ask("POST /build?q=1", &context(text)).text();
    assert_eq!(
        told,
        format!(
            "{{\"stream\":\"{}\\n\"}}\r\n",
            image["Id"].as_str().unwrap()
        )
    );
    let failing = context("FROM alpine\nRUN exit 3\n");
    let told = daemon.ask("POST /build", &failing).text();
    let message = "The command '/bin/sh -c exit 3' returned a non-zero code: 3";
    let last = json!({"errorDetail": {"code": 3, "message": message}, "error": message});
    assert_eq!(
        serde_json::from_str::<Value>(told.lines().last().unwrap()).unwrap(),
        last
    );
}

#[test]
fn an_archive_that_breaks_off_does_not_look_whole() {
    let daemon = Daemon::new();
    let request = context("FROM alpine\nRUN echo hello >/x\n");
    daemon.ask("POST /build?t=made", &request);
    let ask = || {
        let mut bytes = Vec::new();
        let mut stream = daemon.send("GET /images/made/get", b"");
        // A connection that is reset tells the same as one that ends.
        drop(stream.read_to_end(&mut bytes));
        (
            bytes.starts_with(b"HTTP/1.1 200"),
            bytes.ends_with(b"\r\n0\r\n\r\n"),
        )
    };
    assert_eq!(ask(), (true, true));
    let layers = daemon.ask("GET /images/made/json", b"").json();
    let layer = layers["RootFS"]["Layers"][1].as_str().unwrap().to_owned();
    let blob = layer.replace("sha256:", "blobs/sha256/");
    fs::write(daemon.kiln.root().join(blob), "no layer").unwrap();
    assert_eq!(ask(), (true, false));
}

#[test]
fn a_client_that_goes_away_ends_its_build() {
    let daemon = Daemon::new();
    let runs = || {
        let processes = fs::read_dir("/proc").unwrap().flatten();
        processes
            .filter_map(|process| fs::read(process.path().join("cmdline")).ok())
            .any(|line| line.starts_with(b"sleep\x0098761"))
    };
    let request = context("FROM alpine\nRUN exec sleep 98761\n");
    let stream = daemon.send("POST /build", &request);
    daemon.until("the step runs", runs);
    drop(stream);
    daemon.until("the step has ended", || !runs());
    daemon.stop();
}

#[test]
fn it_stops_while_it_builds() {
    let daemon = Daemon::new();
    let request = context("FROM alpine\nRUN echo begun; sleep 2\n");
    let mut stream = daemon.send("POST /build?t=made", &request);
    let mut told = [0; 4096];
    while !told.windows(5).any(|five| five == b"begun") {
        assert!(stream.read(&mut told).unwrap() > 0);
    }
    let ran = daemon.stop();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("Successfully tagged made"), "{rest}");
}

/// The older way to small images: one Dockerfile builds, its files are copied out, another packs.
#[test]
fn the_builder_pattern_with_the_docker_client() {
    if finish(command("sh").args(["-c", "command -v docker"])).code != 0 {
        std::io::stdout()
            .write_all(b"skipped: there is no docker client\n")
            .unwrap();
        return;
    }
    let daemon = Daemon::new();
    let project = Project::new(&[
        (
            "Dockerfile.build",
            "FROM alpine\nWORKDIR /src\nRUN printf '#!/bin/sh\\necho it works\\n' >app && chmod 755 app\n",
        ),
        ("Dockerfile", "FROM alpine\nCOPY app /app\nCMD [\"/app\"]\n"),
    ]);
    let path = project.path().to_str().unwrap();
    let file = project.join("Dockerfile.build");
    let file = file.to_str().unwrap();
    let app = project.join("app");
    let ok = |arguments: &[&str]| daemon.docker(arguments).ok();

    let told = ok(&["build", "-t", "app:build", path, "-f", file]);
    assert!(told.ends_with("Successfully tagged app:build\n"), "{told}");
    let id = ok(&["container", "create", "--name", "extract", "app:build"]);
    assert_eq!(ok(&["ps", "-aq", "--no-trunc"]), id);
    ok(&["container", "cp", "extract:/src/app", app.to_str().unwrap()]);
    let over = daemon.docker(&["cp", app.to_str().unwrap(), "extract:/src"]);
    assert_eq!(over.code, 0, "{}", over.stderr);
    assert_eq!(ok(&["container", "rm", "-f", "extract"]), "extract\n");
    let told = ok(&["build", "--no-cache", "-t", "app:latest", path]);
    assert!(
        told.contains("Step 2/2 : COPY app /app\nSuccessfully built "),
        "{told}"
    );
    assert_eq!(daemon.kiln.ok(["run", "--rm", "app"]), "it works\n");

    let names = ok(&["images", "--format", "{{.Repository}}:{{.Tag}}"]);
    let mut names: Vec<&str> = names.lines().collect();
    names.sort_unstable();
    assert_eq!(names, ["alpine:latest", "app:build", "app:latest"]);
    assert_eq!(ok(&["images", "-q", "app:build"]).lines().count(), 1);
    ok(&["tag", "app", "other:v1"]);
    assert_eq!(ok(&["rmi", "other:v1"]), "Untagged: other:v1\n");
    let history = ok(&["history", "--format", "{{.CreatedBy}}", "app"]);
    assert!(history.starts_with("CMD [\"/app\"]\n"), "{history}");
    let archive = project.join("app.tar");
    let archive = archive.to_str().unwrap();
    ok(&["save", "-o", archive, "app"]);
    ok(&["rmi", "-f", "app"]);
    assert_eq!(ok(&["load", "-i", archive]), "Loaded image: app:latest\n");
    ok(&["rmi", "-f", "alpine"]);
    let pulled = ok(&["pull", "alpine"]);
    let last = "Status: Downloaded newer image for alpine:latest\n";
    assert!(pulled.contains(last), "{pulled}");
}
