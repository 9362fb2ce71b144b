//! Networks of steps' own, which pasta or slirp4netns connects.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use testkit::network::greeter;

use crate::kiln::{Kiln, Project, finish};
use crate::place::skip;

const PROGRAMS: [&str; 2] = ["pasta", "slirp4netns"];

/// Whether networks of steps can be given an interface.
pub(crate) fn can_connect() -> std::io::Result<()> {
    let mut options = std::fs::File::options();
    let opened = options.read(true).write(true).open("/dev/net/tun");
    opened.map(drop)
}

/// The address by which others reach this machine; nothing, and why, where there are no connected
/// networks.
pub(crate) fn own_address() -> Option<IpAddr> {
    if let Err(error) = can_connect() {
        skip(&format!("networks of steps: /dev/net/tun: {error}"));
        return None;
    }
    let address = testkit::network::own_address();
    if address.is_none() {
        skip("networks of steps: this machine reaches nobody");
    }
    address
}

/// A step that asks a server, and writes its answer to `/NAME`.
fn asks(options: &str, address: IpAddr, port: u16, name: &str) -> String {
    let talk = format!("sh -c 'echo hello?; read answer; echo $answer >/{name}'");
    format!("RUN {options} nc -w 3 {address} {port} -e {talk}\n")
}

/// The processes that pass on for the processes `of`.
fn connecting(of: u32) -> usize {
    testkit::network::children(of, &["pasta", "passt", "slirp4netns"])
}

#[test]
fn leads_outside_and_not_to_the_machine_itself() {
    let Some(address) = own_address() else { return };
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let (outside, inside) = (greeter(address), greeter(loopback));
    let kiln = Kiln::new();
    for program in PROGRAMS {
        let mut dockerfile = "FROM alpine\n".to_owned();
        dockerfile += &asks("", address, outside, "outside");
        for (number, host) in ["127.0.0.1", "10.0.2.2", "10.0.2.100"]
            .into_iter()
            .enumerate()
        {
            let step = asks(
                "! ",
                host.parse().unwrap(),
                inside,
                &format!("inside{number}"),
            );
            dockerfile += &step;
        }
        dockerfile += "RUN cp /etc/resolv.conf /resolved && ip addr >/interfaces\n\
                       RUN nc -w 3 169.254.169.254 80 -e true 2>&1 | tail -n 1 >/metadata\n\
                       RUN --network=none ip addr >/alone\n";
        let project = Project::of(&dockerfile);
        let (network, out) = (format!("--network={program}"), kiln.scratch(program));
        let output = format!("type=local,dest={}", out.display());
        kiln.build(&project, &[&network, "--no-cache", "-o", &output]);
        let read = |name: &str| std::fs::read_to_string(out.join(name)).unwrap_or_default();
        assert_eq!(read("outside"), "hello\n", "{program}");
        for number in 0..3 {
            assert_eq!(read(&format!("inside{number}")), "", "{program}");
        }
        let servers = read("resolved");
        let servers: Vec<_> = servers
            .lines()
            .filter(|line| line.starts_with("nameserver"))
            .collect();
        assert_eq!(servers, ["nameserver 10.0.2.3"], "{program}");
        assert!(read("interfaces").contains("10.0.2.100/24"), "{program}");
        assert!(!read("alone").contains("10.0.2.100"), "{program}");
        let told = read("metadata");
        assert!(told.ends_with(": No route to host\n"), "{program}: {told}");
    }
    kiln.assert_clean();
}

#[test]
fn ends_with_the_step() {
    if own_address().is_none() {
        return;
    }
    let kiln = Kiln::new();
    for program in PROGRAMS {
        let project = Project::of("FROM alpine\nRUN --network=default sleep 1000\n");
        let network = format!("--network={program}");
        let mut command = kiln.command();
        command.args(["build", &network]).arg(project.path());
        for signal in [rustix::process::Signal::INT, rustix::process::Signal::KILL] {
            let mut build = kiln.start(&mut command);
            let of = build.id();
            wait_until(|| connecting(of) == 1);
            let pid = rustix::process::Pid::from_child(&build);
            rustix::process::kill_process(pid, signal).unwrap();
            build.wait().unwrap();
            // Whoever lost kiln is somebody else's child now, if it lives.
            wait_until(|| connecting(of) == 0 && connecting(1) == 0);
        }
        project.write("Dockerfile", "FROM alpine\nRUN exit 3\n");
        let ran = kiln.try_build(&project, &[&network]);
        assert!(
            ran.clone().error().ends_with("exit code: 3"),
            "{}",
            ran.stderr
        );
        assert_eq!(connecting(1), 0);
    }
}

