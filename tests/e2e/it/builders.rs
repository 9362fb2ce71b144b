//! Builders under names, which kiln and buildx share.

mod nodes;

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::clients::link;
use crate::kiln::{Kiln, Project, Ran, command, finish, variable};
use crate::serving::Daemon;
use crate::standin::new_registry;

/// A client with a directory of builders, and no store of its own that is of use.
struct Client {
    kiln: Kiln,
}

impl Client {
    fn new() -> Self {
        Self { kiln: Kiln::new() }
    }

    fn command(&self, program: &str) -> Command {
        let mut command = self.kiln.command();
        if program != "kiln" {
            let bin = self.kiln.scratch("bin");
            let path = bin.join(program);
            if !path.exists() {
                link(&self.kiln, &bin, program);
            }
            command = crate::clients::like(&self.kiln, &path);
        }
        command
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Ran {
        finish(self.command(program).args(arguments))
    }

    /// `kiln builder …`
    fn builder(&self, arguments: &[&str]) -> Ran {
        self.run("kiln", &[&["builder"], arguments].concat())
    }

    fn create(&self, name: &str, daemon: &Daemon, more: &[&str]) -> String {
        let host = host(daemon);
        let line = ["create", "--name", name, "--driver", "remote"];
        self.builder(&[&line, more, &[&host]].concat()).ok()
    }

    /// What a file of buildx's directory says.
    fn file(&self, name: &str) -> Value {
        let text = fs::read(self.directory().join(name)).unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    fn directory(&self) -> std::path::PathBuf {
        self.kiln.scratch(".docker").join("buildx")
    }
}

fn host(daemon: &Daemon) -> String {
    format!("unix://{}", daemon.socket.display())
}

/// Whether the daemon has an image of this name.
fn has(daemon: &Daemon, name: &str) -> bool {
    daemon.ask(&format!("GET /images/{name}/json"), b"").status == 200
}

#[test]
fn are_made_chosen_and_shown() {
    let daemon = Daemon::new();
    let client = Client::new();
    let host = host(&daemon);
    assert_eq!(
        client.create("One", &daemon, &["--platform", "linux/arm64"]),
        "One\n"
    );
    assert_eq!(
        client.file("instances/one")["Nodes"][0],
        json!({
            "Name": "one0",
            "Endpoint": host,
            "Platforms": [{"architecture": "arm64", "os": "linux"}],
            "DriverOpts": {},
            "Flags": [],
            "Files": {},
        })
    );
    two_nowhere(&client);

    let listed = client.builder(&["ls"]).ok();
    let lines: Vec<Vec<&str>> = listed
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        lines[0],
        [
            "NAME/NODE",
            "DRIVER/ENDPOINT",
            "STATUS",
            "BUILDKIT",
            "PLATFORMS"
        ]
    );
    assert_eq!(lines[1], ["One", "remote"]);
    assert_eq!(lines[2][..5], ["\\_", "one0", "\\_", &host, "running"]);
    assert!(lines[2][5].contains("+kiln"), "{listed}");
    assert!(lines[2].contains(&"linux/arm64*"), "{listed}");
    assert_eq!(lines[3], ["two", "remote"]);
    assert_eq!(
        lines[4],
        ["\\_", "two0", "\\_", "unix:///nowhere", "inactive"]
    );
    assert_eq!(
        lines[5],
        ["\\_", "more", "\\_", "tcp://127.0.0.1:1", "inactive"]
    );
    assert_eq!(lines[6], ["default*", "kiln"]);
    client.builder(&["use", "one"]).ok();
    let json = client.builder(&["ls", "--format", "json"]).ok();
    let first: Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&first["Name"], &first["Current"]),
        (&json!("One"), &json!(true))
    );
    assert_eq!(first["Nodes"][0]["Status"], "running");
    let names = client
        .builder(&["ls", "--format", "{{.Name}} {{.Status}}"])
        .ok();
    assert_eq!(names.lines().next(), Some("One "));

    let shown = client.builder(&["inspect", "--bootstrap"]).ok();
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines[..2], ["Name:          One", "Driver:        remote"]);
    assert!(
        shown.contains("\nNodes:\nName:             one0\n"),
        "{shown}"
    );
    assert!(shown.contains("\nStatus:           running\n"), "{shown}");
    assert_eq!(daemon.stop().code, 0);
}

