//! Containers that `kiln serve` runs, by the protocol and by the real client where there is one.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::{Value, json};
use testkit::Scratch;
use testkit::network::greeter;

use crate::kiln::{command, finish};
use crate::serving::Daemon;

/// What clients ask for to get a stream.
const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: tcp\r\n";

/// A daemon that has the image.
fn daemon() -> Daemon {
    with_image(Daemon::new())
}

fn with_image(daemon: Daemon) -> Daemon {
    let told = daemon
        .ask("POST /images/create?fromImage=alpine&tag=latest", b"")
        .text();
    assert!(told.contains("Downloaded newer image"), "{told}");
    daemon
}

fn create(daemon: &Daemon, name: &str, what: &Value) -> String {
    let line = format!("POST /containers/create?name={name}");
    let answer = daemon.ask(&line, what.to_string().as_bytes());
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()["Id"].as_str().unwrap().to_owned()
}

fn post(daemon: &Daemon, path: &str) -> u16 {
    daemon.ask(&format!("POST {path}"), b"").status
}

/// What stands behind the head of a stream, stream by stream.
fn streams(bytes: &[u8]) -> [String; 2] {
    let end = bytes
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap();
    assert!(
        bytes.starts_with(b"HTTP/1.1 101"),
        "{}",
        String::from_utf8_lossy(bytes)
    );
    parts(&bytes[end + 4..])
}

fn parts(mut frames: &[u8]) -> [String; 2] {
    let mut parts = [String::new(), String::new()];
    while let [stream, 0, 0, 0, a, b, c, d, rest @ ..] = frames {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        parts[usize::from(stream - 1)].push_str(std::str::from_utf8(&rest[..length]).unwrap());
        frames = &rest[length..];
    }
    assert!(frames.is_empty());
    parts
}

#[test]
fn attached_waited_for_and_logged() {
    let daemon = daemon();
    let script = "read a; echo got $a; echo err >&2; exit 3";
    let id = create(
        &daemon,
        "one",
        &json!({"Image": "alpine", "Cmd": ["sh", "-c", script], "OpenStdin": true, "StdinOnce": true}),
    );
    let line = "POST /containers/one/attach?stream=1&stdin=1&stdout=1&stderr=1";
    let mut attached = daemon.send_with(line, UPGRADE, b"");
    let mut waiting = daemon.send("POST /containers/one/wait?condition=next-exit", b"");
    let mut head = [0; 12];
    waiting.read_exact(&mut head).unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");
    assert_eq!(post(&daemon, "/containers/one/start"), 204);
    assert_eq!(post(&daemon, "/containers/one/start"), 304);
    attached.write_all(b"this\n").unwrap();
    let mut bytes = Vec::new();
    attached.read_to_end(&mut bytes).unwrap();
    assert_eq!(streams(&bytes), ["got this\n", "err\n"]);
    let mut waited = String::new();
    waiting.read_to_string(&mut waited).unwrap();
    assert!(waited.contains("{\"StatusCode\":3}"), "{waited}");
    let state = daemon.ask("GET /containers/one/json", b"").json();
    assert_eq!(state["Id"], json!(id));
    assert_eq!(state["State"]["Status"], "exited");
    assert_eq!(state["State"]["ExitCode"], 3);
    let logs = |query: &str| {
        let answer = daemon.ask(&format!("GET /containers/one/logs?{query}"), b"");
        parts(&answer.body)
    };
    assert_eq!(logs("stdout=1&stderr=1&follow=1"), ["got this\n", "err\n"]);
    assert_eq!(logs("stderr=1"), ["", "err\n"]);
    assert_eq!(logs("stdout=1&tail=0"), ["", ""]);
    daemon.stop();
}

/// Programs that read to the end of their input see it when the client has no more.
#[test]
fn input_ends_with_the_clients() {
    let daemon = daemon();
    let what = json!({"Image": "alpine", "Cmd": ["cat"], "OpenStdin": true, "StdinOnce": true});
    create(&daemon, "one", &what);
    let line = "POST /containers/one/attach?stream=1&stdin=1&stdout=1";
    let mut attached = daemon.send_with(line, UPGRADE, b"");
    assert_eq!(post(&daemon, "/containers/one/start"), 204);
    attached.write_all(b"typed\n").unwrap();
    attached.shutdown(Shutdown::Write).unwrap();
    let mut bytes = Vec::new();
    attached.read_to_end(&mut bytes).unwrap();
    assert_eq!(streams(&bytes), ["typed\n", ""]);
    daemon.stop();
}

