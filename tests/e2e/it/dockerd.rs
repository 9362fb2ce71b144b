//! kiln's own commands as a client of the real engine: what they print is what the real client
//! prints of the same. Needs the engine of `cargo xtask test --peers`; without it there is nothing
//! to run.

use std::fs;
use std::path::Path;

use testkit::Scratch;

use crate::clients::{like, link};
use crate::kiln::{Kiln, Project, Ran, ended, finish, variable};
use crate::peers::Docker;

/// The engine with nothing in it, and kiln without a store.
struct There {
    docker: Docker,
    kiln: Kiln,
    /// Where may be pushed to.
    registry: String,
}

impl There {
    fn new() -> Option<Self> {
        let docker = Docker::new()?;
        docker.run(&["system", "prune", "--all", "--force"]).ok();
        let registry = variable("KILN_TEST_SCRATCH_REGISTRY").unwrap();
        Some(Self {
            docker,
            kiln: Kiln::with_config(&variable("KILN_TEST_CONFIG").unwrap()),
            registry: registry.display().to_string(),
        })
    }

    fn command(&self) -> std::process::Command {
        let mut command = self.kiln.command();
        command.env("KILN_ROOT", "/nowhere/at/all").env(
            "KILN_HOST",
            format!("unix://{}", self.docker.socket.display()),
        );
        command
    }

    fn ask(&self, words: &[&str]) -> Ran {
        finish(self.command().args(words))
    }

    fn ok(&self, words: &[&str]) -> String {
        self.ask(words).ok()
    }

    /// What kiln prints, which is what the real client prints.
    fn same(&self, words: &[&str]) -> String {
        let (ours, theirs) = (self.ok(words), self.docker.run(words).ok());
        assert_eq!(ours, theirs, "{words:?}");
        ours
    }

    /// A shell in which kiln is `$0`.
    fn shell(&self, script: &str) -> Ran {
        let like = self.command();
        let mut shell = self.kiln.shell(script);
        for (name, value) in like.get_envs() {
            shell.envs(value.map(|value| (name, value)));
        }
        finish(&mut shell)
    }
}

#[test]
fn images() {
    let Some(there) = There::new() else { return };
    let first = there.ok(&["pull", "alpine"]);
    let end = "Status: Downloaded newer image for alpine:latest\ndocker.io/library/alpine:latest\n";
    assert!(first.ends_with(end), "{first}");
    let again = there.ok(&["pull", "alpine"]);
    assert!(again.contains("Status: Image is up to date for alpine:latest\n"));
    let missing = there.ask(&["pull", "nothing-of-that-name"]);
    assert_eq!(missing.code, 1, "{}", missing.stderr);

    let name = format!("{}/dockerd/app:1", there.registry);
    there.ok(&["tag", "alpine", &name]);
    let pushed = there.ok(&["push", &name]);
    let (last, theirs) = (
        pushed.lines().last().unwrap(),
        there.docker.run(&["push", &name]).ok(),
    );
    assert_eq!(Some(last), theirs.lines().last());
    assert!(last.starts_with("1: digest: sha256:"), "{pushed}");
    assert_eq!(there.ok(&["push", "-q", &name]), format!("{name}\n"));

    let row = "{{.Repository}} {{.Tag}} {{.ID}} {{.Size}}";
    for words in [
        &["images", "--format", row][..],
        &["images", "-q", "--no-trunc"],
        &["images", "--format", "{{.Digest}}", "--digests", "alpine"],
        &["images", "-aq"],
        &["images", "--filter", "since=alpine", "-q"],
        &[
            "image",
            "inspect",
            "-f",
            "{{.Id}} {{.Created}} {{json .Config.Cmd}}",
            "alpine",
        ],
        &[
            "history",
            "--no-trunc",
            "--format",
            "{{.ID}} {{.CreatedBy}} {{.Size}}",
            "alpine",
        ],
        &["history", "-q", "alpine"],
    ] {
        there.same(words);
    }
    let here = there.kiln.scratch("archives");
    let archive = here.join("a.tar");
    let archive = archive.to_str().unwrap();
    there.ok(&["save", "-o", archive, "alpine", &name]);
    let gone = there.ok(&["rmi", &name]);
    assert!(gone.starts_with(&format!("Untagged: {name}\n")), "{gone}");
    assert!(there.ok(&["rmi", "alpine"]).contains("Deleted: sha256:"));
    assert_eq!(there.ok(&["images", "-q"]), "");
    let loaded = there.ok(&["load", "-i", archive]);
    assert!(loaded.contains("Loaded image: alpine:latest\n"), "{loaded}");
    for (words, why) in [
        (&["rmi", "nothing"][..], "No such image: nothing"),
        (&["tag", "nothing", "x"], "No such image: nothing"),
        (&["history", "nothing"], "No such image: nothing"),
        (&["inspect", "nothing"], "No such object: nothing"),
        (&["load", "-i", here.to_str().unwrap()], "is a directory"),
        (&["save", "-o", archive, "nothing"], "nothing"),
        (&["push", "nothing"], "nothing"),
    ] {
        let ran = there.ask(words);
        assert!(
            ran.code == 1 && ran.stderr.contains(why),
            "{words:?} {}",
            ran.stderr
        );
    }
    there.ok(&["rmi", &name]);
    let pruned = there.ok(&["image", "prune", "--all", "--force"]);
    assert!(pruned.starts_with("Deleted Images:\n"), "{pruned}");
    assert_eq!(there.ok(&["images", "-q"]), "");
}

