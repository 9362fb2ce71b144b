//! Builders of several nodes: each builds for its platforms, and what they push is one image.

use std::fs;

use serde_json::Value;

use super::{Client, buildx, has, host};
use crate::kiln::{Kiln, Project, Ran};
use crate::serving::Daemon;
use crate::standin::new_registry;

const DOCKERFILE: &str = "FROM scratch\nARG TARGETARCH\nCOPY $TARGETARCH /arch\n";
const BOTH: &str = "linux/amd64,linux/arm64";

/// Two daemons that share nothing, and the builder `farm` that they are.
struct Farm {
    client: Client,
    daemons: [Daemon; 2],
    project: Project,
}

impl Farm {
    fn new(registry: &str) -> Self {
        let daemons = [(); 2].map(|()| Daemon::of_kiln(Kiln::with_mirror(registry)));
        let client = Client {
            kiln: Kiln::with_mirror(registry),
        };
        client.create("farm", &daemons[0], &["--platform", "linux/amd64"]);
        client.create(
            "farm",
            &daemons[1],
            &["--append", "--platform", "linux/arm64"],
        );
        let project = Project::new(&[
            ("Dockerfile", DOCKERFILE),
            ("amd64", "is amd64"),
            ("arm64", "is arm64"),
            ("docker-bake.hcl", BAKE),
        ]);
        Self {
            client,
            daemons,
            project,
        }
    }

    fn build(&self, arguments: &[&str]) -> Ran {
        let path = self.project.path().to_str().unwrap();
        let line = ["build", "--builder", "farm", "--progress", "plain"];
        self.client
            .run("kiln", &[&line, arguments, &[path]].concat())
    }

    /// How many builds each daemon made.
    fn builds(&self) -> [usize; 2] {
        [0, 1].map(|one: usize| {
            let listed = self.daemons[one].kiln.ok(["history", "ls", "-q"]);
            listed.lines().count()
        })
    }
}

const BAKE: &str = r#"
variable "NAME" {}
target "default" {
  platforms = ["linux/amd64", "linux/arm64"]
  tags = ["${NAME}:baked"]
  output = ["type=registry"]
}
"#;

/// Architectures that an index leads to.
fn architectures(index: &[u8]) -> Vec<String> {
    let index: Value = serde_json::from_slice(index).unwrap();
    let manifests = index["manifests"].as_array().unwrap().iter();
    let architecture = |one: &Value| one["platform"]["architecture"].as_str().unwrap().to_owned();
    manifests.map(architecture).collect()
}

#[test]
fn push_one_image() {
    let registry = new_registry();
    let farm = Farm::new(&registry.host());
    let name = format!("{}/me/both", registry.host());
    let metadata = farm.project.join("metadata");
    let (first, second) = (format!("{name}:1"), format!("{name}:2"));
    let ran = farm.build(&[
        "--platform",
        BOTH,
        "--push",
        "-t",
        &first,
        "-t",
        &second,
        "--metadata-file",
        metadata.to_str().unwrap(),
    ]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    for step in ["[farm0 ", "[farm1 ", "COPY amd64 /arch", "COPY arm64 /arch"] {
        assert!(ran.stderr.contains(step), "{}", ran.stderr);
    }
    assert_eq!(farm.builds(), [1, 1]);
    let (descriptor, index) = registry.manifest("me/both", "1").unwrap();
    assert_eq!(architectures(&index), ["amd64", "arm64"]);
    assert_eq!(registry.manifest("me/both", "2").unwrap().1, index);
    let metadata: Value = serde_json::from_slice(&fs::read(metadata).unwrap()).unwrap();
    assert_eq!(
        metadata["containerimage.digest"],
        descriptor.digest.to_string()
    );
    // Nobody has a part of it under the name of all.
    assert!(!farm.daemons.iter().any(|daemon| has(daemon, &first)));

    let mut bake = farm.client.command("kiln");
    bake.args(["bake", "--builder", "farm"]).env("NAME", &name);
    crate::kiln::finish(bake.current_dir(farm.project.path())).ok();
    assert_eq!(registry.manifest("me/both", "baked").unwrap().1, index);

    // What one of them can do alone, it does.
    let one = ["--platform", "linux/arm64", "-t", "one"];
    assert_eq!(farm.build(&one).code, 0);
    assert!(!has(&farm.daemons[0], "one") && has(&farm.daemons[1], "one"));
    let by_buildx = [
        "build",
        "--builder",
        "farm",
        "--platform",
        BOTH,
        "--provenance=false",
        "-o",
        &format!("type=image,name={name}:buildx,push=true"),
        farm.project.path().to_str().unwrap(),
    ];
    if let Some(ran) = buildx(&farm.client, &by_buildx) {
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert_eq!(registry.manifest("me/both", "buildx").unwrap().1, index);
    }
}

#[test]
fn files_are_side_by_side_and_nothing_else_is_split() {
    let registry = new_registry();
    let farm = Farm::new(&registry.host());
    let out = farm.project.join("out");
    let local = format!("type=local,dest={}", out.display());
    let ran = farm.build(&["--platform", BOTH, "-o", &local]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    for architecture in ["amd64", "arm64"] {
        let file = out.join(format!("linux_{architecture}/arch"));
        let content = fs::read_to_string(file).unwrap();
        assert_eq!(content, format!("is {architecture}"));
    }
    let archive = format!("type=oci,dest={}", farm.project.join("a.tar").display());
    for arguments in [
        &["-o", &archive][..],
        &["--load"],
        &["-o", "type=tar,dest=b.tar"],
    ] {
        let ran = farm.build(&[&["--platform", BOTH], arguments].concat());
        let together = "cannot be had of several nodes together";
        assert!(ran.stderr.contains(together), "{}", ran.stderr);
        let hints = ran.hints().concat();
        assert!(hints.contains("--push"), "{hints}");
        assert_ne!(ran.code, 0);
    }
    // For one of them it goes well, into the store here.
    let ran = farm.build(&["--platform", "linux/arm64", "--load", "-t", "loaded"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let found = farm
        .client
        .kiln
        .ok(["image", "inspect", "-f", "{{.Architecture}}", "loaded"]);
    assert_eq!(found, "arm64\n");
}

#[test]
fn a_node_that_is_gone_is_named() {
    let registry = new_registry();
    let mut farm = Farm::new(&registry.host());
    let gone = host(&farm.daemons[1]);
    farm.daemons[1].crash();
    let name = format!("{}/me/both", registry.host());
    let ran = farm.build(&["--platform", BOTH, "--push", "-t", &name]);
    let socket = gone.strip_prefix("unix://").unwrap().to_owned();
    assert!(ran.error().contains(&format!("cannot connect to {socket}")));
    assert!(registry.manifest("me/both", "latest").is_none());
    // Who is for a platform that nobody is said to be for is asked of all.
    let ran = farm.build(&["--platform", "linux/riscv64", "-t", &name]);
    assert!(
        ran.error()
            .starts_with("ERROR: failed to build: node farm1: cannot connect")
    );
    let alone = farm.build(&["--platform", "linux/amd64", "-t", "one"]);
    assert_eq!(alone.code, 0, "{}", alone.stderr);
    let listed = farm
        .client
        .builder(&["ls", "--format", "{{.Name}} {{.Status}}"])
        .ok();
    for line in ["farm0 running", "farm1 inactive"] {
        assert!(listed.lines().any(|one| one == line), "{listed}");
    }
}
