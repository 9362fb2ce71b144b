//! `kiln build` through a builder that is another process: kiln itself as the daemon.

mod containers;
mod history;
mod hostile;
mod images;
mod in_place;
mod times;

use std::fs;
use std::path::Path;

use testkit::Scratch;

use crate::kiln::{Kiln, Project, Ran, command, ended, finish, tool};
use crate::serving::Daemon;
use crate::ssh;

/// The client, which has no store of its own.
fn client(daemon: &Daemon) -> std::process::Command {
    let mut command = daemon.kiln.command();
    command
        .env("KILN_ROOT", "/nowhere/at/all")
        .env("KILN_HOST", format!("unix://{}", daemon.socket.display()));
    command
}

fn build(daemon: &Daemon, project: &Project, arguments: &[&str]) -> Ran {
    let mut command = client(daemon);
    command.args(["build", "--progress", "plain"]);
    finish(command.args(arguments).arg(project.path()))
}

/// What `line` shows of the daemon, which is what it shows here of the daemon's own store. How long
/// ago something was may change between the two.
fn same(daemon: &Daemon, line: &[&str]) -> String {
    let ask = || (finish(client(daemon).args(line)).ok(), daemon.kiln.ok(line));
    let (mut there, mut here) = ask();
    for _ in 0..5 {
        if there == here {
            break;
        }
        (there, here) = ask();
    }
    assert_eq!(there, here, "{line:?}");
    there
}

/// What a build without the daemon says, on the daemon's own store.
fn here(daemon: &Daemon, project: &Project, arguments: &[&str]) -> Ran {
    daemon.kiln.try_build(project, arguments)
}

#[test]
fn builds_there_what_it_would_build_here() {
    let daemon = Daemon::new();
    let project = Project::new(&[
        (
            "Dockerfile",
            "FROM alpine AS one\nARG WHO=nobody\nCOPY . /files\nRUN cat /files/a > /b; echo hello $WHO\n\
             FROM alpine\nCOPY --from=one /b /b\nCOPY --from=more c /c\nLABEL who=kiln\n",
        ),
        (".dockerignore", "left-out\n"),
        ("a", "first\n"),
        ("left-out", "large\n"),
    ]);
    let more = Project::new(&[("c", "third\n")]);
    let context = format!("more={}", more.path().display());
    let iidfile = project.join("left-out");
    let (iid, metadata) = (iidfile.to_str().unwrap(), more.join("metadata"));
    let arguments = [
        "-t",
        "made:1",
        "--build-arg",
        "WHO=world",
        "--build-context",
        &context,
        "--iidfile",
        iid,
        "--metadata-file",
        metadata.to_str().unwrap(),
    ];
    let ran = build(&daemon, &project, &arguments);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains(" hello world\n"), "{}", ran.stderr);
    assert!(ran.stderr.contains("[one 3/3] RUN cat"), "{}", ran.stderr);
    let image = daemon.ask("GET /images/made:1/json", b"").json();
    assert_eq!(image["Config"]["Labels"]["who"], "kiln");
    let id = fs::read_to_string(&iidfile).unwrap();
    let metadata: serde_json::Value =
        serde_json::from_slice(&fs::read(&metadata).unwrap()).unwrap();
    assert_eq!(metadata["containerimage.config.digest"], id.as_str());
    assert_eq!(metadata["image.name"], "docker.io/library/made:1");

    // Here all of it is known, since both have one store, and it comes to the same image.
    let again = here(&daemon, &project, &arguments);
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert_eq!(
        again.stderr.matches("CACHED").count(),
        5,
        "{}",
        again.stderr
    );
    assert_eq!(fs::read_to_string(&iidfile).unwrap(), id);
    let mut quiet = client(&daemon);
    quiet.args(["build", "-q"]).args(&arguments[..6]);
    let quiet = finish(quiet.arg(project.path()));
    assert_eq!(quiet.stdout, format!("{id}\n"));
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn failures_are_those_of_a_build_here() {
    let daemon = Daemon::new();
    // What is between the first line of a rule and the end.
    let said = |ran: &Ran| {
        let from = ran
            .stderr
            .find("------\n > ")
            .or(ran.stderr.find("Dockerfile:"));
        ran.stderr[from.unwrap_or_default()..].to_owned()
    };
    let without_times = |text: String| -> String {
        let is_stamp = |word: &&str| word.contains('.') && word.parse::<f64>().is_ok();
        let lines = text.lines().map(|line| {
            let words: Vec<&str> = line.split(' ').filter(|word| !is_stamp(word)).collect();
            words.join(" ") + "\n"
        });
        lines.collect()
    };
    for text in [
        "FROM alpine\nRUN echo why; exit 3\n",
        "FROM alpine\nBAD\n",
        "FROM alpine\nCOPY nothing /\n",
        "FROM alpine\nRUN --mount=type=secret,id=a,required true\n",
        "FROM nothing-of-this-name\n",
    ] {
        let project = Project::of(text);
        let there = build(&daemon, &project, &[]);
        let here = here(&daemon, &project, &[]);
        assert_eq!(there.code, here.code, "{text}{}", there.stderr);
        let [there, here] = [&there, &here].map(|ran| without_times(said(ran)));
        assert_eq!(there, here, "{text}");
    }
}