#[test]
fn containers() {
    let Some(there) = There::new() else { return };
    there.ok(&["pull", "-q", "alpine"]);
    let flags = [
        "--name",
        "one",
        "--network",
        "none",
        "-e",
        "B=2",
        "-w",
        "/tmp",
        "-u",
        "1:2",
    ];
    let line = [&["create"], &flags[..], &["alpine", "cat", "x"]].concat();
    assert_eq!(there.ok(&line).trim().len(), 64);
    assert_eq!(there.ask(&line).code, 1, "the name is taken");
    for words in [
        &[
            "ps",
            "-a",
            "--no-trunc",
            "--format",
            "{{.ID}} {{.Image}} {{.Command}} {{.Status}}",
        ][..],
        &["ps", "-q"],
        &["ps", "-aq", "--filter", "name=one"],
        &[
            "inspect",
            "-f",
            "{{.Name}} {{.Config.Env}} {{.Config.User}} {{.Args}}",
            "one",
        ],
    ] {
        there.same(words);
    }
    files(&there);
    let ran = there.ask(&["rm", "-v", "nothing", "one"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, "one\n"));
    assert!(ran.stderr.contains("No such container: nothing"));

    let run = ["run", "--rm", "--network", "none", "alpine"];
    let script = ["sh", "-c", "echo out; echo err >&2; exit 7"];
    let ran = there.ask(&[&run[..], &script].concat());
    assert_eq!(
        (ran.code, ran.stdout.as_str(), ran.stderr.as_str()),
        (7, "out\n", "err\n")
    );
    assert_eq!(there.ask(&[&run[..], &["/nothing"]].concat()).code, 127);
    assert_eq!(there.ask(&[&run[..], &["/etc"]].concat()).code, 126);
    let limited = [
        "run",
        "--rm",
        "--network",
        "none",
        "--memory",
        "64m",
        "--ulimit",
        "nofile=99",
    ];
    let limited = [
        &limited[..],
        &["--cpus", "0.5", "--pids-limit", "20", "alpine"],
    ]
    .concat();
    assert_eq!(
        there.ok(&[&limited[..], &["sh", "-c", "ulimit -n"]].concat()),
        "99\n"
    );
    let piped = "seq 1 50000 | \"$0\" run --rm -i --network none alpine cat | md5sum";
    let expected = there.shell("seq 1 50000 | md5sum").ok();
    assert_eq!(there.shell(piped).ok(), expected);
    let unread = "(timeout 20 \"$0\" run --rm --network none alpine yes; echo $? >&2) | head -n 1";
    let ran = there.shell(unread);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("y\n", "141\n"));
    interrupted(&there);
    assert_eq!(there.ok(&["ps", "-aq"]), "");
    there.ok(&["create", "--network", "none", "alpine"]);
    let pruned = there.ok(&["system", "prune", "--force"]);
    assert!(pruned.starts_with("Deleted Containers:\n"), "{pruned}");
}