#[test]
fn joined_while_it_runs() {
    let daemon = daemon();
    create(
        &daemon,
        "one",
        &json!({"Image": "alpine", "Cmd": ["sleep", "1000"], "Env": ["A=b"]}),
    );
    assert_eq!(post(&daemon, "/containers/one/start"), 204);
    let exec = |what: Value| {
        let created = daemon.ask("POST /containers/one/exec", what.to_string().as_bytes());
        assert_eq!(created.status, 201, "{}", created.text());
        let id = created.json()["Id"].as_str().unwrap().to_owned();
        let mut stream = daemon.send_with(&format!("POST /exec/{id}/start"), UPGRADE, b"{}");
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let state = daemon.ask(&format!("GET /exec/{id}/json"), b"").json();
        (bytes, state["ExitCode"].clone())
    };
    let script = "echo $A; cat /proc/1/cmdline | tr '\\0' ' '; echo no >&2; exit 7";
    let (bytes, code) = exec(json!({
        "Cmd": ["sh", "-c", script], "AttachStdout": true, "AttachStderr": true
    }));
    assert_eq!(streams(&bytes), ["b\nsleep 1000 ", "no\n"]);
    assert_eq!(code, json!(7));
    let (bytes, code) = exec(json!({
        "Cmd": ["sh", "-c", "test -t 1 && tty"], "AttachStdout": true, "Tty": true
    }));
    assert!(
        bytes.ends_with(b"\r\n\r\n/dev/pts/0\r\n"),
        "{}",
        String::from_utf8_lossy(&bytes)
    );
    assert_eq!(code, json!(0));
    let (bytes, code) = exec(json!({"Cmd": ["nothing-of-that-name"], "AttachStdout": true}));
    let told = "exec failed: unable to start container process: exec: \
                \"nothing-of-that-name\": executable file not found in $PATH\r\n";
    assert_eq!(streams(&bytes), [told, ""]);
    assert_eq!(code, json!(127));
    assert_eq!(post(&daemon, "/containers/one/stop?t=0"), 204);
    let state = daemon.ask("GET /containers/one/json", b"").json();
    assert_eq!(state["State"]["ExitCode"], 137);
    daemon.stop();
}

