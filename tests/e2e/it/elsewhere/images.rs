//! Images of a daemon that is another process, by the same commands as those of the store here.

use std::fs;

use base64::Engine as _;
use testkit::registry::Login;

use super::{build, client, same};
use crate::kiln::{Project, Ran, finish, tool};
use crate::serving::Daemon;
use crate::standin;

fn ask(daemon: &Daemon, arguments: &[&str]) -> Ran {
    finish(client(daemon).args(arguments))
}

fn ok(daemon: &Daemon, arguments: &[&str]) -> String {
    ask(daemon, arguments).ok()
}

fn built(daemon: &Daemon) -> Project {
    let project = Project::of("FROM alpine\nLABEL who=me\nRUN echo x >/x\nCMD [\"cat\", \"/x\"]\n");
    let ran = build(daemon, &project, &["-t", "app", "-t", "me/app:2"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    project
}

#[test]
fn what_is_shown_is_what_is_shown_here() {
    let daemon = Daemon::new();
    built(&daemon);
    for line in [
        &["images"][..],
        &["images", "--digests", "--no-trunc"],
        &["images", "-q", "me/app"],
        &["images", "--format", "json", "--filter", "label=who=me"],
        &[
            "images",
            "--format",
            "{{.CreatedAt}}",
            "--filter",
            "since=alpine",
        ],
        &["image", "ls", "--filter", "dangling=true"],
        &["inspect", "app", "alpine"],
        &[
            "image",
            "inspect",
            "--format",
            "{{.RepoTags}} {{json .Config.Labels}}",
            "app",
        ],
        &["inspect", "-f", "json", "me/app:2"],
        &["history", "app"],
        &["history", "--no-trunc", "--human=false", "app"],
        &["history", "-q", "app"],
    ] {
        assert!(!same(&daemon, line).is_empty(), "{line:?}");
    }
    for line in [
        &["inspect", "nothing"][..],
        &["image", "inspect", "nothing"],
        &["history", "nothing"],
        &["images", "--filter", "before=nothing"],
        &["images", "--filter", "odd=x"],
        &["images", "--format", "{{.Nope}}"],
    ] {
        let there = ask(&daemon, line).error();
        assert_eq!(there, daemon.kiln.run(line).error(), "{line:?}");
        assert!(there.starts_with("ERROR: "), "{line:?}");
    }
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn an_image_of_1970_is_one() {
    let daemon = Daemon::new();
    let project = Project::of("FROM scratch\nLABEL a=b\n");
    let epoch = ["--build-arg", "SOURCE_DATE_EPOCH=0", "-t", "old"];
    assert_eq!(build(&daemon, &project, &epoch).code, 0);
    let shown = same(&daemon, &["images", "--format", "{{.CreatedAt}}"]);
    assert_eq!(shown, "1970-01-01 00:00:00 +0000 UTC\n");
    let made = ["history", "--format", "{{.CreatedAt}}", "old"];
    assert_eq!(same(&daemon, &made), "1970-01-01T00:00:00Z\n");
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn names_come_and_go() {
    let daemon = Daemon::new();
    built(&daemon);
    ok(
        &daemon,
        &["tag", "app", "registry.example.com:5000/other:1"],
    );
    let name = "registry.example.com:5000/other";
    assert_eq!(
        ok(&daemon, &["images", "--format", "{{.Tag}}", name]),
        "1\n"
    );
    assert_eq!(
        ask(&daemon, &["tag", "nothing", "x"]).error(),
        "ERROR: No such image: nothing"
    );
    let other = format!("{name}:1");
    assert_eq!(
        ok(&daemon, &["rmi", &other]),
        format!("Untagged: {other}\n")
    );
    // One that is missing does not keep the others.
    let ran = ask(&daemon, &["rmi", "nothing", "me/app:2"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, "Untagged: me/app:2\n"));
    assert!(ran.stderr.contains("No such image: nothing"));
    assert_eq!(ask(&daemon, &["rmi", "-f", "nothing"]).code, 0);
    assert!(ok(&daemon, &["rmi", "app"]).contains("Deleted: sha256:"));
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn archives_come_and_go() {
    let daemon = Daemon::new();
    let project = built(&daemon);
    let archive = project.join("app.tar");
    let path = archive.to_str().unwrap();
    let id = ok(&daemon, &["images", "-q", "--no-trunc", "app"]);
    ok(&daemon, &["save", "-o", path, "app", "me/app:2"]);
    let listed = tool("tar", &["-tf", path]);
    assert!(listed.contains("manifest.json\n"), "{listed}");
    ok(&daemon, &["rmi", "-f", "app", "me/app:2"]);
    assert_eq!(
        ok(&daemon, &["load", "-i", path]),
        "Loaded image: app:latest\nLoaded image: me/app:2\n"
    );
    assert_eq!(ok(&daemon, &["images", "-q", "--no-trunc", "app"]), id);
    assert_eq!(ok(&daemon, &["load", "-q", "-i", path]), "");
    // What cannot be had is no file, and what is no archive is said.
    let missing = project.join("missing.tar");
    let ran = ask(
        &daemon,
        &["save", "-o", missing.to_str().unwrap(), "nothing"],
    );
    assert_eq!(ran.error(), "ERROR: No such image: nothing:latest");
    assert!(!missing.exists());
    fs::write(&archive, "no archive").unwrap();
    let directory = project.path().to_str().unwrap();
    let nowhere = missing.to_str().unwrap();
    for (path, why) in [
        (path, ""),
        (directory, ": is a directory"),
        (nowhere, ": no such file or directory"),
    ] {
        let there = ask(&daemon, &["load", "-i", path]).error();
        assert_eq!(there, daemon.kiln.run(["load", "-i", path]).error());
        assert!(there.ends_with(why), "{there}");
    }
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn registries_are_the_daemons_with_the_clients_credentials() {
    let registry = standin::new_registry();
    let daemon = Daemon::new();
    built(&daemon);
    let name = format!("{}/me/app:1", registry.host());
    ok(&daemon, &["tag", "app", &name]);
    let pushed = ok(&daemon, &["push", &name]);
    let (descriptor, _) = registry.manifest("me/app", "1").unwrap();
    let lines: Vec<&str> = pushed.lines().collect();
    assert_eq!(
        lines,
        [
            format!("The push refers to repository [{}/me/app]", registry.host()),
            format!("1: digest: {} size: {}", descriptor.digest, descriptor.size),
        ]
    );
    assert_eq!(ok(&daemon, &["push", "-q", &name]), format!("{name}\n"));
    ok(&daemon, &["rmi", &name]);
    let pulled = ask(&daemon, &["pull", &name]);
    assert!(
        pulled.stderr.contains(&format!("pulling {name}")),
        "{}",
        pulled.stderr
    );
    let digest = descriptor.digest;
    assert_eq!(
        pulled.ok(),
        format!("Digest: {digest}\nStatus: Downloaded newer image for {name}\n{name}\n")
    );
    let again = ok(&daemon, &["pull", &name]);
    assert!(again.contains(&format!("Status: Image is up to date for {name}\n")));
    let missing = format!("{}/me/missing", registry.host());
    let there = ask(&daemon, &["pull", &missing]).error();
    assert_eq!(there, daemon.kiln.run(["pull", &missing]).error());
    let there = ask(&daemon, &["push", "nothing"]).error();
    assert!(there.contains("does not exist locally"), "{there}");
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn a_registry_is_told_the_clients_credentials() {
    let registry = standin::new_registry();
    registry.rules(|rules| rules.login = Login::Basic("me", "pass-of-a-test"));
    let daemon = Daemon::new();
    let project = built(&daemon);
    let name = format!("{}/me/app:1", registry.host());
    ok(&daemon, &["tag", "app", &name]);
    let refused = ask(&daemon, &["push", &name]);
    assert_ne!(refused.code, 0, "{}", refused.stdout);
    let auth = base64::engine::general_purpose::STANDARD.encode("me:pass-of-a-test");
    let config = format!(
        "{{\"auths\":{{\"{}\":{{\"auth\":\"{auth}\"}}}}}}",
        registry.host()
    );
    project.write("docker/config.json", &config);
    for words in [["push", &name], ["pull", &name]] {
        let mut command = client(&daemon);
        command.env("DOCKER_CONFIG", project.join("docker"));
        finish(command.args(words)).ok();
    }
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn what_nobody_needs_goes() {
    let daemon = Daemon::new();
    built(&daemon);
    let dry = ask(&daemon, &["image", "prune", "--dry-run"]).error();
    let why = "--dry-run cannot be had of a builder that is another process";
    assert!(dry.contains(why), "{dry}");
    let none = ok(
        &daemon,
        &[
            "image",
            "prune",
            "--all",
            "--force",
            "--filter",
            "label=who=you",
        ],
    );
    assert_eq!(none, "Total reclaimed space: 0B\n");
    ok(&daemon, &["create", "--name", "uses", "alpine"]);
    let gone = ok(&daemon, &["image", "prune", "--all", "--force"]);
    assert!(
        gone.starts_with("Deleted Images:\nuntagged: app:latest\n"),
        "{gone}"
    );
    let names = ["images", "--format", "{{.Repository}}"];
    assert_eq!(ok(&daemon, &names), "alpine\n");
    let gone = ok(&daemon, &["system", "prune", "--all", "--force"]);
    for part in [
        "Deleted Containers:\n",
        "untagged: alpine:latest\n",
        "Deleted build cache objects:\n",
        "Total reclaimed space: ",
    ] {
        assert!(gone.contains(part), "{part}{gone}");
    }
    assert_eq!(ok(&daemon, &["images", "-q"]), "");
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn a_builder_alone_has_no_images() {
    // It answers nothing but HTTP/2, as buildkitd does.
    let project = Project::of("FROM scratch\n");
    let socket = project.join("builder.sock");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let answering = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let (mut stream, _) = listener.accept().unwrap();
        stream
            .write_all(b"\0\0\x06\x04\0\0\0\0\0\0\x05\0\0\x40\0")
            .unwrap();
        let _ = stream.read(&mut [0; 1024]);
    });
    let daemon = Daemon::new();
    let mut images = client(&daemon);
    images.env("KILN_HOST", format!("unix://{}", socket.display()));
    let ran = finish(images.arg("images"));
    answering.join().unwrap();
    assert_eq!(ran.hints().len(), 1, "{}", ran.stderr);
    assert!(ran.hints()[0].starts_with("a builder alone has no images"));
    let error = ran.error();
    assert!(
        error.contains("builder.sock does not answer Docker's API: "),
        "{error}"
    );
    // What is about this machine's store alone.
    let mounts = ask(&daemon, &["cache", "mounts", "ls"]).error();
    assert!(
        mounts.contains("works on the store of this machine"),
        "{mounts}"
    );
}