/// A builder of two nodes that nobody is.
fn two_nowhere(client: &Client) {
    let nowhere = ["create", "--name", "two", "unix:///nowhere"];
    assert_eq!(client.builder(&nowhere).ok(), "two\n");
    let append = [
        "create",
        "--append",
        "--name",
        "two",
        "--node",
        "more",
        "tcp://127.0.0.1:1",
    ];
    client.builder(&append).ok();
}

#[test]
fn nodes_leave_and_builders_are_removed() {
    let daemon = Daemon::new();
    let client = Client::new();
    client.create("One", &daemon, &[]);
    two_nowhere(&client);
    let waited = client.builder(&["inspect", "--bootstrap", "--timeout", "300ms", "two"]);
    assert!(
        waited
            .error()
            .starts_with("ERROR: node two0 does not answer")
    );

    client
        .builder(&["create", "--leave", "--name", "two", "--node", "more"])
        .ok();
    let removed = client.builder(&["rm", "--all-inactive", "--force"]);
    assert_eq!((removed.code, &*removed.stderr), (0, "two removed\n"));
    let removed = client.builder(&["rm", "nobody", "one"]);
    assert_eq!(removed.code, 1);
    for line in [
        "failed to remove nobody: no builder \"nobody\" found\n",
        "One removed\n",
        "ERROR: failed to remove one or more builders\n",
    ] {
        assert!(removed.stderr.contains(line), "{}", removed.stderr);
    }
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn what_cannot_be_made_says_what_can() {
    let client = Client::new();
    let error = |arguments: &[&str]| client.builder(arguments).error();
    for (arguments, message) in [
        (&["create"][..], "kiln has no driver \"docker-container\""),
        (
            &["create", "--driver", "kubernetes"],
            "kiln has no driver \"kubernetes\"",
        ),
        (
            &["create", "--driver", "docker"],
            "additional instances of driver \"docker\" cannot be created",
        ),
        (&["create", "--driver", "x"], "failed to find driver \"x\""),
        (
            &["create", "--driver", "remote"],
            "no remote endpoint provided",
        ),
        (
            &["create", "--driver", "remote", "http://a"],
            "unrecognized url scheme http",
        ),
        (
            &["create", "docker-container://a"],
            "kiln does not reach docker-container://a",
        ),
        (
            &["create", "--name", "a", "--driver-opt", "x=y", "unix:///a"],
            "failed to initialize builder a (a0): invalid driver option x for remote driver",
        ),
        (
            &["create", "--buildkitd-flags", "--debug", "unix:///a"],
            "setting buildkit flags is not supported for remote driver",
        ),
        (
            &["create", "--name", "default", "unix:///a"],
            "default is a reserved name and cannot be used to identify builder instance",
        ),
        (
            &["create", "--name", "../a", "unix:///a"],
            "invalid name ../a",
        ),
        (
            &["create", "--append", "unix:///a"],
            "append requires a builder name",
        ),
        (
            &["create", "--append", "--name", "a", "unix:///a"],
            "failed to find instance \"a\" for append",
        ),
        (
            &["create", "--leave", "--name", "a"],
            "leave requires node name",
        ),
        (&["use", "nobody"], "failed to find instance \"nobody\""),
        (&["inspect", "nobody"], "no builder \"nobody\" found"),
        (
            &["rm", "--all-inactive", "a"],
            "cannot specify builder name",
        ),
    ] {
        let said = error(arguments);
        assert!(said.starts_with(&format!("ERROR: {message}")), "{said}");
    }
    assert!(!client.directory().join("instances/a").exists());

    // One that buildx made is listed, and not built with.
    fs::create_dir_all(client.directory().join("instances")).unwrap();
    let made = r#"{"Name":"box","Driver":"docker-container","Nodes":[{"Name":"box0","Endpoint":"unix:///var/run/docker.sock","Platforms":null,"DriverOpts":null,"Flags":["--debug"],"Files":null}],"Dynamic":false}"#;
    fs::write(client.directory().join("instances/box"), made).unwrap();
    let listed = client.builder(&["ls"]);
    assert_eq!(listed.code, 0);
    assert!(listed.stdout.starts_with("NAME/NODE"), "{}", listed.stdout);
    let told = "Failed to get status for box (box0): kiln has no driver \"docker-container\"";
    assert!(listed.stderr.contains(told), "{}", listed.stderr);
    let project = Project::of("FROM scratch\nLABEL a=b\n");
    let path = project.path().to_str().unwrap();
    let ran = client.run("kiln", &["build", "--builder", "box", path]);
    let hint = ran.hints().concat();
    assert!(hint.contains("--driver remote"), "{hint}");
    assert!(
        ran.error()
            .contains("builder box: kiln has no driver \"docker-container\"")
    );
    assert!(error(&["rm", "box"]).contains("failed to remove"));
    client.builder(&["rm", "--keep-daemon", "box"]).ok();
}

#[test]
fn are_built_with() {
    let daemon = Daemon::new();
    let client = Client::new();
    client.create("there", &daemon, &[]);
    let project = Project::of("FROM scratch\nLABEL who=me\n");
    let path = project.path().to_str().unwrap();
    let built = |number: u32, command: &mut Command, words: &[&str]| {
        let tag = format!("made:{number}");
        let ran = finish(command.args(words).args(["-t", &tag, path]));
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        has(&daemon, &tag)
    };
    let command = |program: &str| client.command(program);
    // By name, wherever that is said.
    let named = ["build", "--builder", "there"];
    assert!(built(0, &mut command("kiln"), &named));
    let variable = |program: &str| {
        let mut one = command(program);
        one.env("BUILDX_BUILDER", "there");
        one
    };
    assert!(built(1, &mut variable("kiln"), &["build"]));
    assert!(built(2, &mut variable("docker"), &["build"]));
    let before = ["--builder", "there", "build"];
    assert!(built(3, &mut command("docker-buildx"), &before));
    assert!(built(
        4,
        &mut command("docker"),
        &[&["buildx"], &before[..]].concat()
    ));
    // By being chosen, which buildx asks for, and neither kiln nor docker's own build does.
    client.builder(&["use", "there"]).ok();
    assert!(built(5, &mut command("docker-buildx"), &["build"]));
    assert!(built(6, &mut command("docker"), &["buildx", "build"]));
    assert!(!built(7, &mut command("kiln"), &["build"]));
    assert!(!built(8, &mut command("docker"), &["build"]));
    let default = ["build", "--builder", "default"];
    assert!(!built(9, &mut command("docker-buildx"), &default));
    let noted = client.directory().join("activity/there");
    assert!(fs::read_to_string(noted).unwrap().ends_with('Z'));

    // What it keeps.
    let usage = client.run("docker-buildx", &["du"]).ok();
    assert_eq!(
        usage,
        client.run("kiln", &["du", "--builder", "there"]).ok()
    );
    let past = client.run("docker-buildx", &["history", "ls", "-q"]).ok();
    assert_eq!(past.lines().count(), 7, "{past}");
    client
        .run("docker-buildx", &["prune", "--all", "--force"])
        .ok();
    let unknown = client.run("kiln", &["build", "--builder", "nobody", path]);
    assert!(unknown.error().contains("no builder \"nobody\" found"));
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn an_image_is_pushed_by_its_digest_alone() {
    let registry = new_registry();
    let daemon = Daemon::of_kiln(Kiln::with_mirror(&registry.host()));
    let client = Client {
        kiln: Kiln::with_mirror(&registry.host()),
    };
    client.create("there", &daemon, &[]);
    let project = Project::of("FROM scratch\nLABEL who=me\n");
    let metadata = project.join("metadata");
    for (place, more) in [("here", &[][..]), ("there", &["--builder", "there"])] {
        let name = format!("{}/me/{place}", registry.host());
        let output = format!("type=image,name={name}:1,push=true,push-by-digest=true");
        let line = ["build", "-o", &output, "--metadata-file"];
        let paths = [metadata.to_str().unwrap(), project.path().to_str().unwrap()];
        client.run("kiln", &[&line, &paths[..], more].concat()).ok();
        let told: Value = serde_json::from_slice(&fs::read(&metadata).unwrap()).unwrap();
        let digest = told["containerimage.digest"].as_str().unwrap();
        let repository = format!("me/{place}");
        assert!(registry.manifest(&repository, digest).is_some(), "{place}");
        assert!(registry.manifest(&repository, "1").is_none(), "{place}");
        assert!(!has(&daemon, &format!("{name}:1")));
    }
}

/// The real buildx, if it is there, with the client's builders.
fn buildx(client: &Client, arguments: &[&str]) -> Option<Ran> {
    let peers = variable("KILN_TEST_PEERS")?;
    let config = client.directory().parent().unwrap().to_path_buf();
    let plug_in = peers.join("usr/libexec/docker/cli-plugins/docker-buildx");
    Some(real(&plug_in, &config, arguments))
}

fn real(program: &Path, config: &Path, arguments: &[&str]) -> Ran {
    finish(
        command(program)
            .args(arguments)
            .env("DOCKER_CONFIG", config)
            .env("BUILDKIT_PROGRESS", "plain"),
    )
}

#[test]
fn are_those_of_buildx() {
    let daemon = Daemon::new();
    let client = Client::new();
    let host = host(&daemon);
    let project = Project::of("FROM scratch\nLABEL who=me\n");
    let path = project.path().to_str().unwrap();
    client.create(
        "mine",
        &daemon,
        &["--platform", "linux/arm64,linux/amd64", "--use"],
    );
    let Some(listed) = buildx(
        &client,
        &["ls", "--format", "{{.Name}} {{.DriverEndpoint}}"],
    ) else {
        return;
    };
    let listed = listed.ok();
    for line in ["mine remote", &format!("mine0 {host}")] {
        assert!(listed.lines().any(|one| one == line), "{listed}");
    }
    let by = |arguments: &[&str]| buildx(&client, arguments).unwrap();
    // The one that kiln chose is buildx's.
    let ran = by(&["build", "-o", "type=image,name=made:1", path]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(has(&daemon, "made:1"));
    let same = |arguments: &[&str]| {
        let theirs = by(arguments);
        let ours = client.run("docker-buildx", arguments);
        assert_eq!(ours.stdout, theirs.stdout, "{arguments:?}");
    };
    same(&["inspect", "mine"]);
    let names = [
        "ls",
        "--format",
        "{{.Name}} {{.Status}} {{.Buildkit}} {{.Platforms}}",
    ];
    let lines = |text: String| -> Vec<String> {
        let lines = text.lines().filter(|line| line.starts_with("mine"));
        lines.map(str::to_owned).collect()
    };
    let ours = client.run("docker-buildx", &names).ok();
    assert_eq!(lines(ours), lines(by(&names).ok()));

    // And the other way round.
    let theirs = [
        "create", "--name", "theirs", "--driver", "remote", "--use", &host,
    ];
    by(&theirs).ok();
    let added = ["create", "--append", "--name", "theirs", "unix:///nowhere"];
    assert_eq!(client.builder(&added).ok(), "theirs\n");
    assert_eq!(
        by(&["create", "--leave", "--name", "theirs", "--node", "theirs1"]).code,
        0
    );
    let ran = client.run("docker-buildx", &["build", "-t", "made:2", path]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(has(&daemon, "made:2"));
    assert_eq!(by(&["rm", "mine"]).code, 0);
    client.builder(&["rm", "theirs"]).ok();
    let left = fs::read_dir(client.directory().join("instances")).unwrap();
    assert_eq!(left.count(), 0);
    assert_eq!(daemon.stop().code, 0);
}