fn files(there: &There) {
    let here = Project::new(&[("note", "a note\n"), ("d/x", "x\n")]);
    let path = |name: &str| here.join(name).to_str().unwrap().to_owned();
    there.ok(&["cp", &path("note"), "one:/tmp/note"]);
    there.ok(&["cp", &path("d"), "one:/new"]);
    there.ok(&["cp", "one:/tmp/note", &path("back")]);
    there.ok(&["cp", "one:/new/.", &path("all")]);
    let read = |name: &str| fs::read_to_string(here.join(name)).unwrap();
    assert_eq!(
        (read("back"), read("all/x")),
        ("a note\n".into(), "x\n".into())
    );
    for (words, why) in [
        (
            ["cp", "one:/nothing", &path("y")],
            "Could not find the file /nothing in container one",
        ),
        (
            ["cp", "nothing:/x", &path("y")],
            "No such container: nothing",
        ),
        (["cp", &path("note"), "one:/missing/"], "no such directory"),
    ] {
        let error = there.ask(&words).error();
        assert_eq!(error, format!("ERROR: {why}"));
    }
}

/// A signal reaches the container's process, whose code is kiln's.
fn interrupted(there: &There) {
    let script = "trap 'echo ended; exit 3' TERM; echo begun; while :; do sleep 0.1; done";
    let mut run = there.command();
    run.args([
        "run",
        "--rm",
        "--network",
        "none",
        "alpine",
        "sh",
        "-c",
        script,
    ]);
    let child = there.kiln.start(&mut run);
    std::thread::sleep(std::time::Duration::from_secs(3));
    crate::kiln::tool("kill", &["-TERM", &child.id().to_string()]);
    let ran = ended(child);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert!(ran.stdout.ends_with("ended\n"), "{}", ran.stdout);
}

#[test]
fn builds() {
    let Some(there) = There::new() else { return };
    let project = Project::new(&[
        ("Dockerfile", "FROM alpine\nCOPY a /\n"),
        ("a", "content\n"),
    ]);
    let path = project.path().to_str().unwrap();
    let scratch = Scratch::new();
    // By the variable of kiln's, and by the name and the variable of docker's.
    let host = format!("unix://{}", there.docker.socket.display());
    let name = |which: &str| format!("{}/dockerd/{which}:1", there.registry);
    there.ok(&["build", "-t", &name("own"), "--push", path]);
    let docker = link(&there.kiln, &there.kiln.scratch("bin"), "docker");
    let ask = |program: &Path, words: &[&str]| {
        finish(
            like(&there.kiln, program)
                .env("DOCKER_HOST", &host)
                .args(words),
        )
        .ok()
    };
    let id = ask(
        &docker,
        &["build", "-q", "-t", &name("named"), "--push", path],
    );
    // That of the config, as buildx has it, whatever docker calls the image in its store.
    assert!(id.starts_with("sha256:"), "{id}");
    for which in ["own", "named"] {
        let shown = there.same(&["image", "inspect", "-f", "{{.Id}}", &name(which)]);
        assert!(shown.starts_with("sha256:"), "{shown}");
        there.docker.run(&["pull", &name(which)]).ok();
    }
    let out = scratch.join("out");
    there.ok(&["build", "-o", out.to_str().unwrap(), path]);
    assert_eq!(fs::read_to_string(out.join("a")).unwrap(), "content\n");
    assert!(there.ok(&["du"]).contains("regular"));
    assert!(there.ok(&["history", "ls"]).lines().count() > 2);
    assert!(
        there
            .ok(&["builder", "prune", "--all", "--force"])
            .contains("Total")
    );
    let failed = there.ask(&["build", "--build-arg", "A=b", "-f", "/nowhere", path]);
    assert_eq!(failed.code, 1, "{}", failed.stderr);
}