#[test]
fn published_ports_lead_into_it() {
    let daemon = daemon();
    let script = "while true; do echo inside | nc -l -p 80; done";
    create(
        &daemon,
        "one",
        &json!({"Image": "alpine", "Cmd": ["sh", "-c", script], "HostConfig": {
            "PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}, "AutoRemove": true
        }}),
    );
    assert_eq!(post(&daemon, "/containers/one/start"), 204);
    let ports = &daemon.ask("GET /containers/one/json", b"").json()["NetworkSettings"]["Ports"];
    let port: u16 = ports["80/tcp"][0]["HostPort"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    daemon.until("it answers", || {
        let mut told = String::new();
        let stream = TcpStream::connect(("127.0.0.1", port));
        drop(stream.and_then(|mut stream| stream.read_to_string(&mut told)));
        told == "inside\n"
    });
    let removed = daemon.send("POST /containers/one/wait?condition=removed", b"");
    assert_eq!(post(&daemon, "/containers/one/kill"), 204);
    let mut told = String::new();
    { removed }.read_to_string(&mut told).unwrap();
    assert!(told.contains("{\"StatusCode\":137}"), "{told}");
    assert_eq!(daemon.ask("GET /containers/one/json", b"").status, 404);
    daemon.stop();
}

#[test]
fn with_published_ports_it_reaches_others() {
    let Some(address) = crate::network::own_address() else {
        return;
    };
    let daemon = daemon();
    let (outside, inside) = (greeter(address), greeter([127, 0, 0, 1].into()));
    let ask = |address: std::net::IpAddr, port: u16| {
        let talk = "sh -c 'echo hello?; read answer; echo $answer >/answer'";
        format!("nc -w 3 {address} {port} -e {talk}")
    };
    let script = format!(
        "{}; grep hello /answer && ! {} && ip addr | grep 10.0.2.100/24",
        ask(address, outside),
        ask([127, 0, 0, 1].into(), inside)
    );
    create(
        &daemon,
        "one",
        &json!({"Image": "alpine", "Cmd": ["sh", "-c", script], "HostConfig": {
            "PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}
        }}),
    );
    assert_eq!(post(&daemon, "/containers/one/start"), 204);
    let waited = daemon.ask("POST /containers/one/wait", b"").json();
    assert_eq!(waited["StatusCode"], json!(0));
    daemon.stop();
}

#[test]
fn a_network_that_is_named_is_had_or_refused() {
    let programs = without_networks();
    let path = programs.path().to_str().unwrap().to_owned();
    let mut daemon = with_image(Daemon::with_variable("PATH", path));
    for (network, status, message) in [
        ("mine", 404, "network mine not found"),
        (
            "container:one",
            501,
            "the network of another container is not provided by kiln",
        ),
    ] {
        let asked = json!({"Image": "alpine", "Cmd": ["true"], "HostConfig": {"NetworkMode": network},
            "NetworkingConfig": {"EndpointsConfig": {network: {}}}});
        let answer = daemon.ask("POST /containers/create", asked.to_string().as_bytes());
        let found = (answer.status, answer.json()["message"].clone());
        assert_eq!(found, (status, json!(message)), "{network}");
    }
    let ports = json!({"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]});
    let asked = json!({"Image": "alpine", "Cmd": ["true"], "HostConfig": {"PortBindings": ports}});
    create(&daemon, "one", &asked);
    // What there is, where nobody has chosen: nothing.
    assert_eq!(post(&daemon, "/containers/one/start"), 204);
    assert_eq!(post(&daemon, "/containers/one/wait"), 200);
    daemon.kiln.configure("[build]\nnetwork = \"pasta\"\n");
    daemon.crash();
    daemon.begin();
    let answer = daemon.ask("POST /containers/one/start", b"");
    let expected = "a network of a step's own takes pasta, which is not installed";
    let message = answer.json()["message"].clone();
    assert_eq!((answer.status, message), (500, json!(expected)));
    daemon.stop();
}

/// A search path with the programs that make an ordinary user's namespace, where those are, and none
/// that connects a network.
fn without_networks() -> Scratch {
    let programs = Scratch::new();
    for program in ["newuidmap", "newgidmap"] {
        symlink(Path::new("/usr/bin").join(program), programs.join(program)).unwrap();
    }
    programs
}

#[test]
fn what_ran_when_the_daemon_died_has_ended() {
    let mut daemon = daemon();
    create(
        &daemon,
        "one",
        &json!({"Image": "alpine", "Cmd": ["sleep", "98762"]}),
    );
    assert_eq!(post(&daemon, "/containers/one/start"), 204);
    daemon.crash();
    daemon.begin();
    let state = daemon.ask("GET /containers/one/json", b"").json()["State"].clone();
    assert_eq!(
        (&state["Status"], &state["ExitCode"], &state["Running"]),
        (&json!("exited"), &json!(255), &json!(false))
    );
    assert_eq!(post(&daemon, "/containers/one/start"), 204);
    // It ends with the daemon, which asks it to.
    daemon.stop();
}

#[test]
fn volumes_outlive_containers() {
    let daemon = daemon();
    let run = |name: &str, script: &str| {
        create(
            &daemon,
            name,
            &json!({"Image": "alpine", "Cmd": ["sh", "-c", script], "HostConfig": {"Binds": ["data:/etc"]}}),
        );
        assert_eq!(post(&daemon, &format!("/containers/{name}/start")), 204);
        let waited = daemon
            .ask(&format!("POST /containers/{name}/wait"), b"")
            .json();
        waited["StatusCode"].clone()
    };
    assert_eq!(
        run("one", "test -f /etc/passwd && echo kept >/etc/kept"),
        json!(0)
    );
    assert_eq!(run("two", "grep kept /etc/kept"), json!(0));
    let refused = daemon.ask("DELETE /volumes/data", b"").failure();
    assert_eq!(refused.0, 409, "{refused:?}");
    for name in ["one", "two"] {
        assert_eq!(
            daemon
                .ask(&format!("DELETE /containers/{name}"), b"")
                .status,
            204
        );
    }
    assert_eq!(daemon.ask("DELETE /volumes/data", b"").status, 204);
    let listed = daemon.ask("GET /volumes", b"").json();
    assert_eq!(listed["Volumes"], json!([]));
    daemon.stop();
}

#[test]
fn with_the_docker_client() {
    if finish(command("sh").args(["-c", "command -v docker"])).code != 0 {
        std::io::stdout()
            .write_all(b"skipped: there is no docker client\n")
            .unwrap();
        return;
    }
    let daemon = daemon();
    let ran = daemon.docker(&[
        "run",
        "--rm",
        "alpine",
        "sh",
        "-c",
        "echo out; echo err >&2; exit 3",
    ]);
    assert_eq!(
        (ran.code, ran.stdout.as_str(), ran.stderr.as_str()),
        (3, "out\n", "err\n")
    );
    let ran = daemon.docker(&["run", "--rm", "alpine", "nothing-of-that-name"]);
    assert_eq!(ran.code, 127, "{}", ran.stderr);
    let ok = |arguments: &[&str]| daemon.docker(arguments).ok();
    ok(&[
        "run",
        "-d",
        "--name",
        "job",
        "alpine",
        "sh",
        "-c",
        "echo x >/x; sleep 1000",
    ]);
    assert_eq!(
        ok(&["ps", "--format", "{{.Names}} {{.State}}"]),
        "job running\n"
    );
    let read = "until test -s /x; do sleep 0; done; cat /x";
    assert_eq!(ok(&["exec", "job", "sh", "-c", read]), "x\n");
    let note = daemon.kiln.scratch("note").join("note");
    std::fs::write(&note, "copied\n").unwrap();
    let note = note.to_str().unwrap();
    ok(&["cp", note, "job:/tmp/note"]);
    assert_eq!(ok(&["exec", "job", "cat", "/tmp/note"]), "copied\n");
    ok(&["exec", "job", "rm", "/tmp/note"]);
    ok(&["stop", "-t", "0", "job"]);
    let changed = ok(&["diff", "job"]);
    assert!(changed.contains("A /x\n"), "{changed}");
    ok(&["commit", "job", "snap"]);
    assert_eq!(ok(&["run", "--rm", "snap", "cat", "/x"]), "x\n");
    assert_eq!(ok(&["rm", "job"]), "job\n");
    assert_eq!(ok(&["ps", "-aq"]), "");
    daemon.stop();
}