fn wait_until(holds: impl Fn() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(
            begin.elapsed() < Duration::from_secs(20),
            "it does not come"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A program that gets ready, and ends soon.
const SHORT: &str = "#!/bin/sh\necho 7\nsleep 1\necho no more >&2\nexit 3\n";

#[test]
fn a_step_that_is_cut_off_is_told_so() {
    if own_address().is_none() {
        return;
    }
    let kiln = Kiln::new();
    let directory = kiln.scratch("programs");
    let program = directory.join("pasta");
    std::fs::write(&program, SHORT).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&program, mode).unwrap();
    let build = |step: &str| {
        let project = Project::of(&format!("FROM alpine\nRUN {step}\n"));
        let mut command = kiln.command();
        let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", directory.display());
        command.env("PATH", path).args(["build", "--network=pasta"]);
        finish(command.arg(project.path()))
    };
    let error = build("sleep 3; exit 4").error();
    let expected = format!(
        "did not complete successfully: exit code: 4; {}, which connected its network, had ended \
         before: no more",
        program.display()
    );
    assert!(error.ends_with(&expected), "{error}");
    let error = build("exit 4").error();
    assert!(error.ends_with("exit code: 4"), "{error}");
    build("sleep 3").ok();
    kiln.assert_clean();
}

#[test]
fn a_kept_step_has_the_network_of_its_build() {
    if own_address().is_none() {
        return;
    }
    let kiln = Kiln::new();
    let project = Project::of("FROM alpine\nRUN ip addr && exit 3\n");
    let arguments = ["--network=slirp4netns", "--on-failure=keep"];
    assert_eq!(kiln.try_build(&project, &arguments).code, 1);
    let seen = kiln.ok(["debug", "shell", "--", "ip", "addr"]);
    assert!(seen.contains("10.0.2.100/24"), "{seen}");
    let again = kiln.run(["debug", "rerun"]);
    assert!(again.stdout.contains("10.0.2.100/24"), "{}", again.stdout);
    assert_eq!(again.code, 3, "{}", again.stderr);
    kiln.assert_clean();
}

#[test]
fn the_machines_owner_chooses() {
    let Some(address) = own_address() else { return };
    let port = greeter(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let kiln = Kiln::configured("[build]\nnetwork = \"sandbox\"\n");
    let machines = asks("--network=host", "127.0.0.1".parse().unwrap(), port, "o");
    let project = Project::of(&format!("FROM alpine\n{machines}"));
    let ran = kiln.try_build(&project, &[]);
    let hint = "--allow network.host grants it to steps that ask for it";
    assert_eq!(ran.hints(), [hint], "{}", ran.stderr);
    let error = ran.error();
    assert!(error.ends_with("network.host is not allowed"), "{error}");
    kiln.build(&project, &["--allow", "network.host"]);
    kiln.build(&project, &["--no-cache", "--network", "host"]);
    let port = greeter(address);
    project.write(
        "Dockerfile",
        &format!("FROM alpine\n{}", asks("", address, port, "o")),
    );
    kiln.build(&project, &[]);
    // What connects the network is no part of what the step is.
    let again = kiln.build(&project, &["--network=slirp4netns"]);
    assert!(again.contains("CACHED"), "{again}");
}

#[test]
fn what_is_missing_is_named() {
    let kiln = Kiln::new();
    let project = Project::of("FROM alpine\nRUN true\n");
    for (network, programs, packages) in [
        ("pasta", "pasta", "passt"),
        ("slirp4netns", "slirp4netns", "slirp4netns"),
        ("sandbox", "pasta or slirp4netns", "passt or slirp4netns"),
    ] {
        let mut command = kiln.command();
        command
            .env("PATH", "/nowhere")
            .args(["build", "--network", network]);
        let ran = finish(command.arg(project.path()));
        let hint = format!("install the package {packages}");
        assert_eq!(ran.hints(), [&hint], "{}", ran.stderr);
        let error = ran.error();
        let expected =
            format!(": a network of a step's own takes {programs}, which is not installed");
        assert!(error.ends_with(&expected), "{error}");
    }
    let error = kiln.try_build(&project, &["--network", "wire"]).error();
    let expected = "ERROR: invalid argument \"wire\" for \"--network\" flag: kiln has the networks \
                    default, none, host, sandbox, pasta, slirp4netns and cni";
    assert_eq!(error, expected);
}
