//! SSH agents that steps use.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::kiln::{Kiln, Project, Ran, finish, tool};

/// Stands in for `ssh`: the agent proves what it has, then the command runs on this machine.
const SSH: &str = "#!/bin/sh
ssh-add -T \"${0%/*}/id.pub\" >&2 || exit 9
for last; do :; done
exec sh -c \"$last\"
";

/// Makes a key with what `ssh-keygen` is told; its path.
pub(crate) fn key(path: &Path, options: &[&str]) -> String {
    let path = path.to_str().unwrap();
    tool(
        "ssh-keygen",
        &[&["-q", "-C", "", "-f", path], options].concat(),
    );
    path.to_owned()
}

/// A program with the libraries that it needs, below `root`.
pub(crate) fn install(program: &str, root: &Path) {
    let libraries = tool("ldd", &[program]);
    let words = libraries.split_whitespace();
    for file in words.filter(|word| word.starts_with('/')).chain([program]) {
        let place = root.join(file.trim_start_matches('/'));
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::copy(file, place).unwrap();
    }
}

fn build(kiln: &Kiln, project: &Project, arguments: &[&str], agent: Option<&str>) -> Ran {
    let mut command = kiln.command();
    command
        .args(["build", "--progress", "plain"])
        .args(arguments);
    if let Some(agent) = agent {
        command.env("SSH_AUTH_SOCK", agent);
    }
    finish(command.arg(project.path()))
}

#[test]
fn agents() {
    let kiln = Kiln::new();
    let project = Project::of(
        "FROM alpine\nRUN --mount=type=ssh,required,uid=7,gid=8,mode=0640 \
         test -S $SSH_AUTH_SOCK && echo $SSH_AUTH_SOCK && stat -c '%a %u:%g' $SSH_AUTH_SOCK\n\
         RUN test ! -e /run/buildkit/ssh_agent.0\n",
    );
    let socket = project.join("agent");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let socket = socket.to_str().unwrap();
    for (arguments, agent) in [
        (vec!["--ssh", "default"], Some(socket)),
        (
            vec!["--no-cache", "--ssh", &format!("default={socket}")],
            None,
        ),
    ] {
        let ran = build(&kiln, &project, &arguments, agent);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert!(
            ran.stderr.contains(" /run/buildkit/ssh_agent.0\n"),
            "{}",
            ran.stderr
        );
        assert!(ran.stderr.contains(" 640 7:8\n"), "{}", ran.stderr);
    }
    for (arguments, expected) in [
        (
            vec!["--no-cache"],
            "no SSH key \"default\" forwarded from the client",
        ),
        (
            vec!["--ssh", "default"],
            "invalid empty ssh agent socket: make sure SSH_AUTH_SOCK is set",
        ),
        (
            vec!["--ssh", "default=/etc/passwd"],
            "ssh agent default: no private SSH key in /etc/passwd",
        ),
        (
            vec!["--ssh", "default=/missing"],
            "ssh agent default: /missing: no such file or directory",
        ),
        (
            vec!["--ssh", &format!("default={socket},/etc/passwd")],
            "a socket stands alone, without key files",
        ),
    ] {
        let error = build(&kiln, &project, &arguments, None).error();
        assert!(error.contains(expected), "{error}");
    }
    kiln.assert_clean();
}

#[test]
fn keys_in_files() {
    let kiln = Kiln::new();
    let project = Project::of(
        "FROM alpine\nCOPY root /\nCOPY public /public\n\
         RUN --mount=type=ssh,id=k export PATH=/usr/bin:$PATH && ssh-add -l && \
         for key in /public/*; do \
         ssh-keygen -Y sign -n test -f $key </etc/passwd >/signature && \
         ssh-keygen -Y check-novalidate -n test -s /signature </etc/passwd || exit 3; done && \
         ! ssh-add -d /public/ed25519.pub && ! ssh-add -D && ! ssh-add -x </dev/null\n",
    );
    for program in ["/usr/bin/ssh-add", "/usr/bin/ssh-keygen"] {
        install(program, &project.join("root"));
    }
    let keys = testkit::Scratch::new();
    let made: Vec<String> = [
        ("ed25519", &["-t", "ed25519"][..]),
        ("rsa", &["-t", "rsa", "-b", "2048"]),
        ("ecdsa", &["-t", "ecdsa", "-b", "521"]),
        ("pem", &["-t", "ecdsa", "-b", "256", "-m", "PEM"]),
    ]
    .into_iter()
    .map(|(name, options)| {
        let path = key(&keys.join(name), &[options, &["-N", ""]].concat());
        let public = fs::read_to_string(format!("{path}.pub")).unwrap();
        project.write(&format!("public/{name}.pub"), &public);
        path
    })
    .collect();
    let ran = build(
        &kiln,
        &project,
        &["--ssh", &format!("k={}", made.join(","))],
        None,
    );
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    for listed in [
        " ed25519 (ED25519)",
        " rsa (RSA)",
        " ecdsa (ECDSA)",
        " pem (ECDSA)",
        " Good \"test\" signature with RSA key",
        " Good \"test\" signature with ED25519 key",
    ] {
        assert!(ran.stderr.contains(listed), "{listed}: {}", ran.stderr);
    }
    let encrypted = key(
        &keys.join("encrypted"),
        &["-t", "ed25519", "-N", "a phrase"],
    );
    let agent = format!("k={encrypted}");
    let error = build(&kiln, &project, &["--ssh", &agent], None).error();
    let expected = format!(
        "ssh agent k: the SSH key {encrypted} is encrypted: add it to an ssh-agent and name the \
         agent's socket instead"
    );
    assert!(error.ends_with(&expected), "{error}");
    kiln.assert_clean();
}

#[test]
fn git_uses_keys_in_files() {
    let kiln = Kiln::new();
    let scratch = testkit::Scratch::new();
    let path = key(&scratch.join("id"), &["-t", "ed25519", "-N", ""]);
    let ssh = scratch.file("ssh", SSH);
    fs::set_permissions(&ssh, fs::Permissions::from_mode(0o755)).unwrap();
    let repository = scratch.dir("r.git");
    fs::write(repository.join("Dockerfile"), "FROM scratch\nCOPY . /\n").unwrap();
    let git = |arguments: &[&str]| {
        let identity = ["-c", "user.name=x", "-c", "user.email=x@example.com", "-C"];
        let place = [repository.to_str().unwrap()];
        tool("git", &[&identity[..], &place, arguments].concat());
    };
    git(&["init", "-q", "-b", "main", "."]);
    git(&["add", "-A"]);
    git(&["commit", "-q", "-m", "x"]);
    let url = format!("ssh://git@host.invalid{}", repository.display());
    let paths = format!("{}:/usr/local/bin:/usr/bin:/bin", scratch.path().display());
    let build = |arguments: &[&str]| {
        let mut command = kiln.command();
        command
            .args(["build", "--progress", "plain"])
            .args(arguments);
        finish(command.arg(&url).env("PATH", &paths))
    };
    let ran = build(&["--ssh", &format!("default={path}")]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let error = build(&["--no-cache"]).error();
    assert!(error.contains("failed to load git source"), "{error}");
    kiln.assert_clean();
}
