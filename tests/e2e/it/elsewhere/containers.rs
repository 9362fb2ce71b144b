//! Containers of a daemon that is another process, by the same commands as those of the store here.

use std::fs;

use super::{build, client, same};
use crate::kiln::{Project, Ran, finish, tool};
use crate::serving::Daemon;

fn ask(daemon: &Daemon, arguments: &[&str]) -> Ran {
    finish(client(daemon).args(arguments))
}

fn ok(daemon: &Daemon, arguments: &[&str]) -> String {
    ask(daemon, arguments).ok()
}

fn built(daemon: &Daemon) -> Project {
    let project = Project::of("FROM alpine\nENV A=1\nRUN mkdir /d && echo x >/d/x\n");
    let ran = build(daemon, &project, &["-t", "app"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    project
}

#[test]
fn created_shown_and_removed() {
    let daemon = Daemon::new();
    built(&daemon);
    let flags = [
        "--name", "one", "-e", "B=2", "-w", "/d", "-h", "host", "-u", "1:2",
    ];
    let line = [
        &["create"][..],
        &flags,
        &["--network", "none", "app", "cat", "x"],
    ]
    .concat();
    let id = ok(&daemon, &line);
    assert_eq!(id.trim().len(), 64);
    for line in [
        &["ps", "-a"][..],
        &["ps", "--all", "--no-trunc", "--format", "json"],
        &["container", "ls", "-aq", "--filter", "name=one"],
        &["ps", "-q", "--filter", "status=created"],
        &["ps"],
        &[
            "inspect",
            "one",
            "--format",
            "{{.Name}} {{.Config.Env}} {{.Config.WorkingDir}}",
        ],
        &[
            "container",
            "inspect",
            "-f",
            "{{.Config.Hostname}} {{.Config.User}} {{.Args}}",
            "one",
        ],
    ] {
        same(&daemon, line);
    }
    assert_eq!(
        ok(&daemon, &["ps", "-a", "--format", "{{.Names}} {{.Status}}"]),
        "one Created\n"
    );
    let again = ask(&daemon, &["create", "--name", "one", "app"]).error();
    assert!(again.contains("one"), "{again}");
    let ran = ask(&daemon, &["rm", "nothing", "one"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, "one\n"));
    assert!(
        ran.stderr.contains("No such container: nothing"),
        "{}",
        ran.stderr
    );
    assert_eq!(ok(&daemon, &["ps", "-aq"]), "");
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn files_are_copied() {
    let daemon = Daemon::new();
    let project = built(&daemon);
    ok(&daemon, &["create", "--name", "one", "app", "true"]);
    let out = project.join("out");
    let path = out.to_str().unwrap();
    ok(&daemon, &["cp", "one:/d", path]);
    assert_eq!(fs::read_to_string(out.join("x")).unwrap(), "x\n");
    fs::write(out.join("y"), "y\n").unwrap();
    ok(&daemon, &["cp", &format!("{path}/."), "one:/new"]);
    ok(
        &daemon,
        &["container", "cp", &format!("{path}/y"), "one:/d/x"],
    );
    let mut shell = daemon.kiln.shell("\"$0\" cp one:/new - | tar -t");
    let host = format!("unix://{}", daemon.socket.display());
    let listed = finish(
        shell
            .env("KILN_HOST", &host)
            .env("KILN_ROOT", "/nowhere/at/all"),
    )
    .ok();
    assert_eq!(listed, "new/\nnew/x\nnew/y\n");
    let mut shell = daemon.kiln.shell("tar -cC \"$1\" y | \"$0\" cp - one:/d");
    let shell = shell.arg(path).env("KILN_HOST", &host);
    finish(shell.env("KILN_ROOT", "/nowhere/at/all")).ok();
    let back = project.join("back");
    ok(&daemon, &["cp", "one:/d/.", back.to_str().unwrap()]);
    let read = |name: &str| fs::read_to_string(back.join(name)).unwrap();
    assert_eq!((read("x"), read("y")), ("y\n".into(), "y\n".into()));
    for line in [
        &["cp", "one:/nothing", path][..],
        &["cp", "nothing:/x", path],
        &["cp", path, "nothing:/x"],
        &["cp", &format!("{path}/y"), "one:/missing/"],
    ] {
        let there = ask(&daemon, line).error();
        assert_eq!(there, daemon.kiln.run(line).error(), "{line:?}");
    }
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn run_to_their_end() {
    let daemon = Daemon::new();
    built(&daemon);
    let script = "echo out; echo err >&2; exit 7";
    let ran = ask(
        &daemon,
        &["run", "--rm", "-e", "B=2", "app", "sh", "-c", script],
    );
    assert_eq!(
        (ran.code, ran.stdout.as_str(), ran.stderr.as_str()),
        (7, "out\n", "err\n")
    );
    assert_eq!(ok(&daemon, &["ps", "-aq"]), "", "it went by itself");
    assert_eq!(ok(&daemon, &["run", "app", "sh", "-c", "echo $A"]), "1\n");
    let status = ["ps", "-a", "--filter", "exited=0", "--format", "{{.State}}"];
    assert_eq!(ok(&daemon, &status), "exited\n");
    // Much of it comes whole, in both directions.
    let mut shell = daemon
        .kiln
        .shell("seq 1 200000 | \"$0\" run --rm -i app cat | md5sum; seq 1 200000 | md5sum");
    let host = format!("unix://{}", daemon.socket.display());
    let shell = shell
        .env("KILN_HOST", &host)
        .env("KILN_ROOT", "/nowhere/at/all");
    let sums = finish(shell).ok();
    let sums: Vec<&str> = sums.lines().collect();
    assert!(sums.len() == 2 && sums[0] == sums[1], "{sums:?}");
    let missing = ask(&daemon, &["run", "--rm", "app", "/nothing"]);
    assert_eq!(missing.code, 127, "{}", missing.stderr);
    let unknown = ask(&daemon, &["run", "--pull", "never", "nothing"]);
    assert_eq!(unknown.code, 125, "{}", unknown.stderr);
    assert!(unknown.error().contains("No such image: nothing"));
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn signals_are_passed_on() {
    let daemon = Daemon::new();
    built(&daemon);
    let script = "trap 'echo ended; exit 3' TERM; echo begun; while :; do sleep 0.1; done";
    let mut run = client(&daemon);
    run.args([
        "run", "--rm", "--name", "trapped", "app", "sh", "-c", script,
    ]);
    let child = daemon.kiln.start(&mut run);
    daemon.until("it runs", || {
        !ok(&daemon, &["ps", "-q", "--filter", "name=trapped"]).is_empty()
    });
    // The trap is set right after.
    std::thread::sleep(std::time::Duration::from_millis(500));
    tool("kill", &["-TERM", &child.id().to_string()]);
    let ran = crate::kiln::ended(child);
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert!(ran.stdout.ends_with("ended\n"), "{}", ran.stdout);
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn nobody_reads_what_it_writes() {
    let daemon = Daemon::new();
    built(&daemon);
    // Nothing goes on there. Here the program writes to the pipe itself, and says how it ended: no
    // signal of the kernel's ends the first process of a container.
    let script = "(timeout 20 \"$0\" run --rm app yes; echo $? >&2) | head -n 1";
    let there = format!("unix://{}", daemon.socket.display());
    for (host, code) in [(there, "141\n"), (String::new(), "1\n")] {
        let ran = finish(daemon.kiln.shell(script).env("KILN_HOST", host));
        assert_eq!(ran.stdout, "y\n");
        assert!(ran.stderr.ends_with(code), "{}", ran.stderr);
        assert_eq!(ok(&daemon, &["ps", "-aq"]), "");
    }
    assert_eq!(daemon.stop().code, 0);
}

/// Runs a command on a terminal, types the keys that leave it once it has said that it is ready, and
/// says how the command ended.
const LEAVE: &str = r#"
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
said = b""
while b"ready" not in said:
    said += os.read(terminal, 1024)
os.write(terminal, b"a\x10")
os.write(terminal, b"\x11")
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"#;

#[test]
fn a_terminal_is_left_by_keys() {
    let daemon = Daemon::new();
    built(&daemon);
    let run = client(&daemon);
    let mut python = crate::kiln::command("timeout");
    python.args(["20", "python3", "-c", LEAVE]);
    python.arg(run.get_program()).env_clear();
    for (name, value) in run.get_envs() {
        python.envs(value.map(|value| (name, value)));
    }
    let script = "echo ready; read x; sleep 100";
    let words = [
        "run", "-it", "--rm", "--name", "left", "app", "sh", "-c", script,
    ];
    assert_eq!(finish(python.args(words)).ok(), "0\n");
    let state = ["ps", "--format", "{{.State}}"];
    assert_eq!(ok(&daemon, &state), "running\n", "it goes on");
    ok(&daemon, &["rm", "-f", "left"]);
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn unnamed_volumes_go_with_their_container() {
    let daemon = Daemon::new();
    built(&daemon);
    let volumes = || {
        let listed = daemon.ask("GET /volumes", b"").json();
        listed["Volumes"].as_array().unwrap().len()
    };
    for remove in [client(&daemon), daemon.kiln.command()] {
        let mut remove = remove;
        let asked = br#"{"Image":"app","Volumes":{"/data":{}}}"#;
        let answer = daemon.ask("POST /containers/create?name=one", asked);
        assert_eq!((answer.status, volumes()), (201, 1), "{}", answer.text());
        assert_eq!(finish(remove.args(["rm", "-v", "one"])).ok(), "one\n");
        assert_eq!(volumes(), 0);
    }
    assert_eq!(daemon.stop().code, 0);
}

#[test]
fn labels_are_the_containers_own() {
    let daemon = Daemon::new();
    built(&daemon);
    let prune = ["system", "prune", "--force", "--filter", "label=mine=1"];
    for prune_it in [client(&daemon), daemon.kiln.command()] {
        let mut prune_it = prune_it;
        for (name, labels) in [("one", "\"mine\":\"1\""), ("two", "")] {
            let asked = format!("{{\"Image\":\"app\",\"Labels\":{{{labels}}}}}");
            let line = format!("POST /containers/create?name={name}");
            assert_eq!(daemon.ask(&line, asked.as_bytes()).status, 201);
        }
        let gone = finish(prune_it.args(prune)).ok();
        assert!(gone.starts_with("Deleted Containers:\n"), "{gone}");
        assert_eq!(
            ok(&daemon, &["ps", "-a", "--format", "{{.Names}}"]),
            "two\n"
        );
        ok(&daemon, &["rm", "two"]);
    }
    assert_eq!(daemon.stop().code, 0);
}
