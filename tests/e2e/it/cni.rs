//! Networks that plugins of CNI set up, with the plugins that distributions have, on a machine whose
//! network and mounts are the test's own.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::kiln::{Kiln, Project, binary, command, finish};
use crate::place::Place;
use crate::serving::Daemon;

/// Sets the machine up, and tells everybody who connects by which address they came.
const MACHINE: &str = r#"
mount --make-rprivate / && mkdir -p /var/lib/cni && mount -t tmpfs tmpfs /var/lib/cni
ip link set lo up
exec python3 -c '
import socket
server = socket.create_server(("0.0.0.0", 7))
print("begun", flush=True)
while True:
    client, (address, _) = server.accept()
    client.sendall(f"{address}\n".encode())
    client.close()
'
"#;

/// A bridge, ports, and a firewall, as in the usual list.
const LIST: &str = r#"{"cniVersion":"1.0.0","name":"tests","plugins":[
    {"type":"bridge","bridge":"tests0","isDefaultGateway":true,"ipMasq":true,"ipam":
        {"type":"host-local","dataDir":"LEASES","ranges":[[{"subnet":"10.77.0.0/24"}]]}},
    {"type":"portmap","capabilities":{"portMappings":true}},
    {"type":"firewall"}]}"#;

/// Asks the gateway by which address it is known.
const ASK: &str = "RUN nc -w 3 10.77.0.1 7 </dev/null >/known\n";

struct Machine {
    kiln: Kiln,
    process: Child,
}

impl Machine {
    /// With an image, whose registry is not to be reached from there.
    fn new(configuration: &str) -> Self {
        let kiln = Kiln::new();
        kiln.ok(["pull", "-q", "alpine"]);
        let leases = kiln.scratch("leases");
        let list = LIST.replace("LEASES", leases.to_str().unwrap());
        let path = kiln.scratch("net").join("tests.conflist");
        fs::write(&path, list).unwrap();
        kiln.configure(&configuration.replace("LIST", path.to_str().unwrap()));
        let mut unshare = command("unshare");
        unshare.args(["--net", "--mount", "sh", "-ec", MACHINE]);
        unshare.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = unshare.spawn().unwrap();
        let mut line = String::new();
        let mut told = BufReader::new(process.stdout.take().unwrap());
        told.read_line(&mut line).unwrap();
        let machine = Self { kiln, process };
        assert_eq!(line, "begun\n");
        machine
    }

    /// A program there, with the variables that kiln has.
    fn program(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut entered = command("nsenter");
        let of = self.process.id().to_string();
        // In a chroot the root of its mounts would be another one.
        entered.args(["--net", "--mount", "--root", "--target", &of]);
        entered.arg(program).env_clear().stdin(Stdio::null());
        for (name, value) in self.kiln.command().get_envs() {
            entered.envs(value.map(|value| (name, value)));
        }
        entered
    }

    fn builds(&self, project: &Project, arguments: &[&str]) -> Command {
        let mut build = self.program(self.kiln.command().get_program());
        build.args(["build", "--progress=plain", "--no-cache"]);
        build.args(arguments).arg(project.path());
        build
    }

    /// A daemon that listens there.
    fn serves(&self, daemon: &mut Command, socket: &Path) -> Child {
        let daemon = self.kiln.start(daemon);
        wait_until(|| std::os::unix::net::UnixStream::connect(socket).is_ok());
        daemon
    }

    fn told(&self, program: &str, arguments: &[&str]) -> String {
        finish(self.program(program).args(arguments)).ok()
    }

    /// Networks of which something is kept.
    fn kept(&self) -> Vec<PathBuf> {
        paths(&self.kiln.root().join("networks"))
    }