#[test]
fn what_steps_ask_for_is_the_clients() {
    let daemon = Daemon::new();
    let project = Project::new(&[
        (
            "Dockerfile",
            "FROM alpine\nRUN --mount=type=secret,id=a cat /run/secrets/a && echo \"found $(cat /run/secrets/a)\"\n\
             RUN --mount=type=ssh test -S $SSH_AUTH_SOCK && echo there is an agent\n",
        ),
        ("secret", "secret-of-a-test"),
    ]);
    let socket = project.join("agent");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let ssh = format!("default={}", socket.display());
    let secret = format!("id=a,src={}", project.join("secret").display());
    let ran = build(&daemon, &project, &["--secret", &secret, "--ssh", &ssh]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("found secret-of-a-test"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("there is an agent"), "{}", ran.stderr);
}

#[test]
fn agents_sign_for_steps() {
    let daemon = Daemon::new();
    let project =
        Project::of("FROM alpine\nCOPY root /\nRUN --mount=type=ssh /usr/bin/ssh-add -l\n");
    let key = ssh::key(&project.join("id"), &["-t", "ed25519", "-N", ""]);
    ssh::install("/usr/bin/ssh-add", &project.join("root"));
    // One that kiln is itself, for a key in a file.
    let ran = build(&daemon, &project, &["--ssh", &format!("default={key}")]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("(ED25519)"), "{}", ran.stderr);
}

#[test]
fn what_is_exported_comes_to_the_client() {
    let daemon = Daemon::new();
    let project = Project::new(&[
        ("Dockerfile", "FROM scratch\nCOPY a /d/a\n"),
        ("a", "content\n"),
    ]);
    let out = Project::new(&[("files/other", "stays\n"), ("files/d/a", "old\n")]);
    let place = |name: &str| out.join(name).to_str().unwrap().to_owned();
    let (files, tar) = (place("files"), format!("type=tar,dest={}", place("a.tar")));
    let oci = format!("type=oci,dest={}", place("oci.tar"));
    let ran = build(
        &daemon,
        &project,
        &["-o", &files, "-o", &tar, "-o", &oci, "-t", "x"],
    );
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let read = |name: &str| fs::read_to_string(out.join(name)).unwrap();
    assert_eq!(
        (read("files/d/a"), read("files/other")),
        ("content\n".into(), "stays\n".into())
    );
    let listed = tool("tar", &["-tf", &place("a.tar")]);
    assert!(listed.contains("d/a\n"), "{listed}");
    let listed = tool("tar", &["-tf", &place("oci.tar")]);
    assert!(listed.contains("index.json\n"), "{listed}");
    let stdout = build(&daemon, &project, &["-o", "-"]);
    let begin = stdout.stdout.starts_with("d/");
    assert!(
        stdout.code == 0 && begin,
        "{}{}",
        stdout.stdout,
        stdout.stderr
    );
    // What cannot be written is an error, and half a file is not left.
    let nowhere = format!("type=tar,dest={}", place("missing/a.tar"));
    let failed = build(&daemon, &project, &["-o", &nowhere]);
    assert!(failed.error().contains("No such file or directory"));
}

#[test]
fn contexts_of_all_kinds() {
    let daemon = Daemon::new();
    let project = Project::new(&[
        ("sub/Dockerfile.other", "FROM scratch\nCOPY a /\n"),
        ("sub/Dockerfile.other.dockerignore", "b\n"),
        ("a", "content\n"),
        ("b", "left out\n"),
    ]);
    tool("ln", &["-s", "a", project.join("link").to_str().unwrap()]);
    let file = project.join("sub/Dockerfile.other");
    let ran = build(&daemon, &project, &["-f", file.to_str().unwrap()]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    // Links come as links.
    let linked = Project::new(&[("Dockerfile", "FROM scratch\nCOPY . /\n"), ("a", "x\n")]);
    tool("ln", &["-s", "a", linked.join("link").to_str().unwrap()]);
    let out = project.join("out");
    let ran = build(&daemon, &linked, &["-o", out.to_str().unwrap()]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(fs::read_link(out.join("link")).unwrap(), Path::new("a"));
    // An archive on standard input.
    let there = format!("unix://{}", daemon.socket.display());
    let mut shell = daemon.kiln.shell("tar -cC \"$1\" . | \"$0\" build -q -");
    let ran = finish(shell.arg(linked.path()).env("KILN_HOST", &there));
    assert!(
        ran.code == 0 && ran.stdout.starts_with("sha256:"),
        "{}",
        ran.stderr
    );
    // A Dockerfile on standard input, without a context.
    let script = "printf 'FROM scratch\\nLABEL a=b\\n' | \"$0\" build -q - ";
    let mut shell = daemon.kiln.shell(script);
    let ran = finish(shell.env("KILN_HOST", &there));
    assert!(
        ran.code == 0 && ran.stdout.starts_with("sha256:"),
        "{}",
        ran.stderr
    );
}

#[test]
fn what_cannot_be_asked_for_is_named() {
    let daemon = Daemon::new();
    let project = Project::of("FROM scratch\n");
    let refused = |arguments: &[&str]| build(&daemon, &project, arguments).error();
    let of = |what: &str, instead: &str| {
        format!(
            "ERROR: failed to build: {what} cannot be had of a builder that is another process: \
             {instead}"
        )
    };
    let scratch = Scratch::new();
    let cache = |name| format!("type=local,dest={}", scratch.join(name).display());
    let (one, other) = (cache("one"), cache("other"));
    for (arguments, what, instead) in [
        (
            vec!["--explain"],
            "--explain",
            "ask there: kiln history why",
        ),
        (
            vec!["--on-failure", "keep"],
            "--on-failure",
            "build in this process",
        ),
        (
            vec!["--jobs", "2"],
            "--jobs",
            "set it in the builder's configuration",
        ),
        (
            vec!["--resource", "memory=64m,time=5m"],
            "--resource with pids, time, output, disk or unlimited",
            "set it in the builder's configuration",
        ),
        (
            vec!["--cache-to", &one, "--cache-to", &other],
            "a cache in several directories (--cache-to type=local)",
            "write one and copy it",
        ),
        (
            vec!["--pull=never"],
            "--pull=newer or --pull=never",
            "use --pull, or leave it out",
        ),
    ] {
        assert_eq!(refused(&arguments), of(what, instead), "{arguments:?}");
    }
    // The daemon's own word.
    for entitlement in ["security.insecure", "network.host"] {
        let refused = refused(&["--allow", entitlement]);
        assert!(refused.contains(entitlement), "{refused}");
    }
    let nobody = finish(
        client(&daemon)
            .args(["build", "--builder", "unix:///nowhere/kiln.sock"])
            .arg(project.path()),
    );
    assert!(
        nobody
            .error()
            .contains("cannot connect to /nowhere/kiln.sock: No such file")
    );
    let other = finish(
        client(&daemon)
            .args(["build", "--builder", "ssh://a"])
            .arg(project.path()),
    );
    assert!(
        other
            .error()
            .contains("at unix://PATH and at tcp://HOST:PORT")
    );
}

#[test]
fn caches_and_layouts_are_directories_of_the_client() {
    let (daemon, other) = (Daemon::new(), Daemon::new());
    let scratch = Scratch::new();
    let place = scratch.join("cache");
    let from = format!("type=local,src={}", place.display());
    let to = format!("type=local,dest={},mode=max", place.display());
    let project =
        Project::of("FROM alpine AS one\nRUN echo a >/a\nFROM alpine\nCOPY --from=one /a /\n");
    let both = ["--cache-from", from.as_str(), "--cache-to", &to];
    // The first build finds none.
    let told = build(&daemon, &project, &both).stderr;
    assert!(!told.contains("CACHED"), "{told}");
    let layout = format!("type=oci,dest={}", scratch.join("a.tar").display());
    let told = build(&other, &project, &[&both[..], &["-o", &layout]].concat()).stderr;
    let is_known = |told: &str| {
        let mut lines = told.lines();
        let step = lines
            .find(|line| line.ends_with("] RUN echo a >/a"))
            .unwrap();
        told.contains(&format!("{} CACHED", step.split(' ').next().unwrap()))
    };
    assert!(is_known(&told), "{told}");
    // And in a process of its own.
    let told = Kiln::new().build(&project, &["--cache-from", &from]);
    assert!(is_known(&told), "{told}");
    let index: serde_json::Value =
        serde_json::from_slice(&fs::read(place.join("index.json")).unwrap()).unwrap();
    assert_eq!(index["manifests"].as_array().unwrap().len(), 1, "{index}");
    tool(
        "skopeo",
        &[
            "inspect",
            "--raw",
            &format!("oci:{}:latest", place.display()),
        ],
    );

    // A layout is a context.
    let image = scratch.dir("image");
    tool(
        "tar",
        &[
            "-xf",
            scratch.join("a.tar").to_str().unwrap(),
            "-C",
            image.to_str().unwrap(),
        ],
    );
    let project = Project::of("FROM base\nRUN cat /a >/b\n");
    let context = format!("base=oci-layout://{}", image.display());
    let out = scratch.join("out");
    let output = format!("type=local,dest={}", out.display());
    let arguments = ["--build-context", context.as_str(), "-o", &output];
    build(&daemon, &project, &arguments).ok();
    assert_eq!(fs::read_to_string(out.join("b")).unwrap(), "a\n");
    for daemon in [daemon, other] {
        assert_eq!(daemon.stop().code, 0);
    }
}

#[test]
fn the_cache_that_is_shown_and_pruned_is_the_builders() {
    let daemon = Daemon::new();
    let ask = |line: &[&str]| finish(client(&daemon).args(line));
    let mount = "--mount=type=cache,target=/c";
    let project = Project::of(&format!("FROM alpine\nRUN {mount} echo made >/made\n"));
    let built = build(&daemon, &project, &[]);
    assert_eq!(built.code, 0, "{}", built.stderr);
    let kinds = ["{{.Type}} {{.TotalCount}}"];
    let table = |command: &[&str]| ask(&[command, &["--format"], &kinds].concat()).ok();
    let shown = table(&["du"]);
    assert!(shown.contains("exec.cachemount 1\nregular "), "{shown}");
    assert_eq!(table(&["builder", "du"]), shown);
    assert_eq!(table(&["system", "df"]), shown);
    let each = ask(&["du", "--verbose", "--format", "json"]).ok();
    let records = each.lines().count();
    assert!(shown.ends_with(&format!("Total {records}\n")), "{shown}");

    let refused = ask(&["builder", "prune", "--force", "--dry-run"]);
    let why = "--dry-run cannot be had of a builder that is another process";
    assert!(refused.error().contains(why));
    let pruned = ask(&["builder", "prune", "--force"]).ok();
    assert!(pruned.contains("Total reclaimed space: "), "{pruned}");
    let shown = table(&["du"]);
    assert!(shown.contains("exec.cachemount 1\n"), "{shown}");
    let filtered = [
        "builder",
        "prune",
        "--force",
        "--verbose",
        "--filter",
        "type=exec.cachemount",
    ];
    let pruned = ask(&filtered).ok();
    assert!(pruned.contains("\nexec.cachemount "), "{pruned}");
    assert!(!table(&["du"]).contains("exec.cachemount"));
    ask(&["builder", "prune", "--force", "--all"]).ok();
    // The store here is asked for nothing: there is none.
    assert!(!Path::new("/nowhere/at/all").exists());
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn a_client_that_is_interrupted_ends_its_build() {
    let daemon = Daemon::new();
    let project = Project::of("FROM alpine\nRUN echo begun; sleep 98765\n");
    let mut build = client(&daemon);
    build.args(["build", "--progress", "plain"]);
    let child = daemon.kiln.start(build.arg(project.path()));
    let pid = child.id().to_string();
    let sleeps = || {
        let mut search = command("pgrep");
        finish(search.args(["-f", "sleep 98765"])).code == 0
    };
    daemon.until("the step runs", sleeps);
    tool("kill", &["-INT", &pid]);
    let ran = ended(child);
    assert_eq!(ran.code, 130, "{}", ran.stderr);
    daemon.until("the step is gone", || !sleeps());
    assert_eq!(daemon.stop().code, 0);
}