    /// What is there of networks: files that are kept, interfaces, addresses taken, rules, mounts.
    fn left(&self) -> Vec<String> {
        let interfaces = self.told("ip", &["-brief", "link"]);
        let rules = ["filter", "nat"].map(|table| self.told("iptables", &["-t", table, "-S"]));
        let mounts = fs::read_to_string(format!("/proc/{}/mounts", self.process.id())).unwrap();
        // The mounts of others, killed before they could take them away, may have been here before.
        let root = self.kiln.root();
        let root = root.to_str().unwrap();
        let of_network = |line: &&str| {
            line.contains("10.77.0.") || line.starts_with("veth") || line.contains(root)
        };
        let lines = [interfaces, rules.concat(), mounts].concat();
        let lines = lines.lines().filter(of_network).map(str::to_owned);
        let leases = paths(&self.kiln.scratch("leases").join("tests"));
        let files = leases.into_iter().chain(self.kept());
        let files = files.filter_map(|path| {
            let name = path.file_name()?.to_str()?;
            (name != "lock" && name != "last_reserved_ip.0").then(|| name.to_owned())
        });
        lines.chain(files).collect()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn paths(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// Asks a daemon to end.
fn stop(mut daemon: Child) {
    let pid = rustix::process::Pid::from_child(&daemon);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(daemon.wait().unwrap().success());
}

fn wait_until(holds: impl Fn() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(
            begin.elapsed() < Duration::from_secs(30),
            "it does not come"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

const CONFIGURED: &str = "[build]\nnetwork = \"cni\"\n[build.cni]\nconfig = \"LIST\"\n\
                          plugins = [\"/usr/lib/cni\"]\n";

#[test]
fn steps_have_what_plugins_set_up() {
    let machine = Machine::new(CONFIGURED);
    let project = Project::of(&format!(
        "FROM alpine\n{ASK}RUN ip addr show eth0 >/interface; ip route >/routes; \
         ip addr show lo | grep -c 127.0.0.1/8 >/loopback\n\
         RUN --network=none ip link | grep -c eth0 >/none || true\n"
    ));
    let out = machine.kiln.scratch("out");
    let output = format!("type=local,dest={}", out.display());
    finish(&mut machine.builds(&project, &["-o", &output])).ok();
    let read = |name: &str| fs::read_to_string(out.join(name)).unwrap();
    assert!(read("known").starts_with("10.77.0."), "{}", read("known"));
    assert!(read("interface").contains("inet 10.77.0."));
    let routes = read("routes");
    assert!(
        routes.starts_with("default via 10.77.0.1 dev eth0"),
        "{routes}"
    );
    assert_eq!((&*read("loopback"), &*read("none")), ("1\n", "0\n"));
    assert_eq!(machine.left(), [""; 0]);
    assert!(machine.told("ip", &["-brief", "link"]).contains("tests0"));
    machine.kiln.assert_clean();
}

#[test]
fn nothing_is_left_however_a_step_ends() {
    let machine = Machine::new("[build.cni]\nconfig = \"LIST\"\n");
    let network = ["--network", "cni"];
    let project = Project::of("FROM alpine\nRUN exit 3\n");
    let ran = finish(&mut machine.builds(&project, &network));
    assert!(
        ran.clone().error().ends_with("exit code: 3"),
        "{}",
        ran.stderr
    );
    assert_eq!(machine.left(), [""; 0]);
    project.write(
        "Dockerfile",
        "FROM alpine\nRUN touch /begun && sleep 1000\n",
    );
    let is_up = || {
        let kept = machine.kept();
        kept.iter().any(|path| path.join("result.json").exists())
    };
    for signal in [rustix::process::Signal::INT, rustix::process::Signal::KILL] {
        let mut build = machine.kiln.start(&mut machine.builds(&project, &network));
        wait_until(is_up);
        // nsenter has become kiln.
        let pid = rustix::process::Pid::from_child(&build);
        rustix::process::kill_process(pid, signal).unwrap();
        build.wait().unwrap();
        if signal == rustix::process::Signal::INT {
            assert_eq!(machine.left(), [""; 0]);
        }
    }
    assert!(machine.left().len() > 4, "{:?}", machine.left());
    // Whoever comes next, with the machine's own network.
    project.write("Dockerfile", "FROM alpine\nRUN true\n");
    finish(&mut machine.builds(&project, &[])).ok();
    assert_eq!(machine.left(), [""; 0]);
    machine.kiln.assert_clean();
}

#[test]
fn what_plugins_say_is_told() {
    let machine = Machine::new(CONFIGURED);
    let project = Project::of("FROM alpine\nRUN true\nRUN true\n");
    let path = machine.kiln.scratch("net").join("tests.conflist");
    let list = fs::read_to_string(&path).unwrap();
    let build = |list: &str| {
        fs::write(&path, list).unwrap();
        finish(&mut machine.builds(&project, &[]))
    };
    let ran = build(&list.replace("portmap", "nothing"));
    let hint = "install the plugins (Debian: containernetworking-plugins), or name their directory \
                in plugins of [build.cni]";
    assert_eq!(ran.hints(), [hint], "{}", ran.stderr);
    let error = ran.error();
    let expected = ": CNI plugin \"nothing\" of network \"tests\" is not in /usr/lib/cni";
    assert!(error.ends_with(expected), "{error}");
    assert_eq!(machine.kept().len(), 0);
    // The plugin cannot use a bridge that it has made and given no address yet.
    build(&list).ok();
    let error = build(&list.replace("10.77.0.0/24", "10.77.0.0/32")).error();
    let expected = ": CNI plugin \"bridge\" of network \"tests\": ADD: ";
    assert!(error.contains(expected), "{error}");
    // It cannot be taken down either, which is tried, and told, three times, once in each build.
    assert_eq!(machine.kept().len(), 1);
    for (left, complaints) in [(1, 1), (1, 1), (0, 1), (0, 0)] {
        let ran = build(&list);
        let told = ran.stderr.matches("a network was not taken down: ").count();
        let found = (ran.code, machine.kept().len(), told);
        assert_eq!(found, (0, left, complaints), "{}", ran.stderr);
    }
    assert_eq!(machine.left(), [""; 0]);
    let error = build("{").error();
    assert!(error.contains(": CNI configuration "), "{error}");
}

#[test]
fn a_bridge_of_kilns_own() {
    let machine = Machine::new("[build.cni]\nbridge = \"tests1\"\nsubnet = \"10.77.0.0/24\"\n");
    let project = Project::of(&format!("FROM alpine\n{ASK}RUN grep -q 10.77.0. /known\n"));
    finish(&mut machine.builds(&project, &["--network=cni"])).ok();
    assert_eq!(machine.left(), [""; 0]);
}

#[test]
fn in_the_place_of_buildkitd() {
    let machine = Machine::new("");
    let files = machine.kiln.scratch("files");
    let at = |name: &str| files.join(name).to_str().unwrap().to_owned();
    std::os::unix::fs::symlink(binary(), at("buildkitd")).unwrap();
    std::os::unix::fs::symlink(machine.kiln.root(), at("kiln")).unwrap();
    let list = machine.kiln.scratch("net").join("tests.conflist");
    let file = format!(
        "root = {files:?}\n[worker.oci]\nnetworkMode = \"cni\"\ncniConfigPath = {list:?}\n\
         cniBinaryPath = \"/usr/lib/cni\"\n"
    );
    fs::write(at("buildkitd.toml"), file).unwrap();
    let address = format!("unix://{}", at("socket"));
    let mut daemon = machine.program(at("buildkitd"));
    daemon.args(["--config", &at("buildkitd.toml"), "--addr", &address]);
    let daemon = machine.serves(&mut daemon, Path::new(&at("socket")));
    let project = Project::of(&format!("FROM alpine\n{ASK}RUN grep -q 10.77.0. /known\n"));
    finish(&mut machine.builds(&project, &["--builder", &address])).ok();
    stop(daemon);
    assert_eq!(machine.left(), [""; 0]);
}

#[test]
fn containers_with_published_ports_have_it_too() {
    let machine = Machine::new(CONFIGURED);
    let socket = machine.kiln.scratch("files").join("socket");
    let mut daemon = machine.program(machine.kiln.command().get_program());
    daemon.args(["serve", "--host", &format!("unix://{}", socket.display())]);
    let daemon = machine.serves(&mut daemon, &socket);
    let post = |path: &str, body: &str| {
        let mut curl = command("curl");
        curl.args(["--silent", "--fail", "--unix-socket"])
            .arg(&socket);
        curl.args(["--header", "Content-Type: application/json"]);
        finish(curl.args(["--data", body, &format!("http://kiln{path}")])).ok()
    };
    let create = r#"{"Image": "alpine", "Cmd": ["sh", "-c", "nc -w 3 10.77.0.1 7 | grep 10.77.0."],
        "HostConfig": {"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}}}"#;
    post("/containers/create?name=one", create);
    post("/containers/one/start", "");
    let ended = post("/containers/one/wait", "");
    assert!(ended.contains("\"StatusCode\":0"), "{ended}");
    stop(daemon);
    assert_eq!(machine.left(), [""; 0]);
}

/// Takes its time to fail.
const SLOW: &str = "#!/bin/sh\ntouch \"$0.begun\"\nsleep 4\ntouch \"$0.ended\"\nexit 7\n";

#[test]
fn a_daemon_answers_while_what_is_left_is_taken_down() {
    let kiln = Kiln::new();
    kiln.ok(["images"]);
    let slow = kiln.scratch("plugins").join("slow");
    fs::write(&slow, SLOW).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&slow, mode).unwrap();
    let left = kiln.root().join("networks/left");
    fs::create_dir_all(&left).unwrap();
    let told = serde_json::json!({
        "id": "left",
        "list": {"version": "1.0.0", "name": "n", "plugins": [{"type": "slow"}]},
        "plugins": [slow.parent().unwrap()],
        "hostname": null,
    });
    fs::write(left.join("network.json"), told.to_string()).unwrap();
    let begin = Instant::now();
    let daemon = Daemon::of_kiln(kiln);
    assert_eq!(daemon.ask("GET /_ping", b"").status, 200);
    assert!(begin.elapsed() < Duration::from_secs(3));
    let ended = slow.with_extension("ended");
    assert!(!ended.exists());
    daemon.until("it is tried", || slow.with_extension("begun").exists());
    let said = daemon.stop().stderr;
    let expected = "CNI plugin \\\"slow\\\" of network \\\"n\\\": DEL: it ended with exit code 7";
    let is_it = |line: &&str| line.contains("network is left") && line.contains(expected);
    assert_eq!(said.lines().filter(is_it).count(), 1, "{said}");
}

#[test]
fn what_is_needed_is_named() {
    let project = Project::of("FROM alpine\nRUN true\n");
    let ran = Kiln::new().try_build(&project, &["--network=cni"]);
    let hint = "set config or bridge of [build.cni] in kiln.toml";
    assert_eq!(ran.hints(), [hint], "{}", ran.stderr);
    assert!(
        ran.error()
            .ends_with(": networks of CNI are not configured")
    );
    let Some(place) = Place::subordinate() else {
        return;
    };
    let kiln = Kiln::in_place(place);
    kiln.configure("[build.cni]\nbridge = \"tests2\"\n");
    let ran = kiln.try_build(&project, &["--network=cni"]);
    let hint = "run kiln as root, or take the network sandbox";
    assert_eq!(ran.hints(), [hint], "{}", ran.stderr);
    let error = ran.error();
    assert!(error.ends_with("which only root may make"), "{error}");
}
